"""Benchmarks from JSONL files: a problem a line, its question, answer and perhaps its id under named fields."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.errors import DataError
from scalinglab.tasks.text import extract


@dataclass(frozen=True)
class Format:
    """Where a line holds what.

    question, answer, id: names of its fields; without ``id``, a problem is named by its line number.
    places: where within the answer field the answer stands (``text.PLACES``); none: it is the whole field.
    """

    question: str
    answer: str
    id: str | None = None
    places: Sequence[str] = ()


FORMATS: Mapping[str, Format] = {
    "gsm8k": Format("question", "answer", places=("hash",)),
    "math": Format("problem", "answer", "unique_id"),
}
"""gsm8k: openai/grade-school-math, a worked solution whose last line is "#### 18" (Cobbe et al. 2021).
math: MATH-500, as in Lightman et al. 2023, the answer in LaTeX by itself (MATH: Hendrycks et al. 2021)."""


@dataclass(frozen=True)
class Item:
    """One problem as its file states it: name, question, and the final answer alone."""

    id: str
    question: str
    answer: str


def read_items(path: str | Path, form: Format) -> list[Item]:
    """The problems of a JSONL file in UTF-8, in order; empty lines are passed over.

    Numbers are read as they are written, 1.50 as "1.50". Raises DataError, with the file and the line, for a
    line that is no JSON object, lacks a field or repeats an id, and for a file that cannot be read or is empty.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} ({error.strerror})", "a JSONL file that can be read", "mend the path") from error
    items: dict[str, Item] = {}
    for where, line in _lines(path, raw):
        item = _item(where, line, form)
        if item.id in items:
            raise DataError(
                f"{where} repeats id {item.id!r}", "a different id on each line", "rename or drop one of the two"
            )
        items[item.id] = item
    if not items:
        raise DataError(f"{path} holds no line", "one JSON object a line", "give a file with problems")
    return list(items.values())


def _lines(path: Path, raw: bytes) -> Iterator[tuple[_Where, str]]:
    """The lines that hold anything. Only \\n ends one: str.splitlines would break at others within a string."""
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        where = _Where(path, number)
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as error:
            raise DataError(
                f"{where} is not UTF-8 ({error.reason})", "text in UTF-8", "convert the file"
            ) from error
        if text:
            yield where, text


@dataclass(frozen=True)
class _Where:
    path: Path
    number: int

    def __str__(self) -> str:
        return f"{self.path}, line {self.number}"


def _item(where: _Where, line: str, form: Format) -> Item:
    try:
        found = json.loads(line, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON ({error})", "one JSON object a line", "mend the line") from error
    if not isinstance(found, dict):
        raise DataError(f"{where} is {line!r:.40}", "a JSON object", "write it as {...}")
    question, answer = _text(where, found, form.question), _text(where, found, form.answer)
    final = extract(answer, form.places) if form.places else answer.strip()
    if final is None:
        raise DataError(
            f"{where} has no final answer in {form.answer!r} ({answer[-40:]!r})",
            f"one, marked as {' or '.join(form.places)}",
            "mend the line, or name another kind of file",
        )
    return Item(_text(where, found, form.id).strip() if form.id else str(where.number), question, final)


def _text(where: _Where, found: Mapping[str, Any], field: str) -> str:
    """A field that holds text, or a number, which the parser left as text."""
    if field not in found:
        raise DataError(
            f"{where} has no field {field!r}",
            f"it beside {', '.join(found) or 'nothing'}",
            "mend the line or fields",
        )
    value = found[field]
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where} has {field} {value!r:.40}", "text or a number", "mend the line")
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can spell and nothing can store
        raise DataError(
            f"{where} has {field} {value!a:.40}", "text that UTF-8 can hold", "mend the line"
        ) from error
    return value
