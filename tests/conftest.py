"""What holds for every test."""

import json
import os
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

_REPOSITORY = Path(__file__).parents[1]
_REAL_DATA = _REPOSITORY.parent / "shared" / "data"


def pytest_configure():
    """Processes that share a machine out take one thread each, and so do those they start."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Tests that need an accelerator are left out where there is none."""
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs an accelerator")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def one_thread():
    """What more threads compute may differ in the last bit: they share an array out otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def enter_bundle(monkeypatch):
    """Go into an exported bundle's folder, as MONAI's commands expect.

    Each bundle has `scripts` of its own, and Python would keep those of the one before.
    """

    def forget():
        for name in [n for n in sys.modules if n.split(".")[0] == "scripts"]:
            del sys.modules[name]

    def enter(folder):
        forget()
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(folder))

    yield enter
    forget()


@pytest.fixture(scope="session")
def real_data():
    """Folder of a real data set by name, beside the repository; tests skip without it."""

    def find(name):
        if not (_REAL_DATA / name).is_dir():
            pytest.skip(f"{name} is not beside the repository")
        return _REAL_DATA / name

    return find


STRANGE_NAMES = (
    "$import evil",
    "$open('x','w')",
    "% stenosis",
    "@network",
    "a#b",
    "::",
    "a b",
    "Ödem",
)


@pytest.fixture(params=STRANGE_NAMES)
def strange_name(request):
    """A name that a person may give a thing, and that MONAI's parser would not leave as it is."""
    return request.param


@pytest.fixture
def strange_names():
    """All of them."""
    return STRANGE_NAMES


@pytest.fixture
def nothing_runs(tmp_path, monkeypatch):
    """Fails the test if ``$import evil`` or ``$open('x','w')`` was evaluated, here or below.

    The working directory is a new folder, which is first on the path of this process and of those
    that it starts.
    """
    folder = tmp_path / "working"
    folder.mkdir()
    (folder / "evil.py").write_text("open('evil_was_here', 'w').close()")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)
    yield folder
    ran = {"x", "evil_was_here"} & {path.name for path in folder.rglob("*")}
    assert not ran, "A name was evaluated."
    assert sys.modules.pop("evil", None) is None, "A name was imported."


@pytest.fixture
def strange_volumes(tmp_path):
    """``strange_volumes(names)``: a small data set with things of these names, and its manifest.

    Each name is that of a class, of a channel, and of a case and its patient in ``train``,
    ``validation`` and ``test`` each (the latter two with a number behind it); the first is that of
    the data set. Images lie in ``images/<name>``. The folder is called ``folder``.
    """

    def make(names, *, folder="strange", shape=(20, 18, 12)):
        root = tmp_path / folder
        generator = np.random.default_rng(0)
        cases, splits = [], {}
        for number, split in enumerate(("train", "validation", "test")):
            for name in names:
                case_id = f"{name} {number}" if number else name
                label = np.broadcast_to(np.arange(shape[0]) % (len(names) + 1), shape[::-1]).T
                channels = [f"images/{name}/{case_id}_{i:04d}.nii.gz" for i in range(len(names))]
                image = 100 + 50 * label + generator.normal(0, 5, shape)
                for path, values in (
                    *((path, image.astype(np.float32)) for path in channels),
                    (f"labels/{case_id}.nii.gz", label.astype(np.uint8)),
                ):
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    volume = nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 1.2, 1.0]))
                    nibabel.save(volume, root / path)
                files = {"image": channels, "label": f"labels/{case_id}.nii.gz"}
                cases.append({"case_id": case_id, "patient": case_id} | files)
                splits.setdefault(split, []).append(case_id)
        content = {
            "name": names[0],
            "spatial_dims": 3,
            **dict.fromkeys(("modality", "source", "license", "citation"), names[0]),
            "channel_names": {str(i): name for i, name in enumerate(names)},
            "labels": {"background": 0} | {name: i for i, name in enumerate(names, start=1)},
            "label_values": {str(i): i for i in range(len(names) + 1)},
            "cases": cases,
            "splits": splits,
        }
        manifest = root / "manifest.json"
        manifest.write_text(json.dumps(content))
        return root, manifest

    return make


