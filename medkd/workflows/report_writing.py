"""The stage that evaluates a finished run and writes its report."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from monai.transforms.compose import Compose

from medkd.ensembles import load_members, load_network, member_dir
from medkd.handlers import read_history
from medkd.predictors import NetworkPredictor
from medkd.reports import EvaluationResults, MethodResult, format_table, write_report
from medkd.workflows.case_pictures import pictures_of
from medkd.workflows.evaluation import evaluate_cases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monai.inferers import Inferer

    from medkd.workflows.evaluation import MethodScores

__all__ = ["evaluate_run"]

_TITLES = {"single": "single network", "deep_ensemble": "deep ensemble", "student": "student"}
_log = logging.getLogger(__name__)


def evaluate_run(
    *,
    dataset: str,
    class_names: Sequence[str],
    split: str,
    cases: Sequence[Mapping[str, Any]],
    members_dir: str | Path,
    num_members: int,
    student_config: str | Path,
    model_file: str | Path,
    training_dir: str | Path,
    transforms: Sequence[Any],
    inferer: Inferer,
    device: str | torch.device,
    amp: bool,
    report_dir: str | Path,
    settings: Mapping[str, Any],
) -> None:
    """Evaluate single network, ensemble and student on a split, write the report, print the table.

    There are many arguments because each is an id of the bundle that a user may override.

    Args:
        dataset: the name of the data set, which may be another than the one trained on.
        class_names: by class index, the background first.
        split: the name of the split.
        cases: its cases, ``case_id`` and files.
        members_dir: the folder of the trained members.
        num_members: how many of them.
        student_config: the ``config.json`` of the run that trained the student.
        model_file: the student's weights.
        training_dir: where the student's training curves lie.
        transforms: the deterministic transforms.
        inferer: how a whole image is predicted.
        device: where.
        amp: compute under autocast.
        report_dir: where the report goes.
        settings: what to say of the run in the report's header.

    Raises:
        FileNotFoundError: if a member or the student is not trained.
        ValueError: if weights do not fit their network, or a case cannot be used.
    """
    network = load_network(student_config, model_file, device=device)
    members = NetworkPredictor(
        load_members(members_dir, num_members, device=device), inferer, amp=amp
    )
    student = NetworkPredictor([network], inferer, amp=amp)
    transform = Compose(list(transforms))
    scored = evaluate_cases(
        cases, transform=transform, members=members, student=student, device=device
    )
    parameters = {
        "single": members.num_parameters // num_members,
        "deep_ensemble": members.num_parameters,
        "student": student.num_parameters,
    }
    dice = {case_id: row["dice"] for case_id, row in scored["student"].scores.items()}
    results = EvaluationResults(
        dataset=dataset,
        split=split,
        methods=[_result(name, scored[name], parameters[name]) for name in scored],
        class_names=class_names,
        settings={name: str(value) for name, value in settings.items()},
        histories=_histories(members_dir, num_members, training_dir),
        pictures=pictures_of(
            cases, dice, transform=transform, members=members, student=student, device=device
        ),
    )
    page = write_report(results, report_dir)
    sys.stdout.write(f"\n{format_table(results)}\n\nReport: {page}\n")
    _log.info("Report: %s", page)


def _result(name: str, method: MethodScores, num_parameters: int) -> MethodResult:
    return MethodResult(
        name=name,
        title=_TITLES[name],
        num_parameters=num_parameters,
        seconds_per_case=method.seconds,
        scores=method.scores,
        reliability=method.reliability,
    )


def _histories(
    members_dir: str | Path, num_members: int, training_dir: str | Path
) -> dict[str, list[dict[str, float]]]:
    files = {f"member {m}": member_dir(members_dir, m) / "history.csv" for m in range(num_members)}
    files["student"] = Path(training_dir) / "history.csv"
    return {name: read_history(file) for name, file in files.items() if file.is_file()}
