"""What a server means by refusing a request: this prompt, an argument by another name, all, or not yet."""

from __future__ import annotations

import re
from enum import Enum, auto

_LONG = re.compile(
    r"context.{0,20}(length|window|size|exceed)|exceed.{0,30}context|maximum.{0,20}(length|tokens|context)"
    r"|(prompt|input|request|sequence).{0,40}(too (long|large)|exceed)|too many tokens|string_above_max_length"
    r"|inputs.{0,40}must (be|have) (less|<)"
    r"|max_tokens must be at least 1, got",  # vLLM, of a prompt that leaves no room; nobody here asks for 0
    re.IGNORECASE | re.DOTALL,
)
_FILTERED = re.compile(r"content[_ ]?(filter|management|policy)|responsible ?ai", re.IGNORECASE)
_LOADING = re.compile(r"loading.{0,20}model|model.{0,60}(is|still|currently) (being )?load", re.IGNORECASE)
_RENAMED = re.compile(r"max_tokens.{0,120}max_completion_tokens", re.DOTALL)


class Refusal(Enum):
    """PROMPT: of this prompt (too long, or filtered). RENAMED: max_tokens is max_completion_tokens here. NEVER: no
    request of this engine will be met. REQUEST: this one is not, for a reason of its own."""

    PROMPT = auto()
    RENAMED = auto()
    NEVER = auto()
    REQUEST = auto()


def loading(status: int, text: str) -> bool:
    """Whether a server says that it is well, and its model not there yet (llama.cpp's "Loading model")."""
    return status == 503 and _LOADING.search(text) is not None


def refusal(status: int, text: str) -> Refusal:
    """What a status of 3xx or 4xx and the words with it mean."""
    if status in (400, 403, 413, 422) and (_LONG.search(text) or _FILTERED.search(text)):
        return Refusal.PROMPT
    if status in (400, 422) and _RENAMED.search(text):
        return Refusal.RENAMED
    return Refusal.REQUEST if status in (400, 409, 413, 422) else Refusal.NEVER
