"""Packages that import what they name when it is first asked for: a verb loads no more than it uses."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from inspect import getsource
from types import ModuleType


def lazy(package: str) -> None:
    """Let a package's names, imported in its ``if TYPE_CHECKING:`` for type checkers, come when asked for."""
    sys.modules[package].__class__ = _Package


class _Package(ModuleType):
    """Finds a name in its home when it is asked for (PEP 562); a module never hides the function of its name."""

    def __getattr__(self, name: str) -> object:
        home = None if name.startswith("__") else _homes(self).get(name)
        if home is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        inner = home == self.__name__  # a package of this one
        found = import_module(f"{home}.{name}") if inner else getattr(import_module(home), name)
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_homes(self)})

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, ModuleType) and _homes(self).get(name) == value.__name__:
            value = getattr(value, name)
        super().__setattr__(name, value)


@cache
def _homes(package: ModuleType) -> Mapping[str, str]:
    """The module of each name that the package imports for type checkers."""
    return dict(_named(ast.parse(getsource(package))))


def _named(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for block in (node for node in tree.body if isinstance(node, ast.If)):
        for node in (node for node in block.body if isinstance(node, ast.ImportFrom)):
            yield from ((alias.name, str(node.module)) for alias in node.names)
