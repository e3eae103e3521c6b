"""``medkd predict``: segment volumes, pictures or a DICOM series with the student of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medkd.cli.terminal import write
from medkd.cli.verb import Verb
from medkd.progress import progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from medkd.prediction import CasePrediction, PredictionInput

__all__ = ["VERB"]

_BACKENDS = ("auto", "torch", "torchscript", "onnx", "compile")
_DESCRIPTION = (
    "Segment with the student of a run. Volumes get a label map of their own format (NIfTI, NRRD, "
    "MetaImage) and grid, pictures one in PNG, a DICOM series both NIfTI and DICOM SEG. A run's "
    "configuration is code: predict with runs that you trust."
)
_EXAMPLE = "example: medkd predict runs/end_kl --input scans --output predictions"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("run_dir", metavar="RUN", help="folder of a finished run")
    text = "a volume, a picture, a folder of either, or a folder or zip archive of DICOM"
    add("--input", metavar="PATH", required=True, help=text)
    add("--output", metavar="DIR", required=True, help="the folder to write to")
    text = "what runs the network (default: the fastest, by benchmarks/backends.py)"
    add("--backend", choices=_BACKENDS, default="auto", help=text)
    add("--device", help="such as cpu or cuda:0 (default: the GPU if there is one)")
    text = "number of the DICOM series, where there are several; left out, they are listed"
    add("--series", metavar="N", type=int, help=text)
    for name, what in (
        ("probability", "of the most likely class"),
        ("uncertainty", "of the predictive entropy in nats"),
    ):
        text = f"write the map {what}, too; for pictures it is always written"
        add(f"--with_{name}", action="store_true", help=text)


def _run(arguments: argparse.Namespace) -> int:
    """Predict, with a progress bar, and say where the label maps are and what took how long.

    Args:
        arguments: those of the parser.

    Returns:
        0.

    Raises:
        OSError: if the run, an image or the output cannot be read or written.
        ValueError: if an image is refused, or device and backend do not go together.
    """
    # MONAI takes seconds to import, which `medkd --help` should not.
    from medkd.export.network_formats import backend_network, choose_backend
    from medkd.prediction import find_inputs, predict_cases
    from medkd.runs import open_deployment

    opened = open_deployment(
        arguments.run_dir,
        output_dir=Path(arguments.output).expanduser(),
        device=arguments.device,
        with_probability=arguments.with_probability,
        with_uncertainty=arguments.with_uncertainty,
    )
    inputs = find_inputs(
        arguments.input,
        spatial_dims=opened.image_dims,
        num_channels=opened.num_channels,
        series=arguments.series,
    )
    backend = choose_backend(
        arguments.backend, device=opened.device, spatial_dims=opened.spatial_dims
    )
    network = backend_network(opened, backend)
    # Other forms of the network were proved in float32.
    amp = opened.amp and backend == "torch"
    cases = predict_cases(opened, inputs, network=network, amp=amp)
    _report(
        list(progress(cases, total=len(inputs), desc="predicting", unit="case")),
        inputs,
        output_dir=opened.output_dir,
        how=f"{backend} on {opened.device}",
    )
    return 0


def _report(
    cases: Sequence[CasePrediction],
    inputs: Sequence[PredictionInput],
    *,
    output_dir: Path,
    how: str,
) -> None:
    write(f"{output_dir}: {len(cases)} case(s), with {how}")
    write(_describe_time([case.seconds for case in cases]))
    if any(scan.is_dicom for scan in inputs):
        write("the DICOM SEG names the patient as its source does, as the standard has it")


def _describe_time(seconds: Sequence[Mapping[str, float]]) -> str:
    stages = seconds[0]
    sums = {stage: sum(one[stage] for one in seconds) for stage in stages}
    total = sum(sums.values())
    shares = ", ".join(f"{stage} {100 * value / total:.0f} %" for stage, value in sums.items())
    return f"{total:.1f} s: {shares}"


VERB = Verb(
    name="predict",
    help="Segment volumes, pictures or a DICOM series with the student of a run.",
    add_arguments=_add_arguments,
    run=_run,
    description=_DESCRIPTION,
    example=_EXAMPLE,
)
