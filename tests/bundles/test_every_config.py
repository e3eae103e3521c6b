"""What the configurations of every bundle promise before they are run."""

import json
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from medkd.runs.override_checks import check_ids

BUNDLES = Path(__file__).parents[2] / "bundles"
NAMES = sorted(path.parent.name for path in BUNDLES.glob("*/train.json"))
FILES = sorted(
    str(path.relative_to(BUNDLES)) for name in NAMES for path in (BUNDLES / name).rglob("*.json")
)
OVERLAYS = [
    file
    for file in FILES
    if Path(file).name not in ("train.json", "inference.json", "metadata.json")
]


def _load(file):
    def no_duplicates(pairs):
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), f"duplicate keys in {file}: {keys}"
        return dict(pairs)

    return json.loads((BUNDLES / file).read_text(), object_pairs_hook=no_duplicates)


def _strings(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value


def test_all_bundles_are_found():
    assert {"end_kl", "kd_uniform", "kd_diverse", "dmd"} <= set(NAMES)
    assert len(OVERLAYS) >= 3 * len(NAMES)


@pytest.mark.parametrize("file", FILES)
def test_has_no_duplicate_key_and_no_positional_id(file):
    for text in _strings(_load(file)):
        assert "#" not in text
        assert not any(part.isdigit() for part in text.split("::")[1:])


@pytest.mark.parametrize("file", OVERLAYS)
def test_overlay_touches_only_ids_that_exist(file):
    train = _load(f"{Path(file).parts[0]}/train.json")
    overlay, parser = _load(file), ConfigParser(train)
    for key in overlay:
        assert key in parser, f"{file} sets {key}, which train.json does not have"
    parser.update(overlay)
    check_ids(parser.get(), train)  # within what is set, too


@pytest.mark.parametrize("bundle", NAMES)
def test_a_member_is_trained_by_one_process(bundle):
    """It takes back what several processes do together; a device is a process's own."""
    together = set(_load(f"{bundle}/multi_gpu.json")) - {"device"}
    assert together <= set(_load(f"{bundle}/member.json"))


@pytest.mark.parametrize("bundle", NAMES)
def test_metadata_fits_the_network(bundle):
    metadata, train = _load(f"{bundle}/metadata.json"), _load(f"{bundle}/train.json")
    formats = metadata["network_data_format"]
    assert formats["inputs"]["image"]["num_channels"] == train["num_channels"]
    pred = formats["outputs"]["pred"]
    assert pred["num_channels"] == len(pred["channel_def"]) == train["num_classes"]
    assert metadata["version"] in metadata["changelog"]
