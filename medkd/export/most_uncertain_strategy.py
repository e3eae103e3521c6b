"""The strategy of the MONAI Label app: next is the image that the student is least sure of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medkd.export.uncertainty_scoring import SCORE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MostUncertainStrategy"]


class MostUncertainStrategy:
    """Chooses the unlabeled image of the highest score.

    It has the form of MONAI Label's ``Strategy``, which need not be installed for it. Images
    without a score come after those with one, by name, so it also answers before anything is
    scored.

    Example:
        >>> class Datastore:
        ...     scores = {"a": 0.1, "b": 0.3, "c": None}
        ...
        ...     def get_unlabeled_images(self, label_tag=None, labels=None):
        ...         return ["c", "b", "a"]
        ...
        ...     def get_image_info(self, image):
        ...         score = self.scores[image]
        ...         return {} if score is None else {"student_uncertainty": score}
        >>> MostUncertainStrategy()({}, Datastore())
        {'id': 'b', 'weight': 0.3}
    """

    def __init__(self) -> None:
        self.description = "The image that the student is least sure of"

    def info(self) -> dict[str, str]:
        """What MONAI Label shows of the strategy."""
        return {"description": self.description}

    def __call__(self, request: Mapping[str, Any], datastore: Any) -> dict[str, Any] | None:  # noqa: ANN401
        """Choose an image.

        Args:
            request: ``label_tag`` and ``labels`` say what counts as labeled.
            datastore: MONAI Label's.

        Returns:
            ``id``, and its score as ``weight`` (``None`` if it has none); ``None`` if all images
            are labeled.
        """
        images = datastore.get_unlabeled_images(request.get("label_tag"), request.get("labels"))
        scores = {image: datastore.get_image_info(image).get(SCORE) for image in sorted(images)}
        if not scores:
            return None
        # The first of the highest, by name.
        chosen = max(scores, key=lambda image: -1.0 if scores[image] is None else scores[image])
        return {"id": chosen, "weight": scores[chosen]}
