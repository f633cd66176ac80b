"""Rows for the fitted exchange rate: who answered how, at which budget and FLOPs, and which problem was right."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.curves import (
    THINK,
    Floats,
    Ints,
    Placed,
    Pool,
    Price,
    Reader,
    Sampled,
    Way,
    asked,
    coverage_pools,
    label_of,
    pool_from_run,
    ways_of,
)
from scalinglab.errors import DataError, SpecError
from scalinglab.evidence import Evidence
from scalinglab.exchange.lifetime import refuse_unreported, training_of
from scalinglab.exchange.splits import DIFFICULTY
from scalinglab.fits import Answered
from scalinglab.flops import Convention
from scalinglab.grids import doublings
from scalinglab.optimal import difficulty_bins, halves
from scalinglab.specs import ModelSpec

SAMPLES, TOKENS = "samples", "tokens"


@dataclass(frozen=True)
class Path:
    """What one model answers one way: over budgets in samples, or, of several efforts, each at its tokens.

    label: the way, whoever answers. effort: "" for none. tokens: generated ones of an answer. honest: it does not
    know the right answers. reader and price: a row each of the problems compared.
    """

    label: str
    model: str
    effort: str
    tokens: float
    honest: bool
    reader: Reader
    price: Price


@dataclass(frozen=True)
class Grid:
    """The ways of two models or more over the same problems, which are in difficulty bins.

    axis: what a budget counts, SAMPLES or TOKENS. bins: of each problem, from 1 (easiest); None without. scored:
    by place in ``paths``, the reader of samples that did not set the bins. training: FLOPs by model, if known.
    budgets: at which samples are read; only: searches too, which are else read wherever they were run.
    """

    problems: tuple[str, ...]
    paths: tuple[Path, ...]
    axis: str
    budgets: Ints
    only: bool
    specs: Mapping[str, ModelSpec]
    training: Mapping[str, float]
    bins: Ints | None
    scored: Mapping[int, Reader]
    notes: tuple[str, ...]

    def cells(self, *, binned: bool = False) -> Answered:
        """A cell a path and budget; ``binned``: and a difficulty bin, read on samples that did not set it.

        The table has k and honest (see ``Path``) beside the columns of ``Answered``.
        """
        bins = [0] if not binned or self.bins is None else sorted(set(self.bins.tolist()))
        parts = [
            self._cells(path, self.scored.get(i, path.reader) if bins != [0] else path.reader, bin_)
            for bin_ in bins
            for i, path in enumerate(self.paths)
        ]
        table = pd.DataFrame([row for rows, _ in parts for row in rows])
        return Answered(table, np.hstack([values for _, values in parts]))

    def _cells(self, path: Path, reader: Reader, bin_: int) -> tuple[list[dict[str, object]], Floats]:
        inside = np.ones(len(self.problems), dtype=bool) if bin_ == 0 else self.bins == bin_
        rows = np.flatnonzero(inside)
        budgets = self.read_at(reader)
        values = np.full((len(self.problems), len(budgets)), np.nan)
        values[inside] = reader.at(budgets, rows)[0]
        spent = path.price.mean(budgets, rows, np.ones(len(rows)))
        common = {"model": path.model, "strategy": path.label, "honest": path.honest, "bin": str(bin_ or "")}
        common |= {"size": np.log2(float(self.specs[path.model].total))}
        common |= {"pretraining": np.log2(self.training.get(path.model, np.nan))}
        return [common | self._at(path, int(k), float(c)) for k, c in zip(budgets, spent, strict=True)], values

    def _at(self, path: Path, k: int, flops: float) -> dict[str, object]:
        found = {"k": k, "inference": np.log2(flops)}
        if self.axis == TOKENS:
            return found | {"level": path.effort, "budget": np.log2(path.tokens)}
        return found | {"level": str(k), "budget": np.log2(k)}

    def read_at(self, reader: Reader) -> Ints:
        """The budgets at which a reader is read: those that its samples can stand for, or that were run."""
        if self.axis == TOKENS:
            return reader.budgets[:1]
        if reader.step:
            within = (self.budgets <= reader.budgets[-1]) & (self.budgets % reader.step == 0)
            return np.asarray(self.budgets[within])
        return np.asarray(np.intersect1d(reader.budgets, self.budgets)) if self.only else reader.budgets


def grid_of(
    evidence: Evidence, *, rule: Convention, k: Sequence[int] | None = None, bins: int = 1, seed: int = 0
) -> Grid:
    """Every way in which two models or more of known size answered, priced under a rule, over shared problems.

    k: budgets in samples; powers of two (of four, where these are many) within the samples without it. Of a run
    with several efforts, these are the budgets, and k is refused. A model with a greedy answer alone has it as the
    budget 1 of every way. Raises DataError where there is one model, or a k beyond the samples.
    """
    specs, training, notes = _priced(evidence, rule)
    ways = ways_of(evidence, [rule], models=list(specs), seed=seed) if specs else []
    paths, axis, problems, told = _paths(evidence, ways)
    if len({path.model for path in paths}) < 2:
        known = ", ".join(sorted(specs)) or "none"
        why = f" ({notes[0]})" if notes else ""
        raise DataError(
            f"models of known size that answered one way: {known}{why}",
            "two or more sizes that sampled alike",
            "add a model's samples, or its size with --spec MODEL=7e9@2e12",
        )
    if axis == TOKENS and k is not None:
        raise DataError("k of models asked at several efforts", "none: the efforts are the budgets", "drop --k")
    drawn = [path.reader for path in paths if path.reader.step and path.reader.fewest > 1]
    budgets = _budgets(k, min((reader.fewest * reader.step for reader in drawn), default=1))
    labels, scored, said = _bins(evidence, paths, problems, bins, seed)
    every = (*notes, *told, *said)
    return Grid(problems, tuple(paths), axis, budgets, k is not None, specs, training, labels, scored, every)


def _priced(evidence: Evidence, rule: Convention) -> tuple[dict[str, ModelSpec], dict[str, float], list[str]]:
    """The models of known size, what training each took where that is known, and notes on the others."""
    specs, training, notes = {}, {}, []
    judges = {model for model in evidence.verifiers.values() if model}
    for name in evidence.models():
        try:
            spec = evidence.spec(name)
            refuse_unreported(evidence, rule, {name}, judges)
            specs[name] = spec
            training[name] = training_of(specs[name], rule)
        except SpecError as error:
            notes.append(f"{name} {'has no rate in FLOPs' if name in specs else 'left out'}: {error}")
    return specs, training, notes


def _paths(evidence: Evidence, ways: Sequence[Way]) -> tuple[list[Path], str, tuple[str, ...], list[str]]:
    """The ways that two models or more share, over the problems that all were asked."""
    greedy = {way.model: way for way in ways if way.strategy == "greedy" and way.verifier == ""}
    named = [(_label(way), way) for way in ways if way.strategy not in ("greedy", THINK)]
    alone = [model for model in greedy if model not in {way.model for _, way in named}]
    told = [f"{model}: its greedy answer stands for one sample" for model in alone]
    labels = dict.fromkeys(label for label, _ in named)
    named += [(label, greedy[model]) for label in labels for model in alone]
    thinking = _thinking(named)
    axis = TOKENS if thinking else SAMPLES
    named = [pair for pair in named if not thinking or pair[0] in thinking]
    shared = [pair for pair in named if len({way.model for label, way in named if label == pair[0]}) > 1]
    if not shared:
        return [], axis, (), told
    common = asked([way for _, way in shared])
    told += [f"{name} lacks {count} of {common.whole} problems" for name, count in common.missing.items()]
    paths = [_path(evidence, label, way, common.problems, one=bool(thinking)) for label, way in shared]
    return paths, axis, common.problems, told


def _thinking(named: Sequence[tuple[str, Way]]) -> list[str]:
    """Of ways that a model answered at two efforts or more, one a strategy: of one answer all of them agree."""
    efforts: dict[tuple[str, str], set[str]] = {}
    for label, way in named:
        efforts.setdefault((label, way.model), set()).add(_effort(way))
    found = {way.strategy: label for label, way in reversed(named) if len(efforts[label, way.model]) > 1}
    return list(found.values())


def _path(evidence: Evidence, label: str, way: Way, problems: tuple[str, ...], *, one: bool) -> Path:
    """A way over these problems; ``one``: of one answer, among which none is chosen."""
    rows = pd.Index(way.reader.problems).get_indexer(pd.Index(problems))
    honest = one or (way.selector != "coverage" and (way.verifier == "" or way.judge is not None))
    tokens = _written(evidence, way.model, _effort(way))
    return Path(label, way.model, _effort(way), tokens, honest, Placed(way.reader, rows), way.prices[0].at(rows))


def _label(way: Way) -> str:
    setting = {key: value for key, value in json.loads(way.setting).items() if key != "effort"}
    return label_of(way.strategy, json.dumps(setting), way.verifier, way.selector)


def _effort(way: Way) -> str:
    return str(json.loads(way.setting).get("effort", ""))


def _written(evidence: Evidence, model: str, effort: str) -> float:
    """Generated tokens of an answer of a model at an effort: recorded, or taken to be."""
    if effort == "" or evidence.run is None or not evidence.recorded(model):
        return float(evidence.tokens_of(model).generated)
    units, calls = evidence.run.units, evidence.run.calls
    own = units[units["model"] == model]
    keys = own.loc[[str(options.get("effort", "")) == effort for options in own["options"]], "key"]
    made = calls[calls["unit"].isin(keys) & (calls["role"] != "verifier")]
    return float(made["generated_tokens"].mean())


def _budgets(k: Sequence[int] | None, fewest: int) -> Ints:
    if k is None:
        grid = doublings(fewest)
        return grid[::2] if len(grid) > 4 else grid
    wanted = np.unique(np.asarray(k, dtype=np.int64))
    if wanted[0] < 1 or wanted[-1] > fewest:
        raise DataError(
            f"k = {', '.join(map(str, k))}",
            f"budgets from 1 to n = {fewest}, the samples of the least sampled problem",
            "lower k or collect more samples",
        )
    return wanted


def _bins(
    evidence: Evidence, paths: Sequence[Path], problems: tuple[str, ...], count: int, seed: int
) -> tuple[Ints | None, dict[int, Reader], list[str]]:
    """Difficulty bins by the mean accuracy of all models, on samples that then do not score."""
    if count == 1:
        return None, {}, []
    kept = _kept(evidence)
    sources = kept or list(coverage_pools(evidence).values())
    pools = [pool for pool in sources if set(problems) <= set(pool.problems) and (kept or pool.n.min() > 1)]
    if not pools:
        return None, {}, ["no rate by difficulty: bins take two samples or more of each problem"]
    parts = [pool if kept else halves(pool, seed=seed)[0] for pool in pools]
    at = [pd.Index(pool.problems).get_indexer(pd.Index(problems)) for pool in parts]
    ease = np.mean([(part.correct / part.n)[rows] for part, rows in zip(parts, at, strict=True)], axis=0)
    scored = {} if kept else {i: reader for i, p in enumerate(paths) if (reader := _half(p.reader, seed))}
    on = (
        "samples recorded for that alone"
        if kept
        else "a random half of each model's samples; the other half scores"
    )
    said = [f"bins: 1 is easiest, by the mean accuracy of {len(pools)} models, set on {on}"]
    return difficulty_bins(ease, count), scored, said


def _kept(evidence: Evidence) -> list[Pool]:
    """What was sampled for difficulty alone, a pool a model."""
    if evidence.run is None:
        return []
    units = evidence.run.units
    models = sorted(units.loc[units["strategy"] == DIFFICULTY, "model"].unique())
    return [pool_from_run(evidence.run, name, strategy=DIFFICULTY) for name in models]


def _half(reader: Reader, seed: int) -> Reader | None:
    """The reader of the half of its samples that set no bins; None of searches, which set none."""
    assert isinstance(reader, Placed)
    inner = reader.reader
    if not isinstance(inner, Sampled) or inner.step != 1 or inner.pool.n.min() < 2:
        return None
    return Placed(Sampled(halves(inner.pool, seed=seed)[1], inner.selector, seed), reader.rows)
