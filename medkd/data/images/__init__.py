"""Files of pictures and volumes, read and written."""

from __future__ import annotations

from medkd.data.images.image_file_reader import ImageFileReader, stored_channels
from medkd.data.images.image_folder import images_in
from medkd.data.images.volume_file_reader import VOLUME_SUFFIXES, VolumeFileReader

__all__ = ["VOLUME_SUFFIXES", "ImageFileReader", "VolumeFileReader", "images_in", "stored_channels"]
