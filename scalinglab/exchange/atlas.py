"""Every pair of models in a body of evidence, each as it answered once: gain, cost, verdicts, and the unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import DRAWS, Floats
from scalinglab.errors import DataError
from scalinglab.evidence import Body
from scalinglab.exchange.matching import positive
from scalinglab.exchange.notes import unreported
from scalinglab.exchange.paired import PRETRAINING, TEST_TIME, pointwise
from scalinglab.exchange.pairs import SAME, Charges, Costs, Pair
from scalinglab.exchange.singles import Singles, singles
from scalinglab.exchange.unknown import FIELDS

_COLUMNS = 128
"""Pairs that are resampled together."""


@dataclass(frozen=True)
class Atlas:
    """A body of evidence as pairs of arms, in both directions.

    pairs: one row a pair: task, small, small_arm, large, large_arm, problems, small_accuracy, large_accuracy,
    gain with its 95 % interval over problems (low, high), n_ratio (active parameters, large over small),
    flops_ratio (inference FLOPs a query, small over large), small_d, large_d (training tokens), basis (LIFETIME,
    SUNK or SAME), affordable (where the small arm costs no more over the lifetime: always, never, "up to" or
    "from" affordable_r; "" where D is unknown), affordable_r, uncharged (what nobody is charged).
    verdicts: one row a pair and R or number of queries, of one model a single one: those names, R, queries, share
    (of queries that the arm can be run for, the others being answered by the model's cheapest arm), difference
    (low, high) of that mixture, verdict, basis, and where lifetimes would cost the same in what is unknown (see
    ``breakeven_unknown``); flips: whether the verdict would change there.
    left_out: models in no pair, and why. notes: what all of it rests on.
    """

    task: str
    convention: str
    pairs: pd.DataFrame
    verdicts: pd.DataFrame
    left_out: Mapping[str, str]
    notes: tuple[str, ...]


def atlas(body: Body, charges: Charges, *, draws: int = DRAWS, seed: int = 0) -> Atlas:
    """Every pair of models that can be priced, as both sides. draws: resamples of the problems, one set for all.

    A verdict is what ``compare`` says of the same arm; where only a part of the queries can have it, of the
    mixture with the model's cheapest answer. Raises DataError for R or queries that are none.
    """
    r = [positive(at, "R") for at in charges.r]
    charges = replace(charges, r=r, queries=[positive(at, "queries") for at in charges.queries])
    parts, left = singles(body, charges.rule, seed=seed)
    task = body.evidence.task() or body.title or Path(body.evidence.source).stem
    pairs, verdicts = [], []
    for part in parts:
        made = list(Costs(body.evidence, charges).pairs(part))
        told = _compared(part, made, draws, seed)
        for pair, (gain, at) in zip(made, told, strict=True):
            names = {"task": task} | pair.names(part)
            pairs.append(names | pair.row(part, gain, body))
            verdicts += [names | row for row in pair.verdicts(part, gain, at)]
    if not pairs:
        raise DataError(
            f"no pair of priced models in {body.evidence.source}",
            "two models that share problems, with specs",
            "give them: --spec MODEL=7e9@2e12",
        )
    numbers = ("R", "queries", "difference", "low", "high", *FIELDS)
    frames = _nominal(pd.DataFrame(pairs), body), pd.DataFrame(verdicts).astype(dict.fromkeys(numbers, float))
    return Atlas(task, charges.rule.name, *frames, left, tuple(_notes(body, charges, frames[0])))


def _compared(
    part: Singles, pairs: Sequence[Pair], draws: int, seed: int
) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Of each pair its gain, and the difference at each point: one resampling of the problems for all."""
    keys = list(dict.fromkeys(_key(pair, at) for pair in pairs for at in (1.0, *(p.share for p in pair.points))))
    told: dict[tuple[int, int, int, float], dict[str, Any]] = {}
    for start in range(0, len(keys), _COLUMNS):
        some = keys[start : start + _COLUMNS]
        told |= zip(some, _resampled(part, some, draws, seed), strict=True)
    for pair in pairs:  # of one model the two directions are one comparison, which no end of an interval may part
        if pair.basis == SAME and pair.flops_ratio < 1:
            told[_key(pair, 1.0)] = _turned(told[pair.j, pair.i, pair.j, 1.0])
    return [(told[_key(pair, 1.0)], [told[_key(pair, point.share)] for point in pair.points]) for pair in pairs]


def _turned(found: dict[str, Any]) -> dict[str, Any]:
    """A comparison from the other side."""
    ends = {} if found.get("low") is None else {"low": -found["high"], "high": -found["low"]}
    verdict = {TEST_TIME: PRETRAINING, PRETRAINING: TEST_TIME}.get(found["verdict"], found["verdict"])
    return found | ends | {
        "small": found["large"], "large": found["small"], "difference": -found["difference"], "verdict": verdict,
    }  # fmt: skip


def _key(pair: Pair, share: float) -> tuple[int, int, int, float]:
    """What a mixture is made of: the cheapest arm does not matter to the whole."""
    return pair.i, pair.j, pair.i if share == 1 else pair.other, share


def _resampled(
    part: Singles, keys: Sequence[tuple[int, int, int, float]], draws: int, seed: int
) -> list[dict[str, Any]]:
    right = part.small.accuracy
    small = np.column_stack([share * right[:, i] + (1 - share) * right[:, k] for i, _, k, share in keys])
    large = np.column_stack([right[:, j] for _, j, _, _ in keys])
    fewest: Floats = np.array([min(part.fewest(at) for at in (i, j, k)) for i, j, k, _ in keys], dtype=np.float64)
    return pointwise(small, large, fewest, np.zeros(len(keys)), problems=len(right), seed=seed, draws=draws)


def _nominal(pairs: pd.DataFrame, body: Body) -> pd.DataFrame:
    """Without what depends on an N that is only a name."""
    named = pairs["small"].isin(body.nominal) | pairs["large"].isin(body.nominal)
    return pairs.assign(**{name: pairs[name].mask(named) for name in ("small_d", "large_d")})


def _notes(body: Body, charges: Charges, pairs: pd.DataFrame) -> Iterator[str]:
    evidence = body.evidence
    used = sorted({*pairs["small"], *pairs["large"]})
    told = f"{body.title}: {body.source}; {body.licence}" if body.title else evidence.source
    yield f"evidence: {told}"
    yield f"convention: {charges.rule}"
    silent = [name for name in used if not evidence.recorded(name)]
    if silent:
        yield f"tokens of {', '.join(silent)} not recorded: answers taken to be equally long"
    yield from unreported(evidence, used)
    yield "each interval stands alone: 95 %, paired bootstrap over problems; of many pairs some decide by chance"
    yield (
        "share: of queries for which the small arm can be paid at equal lifetime FLOPs, the others being answered "
        "by the model's cheapest arm; outside: the arm costs less than it may and does not win, and nothing "
        "dearer is measured; cannot pay: its cheapest answer costs more"
    )
    unknown = [name for name in used if evidence.spec(name).training_tokens is None and name not in body.nominal]
    if unknown and not charges.sunk:
        yield f"D of {', '.join(unknown)} unknown: their pairs are sunk, nobody pays pretraining"
    if charges.sunk:
        yield "sunk: nobody pays pretraining"
    if body.nominal:
        yield f"size of {', '.join(body.nominal)} unknown: only what is free of N is said"
    known = {name: value for name, value in (charges.posttraining or {}).items() if name in used}
    if known:
        listed = ", ".join(f"{name} {value:.3g} FLOPs" for name, value in known.items())
        yield f"post-training charged: {listed}; where D of the small side is unknown, at numbers of queries alone"
    free = [name for name in used if name not in known]
    if free:
        yield f"post-training of {len(free)} models unknown and charged to nobody (--posttraining MODEL=FLOPS)"
    if body.perfect:
        yield "answers can be checked: what a perfect verifier picks can be had, and checking costs nothing"
