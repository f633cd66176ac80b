"""Models side by side, each as it answered once: accuracy and FLOPs of every such arm over shared problems."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from scalinglab import flops
from scalinglab.curves import Arms, Floats, Way, arms_from, singles_of
from scalinglab.errors import SpecError
from scalinglab.evidence import Body
from scalinglab.exchange.checking import checks_of
from scalinglab.flops import Convention

FEWEST_SHARED = 2
"""Problems that a pair must share: of fewer nothing can be said."""


@dataclass(frozen=True)
class Singles:
    """Arms of several models over the problems that a set of pairs shares.

    small, large: the same arms priced as the small and as the large side. pairs: positions of arms, small side
    first. names: of each arm. checks: what one check of an answer of a model takes, by model, then by verifier.
    """

    small: Arms
    large: Arms
    pairs: tuple[tuple[int, int], ...]
    names: tuple[str, ...]
    checks: dict[str, dict[str, Floats]] = field(default_factory=dict, repr=False)

    @cached_property
    def models(self) -> list[str]:
        """The model of each arm."""
        return [str(name) for name in self.small.table["model"]]

    @cached_property
    def spent(self) -> Floats:
        """Mean FLOPs a query of each arm as the small side's, (arms,)."""
        return np.asarray(self.small.flops.mean(axis=0))

    def against(self, i: int, j: int) -> float:
        """Mean FLOPs of the large side's answer, checked as the small one's is where both sides pay."""
        spent, ours, theirs = self.large.flops[:, j], self.small.table.iloc[i], self.large.table.iloc[j]
        judge = str(ours["verifier"]) or ("" if ours["selector"] == "coverage" else None)
        checked = bool(theirs["verifier"]) or theirs["selector"] == "coverage"
        known = self.checks.get(self.models[j], {})
        if judge is not None and judge in known and not checked:
            spent = spent + known[judge]
        return float(spent.mean())

    def cheapest(self, model: str) -> int:
        """The arm of a model that takes least."""
        own = [i for i, name in enumerate(self.models) if name == model]
        return min(own, key=lambda i: float(self.spent[i]))

    def fewest(self, i: int) -> int:
        """Samples behind any rate of an arm."""
        return self.small.readers[int(self.small.table["way"].iloc[i])].fewest


def singles(body: Body, rule: Convention, *, seed: int = 0) -> tuple[list[Singles], dict[str, str]]:
    """The arms of a body of evidence, a ``Singles`` for each set of problems that pairs share; and by model why it
    is left out."""
    models, left = _priced(body, rule)
    if not models:
        return [], left
    ways = [
        singles_of(body.evidence, [rule], models=models, role=role, perfect=body.perfect, seed=seed)
        for role in ("policy", "large")
    ]
    asked = {name: _asked(ways[0], name) for name in models}
    shared: dict[frozenset[str], set[tuple[str, str]]] = {}
    for a, b in _pairs(models, body.nominal):
        both = asked[a] & asked[b]
        if len(both) >= FEWEST_SHARED:
            shared.setdefault(both, set()).update([(a, b), (b, a)])
    return [_made(body, rule, ways, pairs) for pairs in shared.values()], left


def _priced(body: Body, rule: Convention) -> tuple[list[str], dict[str, str]]:
    found, revisers = [], _revisers(body)
    left = dict.fromkeys(revisers, "it revises another model's answers (scalinglab exchange)")
    for name in body.evidence.models():
        if name in revisers:
            continue
        try:
            flops.total(flops.decode(body.evidence.spec(name), 1, 1, convention=rule))
            found.append(name)
        except SpecError as error:
            left[name] = "no spec (--spec MODEL=7e9@2e12)" if name in body.evidence.lacking else str(error)
    return found, left


def _revisers(body: Body) -> list[str]:
    """The models that answer nothing of their own."""
    run = body.evidence.run
    own = set() if run is None else set(run.units.loc[run.units["role"] != "reviser", "model"])
    return [name for name in body.evidence.revisers() if name not in own]


def _pairs(models: Sequence[str], nominal: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each two models, and each with itself: one of nominal size only with itself."""
    for i, a in enumerate(models):
        for b in models[i:]:
            if a == b or not {a, b} & set(nominal):
                yield a, b


def _asked(ways: Sequence[Way], model: str) -> frozenset[str]:
    return frozenset.intersection(*(frozenset(way.reader.problems) for way in ways if way.model == model))


def _made(body: Body, rule: Convention, ways: Sequence[Sequence[Way]], pairs: set[tuple[str, str]]) -> Singles:
    models = {name for pair in pairs for name in pair}
    small, large = (arms_from([way for way in side if way.model in models], [rule])[0] for side in ways)
    names, listed = _names(small), small.table["model"].tolist()
    kept = [
        (i, j) for i, a in enumerate(listed) for j, b in enumerate(listed) if i != j and (str(a), str(b)) in pairs
    ]
    checks = {name: checks_of(large, body.evidence, rule, name) for name in models}
    return Singles(small, large, tuple(kept), names, checks)


def _names(arms: Arms) -> tuple[str, ...]:
    """Each arm in words, such as "greedy", "one sample, effort high" or "best-of-100 by 6b"."""
    columns = ["strategy", "setting", "verifier", "selector", "budget"]
    several = arms.table.groupby([*columns[:-1], "model"])["budget"].transform("size") > 1
    return tuple(
        _name(*map(str, row), told=bool(many))
        for row, many in zip(arms.table[columns].itertuples(index=False, name=None), several, strict=True)
    )


def _name(strategy: str, setting: str, verifier: str, selector: str, budget: str, *, told: bool) -> str:
    settings = json.loads(setting)
    options = [str(value) if key == "effort" else f"{key}={value}" for key, value in settings.items()]
    if strategy == "parallel":
        name = f"best of {budget} samples by a perfect verifier" if selector == "coverage" else "one sample"
    else:
        name = strategy + (f" at {budget}" if told else "")
    chosen = "" if selector in ("recorded", "coverage", "majority") else f"{selector} "
    return ", ".join([name, *options]) + (f", {chosen}by {verifier}" if verifier else "")
