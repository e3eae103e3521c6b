"""From the configuration that was trained to the one that segments: one rule, no list of names."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monai.bundle.config_parser import ConfigParser
from monai.bundle.reference_resolver import ReferenceResolver

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["inference_config"]

_STEPS, _NETWORK, _INFERER, _WINDOWS = "preprocessing", "network_def", "inferer", "windows"
# What the network is, said by name to whoever reads the configuration and does not build it.
_OF_THE_NETWORK = ("spatial_dims", "num_channels", "num_classes")
_LABELS = frozenset({"label", "label_2nd"})
# Arguments that MONAI repeats for each key. A list of any other name, though as long as `keys`, may
# mean something else, such as a spacing along three axes.
_OF_EACH_KEY = frozenset(
    {
        *("names", "mode", "padding_mode", "align_corners", "dtype", "data_type", "device"),
        *("meta_keys", "meta_key_postfix", "sigmoid", "softmax", "argmax", "to_onehot"),
        *("threshold", "rounding", "track_meta", "wrap_sequence"),
    }
)
_SECTIONS = frozenset({"train", "validate", "evaluate", "predictors"})


def inference_config(trained: Mapping[str, Any], frame: Mapping[str, Any]) -> dict[str, Any]:
    """Say how a file becomes an answer, as the configuration that was trained has it.

    The deterministic transforms are those of ``preprocessing``, in their order: each that reads or
    writes the image, or what comes from it, is kept; keys of labels are dropped from the rest, and
    transforms of labels alone with them. The network and the windows are ``network_def`` and
    ``inferer``. Every id that these refer to, directly or through others, comes with them.

    Args:
        trained: the merged content of a ``train.json``; not modified.
        frame: an ``inference.json``: what is done with a prediction, where files are and go. Its
            own transforms, network and windows are replaced; not modified.

    Returns:
        The content of an ``inference.json``, ids in the order of ``frame``.

    Raises:
        ValueError: if a transform of the image needs the label, has no definition of its own, or
            refers to what is no longer there once the training is over.

    Example:
        >>> trained = {
        ...     "level": 3,
        ...     "preprocessing": [
        ...         {"_target_": "LoadImaged", "keys": ["image", "label"]},
        ...         {"_target_": "Lambdad", "keys": "label", "func": "$abs"},
        ...         {"_target_": "ShiftIntensityd", "keys": "image", "offset": "@level"},
        ...     ],
        ...     "network_def": {"_target_": "BasicUNet"},
        ...     "inferer": {"_target_": "SimpleInferer"},
        ... }
        >>> config = inference_config(trained, {"preprocessing": None, "inferer": "@windows"})
        >>> [step["keys"] for step in config["preprocessing"]["transforms"]]
        ['image', 'image']
        >>> config["level"], config["windows"]["_target_"]
        (3, 'SimpleInferer')
    """
    training = _Training(trained)
    windows = trained[_INFERER]
    if isinstance(windows, dict) and isinstance(frame.get(_WINDOWS), dict):
        shown = {name: frame[_WINDOWS][name] for name in ("progress",) if name in frame[_WINDOWS]}
        windows = {**windows, **shown}
    derived = {
        _NETWORK: trained[_NETWORK],
        _WINDOWS: windows,
        _STEPS: {"_target_": "Compose", "transforms": list(training.image_steps())},
    }
    own = _own_names(frame)
    derived = {
        name: training.frozen(value, frame, own, where=name) for name, value in derived.items()
    }
    needed = {name: trained[name] for name in _OF_THE_NETWORK if name in trained}
    within = _names_within(trained, derived) - own
    needed |= {name: value for name, value in trained.items() if name in within}
    replaced = _names_within(frame, {n: frame[n] for n in derived if n in frame}) - own
    config = {name: value for name, value in frame.items() if name not in replaced - {*needed}}
    config |= {"imports": _imports(trained, frame)} if "imports" in trained else {}
    return _ordered(config, copy.deepcopy(needed | derived))


@dataclass(frozen=True, eq=False)
class _Step:
    """One transform as it is defined."""

    name: str
    definition: Any


class _Training:
    """The configuration that was trained, asked for its transforms and values."""

    def __init__(self, trained: Mapping[str, Any]) -> None:
        self.config = {k: v for k, v in trained.items() if k != ConfigParser.meta_key}
        self.parser = ConfigParser(copy.deepcopy(self.config))
        self._labels = set(_LABELS)

    def image_steps(self) -> Iterator[Any]:
        """The definitions of the transforms, without what is done to labels."""
        for step in self._steps(_STEPS, self.config[_STEPS]):
            kept = self._of_image(step)
            if kept is not None:
                yield kept

    def frozen(
        self,
        value: Any,  # noqa: ANN401 - any JSON
        frame: Mapping[str, Any],
        own: set[str],
        *,
        where: str,
    ) -> Any:  # noqa: ANN401
        """A definition in which what refers to the training's own places is its value."""
        if isinstance(value, dict):
            return {k: self.frozen(v, frame, own, where=f"{where}::{k}") for k, v in value.items()}
        if isinstance(value, list):
            return [self.frozen(v, frame, own, where=f"{where}::{i}") for i, v in enumerate(value)]
        names = _names_in(value)
        if all(
            name not in _SECTIONS and (name not in own or frame[name] == self.config.get(name))
            for name in names
        ):
            return copy.deepcopy(value)
        parser = ConfigParser(copy.deepcopy(self.config) | {"value_to_freeze": value})
        found = parser.get_parsed_content("value_to_freeze")
        try:
            text = json.dumps(found)
        except TypeError:
            text = "$"
        if "$" in text or "@" in text or "%" in text:
            raise InvalidValueError(
                f"Expected `{where}` to need nothing of the training, for images are segmented "
                f"without it, but it refers to `{'`, `'.join(sorted(names))}`: {value}."
            )
        return found

    def _steps(self, name: str, value: Any) -> list[_Step]:  # noqa: ANN401 - any JSON
        if isinstance(value, dict) and "transforms" in value:
            return self._steps(f"{name}::transforms", value["transforms"])
        if isinstance(value, list):
            entries = [(f"{name}::{number}", entry) for number, entry in enumerate(value)]
            return [step for entry in entries for step in self._entry(*entry)]
        if isinstance(value, str) and value in {f"@{ref}" for ref in _references(value)}:
            return self._steps(value[1:], self.parser[value[1:]])
        if isinstance(value, str) and value.startswith("$"):
            return self._evaluated(name, value)
        raise InvalidValueError(
            f"Expected `{name}` to be a list of transforms, or an expression of such lists, but "
            f"got {value!r}."
        )

    def _entry(self, name: str, value: Any) -> list[_Step]:  # noqa: ANN401 - any JSON
        if isinstance(value, str) and value in {f"@{ref}" for ref in _references(value)}:
            value = self.parser[value[1:]]
            if isinstance(value, list):
                return self._steps(name, value)
        if isinstance(value, dict) and value.get("_target_", "").rpartition(".")[2] == "Compose":
            return self._steps(name, value)
        return [_Step(name, value)]

    def _evaluated(self, name: str, expression: str) -> list[_Step]:
        """The entries of an expression of lists, each with its definition and not made."""
        config: dict[str, Any] = copy.deepcopy(self.config)
        parser = ConfigParser(config)
        for reference in _references(expression):
            value = self.parser[reference]
            if isinstance(value, (list, str)) or (isinstance(value, dict) and "_target_" in value):
                try:
                    steps = self._steps(reference, value)
                except InvalidValueError:
                    continue  # a flag or a number
                parser[reference] = steps
        parser[name] = expression
        for step in (found := parser.get_parsed_content(name)):
            if not isinstance(step, _Step):
                raise InvalidValueError(
                    f"Expected every transform of `{name}` to be written as one with a `_target_`, "
                    f"so that what segments can have it, too, but got {type(step).__name__}: "
                    f"{expression}."
                )
        return list(found)

    def _of_image(self, step: _Step) -> dict[str, Any] | str | None:
        """A definition without keys of labels; ``None`` if nothing is left."""
        definition = step.definition
        if not isinstance(definition, dict):
            text = str(definition)
            if any(f"'{key}'" in text or f'"{key}"' in text for key in self._labels):
                self._refuse(step, text)
            return text
        keys = self._strings(step, definition.get("keys", []))
        kept = [place for place, key in enumerate(keys) if not self._is_of_label(key)]
        if keys and not kept:
            self._labels |= set(self._strings(step, definition.get("names", [])))
            return None
        for name, value in definition.items():
            if "key" in name and name not in ("keys", "meta_keys"):
                for key in self._strings(step, value):
                    if self._is_of_label(key):
                        self._refuse(step, key)
        if len(kept) == len(keys):
            return definition
        return self._without(step, definition, keys, kept)

    def _without(
        self, step: _Step, definition: dict[str, Any], keys: list[str], kept: list[int]
    ) -> dict[str, Any]:
        parallel = {
            name: value
            for name, value in definition.items()
            if isinstance(value, list) and len(value) == len(keys) and name != "keys"
        }
        if not parallel.keys() <= _OF_EACH_KEY:
            # Whether such a list goes with the keys is not to be known; MONAI does by itself.
            return definition | {"keys": keys, "allow_missing_keys": True}
        dropped = {*range(len(keys))} - {*kept}
        named = self._strings(step, definition.get("names", []))
        self._labels |= {named[place] for place in dropped if place < len(named)}
        left = [keys[place] for place in kept]
        return definition | {
            "keys": left[0] if len(left) == 1 else left,
            **{name: _one_or_all([v[place] for place in kept]) for name, v in parallel.items()},
        }

    def _strings(self, step: _Step, value: Any) -> list[str]:  # noqa: ANN401 - any JSON
        if isinstance(value, str) and _references(value):
            parser = ConfigParser(copy.deepcopy(self.config) | {"keys_of_step": value})
            value = parser.get_parsed_content("keys_of_step")
        entries = value if isinstance(value, (list, tuple)) else [value]
        return [
            text
            for entry in entries
            for text in (self._strings(step, entry) if _references(entry) else [entry])
            if isinstance(text, str)
        ]

    def _is_of_label(self, key: str) -> bool:
        return key in self._labels or any(key.startswith(f"{label}_") for label in self._labels)

    def _refuse(self, step: _Step, key: str) -> None:
        target = step.definition["_target_"] if isinstance(step.definition, dict) else "it"
        raise InvalidValueError(
            "Expected the deterministic transforms of an image to do without its label, for images "
            f"to segment have none, but {target} (`{step.name}`) needs {key!r}. Put it into "
            "`train::deterministic` or `train::cropping`, if it is for training alone."
        )


