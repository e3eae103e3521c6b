"""The brain MRI data set that a bundle falls back on.

Each patient has one T1-weighted scan without skull (int16 or float32 NIfTI, about 75 x 95 x 75
voxels), with white matter, cortical gray matter, basal ganglia with thalami, ventricles, cerebellum
and brain stem (uint8 NIfTI). Folds, atrophy, unit of the signal, coil field, noise, grid and order
of the voxels differ between patients. The classes are those of Noothout et al., in its order.

References:
    J. Noothout et al. Knowledge distillation with ensembles of convolutional neural networks for
    medical image segmentation. J. Med. Imaging 9(5) 052407, 2022.
"""

from __future__ import annotations

from medkd.data.phantoms.brain_mri import BRAIN_CLASSES, draw_brain_mri
from medkd.data.phantoms.volume_phantom import VolumePhantom

__all__ = ["brain_mri_phantom"]

brain_mri_phantom = VolumePhantom(
    name="brain_mri_phantom",
    version=1,
    description="Phantom T1-weighted brain MRI without skull: computed scans of people who do not "
    "exist, with the six structures that a simulated observer marked.",
    modality="MR",
    channel_name="T1",
    class_names=BRAIN_CLASSES,
    scans={"": draw_brain_mri},
)
