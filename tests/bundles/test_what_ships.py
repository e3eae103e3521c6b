"""What is judged is what ships: one image, one network, every way from the one to the other.

Each id on the way to the network is overridden in turn. Evaluation, ``medkd predict`` in every form
of the network, the run's ``inference.json`` and an exported bundle must see the same tensor and say
the same probabilities, those of the trained network at the temperature that was fitted.
"""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose
from PIL import Image

from medkd.data import read_manifest
from medkd.export.bundle_export import _texts
from medkd.export.network_formats import backend_network
from medkd.export.trained_run import read_run
from medkd.networks import save_weights
from medkd.planning import plan_bundle, take_fingerprint, write_bundle
from medkd.prediction import find_inputs, predict_cases, prepare_image
from medkd.runs import Run, open_deployment
from medkd.workflows import write_deployment

BUNDLES = Path(__file__).parents[2] / "bundles"
TEMPERATURE = 1.7
VALUES = {0: 0, 7: 1, 4: 2}  # stored label to class
SHIFT = {"_target_": "ShiftIntensityd", "keys": "image", "offset": 0.25}
TURN = {"_target_": "Rotate90d", "keys": ["image", "label", "mask"], "allow_missing_keys": True}
PHOTO = {"patch_size": [16, 32], "network_def::features": [4] * 6}
VOLUME = {"patch_size": [16, 16, 8], "num_classes": 3, "spacing": [1.5, 1.5, 2.0]}
UNET = {**VOLUME, "channels": [4, 8], "strides": [2]}
DYNUNET = {**VOLUME, "network_def::filters": [4, 5, 6], "strides": [2, 2, 2]}
SMALL = {
    "end_kl": PHOTO,
    "end_crd": PHOTO,
    "kd_uniform": UNET,
    "kd_diverse": UNET,
    "dmd": UNET,
    "mtms_kd": DYNUNET,
}
OF_PHOTOS = {
    "nothing": {},
    "normalization": {"normalization::1::channel_wise": False},
    "another normalization": {"normalization": [SHIFT]},
    "a transform of the user's": {"reading": "+", "added": TURN},
    "patch": {"patch_size": [32, 16]},
    "windows": {"window_size": [48, 16], "inferer::overlap": 0.5, "inferer::mode": "constant"},
    "network": {"network_def::norm": "instance", "network_def::act": "relu"},
    "preprocessing": {"preprocessing": "$[*@reading, *@normalization, *@extra]", "added": SHIFT},
}
OF_VOLUMES = {
    "nothing": {},
    "normalization": {"normalization": [{"_target_": "ScaleIntensityd", "keys": "image"}]},
    "a transform of the user's": {"reading": "+", "added": TURN},
    "orientation": {"geometry::0::axcodes": "LPS"},
    "spacing": {"spacing": [2.0, 1.0, 3.0]},
    "interpolation": {"geometry::1::mode": ["nearest", "nearest"]},
    "patch": {"patch_size": [8, 16, 16]},
    "windows": {"inferer::overlap": 0.25, "inferer::mode": "constant"},
    "network": {"kernel_size": 5},
    "preprocessing": {
        "preprocessing": "$@reading + @geometry + @normalization + @extra",
        "added": SHIFT,
    },
}
SLICES = {
    "nothing": {},
    "normalization": {"normalization": [SHIFT]},
    "windows": {"patch_size": [32, 16]},
}
CASES = [
    *((name, [], change) for name in ("end_kl", "end_crd") for change in OF_PHOTOS),
    *(
        (name, [], change)
        for name in ("kd_uniform", "kd_diverse", "dmd", "mtms_kd")
        for change in OF_VOLUMES
    ),
    *(("mtms_kd", ["slices.json"], change) for change in SLICES),
    *(("dmd", ["cardiac_slices.json"], change) for change in SLICES),
    *((name, [], "no fold") for name in ("end_kl", "mtms_kd")),
    *((method, "planned", "normalization") for method in ("end_kl", "end_crd", "dmd", "mtms_kd")),
]


