"""The features whose loss counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, overload

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["weighted_features"]


@overload
def weighted_features(
    features: Mapping[str, str], weights: Mapping[str, float]
) -> dict[str, str]: ...


@overload
def weighted_features(
    features: Sequence[Mapping[str, str]], weights: Mapping[str, float]
) -> list[dict[str, str]]: ...


def weighted_features(
    features: Mapping[str, str] | Sequence[Mapping[str, str]], weights: Mapping[str, float]
) -> dict[str, str] | list[dict[str, str]]:
    """Leave out the features of weight zero, which then cost nothing.

    Args:
        features: name to the path of a module; of several teachers, such a mapping for each.
        weights: name to the weight of the feature's loss, one for each feature.

    Returns:
        The same without those.

    Raises:
        ValueError: if features and weights have other names.

    Example:
        >>> features = {"encoder": "down_1", "bottleneck": "down_4"}
        >>> weighted_features(features, {"encoder": 0, "bottleneck": 0.1})
        {'bottleneck': 'down_4'}
    """
    if not isinstance(features, Mapping):
        return [weighted_features(each, weights) for each in features]
    if sorted(features) != sorted(weights):
        raise InvalidValueError(
            f"Expected `weights` of the features {sorted(features)}, but got those of "
            f"{sorted(weights)}."
        )
    return {name: path for name, path in features.items() if weights[name] != 0}
