"""A recorded study: its arms under each convention, in difficulty bins, and what its training cost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab import flops
from scalinglab import specs as shapes
from scalinglab.curves import Arms, Ints, arms_under
from scalinglab.errors import DataError, SpecError
from scalinglab.exchange.recorded import find_spec, specs_in
from scalinglab.exchange.verdicts import ALL
from scalinglab.flops import Convention
from scalinglab.ledger import Ledger, price
from scalinglab.policy import Bins, Optimal, apart, bins_of
from scalinglab.samples import Run, find_plan, is_run, read_plan, read_run
from scalinglab.specs import ModelSpec

_SHIPPED = Path(shapes.__file__).parents[1] / "data"
_SAMPLED = ("parallel", "difficulty")


@dataclass(frozen=True)
class StudyData:
    """A run with its plan: who is small and large, the model behind each verifier (None: the exact checker).

    tuning: FLOPs of training a verifier or reviser, its data included, by model and then by ``paper`` or
    ``exact``; models of which it is unknown are left out. unpriced: models without a spec, whose answers and
    judgements are left out.
    """

    run: Run
    specs: Mapping[str, ModelSpec]
    verifiers: Mapping[str, str | None]
    small: str
    large: str
    tuning: Mapping[str, Mapping[str, int]]
    unpriced: tuple[str, ...] = ()

    def written(self) -> float:
        """Generated tokens of one sample of the small model."""
        units = self.run.units[self.run.units["model"] == self.small]
        for strategy in ("parallel", "greedy", *units["strategy"]):
            keys = units.loc[units["strategy"] == strategy, "key"]
            calls = self.run.calls[self.run.calls["unit"].isin(keys) & (self.run.calls["role"] != "verifier")]
            solved = int(self.run.solutions["unit"].isin(keys).sum())
            if solved and calls["generated_tokens"].sum():
                return float(calls["generated_tokens"].sum()) / solved
        raise DataError(f"no samples of {self.small}", "a small model that answered", "name another with --small")


@dataclass(frozen=True)
class Lifetime:
    """FLOPs of training, and how many queries R = 1 stands for: R counts tokens of one small sample a query.

    tuning: what ``convention`` charges for training verifiers and revisers, by model. The reviser is tuned
    from the small model, so it costs the small model's pretraining and its own tuning.
    """

    convention: Convention
    small: float
    large: float
    queries_per_r: float
    tuning: Mapping[str, float]

    def trained(self, role: str, models: Iterable[str | None]) -> float:
        """FLOPs of all training behind an arm of this role that uses these models."""
        base = self.large if role == "large" else self.small
        return base + sum(self.tuning.get(model, 0.0) for model in set(models) if model is not None)


@dataclass(frozen=True)
class View:
    """Arms under one convention, and the named groups of problems over which they are compared.

    bins: what the groups were set on, where they are difficulty bins. policy: whose choices the small model's arms
    are, where these choose anew in each resample; its budgets are the first of the arms.
    """

    arms: Arms
    groups: Sequence[tuple[str, Ints]]
    lifetime: Lifetime
    bins: Bins | None = None
    policy: Optimal | None = None


def is_study(path: str | Path) -> bool:
    """Whether the path holds a run with its plan, the study.json beside it."""
    return is_run(path) and find_plan(path) is not None


def open_study(
    path: str | Path,
    *,
    small: str | None = None,
    large: str | None = None,
    specs: Mapping[str, ModelSpec] | None = None,
) -> StudyData:
    """The study in a folder. Small and large are the models of the roles policy and large unless named.

    Raises DataError where there is none, or a role has several models or none.
    """
    plan, run = read_plan(path), read_run(path)
    beside = find_plan(path) or Path(path)
    known = specs_in(plan.models) | dict(specs or {})
    tuning = {name: _tuning(model.model, beside.parent) for name, model in plan.models.items()}
    pair = (small or _only(run, "policy"), large or _only(run, "large"))
    for name in pair:
        if name not in set(run.units["model"]):
            answered = ", ".join(sorted(set(run.units["model"])))
            raise DataError(f"no samples of model {name!r}", f"one of {answered}", "name a model of the study")
    priced, unpriced = _priced(run, known, pair)
    charged = {name: found for name, found in tuning.items() if found}
    return StudyData(run, priced, plan.verifiers, *pair, charged, unpriced)


def _priced(
    run: Run, known: Mapping[str, ModelSpec], pair: Sequence[str]
) -> tuple[dict[str, ModelSpec], tuple[str, ...]]:
    """The specs of a run's models, and the models that have none. Raises SpecError where one of ``pair`` is."""
    found, lacking = {}, []
    for name in map(str, run.calls["model"].unique()):
        try:
            found[name] = find_spec(name, known)
        except SpecError:
            if name in pair:
                raise
            lacking.append(name)
    return found, tuple(lacking)


