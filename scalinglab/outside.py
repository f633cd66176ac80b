"""What a study names as "module:attribute": strategies, verifiers and graders from outside the package."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from scalinglab.errors import DataError


def imported(name: str, what: str) -> Any:
    """The object behind "module:attribute". what: a strategy, a verifier or a grader. Raises DataError."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:  # a module may raise what it likes
        reason = " ".join(str(error).split())
        raise DataError(
            f"{what} {name!r} cannot be imported ({reason})", "module:attribute", "put the module on PYTHONPATH"
        ) from error