SMALL_NETWORKS = {
    2: ("end_kl", {"patch_size": [32, 32]}),
    3: (
        "kd_uniform",
        {
            "channels": [4, 8],
            "strides": [2],
            "spacing": [1.0, 0.9, 1.5],
            "patch_size": [12, 12, 8],
        },
    ),
    "slices": (
        "mtms_kd",
        {
            "spatial_dims": 2,
            "patch_size": [16, 24],
            "num_classes": 5,
            "geometry": [
                {
                    "_target_": "Resized",
                    "keys": ["image", "label"],
                    "spatial_size": "$[*@patch_size, -1]",
                    "mode": ["trilinear", "nearest"],
                }
            ],
            "inferer": {
                "_target_": "SliceInferer",
                "spatial_dim": 2,
                "roi_size": "@window_size",
                "sw_batch_size": 4,
                "overlap": 0.0,
            },
        },
    ),
}
VOLUME_CLASSES = ("background", "esophagus", "heart", "trachea", "aorta")


def _write_cases(folder, spatial_dims):
    """Two images of a data set, and its manifest."""
    generator = np.random.default_rng(0)
    names, classes, suffix = ("scan_0", "scan_1"), VOLUME_CLASSES, "nii.gz"
    if spatial_dims == 2:
        classes, suffix = ("background", "vessel"), "png"
    for role in ("images", "labels"):
        (folder / role).mkdir(parents=True)
    for name in names:
        path = folder / "images" / f"{name}.{suffix}"
        if spatial_dims == 3:
            values = np.kron(generator.normal(40, 150, (5, 5, 3)), np.ones((4, 4, 4)))
            affine = np.array([[0, 0.8, 0, -4], [-0.9, 0, 0, 9], [0, 0, -2.4, 31], [0, 0, 0, 1]])
            nibabel.save(nibabel.Nifti1Image(values[:, :17, :9].astype(np.int16), affine), path)
        else:
            Image.fromarray(generator.integers(60, 250, (40, 50, 3), dtype=np.uint8)).save(path)
        (folder / "labels" / f"{name}.{suffix}").touch()
    content = {
        "name": "made up",
        "spatial_dims": spatial_dims,
        "channel_names": {str(i): f"channel {i}" for i in range(1 if spatial_dims == 3 else 3)},
        "labels": {name: index for index, name in enumerate(classes)},
        "label_values": {str(index): index for index in range(len(classes))},
        "cases": [
            {"case_id": name, "patient": name}
            | {role: f"{role}s/{name}.{suffix}" for role in ("image", "label")}
            for name in names
        ],
        "splits": {"train": [names[0]], "validation": [names[1]]},
    }
    (folder / "manifest.json").write_text(json.dumps(content))


@pytest.fixture
def as_format():
    """``as_format(folder, suffix)``: turn the NIfTI files of a folder into another format."""

    def convert(folder, suffix):
        import SimpleITK

        for path in sorted(folder.rglob("*.nii.gz")):
            image = SimpleITK.ReadImage(str(path))
            plain = SimpleITK.GetImageFromArray(SimpleITK.GetArrayFromImage(image))
            plain.CopyInformation(image)  # the place alone
            path.unlink()
            SimpleITK.WriteImage(plain, str(path).removesuffix(".nii.gz") + suffix)

    return convert


@pytest.fixture
def small_run(tmp_path):
    """``small_run(kind)``: folder of a run whose small network was never trained.

    2 for pictures, 3 for volumes, ``"slices"`` for volumes slice by slice.

    Its data set lies beside it, in ``data``.
    """
    from monai.bundle import ConfigParser

    from medkd.networks import save_weights
    from medkd.planning import inference_config

    def make(kind=3):
        folder, data = tmp_path / "run", tmp_path / "data"
        bundle, changes = SMALL_NETWORKS[kind]
        train, frame = (
            json.loads((_REPOSITORY / "bundles" / bundle / name).read_text())
            for name in ("train.json", "inference.json")
        )
        train |= changes
        if kind == 2:
            train["network_def"]["features"] = [4] * 6
        config = inference_config(train, frame)
        torch.manual_seed(0)
        network = ConfigParser(json.loads(json.dumps(config))).get_parsed_content("network_def")
        save_weights(network, folder / "models" / "model.pt")
        (folder / "inference.json").write_text(json.dumps(config))
        (folder / "config.json").write_text(
            json.dumps({"manifest": str(data / "manifest.json"), "dataset_dir": str(data)})
        )
        _write_cases(data, 2 if kind == 2 else 3)
        return folder

    return make


@pytest.fixture
def make_run(tmp_path):
    """``make_run(**ids)``: a run in an empty folder, whose configuration says these things."""
    from monai.bundle import ConfigParser

    from medkd.runs import Run

    def make(**ids):
        layout = {
            "bundle_root": str(tmp_path),
            "output_dir": str(tmp_path),
            "training_dir": str(tmp_path),
            "model_file": str(tmp_path / "model.pt"),
            "device": "cpu",
        }
        return Run(ConfigParser(layout | ids))

    return make
