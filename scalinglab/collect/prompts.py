"""A prompt as its model's own tokenizer reads it: begun with the special tokens that it puts before every text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

_SAMPLES = ("0", "a", " ")
"""Texts of which a vocabulary, however small, knows one."""
_KNOWN = 2**16
"""Texts whose tokens are kept: samples of a prompt, and steps after a draft, ask for the same one again."""


class Prompts:
    """The tokens of prompts, and of texts that are none.

    A model that was trained with a token at the beginning of every text (BOS) reads another text without it.
    begins: those tokens, () where the tokenizer adds none. Where a prompt begins with the first of them, as those
    of chat templates do, it is left as it is. None is ever put at the end, where some tokenizers put one.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known = lru_cache(_KNOWN)(self._encoded)
        self.begins: tuple[int, ...] = _begins(self)

    @property
    def beginning(self) -> str:
        """``begins`` as text."""
        return "".join(self._tokenizer.convert_ids_to_tokens(list(self.begins)))

    def tokens(self, prompt: str) -> list[int]:
        """What the model reads."""
        written = self.written(prompt)
        return written if written[:1] == [*self.begins[:1]] else [*self.begins, *written]

    def written(self, text: str, *, special: bool = False) -> list[int]:
        """A text's tokens alone; with ``special``, and those that the tokenizer puts around it."""
        return list(self._known(text, special))

    def _encoded(self, text: str, special: bool) -> Sequence[int]:
        found: Sequence[int] = self._tokenizer.encode(text, add_special_tokens=special)
        return found


def thought_tokens(prompt: Sequence[int], written: Sequence[int], start: Sequence[int], end: Sequence[int]) -> int:
    """How many of the tokens ``written`` after a prompt are thoughts: those before the mark that ends them.

    start, end: the tokens of the marks. Without the end all of it is thought, where it was begun here or in the
    prompt; else nothing is.
    """
    if (at := _find(written, end)) is not None:
        return at
    opened = _find(written, start) is not None or _last(prompt, start) > _last(prompt, end)
    return len(written) if opened else 0


def _find(tokens: Sequence[int], mark: Sequence[int]) -> int | None:
    """Where a mark stands first."""
    places = (i for i in range(len(tokens) - len(mark) + 1) if list(tokens[i : i + len(mark)]) == list(mark))
    return next(places, None)


def _last(tokens: Sequence[int], mark: Sequence[int]) -> int:
    """Where a mark stands last; -1: nowhere."""
    behind = _find(list(reversed(tokens)), list(reversed(mark)))
    return -1 if behind is None else len(tokens) - behind - len(mark)


def _begins(prompts: Prompts) -> tuple[int, ...]:
    """What stands before a text's own tokens where the tokenizer adds special ones."""
    for sample in _SAMPLES:
        plain, whole = prompts.written(sample), prompts.written(sample, special=True)
        if plain and (start := _find(whole, plain)) is not None:
            return tuple(whole[:start])
    return ()
