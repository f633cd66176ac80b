"""A document that somebody wrote, TOML or JSON, read key by key: what is wrong is refused by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, Self

from scalinglab.errors import DataError

Way = tuple[str | int, ...]
"""To a value in a document: names of tables and keys, and numbers in lists, from 0."""
_NONE: Any = object()


class Table:
    """A table of a TOML or JSON file, read key by key; ``close`` refuses what nobody read.

    way: to it, from the top of the file. line: the line on which what a way leads to stands, where that is known.
    Each method raises DataError in three parts that name the file, the line and the key, where it is not as the
    method says, or is not there and has no default.
    """

    def __init__(
        self,
        file: str,
        values: Mapping[str, Any],
        *,
        way: Way = (),
        line: Callable[[Way], int | None] = lambda _: None,
    ) -> None:
        self.file, self.values, self.way, self.line = file, values, way, line
        self._read: set[str] = set()

    def at(self, *keys: str | int) -> str:
        """The file, and the line where what the keys lead to stands, or would."""
        line = self.line((*self.way, *keys))
        return self.file if line is None else f"{self.file}:{line}"

    def path(self, *keys: str | int) -> str:
        """The way to what the keys lead to, in words."""
        return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in (*self.way, *keys))[1:]

    def wrong(self, key: str, value: object, allowed: str) -> DataError:
        """The error that a key has a value it cannot have."""
        return DataError(f"{self.at(key)}: {self.path(key)} is {value!r:.80}", allowed, f"mend {key}")

    def take(self, key: str, good: Callable[[Any], bool], allowed: str, default: Any = _NONE) -> Any:
        """A value that is as allowed, or the default where the key is not there."""
        self._read.add(key)
        if key not in self.values:
            if default is _NONE:
                raise DataError(f"{self.at(key)}: no {self.path(key)}", allowed, f"add {key}")
            return default
        if not good(self.values[key]):
            raise self.wrong(key, self.values[key], allowed)
        return self.values[key]

    def close(self, *, also: Sequence[str] = ()) -> None:
        """Raises DataError where a key is left that nobody read."""
        known = {*self._read, *also}
        unknown = [key for key in self.values if key not in known]
        if unknown:
            raise DataError(
                f"{self.at(unknown[0])}: {self.path(unknown[0])} is no key",
                f"one of {', '.join(sorted(known)) or 'none'}",
                f"mend or drop {unknown[0]}",
            )

    def text(self, key: str, default: Any = _NONE) -> Any:
        return self.take(key, lambda v: isinstance(v, str) and v != "", "a text", default)

    def texts(self, key: str, default: Any = _NONE) -> Any:
        return self.take(key, _list_of(lambda v: isinstance(v, str) and v != ""), "a list of texts", default)

    def number(
        self, key: str, default: Any = _NONE, *, least: int = 1, most: int | None = None, word: str | None = None
    ) -> Any:
        whole, some = (
            _whole(least, most),
            f"a whole number >= {least}{'' if most is None else f', at most {most:,}'}",
        )
        if word is None:
            return self.take(key, whole, some, default)
        return self.take(key, lambda v: v == word or whole(v), f'{some}, or "{word}"', default)

    def numbers(self, key: str, default: Any = _NONE, *, least: int = 1) -> tuple[int, ...]:
        return tuple(self.take(key, _list_of(_whole(least)), f"a list of whole numbers >= {least}", default))

    def real(self, key: str, default: Any = _NONE) -> Any:
        return self.take(key, lambda v: type(v) in (int, float) and 0 <= v < inf, "a number >= 0", default)

    def flag(self, key: str, default: bool) -> bool:
        return bool(self.take(key, lambda v: isinstance(v, bool), "true or false", default))

    def choice(self, key: str, allowed: Sequence[str], default: Any = _NONE) -> Any:
        some = f"one of {', '.join(allowed) or 'none: there are none'}"
        return self.take(key, lambda v: isinstance(v, str) and v in allowed, some, default)

    def each(self, key: str, allowed: Sequence[str], default: tuple[str, ...]) -> Sequence[str]:
        """A list of some of the allowed names; the default must be among them too."""
        some = f"a list of some of {', '.join(allowed)}"
        chosen: Sequence[str] = self.take(key, _list_of(lambda v: v in allowed), some, default)
        if not set(chosen) <= set(allowed):
            raise DataError(f"{self.at(key)}: no {self.path(key)}, and no model {chosen[0]}", some, f"add {key}")
        return chosen

    def table(self, key: str, default: Any = _NONE) -> Self:
        values = self.take(key, lambda v: isinstance(v, dict), "a table", default)
        return self._within(values, key)

    def tables(self, key: str, *, least: int = 1) -> list[Self]:
        """A list of tables, so many of them at least."""
        values = self.take(
            key,
            lambda v: isinstance(v, list) and len(v) >= least and all(isinstance(one, dict) for one in v),
            f"tables [[{key}]]",
        )
        return [self._within(one, key, i) for i, one in enumerate(values)]

    def _within(self, values: Mapping[str, Any], *keys: str | int) -> Self:
        return type(self)(self.file, values, way=(*self.way, *keys), line=self.line)


def _whole(least: int, most: int | None = None) -> Callable[[Any], bool]:
    """Whole numbers that a store can hold, too."""
    return lambda value: type(value) is int and least <= value <= (2**63 - 1 if most is None else most)


def _list_of(good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(good(one) for one in value)
