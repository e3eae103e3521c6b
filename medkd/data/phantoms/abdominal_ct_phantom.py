"""The abdominal CT data set that a bundle falls back on.

Each patient has one scan (int16 NIfTI in Hounsfield units, about 105 x 84 x 43 voxels) from the
base of the lungs to the lower end of the kidneys, in the portal venous phase, with the spleen
(uint8 NIfTI). Body, place and shape of the organs, what the stomach holds, contrast agent, noise,
spacing, tilt of the planes and order of the voxels differ between patients. The class and the phase
are those of the spleen task of the Medical Segmentation Decathlon.

References:
    M. Antonelli et al. The Medical Segmentation Decathlon. Nature Communications 13, 4128, 2022.
"""

from __future__ import annotations

from medkd.data.phantoms.abdominal_ct import ABDOMINAL_CLASSES, draw_abdominal_ct
from medkd.data.phantoms.volume_phantom import VolumePhantom

__all__ = ["abdominal_ct_phantom"]

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
