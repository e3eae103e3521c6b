"""From the name of a class to the codes that say in DICOM what a segment is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from medkd.data.dicom.structure_names import KNOWN_STRUCTURES, name_key, recognize_structure

__all__ = ["PRIVATE_SCHEME", "SegmentCodes", "code_class"]

PRIVATE_SCHEME = "99MEDKD"
_LONGEST_VALUE = 16
_LONGEST_MEANING = 64
_HASH_DIGITS = 8
_ABNORMAL = ("edema", "lesion", "necrosis", "nodule", "tumor")
_TARGETS = ("clinical", "gross", "internal", "planning")  # volumes of radiotherapy
_SUBSTANCES = ("cerebrospinal fluid",)


@dataclass(frozen=True)
class SegmentCodes:
    """What a segment is.

    Args:
        category: of CID 7150, such as anatomical structure.
        kind: the structure.
        side: left or right, if the name says so.
    """

    category: Code
    kind: Code
    side: Code | None


def code_class(name: str) -> SegmentCodes:
    """Find the codes of a class.

    Args:
        name: of the class, such as ``"liver"`` or ``"left_kidney"``.

    Returns:
        SNOMED CT codes where the name is known, as pydicom's dictionary has them. Otherwise a code
        of the private scheme ``99MEDKD``, equal for equal names, with the name as its meaning.

    Example:
        >>> code_class("left_kidney").kind.value, code_class("left_kidney").side.meaning
        ('64033007', 'Left')
        >>> code_class("anterior").kind[:3]
        ('ANTERIOR', '99MEDKD', 'anterior')

    References:
        DICOM PS3.16, CID 7150 (segmentation property categories) and CID 244 (laterality).
    """
    known = recognize_structure(name)
    keyword = KNOWN_STRUCTURES[known.structure] if known else ""
    category = _find_category(known.structure if known else "")
    if known is None or not keyword:
        return SegmentCodes(category, _make_private(name), None)
    sides = {"": None, "left": codes.SCT.Left, "right": codes.SCT.Right}
    return SegmentCodes(category, getattr(codes.SCT, keyword), sides[known.side])


def _find_category(structure: str) -> Code:
    categories = codes.cid7150
    if structure in _ABNORMAL:
        return categories.MorphologicallyAbnormalStructure
    if structure.startswith(_TARGETS):
        return categories.SpatialAndRelationalConcept
    if structure in _SUBSTANCES:
        return categories.BodySubstance
    return categories.AnatomicalStructure


def _make_private(name: str) -> Code:
    value = name_key(name).upper()
    if not 0 < len(value) <= _LONGEST_VALUE:
        digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS].upper()
        value = f"{value[: _LONGEST_VALUE - _HASH_DIGITS - 1]}_{digest}"
    return Code(value, PRIVATE_SCHEME, name[:_LONGEST_MEANING])