def _one_or_all(values: list[Any]) -> Any:  # noqa: ANN401 - any JSON
    return values[0] if len(values) == 1 else values


def _references(value: Any) -> list[str]:  # noqa: ANN401 - any JSON
    return [*ReferenceResolver.match_refs_pattern(value)] if isinstance(value, str) else []


def _names_in(value: Any) -> set[str]:  # noqa: ANN401 - any JSON
    """The ids of the first level that a definition refers to."""
    if isinstance(value, dict):
        return {name for entry in value.values() for name in _names_in(entry)}
    if isinstance(value, list):
        return {name for entry in value for name in _names_in(entry)}
    return {reference.split("::")[0] for reference in _references(value)}


def _names_within(config: Mapping[str, Any], start: Mapping[str, Any]) -> set[str]:
    """The ids of the first level that definitions refer to, directly or through others."""
    found: set[str] = set()
    waiting = _names_in(dict(start))
    while waiting:
        name = waiting.pop()
        if name not in found and name in config:
            found.add(name)
            waiting |= _names_in(config[name])
    return found


def _own_names(frame: Mapping[str, Any]) -> set[str]:
    """What a frame says for itself: all that its transforms, network and windows do not need."""
    parts = {name: frame[name] for name in (_STEPS, _NETWORK, _WINDOWS) if name in frame}
    of_parts = _names_within(frame, parts) | {*parts} | {*_OF_THE_NETWORK}
    return {*frame} - of_parts


def _imports(trained: Mapping[str, Any], frame: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys([*frame.get("imports", []), *trained["imports"]]))


def _ordered(config: dict[str, Any], derived: dict[str, Any]) -> dict[str, Any]:
    """Values that exist where they stood; new ones before the network."""
    new = {name: value for name, value in derived.items() if name not in config}
    ordered: dict[str, Any] = {}
    for name, value in config.items():
        if name == _NETWORK:
            ordered |= {n: v for n, v in new.items() if n not in (_WINDOWS, _STEPS)}
        ordered[name] = derived.get(name, value)
    return ordered | {name: value for name, value in new.items() if name not in ordered}
