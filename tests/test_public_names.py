"""Every public name is listed in ``public_names.json``: none vanishes, and none appears, unseen.

After a change that is meant, write the list anew and commit it with the change::

    python tests/test_public_names.py
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path

import medkd
from medkd.files import atomic_write

LIST = Path(__file__).with_name("public_names.json")
FIX = "If this is meant, run `python tests/test_public_names.py` and say so in CHANGELOG.md."


def public_names() -> dict[str, list[str]]:
    """The rooms (packages at any depth) and the public modules beside them, with their names."""
    found = pkgutil.walk_packages(medkd.__path__, "medkd.")
    modules = [
        module.name
        for module in found
        if not any(part.startswith("_") for part in module.name.split("."))
        and (module.ispkg or module.name.count(".") == 1)
    ]
    return {
        name: sorted(getattr(importlib.import_module(name), "__all__", []))
        for name in sorted(modules)
    }


def listed() -> dict[str, list[str]]:
    return json.loads(LIST.read_text(encoding="utf-8"))


def flat(names: dict[str, list[str]]) -> set[str]:
    return {f"{module}.{name}" for module, names in names.items() for name in names}


def test_no_public_name_disappeared():
    gone = sorted(flat(listed()) - flat(public_names()))
    assert not gone, f"Public names are gone, and users' code and bundles with them: {gone}. {FIX}"


def test_every_public_name_is_listed():
    new = sorted(flat(public_names()) - flat(listed()))
    assert not new, f"Public names are not listed: {new}. {FIX}"


def test_list_is_sorted_and_knows_every_room():
    assert list(listed()) == list(public_names()), f"The rooms are not those listed. {FIX}"
    for module, names in listed().items():
        assert names == sorted(set(names)), f"The names of {module} are not sorted. {FIX}"


def test_every_listed_name_exists():
    missing = [
        f"{module}.{name}"
        for module, names in listed().items()
        for name in names
        if not hasattr(importlib.import_module(module), name)
    ]
    assert not missing, f"`__all__` promises what is not there: {missing}."


if __name__ == "__main__":
    with atomic_write(LIST, "w") as file:
        file.write(json.dumps(public_names(), indent=2) + "\n")
