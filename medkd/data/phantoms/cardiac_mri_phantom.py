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

from __future__ import annotations

from functools import partial

from medkd.data.phantoms.cardiac_mri import CARDIAC_CLASSES, draw_cardiac_mri
from medkd.data.phantoms.volume_phantom import VolumePhantom

__all__ = ["cardiac_mri_phantom"]

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
