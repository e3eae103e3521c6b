"""A bundle's predictors, as the stages use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medkd.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    from medkd.predictors import Predictor

__all__ = ["predictors_by_method"]


def predictors_by_method(predictors: Mapping[str, Any]) -> dict[str, Sequence[Predictor]]:
    """Names to the predictors that a method is the mean of.

    Args:
        predictors: the bundle's section: a predictor, a list of alike ones (``single``: each
            member), or ``None`` for one that is switched off.

    Returns:
        The same with a list for each that is switched on, in order.

    Raises:
        ValueError: if none is switched on, or one is a list without a predictor.
        TypeError: if an entry is no predictor.
    """
    methods: dict[str, Sequence[Predictor]] = {}
    for name, entry in predictors.items():
        if entry is None:
            continue
        alike = list(entry) if isinstance(entry, Sequence) else [entry]
        if not alike:
            raise InvalidValueError(
                f"Expected `predictors::{name}` to hold a predictor, but got none."
            )
        for predictor in alike:
            if not hasattr(predictor, "predict_members"):
                raise InvalidTypeError(
                    f"Expected `predictors::{name}` to be a predictor of medkd.predictors, "
                    f"but got {type(predictor).__name__}."
                )
        methods[name] = alike
    if not methods:
        raise InvalidValueError("Expected `predictors` to hold at least one, but got none.")
    return methods
