"""All choices for a data set together: what differs from the template, and why."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.bundle.config_parser import ConfigParser

from medkd.errors import InvalidValueError
from medkd.planning.architecture_choice import choose_channels, downsampling
from medkd.planning.bundle_template import METHODS, find_template
from medkd.planning.choice import Choice
from medkd.planning.memory_estimate import NetworkCost, measure_network, training_memory
from medkd.planning.normalization_choice import choose_normalization
from medkd.planning.patch_choice import choose_patch
from medkd.planning.slices_choice import SLICES, choose_slices
from medkd.planning.spacing_choice import choose_spacing, resampled_shape
from medkd.planning.training_choices import (
    choose_batch_size,
    choose_cache,
    choose_flip_probability,
    choose_rotation,
    choose_schedule,
    is_small,
)
from medkd.texts import markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from medkd.planning.bundle_template import BundleTemplate, Method
    from medkd.planning.fingerprint import Fingerprint

__all__ = ["BundlePlan", "plan_bundle"]

_GIB = 2**30
_BASE_CHANNELS = {True: 16, False: 32}  # for small volumes and for large ones
_NETWORK_IDS = ("spatial_dims", "num_channels", "num_classes", "channels", "strides", "kernel_size")

Strides = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class BundlePlan:
    """What was chosen for a data set.

    Args:
        method: a key of :data:`medkd.planning.METHODS`.
        fingerprint: what it was chosen by.
        template: the bundle that it changes.
        choices: id of ``train.json`` to value and reason, in the order of the README.
        shape: voxels of the median volume along each axis, after resampling.
        factors: by how much the network shrinks each axis.
        memory: bytes that a training step takes, as estimated.
        memory_budget: bytes that it may take.
        slices: id of ``slices.json`` to value and reason, of a template that has this overlay.
    """

    method: str
    fingerprint: Fingerprint
    template: BundleTemplate
    choices: dict[str, Choice]
    shape: tuple[int, ...]
    factors: tuple[int, ...]
    memory: float
    memory_budget: float
    slices: dict[str, Choice] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - any JSON
        """The value of a choice."""
        return self.choices[name].value


def plan_bundle(
    fingerprint: Fingerprint,
    *,
    method: str = "end_kl",
    memory: float = 8.0,
    num_members: int | None = None,
    num_cases: int | None = None,
) -> BundlePlan:
    """Choose every setting of a bundle for a data set.

    Args:
        fingerprint: of the data set.
        method: a key of :data:`medkd.planning.METHODS`.
        memory: GiB that a training step may take.
        num_members: members of the ensemble, for a method that has one; the template's number by
            default.
        num_cases: training and validation cases, which are kept in memory; by default those of the
            fingerprint.

    Returns:
        The plan.

    Raises:
        ValueError: if ``method`` is unknown or cannot train on cases without a label where there
            are such, ``memory`` is not above 0 or too little for the smallest patch, or
            ``num_members`` is not possible.
    """
    if method not in METHODS:
        raise InvalidValueError(
            f"Expected `method` to be one of {', '.join(METHODS)}, but got {method!r}."
        )
    if not memory > 0:
        raise InvalidValueError(f"Expected `memory` to be above 0 GiB, but got {memory}.")
    settings = METHODS[method]
    if fingerprint.num_unlabeled and not settings.uses_unlabeled:
        raise InvalidValueError(
            f"Expected every training case to have a label for the method {method}, but "
            f"{fingerprint.num_unlabeled} of {fingerprint.num_cases} have none: the method dmd "
            "learns from such."
        )
    template = find_template(settings.template)
    spacing = choose_spacing(fingerprint.spacings, fingerprint.shapes)
    cases = zip(fingerprint.shapes, fingerprint.spacings, strict=True)
    resampled = [resampled_shape(shape, mm, spacing.value) for shape, mm in cases]
    shape = tuple(int(np.ceil(along)) for along in np.median(resampled, axis=0))
    networks = _Networks(fingerprint, template, base=_BASE_CHANNELS[is_small(shape)])
    budget = memory * _GIB
    patch_size, strides = choose_patch(
        shape,
        spacing.value,
        lambda patch, strides: networks.memory(patch, strides, batch_size=2),
        budget=budget,
    )
    batch_size = choose_batch_size(
        lambda size: networks.memory(patch_size, strides, batch_size=size),
        budget=budget,
        shape=shape,
        patch_size=patch_size,
        num_cases=fingerprint.num_cases,
    )
    needed = networks.memory(patch_size, strides, batch_size=batch_size.value)
    channels = choose_channels(len(strides), base=networks.base)
    class_names = [entry.name for entry in fingerprint.classes]
    choices = {
        **_choose_networks(template, num_members, fingerprint),
        "num_channels": Choice(
            len(fingerprint.channels),
            f"The image channels: {_listed(one.name for one in fingerprint.channels)}.",
        ),
        "num_classes": Choice(
            len(class_names) + 1, f"Background and {_listed(class_names)}, as in the manifest."
        ),
        "spacing": spacing,
        "normalization": choose_normalization(fingerprint),
        "patch_size": _describe_patch(patch_size, strides, spacing.value, shape, needed, memory),
        "batch_size": batch_size,
        **_choose_unlabeled_batch(settings, batch_size),
        "channels": Choice(
            list(channels),
            f"{networks.base} features at first, because the volumes are "
            f"{'small' if networks.base == _BASE_CHANNELS[True] else 'large'}; twice as many at "
            "each level, 320 at most.",
        ),
        "strides": _describe_strides(strides, patch_size),
        "kernel_size": Choice(3, "Kernels are 3 voxels wide along each axis, at all levels."),
        "flip_probability": choose_flip_probability(class_names, modality=fingerprint.modality),
        "rotate_range": choose_rotation(patch_size, spacing.value),
        **choose_schedule(
            shape=shape,
            num_cases=fingerprint.num_cases,
            batch_size=batch_size.value,
            has_members="member_num_epochs" in template.train,
        ),
        "cache_gb": choose_cache(
            shape=shape,
            num_cases=num_cases or fingerprint.num_cases,
            num_channels=len(fingerprint.channels),
            num_classes=len(class_names) + 1,
        ),
        **settings.choices,
    }
    return BundlePlan(
        method,
        fingerprint,
        template,
        choices,
        shape,
        downsampling(strides),
        needed,
        budget,
        _choose_slices(fingerprint, template, base=networks.base, budget=budget),
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(markdown, names))


class _Networks:
    """The student and the members of a template, each measured once for each depth."""

    def __init__(
        self,
        fingerprint: Fingerprint,
        template: BundleTemplate,
        *,
        base: int,
        spatial_dims: int = 3,
    ) -> None:
        self.base = base
        self._ids = {name: template.train[name] for name in _NETWORK_IDS}
        self._ids["spatial_dims"] = spatial_dims
        self._ids["num_channels"] = len(fingerprint.channels)
        self._ids["num_classes"] = len(fingerprint.classes) + 1
        overlays = [template.configs[file] for file in template.train.get("member_overlays", [])]
        definitions = [template.train["network_def"], template.train["member_def"]]
        definitions += [overlay["member_def"] for overlay in overlays if "member_def" in overlay]
        self._definitions = [
            definition
            for position, definition in enumerate(definitions)
            if definition not in definitions[:position] and isinstance(definition, dict)
        ]
        # Peers are trained at once, each on labeled patches and as many unlabeled ones.
        self._num_peers = 1 + len(template.train.get("peer_defs", []))
        self._patches_each = 2 if self._num_peers > 1 else 1
        self._costs: dict[Strides, list[NetworkCost]] = {}

    def memory(self, patch_size: tuple[int, ...], strides: Strides, *, batch_size: int) -> float:
        """Bytes that training takes, of the network that takes most, or of all peers together."""
        if strides not in self._costs:
            self._costs[strides] = [self._measure(d, strides) for d in self._definitions]
        num_patches = self._patches_each * batch_size
        return self._num_peers * max(
            training_memory(cost, patch_size, batch_size=num_patches)
            for cost in self._costs[strides]
        )

    def _measure(self, definition: dict[str, Any], strides: Strides) -> NetworkCost:
        channels = choose_channels(len(strides), base=self.base)
        ids = {
            **self._ids,
            "channels": list(channels),
            "strides": [list(stride) for stride in strides],
            "network_def": copy.deepcopy(definition),
        }

        def make() -> torch.nn.Module:
            return ConfigParser(copy.deepcopy(ids)).get_parsed_content("network_def")

        return measure_network(
            make, num_channels=ids["num_channels"], factors=downsampling(strides)
        )


def _choose_networks(
    template: BundleTemplate, num_members: int | None, fingerprint: Fingerprint
) -> dict[str, Choice]:
    """How many members there are, or of a bundle without an ensemble, how many labels it uses."""
    if "num_members" in template.train:
        return {"num_members": _choose_num_members(template, num_members)}
    if num_members is not None:
        raise InvalidValueError(
            f"Expected no `num_members` for a method without an ensemble, but got {num_members}."
        )
    reason = (
        f"0 stands for all of the {fingerprint.num_labeled} training cases that have a label; "
        f"{fingerprint.num_unlabeled} have none."
    )
    if not fingerprint.num_unlabeled:
        reason += (
            " So the peers have no more images than the labels: `--num_labeled 8` takes the first "
            "8 cases with their labels and the others without."
        )
    return {"num_labeled": Choice(0, reason)}


def _choose_slices(
    fingerprint: Fingerprint, template: BundleTemplate, *, base: int, budget: float
) -> dict[str, Choice]:
    """What the overlay for slices needs, if the template has one."""
    if SLICES not in template.configs:
        return {}
    networks = _Networks(fingerprint, template, base=base, spatial_dims=2)
    return choose_slices(
        fingerprint.shapes,
        lambda patch, strides, size: networks.memory(patch, strides, batch_size=size),
        budget=budget,
        base=base,
    )


def _choose_unlabeled_batch(settings: Method, batch_size: Choice) -> dict[str, Choice]:
    if not settings.uses_unlabeled:
        return {}
    reason = "Unlabeled patches beside the labeled ones of each step, as many as these."
    return {"unlabeled_batch_size": Choice(batch_size.value, reason)}


def _choose_num_members(template: BundleTemplate, num_members: int | None) -> Choice:
    overlays = len(template.train["member_overlays"])
    stated = template.train["num_members"] if num_members is None else num_members
    if stated < 1 or (overlays and stated > overlays):
        most = f"1 to {overlays}, the members of a diverse ensemble" if overlays else "at least 1"
        raise InvalidValueError(f"Expected `num_members` to be {most}, but got {stated}.")
    kind = "architecture and loss" if overlays else "seed"
    who = "The template's number" if num_members is None else "As asked for"
    return Choice(stated, f"{who}; the members differ by {kind}." if stated > 1 else f"{who}.")


def _describe_patch(
    patch_size: tuple[int, ...],
    strides: Strides,
    spacing: list[float],
    shape: tuple[int, ...],
    needed: float,
    memory: float,
) -> Choice:
    extent = _by([round(size * mm) for size, mm in zip(patch_size, spacing, strict=True)])
    factors = _by(downsampling(strides))
    whole = all(size >= side for size, side in zip(patch_size, shape, strict=True))
    size = (
        f"as large as the median volume after resampling, {_by(shape)} voxels"
        if whole
        else f"the largest that fits {memory:g} GiB, shortened from the median volume, "
        f"{_by(shape)} voxels, along its longest side in mm each time"
    )
    return Choice(
        list(patch_size),
        f"{extent} mm: {size}; rounded to multiples of {factors}, by which the network shrinks it. "
        f"A training step takes about {needed / _GIB:.2f} GiB.",
    )


def _describe_strides(strides: Strides, patch_size: tuple[int, ...]) -> Choice:
    halvings = [sum(step > 1 for step in along) for along in zip(*strides, strict=True)]
    left = [size // by for size, by in zip(patch_size, downsampling(strides), strict=True)]
    times = ", ".join(map(str, halvings))
    return Choice(
        [stride[0] if len(set(stride)) == 1 else list(stride) for stride in strides],
        f"How each level shrinks the axes. They are halved {times} times, which leaves "
        f"{_by(left)} voxels at the deepest level: an axis of fewer than eight voxels is not "
        "halved, and one that is twice as coarse as another waits for it.",
    )


def _by(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
