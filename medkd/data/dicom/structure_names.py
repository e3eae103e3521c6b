"""Names of structures that are known, and so are no patient's."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["KNOWN_STRUCTURES", "StructureName", "name_key", "recognize_structure"]

# Name to the keyword of its code in pydicom's dictionary of SNOMED CT; empty where there is none.
KNOWN_STRUCTURES = {
    "adrenal gland": "AdrenalGland",
    "aorta": "Aorta",
    "bladder": "Bladder",
    "blood vessel": "BloodVessel",
    "body": "",
    "bone": "Bone",
    "brain": "Brain",
    "brain stem": "BrainStem",
    "cerebellum": "Cerebellum",
    "cerebral cortex": "CerebralCortex",
    "cerebrospinal fluid": "CerebrospinalFluid",
    "clinical target volume": "ClinicalTargetVolume",
    "cochlea": "",
    "colon": "Colon",
    "duodenum": "Duodenum",
    "edema": "Edema",
    "esophagus": "Esophagus",
    "external": "",
    "eye": "Eye",
    "femur": "Femur",
    "gallbladder": "Gallbladder",
    "gray matter": "GrayMatter",
    "gross tumor volume": "GrossTumorVolume",
    "heart": "Heart",
    "hippocampus": "Hippocampus",
    "inferior vena cava": "InferiorVenaCava",
    "internal target volume": "",
    "kidney": "Kidney",
    "lens": "",
    "lesion": "Lesion",
    "left atrium": "LeftAtrium",
    "left ventricle": "LeftVentricle",
    "liver": "Liver",
    "lung": "Lung",
    "mandible": "Mandible",
    "myocardium": "",
    "necrosis": "Necrosis",
    "nodule": "Nodule",
    "optic chiasm": "OpticChiasm",
    "optic nerve": "OpticNerve",
    "pancreas": "Pancreas",
    "parotid gland": "ParotidGland",
    "pituitary": "Pituitary",
    "planning target volume": "PlanningTargetVolume",
    "portal vein": "PortalVein",
    "prostate": "Prostate",
    "pulmonary artery": "PulmonaryArtery",
    "rectum": "Rectum",
    "right atrium": "RightAtrium",
    "right ventricle": "RightVentricle",
    "spinal cord": "SpinalCord",
    "spleen": "Spleen",
    "stomach": "Stomach",
    "superior vena cava": "SuperiorVenaCava",
    "thalamus": "Thalamus",
    "thyroid": "Thyroid",
    "trachea": "Trachea",
    "tumor": "Neoplasm",
    "white matter": "WhiteMatter",
}
_ALSO = {
    "adrenal": "adrenal gland",
    "brainstem": "brain stem",
    "chiasm": "optic chiasm",
    "cortical gray matter": "cerebral cortex",
    "csf": "cerebrospinal fluid",
    "ctv": "clinical target volume",
    "gtv": "gross tumor volume",
    "itv": "internal target volume",
    "neoplasm": "tumor",
    "oesophagus": "esophagus",
    "parotid": "parotid gland",
    "ptv": "planning target volume",
    "spinalcord": "spinal cord",
    "tumour": "tumor",
    "ventricular csf": "cerebrospinal fluid",
    "vessel": "blood vessel",
}
_SIDES = {"l": "left", "left": "left", "lt": "left", "r": "right", "right": "right", "rt": "right"}
_PLURALS = {"eyes": "eye", "kidneys": "kidney", "lungs": "lung", "vessels": "vessel"}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_LONGEST_NUMBER = 2  # digits of a structure's number; more may be a patient's


@dataclass(frozen=True)
class StructureName:
    """A name that is understood.

    Args:
        structure: a key of ``KNOWN_STRUCTURES``.
        side: ``"left"``, ``"right"`` or empty.
        name: for a class: ``"left_lung"``, ``"gtv_1"``.
    """

    structure: str
    side: str
    name: str


def recognize_structure(text: str) -> StructureName | None:
    """Understand a name as a known structure, perhaps with a side and a number.

    Names of regions and segments are free text, into which a patient's name has found its way
    before. One that is understood holds nothing else.

    Args:
        text: any text.

    Returns:
        The name; None if any part of it is not understood.

    Example:
        >>> recognize_structure("Lung_L").name, recognize_structure("GTV-1").name
        ('left_lung', 'gtv_1')
        >>> recognize_structure("GTV Doe"), recognize_structure("GTV 20160804")
        (None, None)
    """
    words = _split(text)
    if any(len(word) > _LONGEST_NUMBER for word in words if word.isdigit()):
        return None
    numbers = [word for word in words if word.isdigit()]
    words = [word for word in words if not word.isdigit()]
    known = _find(words)
    if known:
        return StructureName(known, "", "_".join([*words, *numbers]))
    sides = {_SIDES[word] for word in words if word in _SIDES}
    words = [word for word in words if word not in _SIDES]
    known = _find(words)
    if not known or len(sides) != 1:
        return None
    (side,) = sides
    return StructureName(known, side, "_".join([side, *words, *numbers]))


def name_key(text: str) -> str:
    """What two spellings of a name have in common.

    Args:
        text: any text.

    Returns:
        Its words in lower case.

    Example:
        >>> name_key("GTV-1") == name_key("gtv_1") == name_key("Gtv 1")
        True
    """
    return "_".join(_split(text))


def _split(text: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(text)]


def _find(words: list[str]) -> str:
    joined = " ".join(_PLURALS.get(word, word) for word in words).replace("grey", "gray")
    joined = _ALSO.get(joined, joined)
    return joined if joined in KNOWN_STRUCTURES else ""
