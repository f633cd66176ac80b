"""Pairs of arms, what they cost over a lifetime, and for what share of the queries the small one can be paid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scalinglab.curves import BELOW, BOUND, CANNOT, MEASURED
from scalinglab.errors import SpecError
from scalinglab.evidence import Body, Evidence
from scalinglab.exchange.lifetime import Lifetime, lifetime, training_of
from scalinglab.exchange.matched import finished
from scalinglab.exchange.paired import PAPER_R
from scalinglab.exchange.singles import Singles
from scalinglab.exchange.unknown import FIELDS, Side, breakeven_unknown, per_token
from scalinglab.flops import Convention
from scalinglab.specs import ModelSpec

LIFETIME, SUNK, SAME = "lifetime", "sunk", "same model"
"""What a verdict rests on: training and inference; inference alone, as D is unknown or not paid; one model."""
_SLACK = 1e-9


@dataclass(frozen=True)
class Charges:
    """Under what pairs are compared. posttraining: FLOPs by model, in every lifetime; sunk: no pretraining is."""

    rule: Convention
    r: Sequence[float] = PAPER_R
    queries: Sequence[float] = ()
    posttraining: Mapping[str, float] | None = None
    sunk: bool = False


@dataclass(frozen=True)
class Point:
    """One verdict of a pair: R (None: queries are given), queries a lifetime, share of them, what stands there."""

    r: float | None
    queries: float
    share: float
    status: str
    unknown: dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """Two arms and what they cost. other: the cheapest arm of the small side's model."""

    i: int
    j: int
    other: int
    basis: str
    specs: tuple[ModelSpec, ModelSpec]
    flops_ratio: float
    affordable: tuple[str, float | None]
    points: tuple[Point, ...]

    def names(self, part: Singles) -> dict[str, str]:
        return {
            "small": part.models[self.i], "small_arm": part.names[self.i],
            "large": part.models[self.j], "large_arm": part.names[self.j],
        }  # fmt: skip

    def row(self, part: Singles, gain: dict[str, Any], body: Body) -> dict[str, Any]:
        small, large = self.specs
        of = dict.fromkeys((part.models[self.i], part.models[self.j]))
        free = "; ".join(f"{name}: {body.uncharged[name]}" for name in of if name in body.uncharged)
        return {
            "problems": len(part.small.problems), "small_accuracy": gain["small"],
            "large_accuracy": gain["large"], "gain": gain["difference"], "low": gain.get("low"),
            "high": gain.get("high"), "n_ratio": large.active / small.active, "flops_ratio": self.flops_ratio,
            "small_d": small.training_tokens, "large_d": large.training_tokens, "basis": self.basis,
            "affordable": self.affordable[0], "affordable_r": self.affordable[1], "uncharged": free,
        }  # fmt: skip

    def verdicts(
        self, part: Singles, gain: dict[str, Any], at: Sequence[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        large = part.large.accuracy[:, self.j]
        for point, found in zip(self.points, at, strict=True):
            nothing = point.status in (CANNOT, BELOW)
            told = finished({"status": point.status}, float(large.mean()), None if nothing else found)
            decided = bool(gain.get("low") is not None and gain["low"] > 0)
            yield {
                "R": point.r, "queries": point.queries if np.isfinite(point.queries) else None,
                "share": point.share, "difference": told["difference"], "low": told["low"], "high": told["high"],
                "verdict": told["verdict"], "basis": self.basis, **point.unknown,
                "flips": decided and bool(point.unknown["unknown"]),
            }  # fmt: skip


class Costs:
    """The pairs of a part with what they cost: lifetimes are worked out once a pair of models."""

    def __init__(self, evidence: Evidence, charges: Charges) -> None:
        self.evidence, self.charges = evidence, charges
        self.lives: dict[tuple[str, str], tuple[Lifetime | None, str]] = {}
        self.written: dict[str, float] = {}

    def pairs(self, part: Singles) -> Iterator[Pair]:
        for i, j in part.pairs:
            a, b = part.models[i], part.models[j]
            spent, against = float(part.spent[i]), part.against(i, j)
            life, basis = self.life(a, b)
            other = part.cheapest(a)
            trained = self.trained(part, i, j, life)
            points = tuple(self.points(a, b, trained, spent, against, float(part.spent[other]), life))
            affordable: tuple[str, float | None] = ("", None)
            if basis == LIFETIME and life is not None:
                affordable = _affordable(trained[1] - trained[0], against - spent, life.queries_per_r)
            specs = self.evidence.spec(a), self.evidence.spec(b)
            yield Pair(i, j, other, basis, specs, spent / against, affordable, points)

    def life(self, a: str, b: str) -> tuple[Lifetime | None, str]:
        """The lifetime of two models, and what it rests on; None of one model, whose training cancels."""
        if a == b:
            return None, SAME
        if (a, b) not in self.lives:
            pair = replace(self.evidence, small=a, large=b)
            if a not in self.written:
                self.written[a] = pair.written()
            given, sunk = (self.charges.rule, self.written[a]), self.charges.sunk
            try:
                found = lifetime(pair, given[0], sunk=sunk, written=given[1]), SUNK if sunk else LIFETIME
            except SpecError:
                found = lifetime(pair, given[0], sunk=True, written=given[1]), SUNK
            self.lives[a, b] = found
        return self.lives[a, b]

    def trained(self, part: Singles, i: int, j: int, life: Lifetime | None) -> tuple[float, float]:
        """FLOPs of all training that each side is charged, its known post-training too."""
        if life is None:
            return 0.0, 0.0
        found = []
        for at, role in ((i, "policy"), (j, "large")):
            model, verifier = part.models[at], str(part.small.table["verifier"].iloc[at])
            used = (model, self.evidence.verifiers.get(verifier))
            found.append(life.trained(role, used) + (self.charges.posttraining or {}).get(model, 0.0))
        return found[0], found[1]

    def points(
        self, a: str, b: str, trained: tuple[float, float], spent: float, against: float, least: float,
        life: Lifetime | None,
    ) -> Iterator[Point]:  # fmt: skip
        if life is None:  # of one model no arm takes another's place: what is dearer is not to be had
            share, status = (
                (1.0, _share(against, spent, least)[1]) if spent <= against * (1 + _SLACK) else (0.0, BELOW)
            )
            yield Point(None, np.inf, share, status, dict.fromkeys(FIELDS) | {"d_of": "", "unknown": ""})
            return
        wanted = [(at, at * life.queries_per_r) for at in self.charges.r]
        for r, queries in [*wanted, *((None, at) for at in self.charges.queries)]:
            share, status = _share(against + (trained[1] - trained[0]) / queries, spent, least)
            yield Point(r, queries, share, status, self.unknown(a, b, r, queries, spent, against))

    def unknown(
        self, a: str, b: str, r: float | None, queries: float, spent: float, against: float
    ) -> dict[str, Any]:
        rule, known = self.charges.rule, self.charges.posttraining or {}
        sides = []
        for model, query in ((a, spent), (b, against)):
            spec = self.evidence.spec(model)
            paid = 0.0 if self.charges.sunk else None if spec.training_tokens is None else training_of(spec, rule)
            sides.append(Side(paid, per_token(spec, rule), known.get(model, 0.0), query))
        return breakeven_unknown(sides[0], sides[1], written=self.written[a], r=r, queries=queries)


def _share(budget: float, spent: float, least: float) -> tuple[float, str]:
    """The share of queries that an arm can be run for within a budget a query, and what stands there."""
    if budget < least * (1 - _SLACK):
        return 0.0, CANNOT
    if budget < spent * (1 - _SLACK):
        return (budget - least) / (spent - least), MEASURED
    return 1.0, MEASURED if budget <= spent * (1 + _SLACK) else BOUND


def _affordable(saved: float, cheaper: float, queries_per_r: float) -> tuple[str, float | None]:
    """Where the small arm costs no more over the lifetime: always, never, or up to or from an R.

    saved: FLOPs of training less; cheaper: FLOPs of a query less."""
    if saved >= 0 and cheaper >= 0:
        return "always", None
    if saved < 0 and cheaper <= 0:
        return "never", None
    return "up to" if saved >= 0 else "from", abs(saved / (queries_per_r * cheaper))
