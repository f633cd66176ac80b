"""Typed access to a ``config.json``; every complaint names the model and the field."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, Self

from scalinglab.errors import SpecError
from scalinglab.specs.family import Family


class Fields:
    """The fields of one config under our names, with those of its class where the config leaves them out."""

    def __init__(self, config: Mapping[str, Any], family: Family, name: str) -> None:
        self.name, self.family = name, family
        ours = {field: value for field, value in config.items() if field not in family.renames}
        theirs = {family.renames[field]: value for field, value in config.items() if field in family.renames}
        self.written = {family.renames.get(field, field): field for field in config}
        # A null field is an answer ("no window"); only an absent one takes the family's default.
        merged = {**family.defaults, **ours, **theirs}
        self.values = {field: value for field, value in merged.items() if value is not None}

    def within(self, own: Mapping[str, Any]) -> Self:
        """The same fields as one layer sees them, which has some of its own."""
        seen = copy(self)
        seen.values = {**self.values, **own}
        return seen

    def count(self, field: str, default: int | None = None, *, least: int = 1) -> int:
        value = self.values.get(field, default)
        field = self.written.get(field, field)
        if value is None:
            raise SpecError(f"{self.name}: config has no {field!r}", "a whole number", f"add {field}")
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole or value < least:
            raise SpecError(f"{self.name}: {field} is {value!r}", f"a whole number >= {least}", f"mend {field}")
        return int(value)

    def flag(self, field: str, default: bool = False) -> bool:
        value = self.values.get(field, default)
        if not isinstance(value, bool):
            field = self.written.get(field, field)
            raise SpecError(f"{self.name}: {field} is {value!r}", "true or false", f"mend {field}")
        return value

    def numbers(self, field: str, length: int | None = None) -> list[int] | None:
        """A list of whole numbers, one for each of ``length`` layers where that is given; None where absent."""
        value = self.values.get(field)
        if value is None:
            return None
        right = isinstance(value, list) and all(type(item) in (int, bool) for item in value)
        if not right or length not in (None, len(value)):
            each = "" if length is None else f"{length} "
            raise self.inconsistent(f"{field} is {value!r:.80}", f"a list of {each}whole numbers", field)
        return [int(item) for item in value]

    def words(self, field: str, length: int | None, allowed: tuple[str, ...]) -> list[str] | None:
        """A list of ``allowed`` words, one for each of ``length`` layers; None where absent."""
        value = self.values.get(field)
        if value is None:
            return None
        right = isinstance(value, list) and value and all(item in allowed for item in value)
        if not right or length not in (None, len(value)):
            each = "" if length is None else f"{length} of "
            raise self.inconsistent(f"{field} is {value!r:.80}", each + " or ".join(allowed), field)
        return list(value)

    def has(self, field: str) -> bool:
        return self.values.get(field) is not None

    def inconsistent(self, problem: str, allowed: str, field: str) -> SpecError:
        return SpecError(f"{self.name}: {problem}", allowed, f"mend {self.written.get(field, field)}")
