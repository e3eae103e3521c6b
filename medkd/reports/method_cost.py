"""What a prediction by a method costs, besides its parameters and its time."""

from __future__ import annotations

from dataclasses import dataclass

from medkd.errors import InvalidValueError

__all__ = ["MethodCost"]


@dataclass(frozen=True)
class MethodCost:
    """The cost of one method. ``None`` means that it was not measured, never that it is free.

    Attributes:
        multiply_adds: multiplications with addition of one case, the mean over cases.
        peak_memory_bytes: highest memory in use during the prediction of a case.
        training_seconds: time until the method could predict, all of its networks together (for a
            student, those of its teacher too).
        num_passes: network passes of one prediction.

    Raises:
        ValueError: if a number is negative, or there is no pass.

    Example:
        >>> MethodCost(None, None, 3600.0, num_passes=5).training_seconds
        3600.0
    """

    multiply_adds: int | None
    peak_memory_bytes: int | None
    training_seconds: float | None
    num_passes: int

    def __post_init__(self) -> None:
        for name in ("multiply_adds", "peak_memory_bytes", "training_seconds"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise InvalidValueError(
                    f"Expected `{name}` to be 0 or more, or None, but got {value}."
                )
        if self.num_passes < 1:
            raise InvalidValueError(
                f"Expected `num_passes` to be 1 or more, but got {self.num_passes}."
            )
