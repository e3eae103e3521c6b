"""What a report is made from: the scores, curves and pictures of several methods on one split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from medkd.errors import InvalidValueError
from medkd.reports.score_columns import REGION_ENDINGS

if TYPE_CHECKING:
    import numpy as np

    from medkd.functional import ErrorBins, ReliabilityBins
    from medkd.reports.method_cost import MethodCost
    from medkd.reports.volume_grid import VolumeGrid

__all__ = ["CasePicture", "EvaluationResults", "MethodResult"]

_NUM_COLORS = 3


@dataclass(frozen=True)
class MethodResult:
    """What one method reached on every case.

    Attributes:
        name: identifier, the key in ``metrics.json``. The report's words compare methods whose name
            begins with ``student`` with ``deep_ensemble`` and ``single``, or with ``labels_only``
            and ``peer_ensemble``.
        title: what people call it.
        num_parameters: of all networks that one prediction needs.
        seconds_per_case: seconds of one prediction, by case id.
        scores: case id to metric id to value; NaN where a score has no meaning for a case.
        reliability: region to reliability bins, pooled over the cases by the report.
        errors: region to bins of right and wrong pixels by uncertainty, pooled likewise.
        summary: metric id to the one number of a data set, such as ``failure_auroc``.
        cost: what a prediction costs; ``None`` if nothing was measured.
    """

    name: str
    title: str
    num_parameters: int
    seconds_per_case: Mapping[str, float]
    scores: Mapping[str, Mapping[str, float]]
    reliability: Mapping[str, ReliabilityBins] = field(default_factory=dict)
    errors: Mapping[str, ErrorBins] = field(default_factory=dict)
    summary: Mapping[str, float] = field(default_factory=dict)
    cost: MethodCost | None = None

    def values(self, metric: str) -> dict[str, float]:
        """A metric's value by case id; NaN for a case without it."""
        return {case_id: row.get(metric, float("nan")) for case_id, row in self.scores.items()}


@dataclass(frozen=True)
class CasePicture:
    """One case for the eye, as 2-D pictures (of a volume, the caller takes a slice).

    Attributes:
        case_id: the case.
        title: why it is shown, such as ``best``, ``median`` or ``worst``.
        image: ``(height, width)`` or ``(height, width, 3)``, in ``[0, 1]``.
        label: class indices, ``(height, width)``; 0 is the background.
        mask: bool ``(height, width)``, the pixels that were scored; ``None`` for all.
        methods: method name to its prediction, class indices ``(height, width)``, and its
            uncertainty, ``(height, width)``, the entropy in nats.
        plane: of a volume, which plane it is, such as ``axial``; empty for a picture.
        pixel_aspect: height of a pixel by its width.
        sides: what lies to the left, right, top and bottom, such as ``("R", "L", "A", "P")``; empty
            for a picture.
        disagreement: of the members of a method, ``(height, width)``, their mutual information in
            nats; ``None`` where there are no members.

    Raises:
        ValueError: if a picture has another size than ``label``.
    """

    case_id: str
    title: str
    image: np.ndarray
    label: np.ndarray
    mask: np.ndarray | None
    methods: Mapping[str, tuple[np.ndarray, np.ndarray]]
    plane: str = ""
    pixel_aspect: float = 1.0
    sides: tuple[str, ...] = ()
    disagreement: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = self.label.shape
        _check_size(self.image, (shape, (*shape, _NUM_COLORS)), "image")
        if self.mask is not None:
            _check_size(self.mask, (shape,), "mask")
        if self.disagreement is not None:
            _check_size(self.disagreement, (shape,), "disagreement")
        for name, (prediction, uncertainty) in self.methods.items():
            _check_size(prediction, (shape,), f"prediction of {name}")
            _check_size(uncertainty, (shape,), f"uncertainty of {name}")


