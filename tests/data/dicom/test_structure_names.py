from __future__ import annotations

import pytest
from pydicom.sr.codedict import codes

from medkd.data.dicom.segment_codes import code_class
from medkd.data.dicom.structure_choice import choose_structures
from medkd.data.dicom.structure_names import KNOWN_STRUCTURES, name_key, recognize_structure


class TestRecognizeStructure:
    @pytest.mark.parametrize(
        ("text", "structure", "name"),
        [
            ("GTV-1", "gross tumor volume", "gtv_1"),
            ("gtv", "gross tumor volume", "gtv"),
            ("Lung_L", "lung", "left_lung"),
            ("LEFT LUNG", "lung", "left_lung"),
            ("lung.rt", "lung", "right_lung"),
            ("SpinalCord", "spinal cord", "spinal_cord"),
            ("Spinal Cord", "spinal cord", "spinal_cord"),
            ("right_ventricle", "right ventricle", "right_ventricle"),
            ("cortical_gray_matter", "cerebral cortex", "cortical_gray_matter"),
            ("Kidneys", "kidney", "kidneys"),
            ("brain_stem", "brain stem", "brain_stem"),
            ("Oesophagus", "esophagus", "oesophagus"),
            ("vessel", "blood vessel", "vessel"),
        ],
    )
    def test_known(self, text, structure, name):
        found = recognize_structure(text)
        assert (found.structure, found.name) == (structure, name)

    @pytest.mark.parametrize(
        "text",
        [
            *("", "-", "1", "left", "GTV Doe", "Doe", "Doe_GTV-1", "GTV_123", "GTV 1960", "hart"),
            *("left right lung", "GTV^Müller", "Müller", "heart 李", "gtv_ё", "Heart\u0661960"),
        ],
    )
    def test_anything_else_is_not(self, text):
        assert recognize_structure(text) is None

    def test_every_code_is_in_the_dictionary(self):
        for keyword in filter(None, KNOWN_STRUCTURES.values()):
            assert getattr(codes.SCT, keyword).scheme_designator == "SCT"


def test_a_key_is_one_for_all_spellings():
    keys = {name_key(text) for text in ("GTV-1", "gtv_1", "Gtv 1", "GTV1", "gtv  1")}
    assert keys == {"gtv_1"}


class TestCodeClass:
    @pytest.mark.parametrize(
        ("name", "value", "category"),
        [  # of DICOM PS3.16, annexes B and L
            ("liver", "10200004", "Anatomical Structure"),
            ("spleen", "78961009", "Anatomical Structure"),
            ("aorta", "15825003", "Anatomical Structure"),
            ("trachea", "44567001", "Anatomical Structure"),
            ("esophagus", "32849002", "Anatomical Structure"),
            ("heart", "80891009", "Anatomical Structure"),
            ("right_ventricle", "53085002", "Anatomical Structure"),
            ("tumor", "108369006", "Morphologically Abnormal Structure"),
            ("gtv_1", "228791009", "Spatial and Relational Concept"),
        ],
    )
    def test_known(self, name, value, category):
        found = code_class(name)
        assert (found.kind.value, found.kind.scheme_designator) == (value, "SCT")
        assert found.category.meaning == category
        assert found.side is None

    @pytest.mark.parametrize(
        "name", ["anterior", "myocardium", "basal_ganglia_and_thalami", "x" * 99]
    )
    def test_unknown(self, name):
        found = code_class(name)
        assert found.kind.scheme_designator == "99MEDKD"
        assert 0 < len(found.kind.value) <= 16
        assert found.kind.meaning == name[:64]
        assert found == code_class(name)

    def test_unknown_names_differ(self):
        long = "basal_ganglia_and_thalami"
        assert code_class(long).kind.value != code_class(f"{long}_2").kind.value


class TestChooseStructures:
    def test_known_names_that_all_have(self):
        names = [
            ["GTV-1", "Lung_L", "Doe", "Heart"],
            ["heart", "lung l", "GTV 1", "Roe"],
            ["Gtv1", "left lung"],
        ]
        choice = choose_structures(names, wanted=None)
        assert choice.class_names == ("gtv_1", "left_lung")
        assert choice.decided == (
            "1 structures are left out, for not every series has them. 2 structures are left out, "
            "for their names are not known and may be a patient's."
        )
        assert choice.find("LUNG (left)") == "left_lung"
        assert choice.find("Doe") is None

    def test_wanted_names_in_their_order(self):
        names = [["Tumor bed", "Lung_L"], ["left lung"]]
        choice = choose_structures(names, wanted=["lung left", "tumor BED"])
        assert choice.class_names == ("lung_left", "tumor_bed")
        assert choice.find("Lung_L") == "lung_left"
        assert choice.decided == "tumor BED is in 1 of 2 series, and background in the others."

    def test_rejects_names_that_are_not_known_without_showing_them(self):
        message = "1 are known in some, and 2 have names that are not known and not shown"
        with pytest.raises(ValueError, match=message) as refusal:
            choose_structures([["Doe", "heart"], ["Roe"]], wanted=None)
        assert "oe" not in str(refusal.value).replace("does", "")

    @pytest.mark.parametrize("wanted", [[], [""], ["Background"], ["Lung_L", "left lung"]])
    def test_rejects_wanted_names(self, wanted):
        with pytest.raises(ValueError, match="Expected `structures` to be different names"):
            choose_structures([["lung l"]], wanted=wanted)

    def test_rejects_a_wanted_name_that_nothing_has(self):
        with pytest.raises(ValueError, match="to be in a series at least, but got liver, spleen"):
            choose_structures([["heart"]], wanted=["liver", "heart", "spleen"])
