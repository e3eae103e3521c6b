"""The stage that writes the soft labels that are missing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from monai.transforms.compose import Compose
from monai.utils.type_conversion import convert_to_tensor
from tqdm import tqdm

from medkd.files import sha256_of
from medkd.runs.configuration import running_parser
from medkd.runs.training_settings import training_settings
from medkd.teachers import SoftLabelStore, load_teacher, member_weights_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch
    from monai.inferers import Inferer

    from medkd.teachers import TeacherEnsemble

__all__ = ["write_soft_labels"]

_log = logging.getLogger(__name__)


def write_soft_labels(
    *,
    store: SoftLabelStore | None,
    cases: Sequence[Mapping[str, Any]],
    members_dir: str | Path,
    num_members: int,
    temperature: float,
    inferer: Inferer,
    device: str | torch.device,
    transforms_id: str = "preprocessing",
    inferer_id: str = "inferer",
) -> None:
    """Write the teacher's probabilities of every training case that has none, or a stale one.

    The teacher is loaded only if there is something to write, and holds one case at a time.

    Args:
        store: where they go; ``None`` if the student needs none (a teacher in the loop, or labels
            only).
        cases: items with ``case_id`` and files.
        members_dir: the folder of the trained members.
        num_members: how many of them teach.
        temperature: of the teacher's softmax, above zero.
        inferer: how a whole image is predicted.
        device: where.
        transforms_id: the id of the deterministic transforms, on whose output labels are computed.
        inferer_id: the id of the inferer, whose definition is part of the labels' key.
    """
    if store is None:
        return
    parser = running_parser()
    store.open_for(
        {
            "member_weights_sha256": member_weights_sha256(members_dir, num_members),
            "temperature": temperature,
            "transforms": training_settings(parser, transforms_id),
            "inferer": training_settings(parser, inferer_id),
        }
    )
    missing = set(store.missing(cases))
    if not missing:
        _log.info("All %d soft labels are there: %s.", len(cases), store.directory)
        return
    teacher = load_teacher(members_dir, num_members, temperature=temperature, device=device)
    transform = Compose(parser.get_parsed_content(transforms_id))
    todo = [case for case in cases if case["case_id"] in missing]
    teachers = "one network" if num_members == 1 else f"{num_members} members"
    for case in tqdm(todo, desc=f"soft labels of {teachers}", unit="case"):
        probs = _teach(transform(dict(case))["image"], teacher, inferer, device)
        store.write(case["case_id"], probs, source_sha256=sha256_of(case["image"]))
        del probs  # or the next case is predicted beside it


def _teach(
    image: torch.Tensor, teacher: TeacherEnsemble, inferer: Inferer, device: str | torch.device
) -> torch.Tensor:
    """The teacher's probabilities of one image, ``(C, *spatial)``."""
    plain = convert_to_tensor(image, track_meta=False, device=device)
    return inferer(plain.unsqueeze(0), teacher)[0]