@dataclass(frozen=True)
class EvaluationResults:
    """Everything a report shows.

    Attributes:
        dataset: name of the data set.
        split: name of the split.
        methods: in the order of the table's rows, all on the same cases.
        class_names: by class index; the first is the background.
        settings: what to say of the run: members, temperature, seeds, versions, by name.
        histories: training curves: network name to rows with ``epoch`` and any of ``loss``, loss
            terms, ``learning_rate`` and ``val_<metric>``. Rows may lack keys.
        pictures: cases to show; may be empty.
        regions: region name to what its metric ids end in. The first is the main one.
        shift: kind and strength of what was done to the images, such as ``("blur", 3)``; ``None``
            for images as they are.
        grid: where volumes were scored; ``None`` for pictures.

    Raises:
        ValueError: if there is no method, a name comes twice, the methods have other cases than
            one another, there are fewer than two classes, or the strength is below 1.

    Example:
        >>> row = {"a": {"dice": 0.75}, "b": {"dice": 0.25}}
        >>> method = MethodResult("student", "Student", 10, {"a": 1.0, "b": 1.0}, row)
        >>> results = EvaluationResults("EYES", "test", [method], ["background", "vessel"])
        >>> results.case_ids, results.main_region
        (('a', 'b'), 'field of view')
    """

    dataset: str
    split: str
    methods: Sequence[MethodResult]
    class_names: Sequence[str]
    settings: Mapping[str, str] = field(default_factory=dict)
    histories: Mapping[str, Sequence[Mapping[str, float]]] = field(default_factory=dict)
    pictures: Sequence[CasePicture] = ()
    regions: Mapping[str, str] = field(default_factory=lambda: dict(REGION_ENDINGS))
    shift: tuple[str, int] | None = None
    grid: VolumeGrid | None = None

    def __post_init__(self) -> None:
        if not self.methods:
            raise InvalidValueError("Expected `methods` to have at least one method, but got none.")
        names = [method.name for method in self.methods]
        if len(set(names)) < len(names):
            raise InvalidValueError(f"Expected `methods` to have distinct names, but got {names}.")
        if len(self.class_names) < 2:
            raise InvalidValueError(
                f"Expected `class_names` of two classes or more, but got {list(self.class_names)}."
            )
        if self.shift is not None and self.shift[1] < 1:
            raise InvalidValueError(
                f"Expected `shift` of strength 1 or more, but got {self.shift}."
            )
        for method in self.methods:
            _check_cases(method, set(self.case_ids))

    @property
    def case_ids(self) -> tuple[str, ...]:
        """The cases, in the order of the first method's scores."""
        return tuple(self.methods[0].scores)

    @property
    def is_volume(self) -> bool:
        """Whether its cases are volumes, whose voxels have a size."""
        return self.grid is not None

    @property
    def main_region(self) -> str:
        """The region of the main table."""
        return next(iter(self.regions))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric id that some method has, in order of appearance."""
        rows = (row for method in self.methods for row in method.scores.values())
        return tuple(dict.fromkeys(metric for row in rows for metric in row))

    def method(self, name: str) -> MethodResult | None:
        """The method of that name, or ``None``."""
        return next((method for method in self.methods if method.name == name), None)


def _check_size(picture: np.ndarray, shapes: tuple[tuple[int, ...], ...], name: str) -> None:
    if picture.shape not in shapes or len(shapes[0]) != 2:
        expected = " or ".join(str(shape) for shape in shapes)
        raise InvalidValueError(
            f"Expected `{name}` of a 2-D case to be of shape {expected}, "
            f"but got shape {picture.shape}."
        )


def _check_cases(method: MethodResult, expected: set[str]) -> None:
    for name, cases in (("scores", method.scores), ("seconds_per_case", method.seconds_per_case)):
        if not cases or set(cases) != expected:
            raise InvalidValueError(
                f"Expected `{name}` of {method.name} to be of the cases {sorted(expected)}, "
                f"at least one, but got {sorted(cases)}."
            )