def write_data(folder, spatial_dims):
    """Five cases, and their manifest; labels whose values are no indices."""
    generator = np.random.default_rng(1)
    values, suffix = (VALUES, "nii.gz") if spatial_dims == 3 else ({0: 0, 255: 1}, "png")
    cases = []
    for number in range(5):
        case = {"case_id": f"c{number}", "patient": f"p{number}"}
        for role in ("image", "label"):
            case[role] = f"{role}s/c{number}.{suffix}"
            path = folder / case[role]
            path.parent.mkdir(exist_ok=True, parents=True)
            if spatial_dims == 2:
                shape = (50, 37, 3) if role == "image" else (50, 37)
                picture = generator.integers(60, 250, shape, dtype=np.uint8)
                picture = picture if role == "image" else (picture > 150).astype(np.uint8) * 255
                Image.fromarray(picture).save(path)
                continue
            array = generator.normal(40, 120, (22, 20, 14)).astype(np.int16)
            if role == "label":
                array = generator.choice(list(values), (22, 20, 14)).astype(np.uint8)
            affine = np.array([[0, 1.4, 0, 3], [-1.5, 0, 0.1, 9], [0, 0.1, 2.1, 0], [0, 0, 0, 1]])
            nibabel.save(nibabel.Nifti1Image(array, affine), path)
        cases.append(case)
    ids = [case["case_id"] for case in cases]
    content = {
        "name": "noise",
        "spatial_dims": spatial_dims,
        "channel_names": {str(i): f"channel {i}" for i in range(1 if spatial_dims == 3 else 3)},
        "labels": {name: i for i, name in enumerate("abc"[: len(set(values.values()))])},
        "label_values": {str(value): index for value, index in values.items()},
        "cases": cases,
        "splits": {"train": ids[:3], "validation": ids[3:4], "test": ids[4:]},
    }
    content["labels"] = {"background" if i == 0 else n: i for n, i in content["labels"].items()}
    (folder / "manifest.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folders = {dims: tmp_path_factory.mktemp(f"data_{dims}") for dims in (2, 3)}
    for dims, folder in folders.items():
        write_data(folder, dims)
    return folders


def trained_parser(root, overlays, changes, *, folder, output):
    parser = ConfigParser(ConfigParser.load_config_file(root / "train.json"))
    for overlay in overlays:
        parser.update(ConfigParser.load_config_file(root / overlay))
    changes = dict(changes)
    added = changes.pop("added", None)
    if changes.get("reading") == "+":
        changes["reading"] = [*parser["reading"], added]
    elif added is not None:
        parser["extra"] = [added]
    parser.update(
        {
            "bundle_root": str(root),
            "dataset_dir": str(folder),
            "manifest": str(folder / "manifest.json"),
            "output_dir": str(output),
            "device": "cpu",
            **changes,
        }
    )
    return parser


@torch.no_grad()
def balance(network, run):
    """Let every class be the most likely one somewhere, which chance alone may not."""
    (case,) = run.value("evaluate::cases")
    image = Compose(run.value("preprocessing"))(dict(case))["image"].as_tensor().float()
    logits = run.with_overrides().get_parsed_content("inferer")(image[None], network)[0]
    median = logits.flatten(1).median(dim=1).values
    biases = [value for name, value in network.named_parameters() if name.endswith("bias")]
    last = [bias for bias in biases if bias.shape == median.shape][-1]
    last -= median


@pytest.fixture
def trained(data, tmp_path):
    """A run of a bundle whose student is random, and whose temperature was fitted."""

    def make(bundle, overlays, change):
        root, small, output = BUNDLES / bundle, SMALL[bundle], tmp_path / "run"
        folder = data[2 if small is PHOTO and overlays != "planned" else 3]
        if overlays == "planned":
            manifest = read_manifest(folder / "manifest.json")
            plan = plan_bundle(take_fingerprint(manifest, folder), method=bundle)
            root = write_bundle(plan, manifest, dataset_dir=folder, output=tmp_path / "planned")
            overlays, small = [], {}
        if overlays:
            small = {"patch_size": [16, 32], "num_classes": 3}
            small |= {"channels": [4, 8], "strides": [2]} if bundle == "dmd" else {}
        table = OF_PHOTOS if small is PHOTO else SLICES if overlays else OF_VOLUMES
        changes = {**small, **table[change]}
        parser = trained_parser(root, overlays, changes, folder=folder, output=output)
        run = Run(parser)
        torch.manual_seed(3)
        network = run.with_overrides().get_parsed_content("network_def")
        for module in network.modules():  # as if it had been trained
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_()
        balance(network.eval(), run)
        save_weights(network, run.model_file)
        for name in range(run.num_members):
            member = Path(run.value("members_dir")) / f"member_{name}" / "model.pt"
            member.parent.mkdir(parents=True)
            member.write_bytes(b"not looked at")
        (output / "config.json").write_text(json.dumps(run.config))
        fitted = {"weights": run.weights_sha256(), "temperatures": {"student": [TEMPERATURE]}}
        Path(run.value("temperatures_file")).write_text(json.dumps(fitted))
        run.keep_manifest()
        write_deployment(run)
        return run, network.eval()

    return make


@torch.no_grad()
def tempered_probs(image, network, inferer):
    """By definition: the softmax at the temperature in each window, windows blended."""
    return inferer(image, lambda window: (network(window) / TEMPERATURE).softmax(dim=1))


@pytest.mark.filterwarnings("ignore")  # of TorchScript and ONNX
@pytest.mark.parametrize(("bundle", "overlays", "change"), CASES, ids=str)
def test_every_way_sees_and_says_the_same(
    trained, tmp_path, monkeypatch, enter_bundle, bundle, overlays, change
):
    if change == "no fold":
        fold = "medkd.workflows.deployment_writing.fold_temperature"
        monkeypatch.setattr(fold, lambda *_: None)
    run, network = trained(bundle, overlays, "nothing" if change == "no fold" else change)
    (case,) = run.value("evaluate::cases")
    judged = Compose(run.value("preprocessing"))(dict(case))
    image = judged["image"].as_tensor().float()
    inferer = run.with_overrides().get_parsed_content("inferer")
    expected = tempered_probs(image[None], network, inferer)

    # Evaluation: the row "student, as shipped".
    deployment = open_deployment(run.folder, device="cpu")
    found = deployment.predictor()(image[None])[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert run.temperatures() == {"student": [TEMPERATURE]}

    # `medkd predict`: the same tensor, in every form of the network the same probabilities.
    dims, channels = deployment.image_dims, deployment.num_channels
    (scan,) = find_inputs(case["image"], spatial_dims=dims, num_channels=channels)
    torch.testing.assert_close(prepare_image(deployment, scan), image, atol=0, rtol=0)
    for backend, tolerance in (("torch", 1e-5), ("torchscript", 1e-5), ("onnx", 1e-4)):
        if backend != "torch" and change not in ("nothing", "no fold"):
            continue  # the same conversion of another network
        form = backend_network(deployment, backend)
        probs = deployment.windows(image[None], lambda w, form=form: form(w).softmax(dim=1))
        torch.testing.assert_close(probs, expected, atol=tolerance, rtol=0)

    # What it writes: the most likely class, in the values that the labels have.
    writing = open_deployment(run.folder, device="cpu", output_dir=tmp_path / "maps")
    assert [done.case_id for done in predict_cases(writing, [scan])] == [scan.case_id]
    (path,) = (tmp_path / "maps").glob("*_segmentation.*")
    stored = nibabel.load(path).get_fdata() if dims == 3 else np.asarray(Image.open(path))
    values = run.manifest.written_label_values
    assert set(np.unique(stored)) <= set(values)
    assert len(np.unique(stored)) > 1

    # An exported bundle, read as MONAI reads it; with `scripts` of its own.
    for file, text in _texts(read_run(run.folder), name="exported").items():
        target = tmp_path / "bundle" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    enter_bundle(tmp_path / "bundle")
    parser = ConfigParser(ConfigParser.load_config_file("configs/inference.json"))
    parser["device"] = "cpu"
    exported = parser.get_parsed_content("preprocessing")({"image": case["image"]})
    torch.testing.assert_close(exported["image"].as_tensor().float(), image, atol=0, rtol=0)
    shipped = parser.get_parsed_content("network")
    shipped.load_state_dict(torch.load(run.folder / "models" / "shipped.pt", weights_only=True))
    with torch.no_grad():
        probs = parser.get_parsed_content("inferer")(image[None], shipped.eval())
    torch.testing.assert_close(probs, expected, atol=1e-5, rtol=0)
    exported["pred"] = probs[0]
    steps = parser.get_parsed_content("postprocessing").transforms
    label_map = Compose(steps[:-1])(exported)["pred"]
    if dims == 3:
        np.testing.assert_array_equal(np.asarray(label_map)[0], stored)
    else:
        np.testing.assert_array_equal(np.asarray(label_map)[0].T, stored)
