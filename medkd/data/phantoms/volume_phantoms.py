"""The data sets of volumes that bundles fall back on: one table, each drawn by its anatomy."""

from __future__ import annotations

from functools import partial

from medkd.data.phantoms.abdominal_ct import ABDOMINAL_CLASSES, draw_abdominal_ct
from medkd.data.phantoms.brain_mri import BRAIN_CLASSES, draw_brain_mri
from medkd.data.phantoms.cardiac_mri import CARDIAC_CLASSES, draw_cardiac_mri
from medkd.data.phantoms.chest_ct import CHEST_CLASSES, draw_chest_ct
from medkd.data.phantoms.left_atrium import LEFT_ATRIUM_CLASSES, draw_left_atrium
from medkd.data.phantoms.volume_phantom import VolumePhantom

__all__ = [
    "abdominal_ct_phantom",
    "brain_mri_phantom",
    "cardiac_mri_phantom",
    "chest_ct_phantom",
    "left_atrium_phantom",
]

abdominal_ct_phantom = VolumePhantom(
    name="abdominal_ct_phantom",
    version=1,
    description="Phantom abdominal CT: computed scans of people who do not exist, in Hounsfield "
    "units and the portal venous phase, with the spleen that a simulated observer marked.",
    modality="CT",
    channel_name="CT",
    class_names=ABDOMINAL_CLASSES,
    scans={"": draw_abdominal_ct},
    num_patients={"train": 8, "validation": 2, "test": 3},
)
"""The abdominal CT data set that a bundle falls back on.

Each patient has one scan (int16 NIfTI in Hounsfield units, about 105 x 84 x 43 voxels) from the
base of the lungs to the lower end of the kidneys, in the portal venous phase, with the spleen
(uint8 NIfTI). Body, place and shape of the organs, what the stomach holds, contrast agent, noise,
spacing, tilt of the planes and order of the voxels differ between patients. The class and the phase
are those of the spleen task of the Medical Segmentation Decathlon.

References:
    M. Antonelli et al. The Medical Segmentation Decathlon. Nature Communications 13, 4128, 2022.
"""

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
"""The brain MRI data set that a bundle falls back on.

Each patient has one T1-weighted scan without skull (int16 or float32 NIfTI, about 75 x 95 x 75
voxels), with white matter, cortical gray matter, basal ganglia with thalami, ventricles, cerebellum
and brain stem (uint8 NIfTI). Folds, atrophy, unit of the signal, coil field, noise, grid and order
of the voxels differ between patients. The classes are those of Noothout et al., in its order.

References:
    J. Noothout et al. Knowledge distillation with ensembles of convolutional neural networks for
    medical image segmentation. J. Med. Imaging 9(5) 052407, 2022.
"""

cardiac_mri_phantom = VolumePhantom(
    name="cardiac_mri_phantom",
    version=1,
    description="Phantom short-axis cardiac cine MRI: computed scans of people who do not exist at "
    "the end of filling (frame01) and of the beat (frame02), with the right ventricle, the "
    "myocardium and the left ventricle that a simulated observer marked.",
    modality="MR",
    channel_name="cine MR",
    class_names=CARDIAC_CLASSES,
    scans={
        "_frame01": partial(draw_cardiac_mri, frame="ED"),
        "_frame02": partial(draw_cardiac_mri, frame="ES"),
    },
)
"""The cardiac cine MRI data set that a bundle falls back on.

Each patient has two frames (int16 NIfTI, about 90 x 82 x 10 voxels of oblique short-axis slices),
at the end of filling and of the beat, with right ventricle, myocardium and left ventricle (uint8
NIfTI). Size and strength of the heart, pose, thickness of the slices, coil field and noise differ
between patients. ``coarsening`` widens the pixels within the slices. The classes are those of ACDC,
in its order.

References:
    O. Bernard et al. Deep learning techniques for automatic MRI cardiac multi-structures
    segmentation and diagnosis: is the problem solved? IEEE Trans. Med. Imaging 37(11), 2018.
"""

chest_ct_phantom = VolumePhantom(
    name="chest_ct_phantom",
    version=1,
    description="Phantom chest CT: computed scans of people who do not exist, in Hounsfield "
    "units, with the esophagus, heart, trachea and aorta that a simulated observer marked.",
    modality="CT",
    channel_name="CT",
    class_names=CHEST_CLASSES,
    scans={"": draw_chest_ct},
)
"""The chest CT data set that a bundle falls back on.

Each patient has one scan (int16 NIfTI in Hounsfield units, about 108 x 88 x 46 voxels) from above
the aortic arch to below the heart, with esophagus, heart, trachea and aorta (uint8 NIfTI). Body,
pose of the organs, contrast agent, noise, spacing, tilt of the planes and order of the voxels
differ between patients. The classes are those of SegTHOR, in its order.

References:
    Z. Lambert, C. Petitjean, B. Dubray, S. Ruan. SegTHOR: Segmentation of thoracic organs at risk
    in CT images. arXiv:1912.05950, 2019.
"""

left_atrium_phantom = VolumePhantom(
    name="left_atrium_phantom",
    version=1,
    description="Phantom late gadolinium-enhanced MRI of the left atrium: computed scans of people "
    "who do not exist, with the cavity that a simulated observer marked.",
    modality="MR",
    channel_name="LGE MR",
    class_names=LEFT_ATRIUM_CLASSES,
    scans={"": draw_left_atrium},
    num_patients={"train": 16, "validation": 2, "test": 6},
)
"""The data set of left atria that a bundle falls back on.

Each patient has one late gadolinium-enhanced scan (int16 NIfTI, about 92 x 78 x 37 voxels) with the
cavity of the left atrium, its appendage and the stubs of the lung veins (uint8 NIfTI). Size and
veins of the atrium, scars, contrast, coil field, noise, tilt, grid and order of the voxels differ
between patients. Every case has its label: how many are made use of is said where one trains, e.g.
with ``num_labeled``.

References:
    Z. Xiong et al. A global benchmark of algorithms for segmenting the left atrium from late
    gadolinium-enhanced cardiac magnetic resonance imaging. Medical Image Analysis 67, 101832, 2021.
"""
