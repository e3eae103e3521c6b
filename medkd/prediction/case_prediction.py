"""From files to label maps with the student of a run, one case at a time, stage by stage."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.io.dictionary import LoadImaged
from monai.utils.type_conversion import convert_to_tensor

from medkd.data import SaveMapd, SaveVolumed
from medkd.data.dicom import read_series, write_segmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from medkd.data.dicom import DicomSeries
    from medkd.prediction.prediction_inputs import PredictionInput
    from medkd.runs.deployment import Deployment

__all__ = ["STAGES", "CasePrediction", "predict_cases", "prepare_image"]

STAGES = ("reading", "preparing", "network", "restoring", "writing")
"""What the time of a prediction goes to, in this order."""

_SEGMENTATION = "segmentation"


@dataclass(frozen=True)
class CasePrediction:
    """One case that was predicted and written.

    Attributes:
        case_id: what its files are called.
        seconds: what each of :data:`STAGES` took: reading files, the way to the network's grid and
            intensities, the network over all windows, the way back to the grid of the file, and
            writing files.
    """

    case_id: str
    seconds: dict[str, float]


def predict_cases(
    run: Deployment,
    inputs: Sequence[PredictionInput],
    *,
    network: Callable[[torch.Tensor], torch.Tensor] | None = None,
    amp: bool | None = None,
) -> Iterator[CasePrediction]:
    """Predict one case after the other and write what the run's ``inference.json`` has written.

    A volume's label map is ``<case_id>_segmentation.nii.gz``, or ``.nrrd`` or ``.mha`` where the
    volume is NRRD or MetaImage, on the grid of its file; pictures get maps as PNG. A DICOM series
    gets NIfTI on its grid and, beside it, ``<case_id>_segmentation.dcm``, a DICOM SEG. The
    transforms, windows and weights are those of the bundle's inference, so are the maps.

    Args:
        run: the run; see :func:`medkd.runs.open_deployment`.
        inputs: what to predict; see :func:`medkd.prediction.find_inputs`.
        network: in place of the run's own, from windows ``(B, C_in, *window)`` on the run's device
            to logits ``(B, C, *window)``.
        amp: in place of the run's own.

    Yields:
        Each case when its files are written.

    Raises:
        OSError: if a file cannot be read or written.
        ValueError: if an image is refused, in a sentence that says why.
        RuntimeError: if highdicom, which DICOM SEG needs, is not installed.
    """
    for scan in inputs:
        yield _predict_case(
            run,
            scan,
            network=run.network if network is None else network,
            amp=run.amp if amp is None else amp,
        )


def prepare_image(run: Deployment, scan: PredictionInput) -> torch.Tensor:
    """An image as the network of a run sees it.

    Args:
        run: the run.
        scan: the image.

    Returns:
        Plain float32 ``(C_in, *spatial)`` on the CPU.
    """
    case, _ = _prepare(run, scan, _Clock())
    image: torch.Tensor = convert_to_tensor(case[run.image_key], track_meta=False)
    return image.float()


@dataclass
class _Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - start


def _predict_case(
    run: Deployment,
    scan: PredictionInput,
    *,
    network: Callable[[torch.Tensor], torch.Tensor],
    amp: bool,
) -> CasePrediction:
    clock = _Clock()
    case, series = _prepare(run, scan, clock)
    with clock("network"):
        case[run.pred_key] = _infer(run, case[run.image_key], network=network, amp=amp)
    for transform in run.finishing:
        is_writing = isinstance(transform, (SaveVolumed, SaveMapd))
        with clock("writing" if is_writing else "restoring"):
            case = transform(case)
    if series is not None:
        with clock("writing"):
            _write_series(run, scan, case, series)
    return CasePrediction(scan.case_id, clock.seconds)


def _prepare(
    run: Deployment, scan: PredictionInput, clock: _Clock
) -> tuple[dict[str, Any], DicomSeries | None]:
    case: dict[str, Any] = {"case_id": scan.case_id, run.image_key: scan.image}
    series = None
    if scan.is_dicom:
        with clock("reading"):
            series = read_series(str(scan.image), scan.series)
            case[run.image_key] = _as_if_loaded(series)
    for transform in run.preparing:
        if series is not None and _loads(transform, run.image_key):
            continue  # it is read already
        with clock("reading" if isinstance(transform, LoadImaged) else "preparing"):
            case = transform(case)
    return case, series


def _loads(transform: object, key: str) -> bool:
    return isinstance(transform, LoadImaged) and key in transform.keys


def _as_if_loaded(series: DicomSeries) -> MetaTensor:
    """The volume as MONAI's ``LoadImaged`` would hand it on, ``(1, X, Y, Z)``, not copied."""
    affine = torch.from_numpy(series.affine)
    meta = {
        "original_affine": series.affine.copy(),
        "spatial_shape": list(series.image.shape),
        "space": "RAS",
    }
    return MetaTensor(torch.from_numpy(series.image).unsqueeze(0), affine=affine, meta=meta)


def _infer(
    run: Deployment,
    image: torch.Tensor,
    *,
    network: Callable[[torch.Tensor], torch.Tensor],
    amp: bool,
) -> torch.Tensor | dict[str, torch.Tensor]:
    """The prediction without its batch axis, on the CPU; as maps where the inferer makes maps."""
    # A MetaTensor would carry the image's metadata through every window.
    batch = convert_to_tensor(image, track_meta=False).unsqueeze(0).to(run.device)
    with torch.no_grad(), torch.autocast(run.device.type, enabled=amp):
        pred = run.inferer(batch, network)
    if isinstance(pred, dict):
        return {name: values[0].cpu() for name, values in pred.items()}
    logits: torch.Tensor = pred[0].cpu()
    return logits


def _write_series(
    run: Deployment, scan: PredictionInput, case: dict[str, Any], series: DicomSeries
) -> None:
    label_map = convert_to_tensor(case[_SEGMENTATION], track_meta=False)[0].numpy()
    path = run.output_dir / f"{scan.case_id}_{_SEGMENTATION}.dcm"
    write_segmentation(label_map, series.affine, series, run.class_names, path)
