"""The accounting rules by name, and any of their axes set on top of one. One FLOP is one multiply or one add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from scalinglab.errors import SpecError

AXES: dict[str, tuple[object, ...]] = {
    "parameters": ("total", "non-embedding", "matmul"),
    "attention": ("none", "causal", "full"),
    "latent": ("expanded", "decode", "absorbed"),
    "head": ("all", "needed"),
    "prompts": ("free", "once", "per-sample"),
    "reuse": ("none", "ideal", "measured"),
    "verifier": ("nobody", "small", "both"),
    "difficulty": (False, True),
    "tuning": (False, True),
    "recompute": (False, True),
}


@dataclass(frozen=True)
class Convention:
    """One published way to count FLOPs: what is charged, and to whom. The default axes are the paper's.

    parameters: 2N a token with N total or non-embedding (active ones, for experts), or every matrix product
        ("matmul"). Under 2N each generated token is charged once; under "matmul" the prefill emits the first.
    attention: the query-key-value products and those of a recurrence (linear attention, Mamba): none, causal (only
        pairs the mask and window keep) or full (every pair, as an eager kernel computes before masking).
    latent: the form of latent attention (DeepSeek, Kimi), whose products attention counts: expanded (each key and
        value built once), absorbed (every head sees the latent vectors: no keys to build, but 2 to 4 times the
        products a pair), or as engines run it: expanded in a prefill, absorbed in each step of a decode.
    head: the LM head on all tokens or only where a logit is needed. Acts under "matmul"; 2N includes it.
    prompts: question tokens are free, paid once a problem, or paid by every sample.
    reuse: whether context a model has read or written before is read again at full price (none), free
        (ideal), or billed as the engine's cache measured (measured).
    verifier: nobody, the small model, or both models pay for verification.
    difficulty, tuning: whether estimating difficulty and training verifiers or revisers are charged.
    recompute: training repeats the forward pass in the backward pass (activation checkpointing).

    Two conventions are equal where all their axes are, whatever they are called.
    """

    name: str = field(compare=False)
    source: str = field(default="", compare=False)
    parameters: Literal["total", "non-embedding", "matmul"] = "total"
    attention: Literal["none", "causal", "full"] = "none"
    latent: Literal["expanded", "decode", "absorbed"] = "expanded"
    head: Literal["all", "needed"] = "all"
    prompts: Literal["free", "once", "per-sample"] = "free"
    reuse: Literal["none", "ideal", "measured"] = "ideal"
    verifier: Literal["nobody", "small", "both"] = "nobody"
    difficulty: bool = False
    tuning: bool = False
    recompute: bool = False

    def __post_init__(self) -> None:
        for axis, allowed in AXES.items():
            if getattr(self, axis) not in allowed:
                options = ", ".join(map(str, allowed))
                raise SpecError(f"convention axis {axis} is {getattr(self, axis)!r}", options, f"set {axis}")

    def __str__(self) -> str:
        axes = (f"{f.name}={getattr(self, f.name)}" for f in fields(self) if f.name in AXES)
        return f"{self.name} ({', '.join(axes)})"


_PRESETS = (
    Convention("paper", "Snell et al. 2024 (arXiv 2408.03314 v1), section 7: 6ND and 2ND, verifier free"),
    Convention("paper-verifier", "its camera-ready form: Y = 4 N D_inference for both models", verifier="both"),
    Convention("small-pays", "2N a token, and only the small model needs a verifier", verifier="small"),
    Convention(
        "kaplan",
        "Kaplan et al. 2020 (arXiv 2001.08361), section 2.1: 2N a token, N without embeddings",
        parameters="non-embedding",
        prompts="once",
    ),
    Convention(
        "exact",
        "every matrix product, causal attention, each prompt and prefix read once",
        parameters="matmul",
        attention="causal",
        head="needed",
        prompts="once",
        verifier="small",
        difficulty=True,
        tuning=True,
    ),
    Convention(
        "exact-measured",
        "every matrix product, causal attention, prefixes billed as the engine's cache measured",
        parameters="matmul",
        attention="causal",
        head="needed",
        prompts="per-sample",
        reuse="measured",
        verifier="small",
        difficulty=True,
        tuning=True,
    ),
)
CONVENTIONS: Mapping[str, Convention] = {convention.name: convention for convention in _PRESETS}


def convention(name: str) -> Convention:
    """The preset of that name, or with axes set on it as ``with_axes`` names it, such as ``paper+tuning``.

    Raises SpecError listing the names.
    """
    preset, plus, settings = name.partition("+")
    if preset not in CONVENTIONS:
        raise SpecError(f"convention {name!r}", f"one of {', '.join(CONVENTIONS)}", "choose a preset")
    return with_axes(CONVENTIONS[preset], settings.replace("+", ",")) if plus else CONVENTIONS[preset]


def with_axes(base: Convention, text: str) -> Convention:
    """``base`` with the axes that ``text`` sets, by commas, as in ``verifier=small,prompts=once,tuning``.

    An axis that is on or off is set by its name alone, and unset by ``no-`` before it. The result is called by
    what it changes, such as ``paper+tuning+difficulty``, and is ``base`` itself where that is nothing.
    Raises SpecError listing the axes for anything else.
    """
    settings: dict[str, Any] = {}
    for word in text.split(","):
        axis, value = _setting(word.strip())
        if axis in settings:
            raise SpecError(f"axis {axis} twice in {text!r}", "each axis once", "drop one")
        settings[axis] = value
    changed = {axis: value for axis, value in settings.items() if getattr(base, axis) != value}
    if not changed:
        return base
    name = "+".join([base.name, *(_word(axis, value) for axis, value in changed.items())])
    return replace(base, name=name, **changed)


def axes_over(base: Convention, rule: Convention) -> str:
    """The text that makes ``base`` into ``rule`` with ``with_axes``; empty where they are equal."""
    differ = (axis for axis in AXES if getattr(base, axis) != getattr(rule, axis))
    return ",".join(_word(axis, getattr(rule, axis)) for axis in differ)


def _word(axis: str, value: Any) -> str:
    return f"{axis}={value}" if isinstance(value, str) else axis if value else f"no-{axis}"


_WORDS: dict[str, tuple[str, Any]] = {
    _word(axis, value): (axis, value) for axis, allowed in AXES.items() for value in allowed
}


def _setting(word: str) -> tuple[str, Any]:
    if word in _WORDS:
        return _WORDS[word]
    axis = word.partition("=")[0].removeprefix("no-")
    allowed = [known for known, (on, _) in _WORDS.items() if on == axis] or list(_WORDS)
    raise SpecError(f"axis {word!r}", f"one of {', '.join(allowed)}", "choose from these, by commas")
