"""Stands for torchvision, which MONAI Label imports and these tests never call."""
