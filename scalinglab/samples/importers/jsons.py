"""JSON that nobody vouches for: read whole or refused in a line, and looked into without trusting its shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalinglab.errors import DataError


def loaded(content: bytes, where: object) -> Any:
    """What JSON says, bare NaN as a float. Raises DataError that names where it stood."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{where} is no JSON ({reason})", "a whole file; is it cut off?", "check it") from error


def loaded_file(path: Path) -> Any:
    """What a JSON file says. Raises DataError where it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})", "a readable file", "check it") from error
    return loaded(content, path)


def loaded_lines(path: Path) -> list[Mapping[str, Any]]:
    """The objects of a JSONL file, a line each. Raises DataError that names the line that is none."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})", "a readable file", "check it") from error
    found = [(loaded(line, f"{path} line {at}"), at) for at, line in enumerate(lines, start=1) if line.strip()]
    for one, at in found:
        if not isinstance(one, Mapping):
            raise DataError(f"{path} line {at} is no object", "a record a line", "check the file")
    return [one for one, _ in found]


def inner(value: Any, *names: str) -> Any:
    """What stands under names within names; None where nothing does."""
    for name in names:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def mapping(value: Any, *names: str) -> Mapping[str, Any]:
    """The object under names; an empty one where there is none."""
    found = inner(value, *names)
    return found if isinstance(found, Mapping) else {}


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; none where it is no list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """A text that says something; None otherwise."""
    return value if isinstance(value, str) and value else None


def whole(value: Any) -> int | None:
    """A whole number >= 0; None otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return None
    return int(value) if 0 <= value < 2**63 and value % 1 == 0 else None


def cut(value: Any, most: int = 60) -> str:
    """How a message shows a value: on one line, and not too long."""
    shown = " ".join((value if isinstance(value, str) else json.dumps(value, default=str)).split())
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."
