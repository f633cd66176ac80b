"""From a file of counts or a recorded run to curves and an Exchange, under every convention that can be priced."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from scalinglab import specs as shapes
from scalinglab.curves import (
    Pool,
    QueryCost,
    curve,
    pool_from_counts,
    pool_from_run,
    run_cost,
    spec_cost,
    table,
)
from scalinglab.errors import DataError, SpecError
from scalinglab.exchange.matching import Match, match_ratio, match_run, match_specs, reference_strategy
from scalinglab.exchange.verdicts import PAPER_R, Exchange, exchange
from scalinglab.flops import CONVENTIONS, Convention
from scalinglab.flops import convention as preset
from scalinglab.ledger import price
from scalinglab.samples import Run, is_run, read_counts, read_run
from scalinglab.specs import ModelSpec


class Recorded(Protocol):
    """Samples of several models on the same problems, and what they cost."""

    @property
    def specs(self) -> Mapping[str, ModelSpec]:
        """The specs given for its models, by name."""

    def models(self) -> list[str]:
        """The models with parallel samples."""

    def pool(self, model: str) -> Pool:
        """A model's parallel samples."""

    def reference(self, model: str) -> Pool:
        """A model's answers when it answers once."""

    def cost(self, model: str, convention: Convention) -> QueryCost:
        """FLOPs of a model's queries. Raises SpecError where they cannot be priced."""

    def match(self, small: str, large: str, convention: Convention, selector: str) -> Match:
        """The match of two models. Raises SpecError where they cannot be priced."""

    def notes(self) -> list[str]:
        """What its costs rest on."""


@dataclass(frozen=True)
class CountsData:
    """A table of counts; every sample is taken to read ``prompt`` and write ``generated`` tokens."""

    counts: pd.DataFrame
    specs: Mapping[str, ModelSpec] = field(default_factory=dict)
    prompt: int = 256
    generated: int = 256

    def models(self) -> list[str]:
        return sorted(self.counts["model"].unique())

    def pool(self, model: str) -> Pool:
        return pool_from_counts(self.counts, model)

    def reference(self, model: str) -> Pool:
        return self.pool(model)

    def cost(self, model: str, convention: Convention) -> QueryCost:
        verified = convention.verifier != "nobody"
        spec = find_spec(model, self.specs)
        return spec_cost(spec, self.prompt, self.generated, convention=convention, verified=verified)

    def match(self, small: str, large: str, convention: Convention, selector: str) -> Match:
        pair = (find_spec(name, self.specs) for name in (small, large))
        return match_specs(
            *pair, prompt=self.prompt, generated=self.generated, convention=convention, selector=selector
        )

    def notes(self) -> list[str]:
        return [
            f"tokens: counts record none; every sample is taken to read {self.prompt} and write {self.generated}"
        ]


@dataclass(frozen=True)
class RunData:
    """A recorded run, priced call by call."""

    run: Run
    specs: Mapping[str, ModelSpec] = field(default_factory=dict)

    def models(self) -> list[str]:
        parallel = self.run.units[self.run.units["strategy"] == "parallel"]
        return sorted(parallel["model"].unique())

    def pool(self, model: str) -> Pool:
        return pool_from_run(self.run, model)

    def reference(self, model: str) -> Pool:
        return pool_from_run(self.run, model, strategy=reference_strategy(self.run, model))

    def cost(self, model: str, convention: Convention) -> QueryCost:
        run, specs = self._of(model)
        return run_cost(price(run, specs, convention=convention), run, model)

    def match(self, small: str, large: str, convention: Convention, selector: str) -> Match:
        run, specs = self._of(small, large)
        return match_run(run, specs, small=small, large=large, convention=convention, selector=selector)

    def notes(self) -> list[str]:
        return ["tokens: as the run recorded them, call by call"]

    def _of(self, *models: str) -> tuple[Run, dict[str, ModelSpec]]:
        """What these models answered, and the specs of all that took part in it."""
        units = self.run.units[self.run.units["model"].isin(models)]
        calls, solutions = (
            frame[frame["unit"].isin(units["key"])] for frame in (self.run.calls, self.run.solutions)
        )
        specs = {str(name): find_spec(str(name), self.specs) for name in calls["model"].unique()}
        return Run(units, calls, solutions), specs