def views(
    study: StudyData, rules: Sequence[Convention], *, bins: int = 5, seed: int = 0, sunk: bool = False
) -> tuple[list[View], dict[str, str]]:
    """The study's arms under each rule over all problems, and in bins; and the rules that cannot price it.

    Bins come from the small model's samples of strategy difficulty where there are any, else from half of its
    parallel ones: then its parallel arms are read in bins from the other half, with half the budgets.
    ``sunk``: nobody pays pretraining, as with open weights. Raises DataError where no rule can price it.
    """
    paid, unpriced = _lifetimes(study, rules, sunk)
    part, ledgers = study.run, _ledgers(study, study.run, paid)
    read = partial(arms_under, verifiers=study.verifiers, without=study.unpriced)
    whole = later = read(part, ledgers)
    everything = [(ALL, np.arange(len(whole[0].problems)))]
    found = [View(arms, everything, life) for arms, life in zip(whole, paid.values(), strict=True)]
    if bins == 1:
        return found, unpriced
    if apart(part, study.small, seed=seed) is not part:  # no samples were kept for difficulty alone
        part = parallel_apart(study, seed=seed)
        ledgers = _ledgers(study, part, paid)
        later = read(part, ledgers)
    for every, half, ledger, life in zip(whole, later, ledgers, paid.values(), strict=True):
        set_on = bins_of(part, ledger, study.small, count=bins)
        groups = [(str(bin_), members) for bin_, members in set_on.groups()]
        found.append(View(_joined(every, half, study.small), groups, life, set_on))
    return found, unpriced


def _lifetimes(
    study: StudyData, rules: Sequence[Convention], sunk: bool
) -> tuple[dict[Convention, Lifetime], dict[str, str]]:
    found, unpriced, written = {}, {}, study.written()
    for rule in rules:
        try:
            found[rule] = _lifetime(study, rule, sunk, written)
        except SpecError as error:
            unpriced[rule.name] = str(error)
    if not found:
        raise DataError(
            f"no convention can be priced ({next(iter(unpriced.values()))})",
            "two models with specs and training tokens",
            "give them with --spec",
        )
    return found, unpriced


def _lifetime(study: StudyData, rule: Convention, sunk: bool, written: float) -> Lifetime:
    pair = [study.specs[name] for name in (study.small, study.large)]
    trained = [_training(spec, rule) for spec in pair]
    if trained[1] <= trained[0]:
        raise SpecError(
            f"{pair[1].name} cost no more to pretrain than {pair[0].name}", "a larger large model", "swap the two"
        )
    kind = "exact" if rule.parameters == "matmul" else "paper"
    tuning = {model: float(spent[kind]) for model, spent in study.tuning.items() if rule.tuning}
    small, large = (0.0, 0.0) if sunk else trained
    return Lifetime(rule, small, large, float(pair[0].training_tokens or 0) / written, tuning)


def _training(spec: ModelSpec, rule: Convention) -> float:
    if spec.training_tokens is None:
        raise SpecError(f"{spec.name}: training tokens unknown", "a spec with training tokens", "give them")
    return float(flops.total(flops.training(spec, spec.training_tokens, convention=rule)))


def _ledgers(study: StudyData, run: Run, rules: Iterable[Convention]) -> list[Ledger]:
    priced = replace(run, calls=run.calls[~run.calls["model"].isin(study.unpriced)])
    return [price(priced, study.specs, convention=rule) for rule in rules]


def parallel_apart(study: StudyData, *, seed: int = 0) -> Run:
    """The small model's parallel samples alone, and apart from them those that set its difficulty."""
    run = apart(study.run, study.small, seed=seed)
    units = run.units[(run.units["model"] == study.small) & run.units["strategy"].isin(_SAMPLED)]
    return Run(units, *(frame[frame["unit"].isin(units["key"])] for frame in (run.calls, run.solutions)))


def _joined(every: Arms, later: Arms, small: str) -> Arms:
    """The arms of a run, of which the small model's parallel ones are read from its later samples."""
    own, others = (
        (arms.table["model"] == small) & (arms.table["strategy"] == "parallel") for arms in (later, every)
    )
    return side_by_side(later.where(own), every.where(~others))


def side_by_side(first: Arms, second: Arms) -> Arms:
    """The arms of both, which are over the same problems under the same convention."""
    return replace(
        first,
        table=pd.concat([first.table, second.table], ignore_index=True),
        accuracy=np.column_stack([first.accuracy, second.accuracy]),
        flops=np.column_stack([first.flops, second.flops]),
    )


def _only(run: Run, role: str) -> str:
    names = sorted(set(run.units.loc[run.units["role"] == role, "model"]))
    if len(names) != 1:
        option = "small" if role == "policy" else "large"
        advice = f"name it with --{option}" if names else f"collect one as [models.{option}]"
        raise DataError(f"{len(names)} models of role {role} ({', '.join(names) or 'none'})", "one", advice)
    return str(names[0])


def _tuning(model: str, folder: Path) -> dict[str, int]:
    """FLOPs of training a testbed model and of its data, from its manifest; empty where there is none."""
    places = [base / model / "manifest.json" for base in (folder, _SHIPPED)]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        return {}
    manifest = json.loads(found.read_text(encoding="utf-8"))
    if not manifest["data_flops"]:
        return {}
    return {rule: int(manifest["flops"][rule]) + int(manifest["data_flops"][rule]) for rule in manifest["flops"]}
