"""Log-probabilities and rewards, as servers write them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scalinglab.collect.http.answers import UnsoundError
from scalinglab.errors import DeadEngineError


def scores_of(
    document: Mapping[str, Any], tokens: Sequence[str], ids: Sequence[int], *, model: str, most: int
) -> tuple[float, ...]:
    """Of each token: by its number, as vLLM names it when asked to, or by its text. Raises DeadEngineError."""
    top = document["choices"][0]["logprobs"]["top_logprobs"][0]
    numbers = [f"token_id:{number}" for number in ids] or tokens
    return tuple(_score(top, names, model, most) for names in zip(numbers, tokens, strict=True))


def rewards_of(document: Mapping[str, Any]) -> tuple[tuple[float, ...], ...]:
    """A row a step, or one in all, of a value a label. Raises UnsoundError where there is none."""
    rows = document["data"][0]["data"]
    rows = rows if rows and isinstance(rows[0], list) else [rows]
    if not all(rows):
        raise UnsoundError(f"rewards {rows!r}")
    return tuple(tuple(map(_number, row)) for row in rows)


def _number(value: Any) -> float:
    if not math.isfinite(value):
        raise UnsoundError(f"a reward of {value}", lie=True)
    return float(value)


def _score(top: Mapping[str, float], names: Sequence[str], model: str, most: int) -> float:
    for name in names:
        if name in top:
            if math.isnan(top[name]):
                raise UnsoundError(f"a log-probability that is none for {name!r}", lie=True)
            return float(top[name])
    raise DeadEngineError(
        f"the server of {model} gives no log-probability of {names[-1]!r}",
        f"it for any token (vLLM's logprob_token_ids), or {names[-1]!r} among the {most} likeliest",
        "update the server, or check that this model is a verifier with such a token",
    )
