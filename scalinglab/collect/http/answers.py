"""What a server answered, made a completion or refused: nothing that cannot be true becomes a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalinglab.collect.protocol import REFUSED
from scalinglab.collect.thoughts import TAGS

_FINISHED = ("stop", "end_turn", "eos", "end", "eos_token", "stop_sequence", "completed")
_CUT = ("length", "max_tokens", "max_output_tokens")
_REFUSING = ("content_filter", "refusal", "safety", "prohibited_content")
_FAILED = ("abort", "error", "cancelled")


class UnsoundError(Exception):
    """An answer that is none. ``lie``: what it says cannot be, and would not be another time."""

    def __init__(self, reason: str, *, lie: bool = False) -> None:
        super().__init__(reason)
        self.lie = lie


@dataclass(frozen=True)
class Usage:
    """Tokens as the server counted them; None where it did not say."""

    prompt: int
    generated: int
    cached: int | None
    thinking: int | None


@dataclass(frozen=True)
class Said:
    """One choice of an answer.

    finish: stop, length or refused; unknown: its own word, where we do not know it. ending: the stop string that
    ended the text; "": none did; None: not told.
    """

    text: str
    thinking: str
    finish: str
    unknown: str | None = None
    ending: str | None = None


def checked(document: Any) -> Mapping[str, Any]:
    """The document, if it is one and no error. Raises UnsoundError, quoting it."""
    if not isinstance(document, dict):
        raise UnsoundError(f"an answer that is no JSON object: {document!r}")
    if error := document.get("error"):
        message = error.get("message", error) if isinstance(error, dict) else error
        raise UnsoundError(f"an error under status 200: {message}")
    return document


def usage_of(document: Mapping[str, Any]) -> Usage:
    """The tokens of an answer.

    Servers count thoughts within completion_tokens; where they do not, total_tokens says so (Gemini's, through
    proxies). Raises UnsoundError where there are none, or they cannot be.
    """
    usage = document.get("usage")
    if not isinstance(usage, dict) or usage.get("prompt_tokens") is None:
        raise UnsoundError("an answer without usage: nobody can count its tokens")
    prompt, generated = (_count(usage, key) or 0 for key in ("prompt_tokens", "completion_tokens"))
    thinking, total = _thinking(usage), _count(usage, "total_tokens")
    if total is not None and total != prompt + generated:
        if thinking is None or total != prompt + generated + thinking:
            raise UnsoundError(
                f"usage: total_tokens {total} for {prompt} prompt and {generated} completion tokens", lie=True
            )
        generated += thinking
    cached = _cached(document, usage)
    for part, some, name, whole in (("cached", cached, "prompt", prompt), ("thinking", thinking, "", generated)):
        if some is not None and some > whole:
            of = f"a prompt of {whole}" if name else f"an answer of {whole}"
            raise UnsoundError(f"usage: {some} {part} tokens in {of}", lie=True)
    if prompt == 0:
        raise UnsoundError("usage: 0 prompt tokens for a prompt", lie=True)
    return Usage(prompt, generated, cached, thinking)


def completion_of(document: Mapping[str, Any]) -> Said:
    """The one choice of a completion. Raises UnsoundError."""
    choice = _choice(document)
    text = choice.get("text")
    if not isinstance(text, str):
        raise UnsoundError(f"a completion without text: {choice!r}")
    return Said(text, "", *_finish(choice), ending=_ending(choice))


def chat_of(document: Mapping[str, Any], usage: Usage) -> Said:
    """The one message of a chat answer, its thoughts apart.

    A cut answer of which nobody says that its thoughts have ended is taken for a thought: it may name an answer
    that the model would have given up. Raises UnsoundError.
    """
    choice = _choice(document)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise UnsoundError(f"a chat answer without a message: {choice!r}")
    thinking, text = _parts(message.get("content"))
    thinking = next((message[k] for k in ("reasoning_content", "reasoning") if _text(message.get(k))), thinking)
    finish, unknown = _finish(choice)
    if _text(message.get("refusal")) and not text:
        finish = REFUSED
    if finish == "length" and not thinking and usage.thinking is None and not any(c in text for _, c in TAGS):
        thinking, text = text, ""
    return Said(text, thinking, finish, unknown, _ending(choice))


def _choice(document: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise UnsoundError(f"an answer without choices: {document!r}")
    if len(choices) > 1:
        raise UnsoundError(f"{len(choices)} choices where one was asked for: nobody says what one cost", lie=True)
    return choices[0]


def _finish(choice: Mapping[str, Any]) -> tuple[str, str | None]:
    """The finish reason in our words; and in the server's, where we do not know it: then the text is complete."""
    reason = choice.get("finish_reason")
    if reason in _FAILED:
        raise UnsoundError(f"an answer that ended with {reason!r}")
    words = {"stop": _FINISHED, "length": _CUT, REFUSED: _REFUSING}
    ours = next((word for word, theirs in words.items() if reason in theirs), None)
    return ("stop", str(reason)) if ours is None else (ours, None)


def _ending(choice: Mapping[str, Any]) -> str | None:
    """The stop string that ended a text, as vLLM and SGLang tell it: "" where an end token did; None: not told."""
    for key in ("stop_reason", "matched_stop"):
        if key in choice:
            return choice[key] if isinstance(choice[key], str) else ""
    return None


def _parts(content: Any) -> tuple[str, str]:
    """Thoughts and answer of a message's content: a text, or a list of parts, or nothing."""
    if isinstance(content, str) or content is None:
        return "", content or ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise UnsoundError(f"a message whose content is {content!r}")
    return tuple("".join(_inner(part.get(kind)) for part in content) for kind in ("thinking", "text"))  # type: ignore[return-value]


def _inner(value: Any) -> str:
    if isinstance(value, list):
        return "".join(_inner(one.get("text")) for one in value if isinstance(one, dict))
    return value if isinstance(value, str) else ""


def _text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _thinking(usage: Mapping[str, Any]) -> int | None:
    """As OpenAI says it; or as SGLang does beside it, where 0 is what it says without a parser of thoughts too."""
    details = usage.get("completion_tokens_details")
    inner = _count(details, "reasoning_tokens") if isinstance(details, dict) else None
    return (_count(usage, "reasoning_tokens") or None) if inner is None else inner


def _cached(document: Mapping[str, Any], usage: Mapping[str, Any]) -> int | None:
    """As OpenAI and most others say it, DeepSeek, or llama.cpp beside the usage."""
    places: Sequence[tuple[Any, str]] = (
        (usage.get("prompt_tokens_details"), "cached_tokens"),
        (usage, "prompt_cache_hit_tokens"),
        (document.get("timings"), "cache_n"),
    )
    found = (_count(place, key) for place, key in places if isinstance(place, dict))
    return next((count for count in found if count is not None), None)


def _count(place: Mapping[str, Any], key: str) -> int | None:
    value = place.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UnsoundError(f"usage: {key} {value!r}", lie=True)
    return value
