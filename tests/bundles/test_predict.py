"""`medkd predict` and the bundle's own inference write the same files."""

import pytest
from monai.bundle import run

from medkd.prediction import find_inputs, predict_cases
from medkd.runs import open_deployment


@pytest.mark.usefixtures("run_bundle")  # which runs from the repository and closes the log
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_writes_what_the_bundle_writes(small_run, tmp_path, spatial_dims):
    folder = small_run(spatial_dims)
    images, expected, found = (tmp_path / name for name in ("data/images", "bundle", "predict"))
    run(
        run_id="run",
        config_file=str(folder / "inference.json"),
        run_dir=str(folder),
        dataset_dir=str(images),
        output_dir=str(expected),
        device="cpu",
    )
    opened = open_deployment(folder, device="cpu", output_dir=found)
    scans = find_inputs(images, spatial_dims=spatial_dims, num_channels=opened.num_channels)
    list(predict_cases(opened, scans))
    names = {path.name for path in found.iterdir()}
    assert names == {path.name for path in expected.glob("scan_*")}
    for name in names:
        assert (found / name).read_bytes() == (expected / name).read_bytes()
