"""The stage that writes the soft labels that are missing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from monai.utils.type_conversion import convert_to_tensor

from medkd.data import image_sha256
from medkd.progress import progress
from medkd.runs.training_settings import training_settings
from medkd.teachers import load_teacher

if TYPE_CHECKING:
    import torch

    from medkd.runs import Run
    from medkd.teachers import SoftLabelStore

__all__ = ["write_soft_labels"]

_log = logging.getLogger(__name__)
_TRANSFORMS, _PREPARED, _INFERER = "preprocessing", "prepared_cases", "inferer"


def write_soft_labels(run: Run) -> None:
    """Write the teacher's probabilities of every training case that has none, or a stale one.

    They are stale if members, ``distillation_temperature``, deterministic transforms or windows are
    others than those that they were made with. The teacher is loaded only if there is something to
    write, and holds one case at a time. Nothing is to do without a ``soft_label_store``: with a
    teacher in the loop, or for a student of labels only.

    Args:
        run: the run.
    """
    store: SoftLabelStore | None = run.value("soft_label_store")
    if store is None:
        return
    cases = run.value("train::cases")
    temperature = run.value("distillation_temperature")
    store.open_for(
        {
            "member_weights_sha256": run.teacher_weights_sha256(),
            "temperature": temperature,
            "transforms": training_settings(run.parser, _TRANSFORMS),
            "inferer": training_settings(run.parser, _INFERER),
        }
    )
    missing = set(store.missing(cases))
    if not missing:
        _log.info("All %d soft labels are there: %s.", len(cases), store.directory)
        return
    teacher = load_teacher(
        run.value("members_dir"), run.num_members, temperature=temperature, device=run.device
    )
    prepared, inferer = run.value(_PREPARED), run.value(_INFERER)
    todo = [case for case in cases if case["case_id"] in missing]
    teachers = "one network" if run.num_members == 1 else f"{run.num_members} members"
    for case in progress(todo, desc=f"soft labels of {teachers}", unit="case"):
        image = _plain(prepared.get(case)["image"], run.device)
        probs = inferer(image, teacher)[0]
        store.write(case["case_id"], probs, source_sha256=image_sha256(case["image"]))
        del probs  # or the next case is predicted beside it


def _plain(image: Any, device: str | torch.device) -> torch.Tensor:  # noqa: ANN401
    """The image with a batch axis and without metadata, ``(1, C_in, *spatial)``."""
    tensor: torch.Tensor = convert_to_tensor(image, track_meta=False, device=device)
    return tensor.unsqueeze(0)
