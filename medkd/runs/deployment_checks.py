"""Whether an evaluation prepares and segments images as the run's deployment does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monai.bundle.config_parser import ConfigParser

from medkd.errors import InvalidValueError
from medkd.planning import inference_config
from medkd.runs.training_settings import training_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medkd.runs.run import Run

__all__ = ["check_judges_what_ships"]

_PARTS = ("preprocessing", "windows")  # the networks are those of the run in any case


def check_judges_what_ships(run: Run) -> None:
    """Refuse to judge a student on images that it would not get where it is used.

    A run that was trained with overrides has to be evaluated with them. A run without a
    deployment, of an older version or not trained to its end, has nothing to compare with.

    Args:
        run: the run, as it is to be evaluated.

    Raises:
        ValueError: naming the id that differs, and the configuration to evaluate with.
    """
    path = run.folder / "inference.json"
    if not (run.folder / "deployment.json").is_file() or not path.is_file():
        return
    shipped = ConfigParser.load_config_file(path)
    judged = inference_config(run.config, shipped)
    for part in _PARTS:
        expected, found = _settings(shipped, part), _settings(judged, part)
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                own = run.folder / "config.json"
                raise InvalidValueError(
                    f"Expected `{name}` to be as {run.folder} was trained with, for what is judged "
                    f"is what ships, but it is another. Put {own} in the place of train.json in "
                    "--config_file, or repeat the overrides of the training."
                )


def _settings(config: Mapping[str, Any], root: str) -> dict[str, Any]:
    return training_settings(ConfigParser(dict(config)), root)
