"""Which image MONAI Label is told to show next, without MONAI Label."""

from __future__ import annotations

import json
import math
import os
import shutil

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from medkd.export import (
    MostUncertainStrategy,
    StudentUncertainty,
    UncertaintyScoring,
    export_bundle,
    monai_label_app,
    ranking_agreement,
)
from medkd.networks import load_weights


class Datastore:
    """What the two use of MONAI Label's."""

    def __init__(self, files, labeled=()):
        self.files = dict(files)
        self.labeled = set(labeled)
        self.information = {name: {} for name in self.files}

    def get_unlabeled_images(self, *_):
        return [name for name in sorted(self.files, reverse=True) if name not in self.labeled]

    def get_image_uri(self, image):
        return str(self.files[image])

    def get_image_info(self, image):
        return dict(self.information[image])

    def update_image_info(self, image, information):
        self.information[image].update(information)


@pytest.fixture
def bundle(volume_bundle, tmp_path):
    return shutil.copytree(volume_bundle[0], tmp_path / "bundle")


@pytest.fixture
def datastore(volume_run):
    files = {p.name: p for p in sorted((volume_run.parent / "imagesTr").glob("*.nii.gz"))}
    return Datastore(files)


class TestStudentUncertainty:
    def test_is_the_mean_entropy_of_blended_probabilities(self, bundle, volume_run, datastore):
        """By MONAI's own inferer over the run's own preprocessing."""
        path = next(iter(datastore.files.values()))
        parser = ConfigParser(json.loads((volume_run / "inference.json").read_text()))
        network = parser.get_parsed_content("network_def").eval()
        load_weights(network, volume_run / "models" / "model.pt")
        image = parser.get_parsed_content("preprocessing")({"image": str(path)})["image"]
        parser["windows::progress"] = False
        with torch.no_grad():
            probs = parser.get_parsed_content("windows")(
                image[None].as_tensor(), lambda window: network(window).softmax(1)
            )
        entropy = torch.special.entr(probs.double()).sum(dim=1).mean()
        assert StudentUncertainty(bundle)(path) == pytest.approx(float(entropy), rel=1e-3)

    def test_is_log_classes_for_a_student_that_knows_nothing(self, bundle, datastore):
        state = torch.load(bundle / "models" / "model.pt", weights_only=True)
        zeros = {key: torch.zeros_like(value) for key, value in state.items()}
        torch.save({"model": zeros}, bundle / "models" / "model.pt")
        path = next(iter(datastore.files.values()))
        assert StudentUncertainty(bundle)(path) == pytest.approx(math.log(3), abs=1e-3)

    def test_does_not_grow_with_the_image(self, bundle, tmp_path):
        """Twice the same content, side by side, is as uncertain as once but for the seam."""
        generator = np.random.default_rng(0)
        once = generator.normal(0, 1, (24, 16, 16)).astype(np.float32)
        scores = []
        for name, values in (("once", once), ("twice", np.concatenate([once, once]))):
            path = tmp_path / f"{name}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(values, np.diag([1.5, 2.0, 1.5, 1])), path)
            scores.append(StudentUncertainty(bundle)(path))
        assert scores[1] == pytest.approx(scores[0], rel=0.05)

    def test_counts_inside_the_mask_of_a_photograph(self, picture_run, tmp_path):
        export_bundle(picture_run, tmp_path / "eyes")
        photo = picture_run.parent / "images" / "secret_0.png"
        assert 0 < StudentUncertainty(tmp_path / "eyes")(photo) <= math.log(2)

    def test_rejects_a_folder_without_a_bundle(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="an exported bundle in"):
            StudentUncertainty(tmp_path)

    def test_rejects_an_image_that_is_not_there(self, bundle, tmp_path):
        with pytest.raises(FileNotFoundError, match="Expected an image at"):
            StudentUncertainty(bundle)(tmp_path / "none.nii.gz")


class TestUncertaintyScoring:
    def test_scores_all_once_and_again_after_training(self, bundle, datastore):
        scoring = UncertaintyScoring(bundle)
        first = scoring({}, datastore)
        assert {k: first[k] for k in ("total", "skipped", "executed", "failed")} == {
            "total": 3,
            "skipped": 0,
            "executed": 3,
            "failed": 0,
        }
        assert scoring({}, datastore)["executed"] == 0
        os.utime(bundle / "models" / "model.pt", ns=(1, 1))
        assert scoring({"max_samples": 2}, datastore)["executed"] == 2

    def test_an_image_that_cannot_be_read_is_left_out_without_its_name(
        self, bundle, datastore, tmp_path, caplog
    ):
        datastore.files["SMITH^JOHN"] = tmp_path / "SMITH^JOHN.nii.gz"
        datastore.information["SMITH^JOHN"] = {}
        found = UncertaintyScoring(bundle)({}, datastore)
        assert (found["executed"], found["failed"]) == (3, 1)
        assert "SMITH" not in caplog.text
        assert datastore.information["SMITH^JOHN"] == {}


class TestMostUncertainStrategy:
    def test_chooses_what_scoring_found_least_sure(self, bundle, datastore):
        UncertaintyScoring(bundle)({}, datastore)
        uncertainty = StudentUncertainty(bundle)
        expected = max(datastore.files, key=lambda name: uncertainty(datastore.files[name]))
        assert MostUncertainStrategy()({}, datastore)["id"] == expected
        datastore.labeled.add(expected)
        assert MostUncertainStrategy()({}, datastore)["id"] != expected

    def test_goes_by_name_before_anything_is_scored(self, datastore):
        chosen = MostUncertainStrategy()({}, datastore)
        assert chosen == {"id": min(datastore.files), "weight": None}

    def test_has_no_next_where_all_is_labeled(self, datastore):
        datastore.labeled = set(datastore.files)
        assert MostUncertainStrategy()({}, datastore) is None


class TestRankingAgreement:
    def test_is_spearmans(self, volume_run):
        found = ranking_agreement(volume_run)
        # Ranks 1 2 3 4 and 1 3 2 4: 1 - 6 * (0 + 1 + 1 + 0) / (4 * 15).
        assert found.correlation == pytest.approx(0.8)
        assert found.num_cases == 4

    def test_is_unknown_without_a_report(self, tmp_path):
        assert ranking_agreement(tmp_path) is None


def test_rejects_an_app_without_monai_label():
    try:
        import monailabel  # noqa: F401
    except ImportError:
        with pytest.raises(RuntimeError, match="Expected MONAI Label to be installed"):
            monai_label_app()
    else:
        pytest.skip("MONAI Label is installed")
