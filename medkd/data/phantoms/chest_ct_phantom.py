"""The chest CT data set that a bundle falls back on.

Each patient has one scan (int16 NIfTI in Hounsfield units, about 108 x 88 x 46 voxels) from above
the aortic arch to below the heart, with esophagus, heart, trachea and aorta (uint8 NIfTI). Body,
pose of the organs, contrast agent, noise, spacing, tilt of the planes and order of the voxels
differ between patients. The classes are those of SegTHOR, in its order.

References:
    Z. Lambert, C. Petitjean, B. Dubray, S. Ruan. SegTHOR: Segmentation of thoracic organs at risk
    in CT images. arXiv:1912.05950, 2019.
"""

from __future__ import annotations

from medkd.data.phantoms.chest_ct import CHEST_CLASSES, draw_chest_ct
from medkd.data.phantoms.volume_phantom import VolumePhantom

__all__ = ["chest_ct_phantom"]

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
