"""Copies of medkd's own modules that a bundle carries where MONAI has no such transform."""

from __future__ import annotations

import ast
import inspect
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import medkd
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["BundleScripts"]

_PACKAGE = "scripts"  # the one name that MONAI Label looks for
_OWN = "medkd"


class BundleScripts:
    """The scripts of one bundle: what was asked for, and what that imports.

    A module is copied as it is, so the bundle computes what the run computed; only its imports of
    medkd become imports of the other copies. A module must be alone: what it imports of medkd is
    copied with it.

    Example:
        >>> scripts = BundleScripts()
        >>> scripts.add("medkd.data.RestoreGeometryd")
        'scripts.restore_geometry.RestoreGeometryd'
        >>> sorted(scripts.texts)
        ['__init__.py', 'errors.py', 'grid_resampling.py', 'restore_geometry.py']
    """

    def __init__(self) -> None:
        self._modules: dict[str, ModuleType] = {}

    def add(self, target: str) -> str:
        """Copy the module of a class.

        Args:
            target: the class as a bundle names it, ``medkd.data.RestoreGeometryd``.

        Returns:
            The name of its copy.

        Raises:
            ValueError: if there is no such class.
        """
        room, _, name = target.rpartition(".")
        found = getattr(import_module(room), name, None)
        if found is None:
            raise InvalidValueError(
                f"Expected `_target_` to be a class of medkd, but got {target}."
            )
        module = sys.modules[found.__module__]
        self._add_module(module)
        return f"{_PACKAGE}.{_file_name(module)}.{name}"

    @property
    def texts(self) -> dict[str, str]:
        """File name in ``scripts/`` to its text; empty if nothing was added."""
        if not self._modules:
            return {}
        header = (
            f"# From medkd {medkd.__version__}, Apache-2.0, so that the bundle needs MONAI alone.\n"
        )
        texts = {
            f"{name}.py": header + _renamed(inspect.getsource(module))
            for name, module in self._modules.items()
        }
        about = '"""What this bundle computes and MONAI does not."""\n'
        return {"__init__.py": header + about, **texts}

    def _add_module(self, module: ModuleType) -> None:
        name = _file_name(module)
        if self._modules.setdefault(name, module) is not module:
            raise InvalidValueError(
                f"Expected modules of different names, but {module.__name__} and "
                f"{self._modules[name].__name__} would both be {name}.py."
            )
        for imported in _own_imports(inspect.getsource(module)):
            other = import_module(imported.module or "")
            if _file_name(other) not in self._modules:
                self._add_module(other)


def _own_imports(source: str) -> list[ast.ImportFrom]:
    return [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{_OWN}.")
    ]


def _renamed(source: str) -> str:
    """The source with its imports of medkd as imports of the copies."""
    lines = source.splitlines(keepends=True)
    for node in _own_imports(source):
        line = lines[node.lineno - 1]
        copied = f"from {_PACKAGE}.{str(node.module).rpartition('.')[2]} import"
        lines[node.lineno - 1] = line.replace(f"from {node.module} import", copied)
    return "".join(lines)


def _file_name(module: ModuleType) -> str:
    return Path(str(module.__file__)).stem