def open_recorded(
    path: str | Path,
    *,
    specs: Mapping[str, ModelSpec] | None = None,
    prompt: int | None = None,
    generated: int | None = None,
) -> Recorded:
    """A counts file or a recorded run. ``specs`` price models that the catalogue and a study do not name.

    Raises DataError where it cannot be read, or where token counts are given for a run, which has its own.
    """
    tokens = {"prompt": prompt, "generated": generated}
    given = {name: value for name, value in tokens.items() if value is not None}
    if not is_run(path):
        return CountsData(read_counts(path), specs or {}, **given)
    if given:
        raise DataError(
            f"{' and '.join(given)} tokens for the run {path}", "none", "drop them: a run records its own"
        )
    return RunData(read_run(path), {**study_specs(path), **(specs or {})})


def study_specs(path: str | Path) -> dict[str, ModelSpec]:
    """The specs of a recorded run, by model, as the study.json beside it keeps them; none where there is none.

    Raises DataError where that file cannot be read.
    """
    path = Path(path)
    beside = next((at / "study.json" for at in (path, path.parent) if (at / "study.json").is_file()), None)
    if beside is None:
        return {}
    try:
        return specs_in(json.loads(beside.read_text(encoding="utf-8"))["models"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"cannot read {beside} ({error!r:.80})", "the plan of a study", "run its study again, or move the file"
        ) from error


def specs_in(models: Mapping[str, Mapping[str, Any]]) -> dict[str, ModelSpec]:
    """The specs among a plan's models, by name: of each a config or a catalogue name, and its training."""
    return {name: _spec(name, model) for name, model in models.items() if model["spec"] is not None}


def _spec(name: str, model: Mapping[str, Any]) -> ModelSpec:
    known = model["spec"]
    spec = shapes.find(known) if isinstance(known, str) else shapes.from_config(known, name=name)
    trained = {key: model[key] for key in ("training_tokens", "training_sequence")}
    return replace(spec, name=name, **trained)


def exchange_recorded(
    data: Recorded,
    *,
    small: str,
    large: str,
    ratio: float | None = None,
    selector: str = "coverage",
    r: Sequence[float] = PAPER_R,
    bins: int = 5,
    seed: int = 0,
) -> Exchange:
    """Compare two models of recorded data (see ``exchange``) under each preset that can be priced.

    With ``ratio``, every convention takes it as the large / small cost per token, and no spec is needed.
    Raises DataError where no convention can be priced.
    """
    pools, notes = (data.pool(small), data.reference(large)), data.notes()
    if ratio is not None:
        notes = [f"costs: M = {ratio:g} is taken as the ratio of costs per token under every convention"]
    matches: list[Match] = []
    unpriced: dict[str, str] = {}
    for rule in CONVENTIONS.values():
        try:
            if ratio is None:
                matches.append(data.match(small, large, rule, selector))
            else:
                matches.append(match_ratio(ratio, rule))
        except SpecError as error:
            unpriced[rule.name] = str(error)
    if not matches:
        raise DataError(
            f"no convention can be priced ({next(iter(unpriced.values()))})",
            "two models with specs and training tokens, or a ratio",
            "give --ratio M",
        )
    return exchange(*pools, matches, selector=selector, r=r, bins=bins, seed=seed, unpriced=unpriced, notes=notes)


def curves_recorded(
    data: Recorded,
    *,
    models: Sequence[str] | None = None,
    selector: str = "coverage",
    k: Sequence[int] | None = None,
    convention: str = "paper",
    seed: int = 0,
) -> tuple[pd.DataFrame, list[str]]:
    """The curve (``curves.table``) of each model, and notes on what it rests on.

    Budgets default to the powers of two within the samples. Models that cannot be priced are named in a note.
    """
    rule, notes, tables = preset(convention), data.notes(), []
    for model in models or data.models():
        pool = data.pool(model)
        budgets = k or [2**i for i in range(int(pool.n.min()).bit_length())]
        try:
            cost = data.cost(model, rule)
        except SpecError as error:
            cost = None
            notes.append(f"{model} is not priced: {error}")
        rows = table(curve(pool, selector, budgets, convention=rule, cost=cost, seed=seed), seed=seed)
        # pandas 2 warns where a column without a value would no longer give way to the others' type.
        tables.append(rows.astype({"flops_per_query": float}))
    if not tables:
        raise DataError("data without parallel samples", "samples of strategy parallel", "record some")
    return pd.concat(tables, ignore_index=True), notes


def find_spec(name: str, specs: Mapping[str, ModelSpec]) -> ModelSpec:
    """The spec given for a model of the data, else the catalogue's. Raises SpecError where there is none."""
    if name in specs:
        return specs[name]
    try:
        return shapes.find(name)
    except SpecError as error:
        raise SpecError(
            f"no spec for model {name!r}",
            "a name of `scalinglab specs`, or a config.json given for it",
            f"add --spec {name!r}=config.json, or give --ratio M",
        ) from error
