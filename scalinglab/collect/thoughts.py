"""Thoughts and the answer after them, told apart in what a model wrote."""

from __future__ import annotations

TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
)
"""What opens and closes a thought: of DeepSeek R1, Qwen 3 and most others; some prompts; Magistral; Seed-OSS."""


def split(text: str, opened: bool = False) -> tuple[str, str]:
    """The thoughts in a text and the answer after them, tags left out; ("", text) where nobody thought.

    opened: the prompt has opened the tag, so that the text begins within the thought. A closing tag alone says so
    too; an opening one that is never closed, that all of it is thought.
    """
    found = [(text.index(close), opening, close) for opening, close in TAGS if close in text]
    if found:
        at, opening, close = min(found)
        return text[:at].lstrip().removeprefix(opening).strip(), text[at + len(close) :].lstrip()
    begun = next((opening for opening, _ in TAGS if text.lstrip().startswith(opening)), None)
    if begun is not None or opened:
        return text.lstrip().removeprefix(begun or "").strip(), ""
    return "", text


def opens(prompt: str) -> bool:
    """Whether a prompt ends by opening a thought, as the templates of thinking models do."""
    return prompt.rstrip().endswith(tuple(opening for opening, _ in TAGS))
