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

from __future__ import annotations

from medkd.data.phantoms.left_atrium import LEFT_ATRIUM_CLASSES, draw_left_atrium
from medkd.data.phantoms.volume_phantom import VolumePhantom

__all__ = ["left_atrium_phantom"]

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
