"""The exchange rate as a fitted model: what a doubling of the model is worth in doublings of samples or FLOPs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.curves import DRAWS
from scalinglab.errors import DataError, FitError
from scalinglab.evidence import Evidence
from scalinglab.exchange.paths import SAMPLES, Grid, grid_of
from scalinglab.exchange.smaller import CONTRADICTED, pairs_of, said_by
from scalinglab.exchange.surface import fit_surface, surface_rate
from scalinglab.fits import Answered, Fit, Rate, fit_rate
from scalinglab.flops import Convention

FLOPS = "FLOPs"
FITTED, MEAN = "fitted", "a mean: lack of fit"
UNTESTED, UNKNOWN = "fitted, lack of fit untested", "not identified"
"""Of a rate: nothing speaks against it; something adds to its fit at 5 %; as many terms as cells, so that nothing
can; or there is none."""
_LEVEL = 0.05
_APART = 0.25  # of an interval's width: the bootstrap's ends differ from the delta method's beyond it
_NUMBERS = (
    "rate", "low", "high", "error", "bootstrap_low", "bootstrap_high", "lack_of_fit", "changes_with_budget",
    "surface", "surface_low", "surface_high",
)  # fmt: skip


@dataclass(frozen=True)
class Rates:
    """Fitted exchange rates of one body of evidence.

    table: one row a group and unit. of (all, equal difficulty, strategy, difficulty, size, budget) and group say
    of what; unit: what is doubled in place of the model, samples or tokens (then a doubling of parameters is
    replaced) or FLOPs (of inference; then one of pretraining FLOPs is). rate with its 95 % interval by the delta
    method (low, high, error) and by the bootstrap over problems (bootstrap_low, bootstrap_high); p of lack_of_fit
    and of changes_with_budget; status; smaller: what single pairs (so many: pairs) say where a rate in FLOPs is
    below 0 at 95 %; the T^2 surface's rate in the middle of the same cells (surface, surface_low, surface_high);
    problems; why there is no rate. pairs: see ``pairs_of``.
    """

    table: pd.DataFrame
    pairs: pd.DataFrame
    unit: str
    convention: str
    notes: tuple[str, ...]

    @property
    def said(self) -> str:
        """The answer in a sentence."""
        first = self.table[self.table["of"] == "all"]
        return "; ".join(_said(row) for row in first.to_dict("records"))


@dataclass(frozen=True)
class _Group:
    """Some cells, and which of the pairs are about them."""

    of: str
    name: str
    cells: Answered
    pairs: npt.NDArray[np.bool_]


def rates(
    evidence: Evidence, *, rule: Convention, k: Sequence[int] | None = None, bins: int = 1, seed: int = 0,
    draws: int = DRAWS,
) -> Rates:  # fmt: skip
    """The fitted exchange rates of every model of known size: over all, by strategy, difficulty, size and budget.

    A binomial GEE of right or not on log2 of parameters and of the budget, and on log2 of pretraining and of
    inference FLOPs under ``rule``, with an intercept a strategy (and difficulty bin), clustered by problem (see
    ``fits.fit_rate``). See ``grid_of`` for k and bins. Raises DataError where there is one model, FitError where
    the data do not identify a rate: one budget, all right, separation.
    """
    grid = grid_of(evidence, rule=rule, k=k, bins=bins, seed=seed)
    pairs = pairs_of(grid, seed=seed)
    found = _Fitted(grid, pairs, seed, draws)
    table = pd.DataFrame(list(found.rows())).astype(dict.fromkeys(_NUMBERS, float))
    return Rates(table, pairs, grid.axis, rule.name, (*_notes(evidence, grid, rule), *found.notes(table)))


@dataclass(frozen=True)
class _Fitted:
    grid: Grid
    pairs: pd.DataFrame
    seed: int
    draws: int

    def rows(self) -> Iterator[dict[str, Any]]:
        for group in self._groups():
            made = [self._row(group, unit) for unit in (self.grid.axis, FLOPS)]
            errors = [error for _, error in made if error is not None]
            if group.of == "all" and len(errors) == len(made):
                raise errors[0]
            yield from (row for row, _ in made)

    def _row(self, group: _Group, unit: str) -> tuple[dict[str, Any], FitError | None]:
        common = {"of": group.of, "group": group.name, "unit": unit, "problems": len(group.cells.right)}
        doubled, by = ("pretraining", "inference") if unit == FLOPS else ("size", "budget")
        cells = group.cells.where(group.cells.table[doubled].notna())
        try:
            found = fit_rate(cells, doubled=doubled, by=by, draws=self.draws, seed=self.seed)
        except FitError as error:
            told = {"status": UNKNOWN, "smaller": "", "pairs": 0, "why": error.args[0]}
            return common | dict.fromkeys(_NUMBERS) | told, error
        own = self.pairs[group.pairs] if unit == FLOPS else self.pairs[:0]
        told = {"smaller": said_by(own) if unit == FLOPS and found.high < 0 else "", "pairs": len(own), "why": ""}
        surface = self._surface(group) if unit == self.grid.axis else {}
        return common | _numbers(found) | told | surface, None

    def _groups(self) -> Iterator[_Group]:
        """What has a rate of its own; ways that know the right answers stand apart where there are others."""
        whole, pairs = self.grid.cells(), self.pairs
        main = self._main(whole)
        names = main.table["strategy"].unique()
        told = pairs["strategy"].isin(names).to_numpy() & (pairs["bin"] == "").to_numpy()
        yield _Group("all", "all", main, told)
        if self.grid.bins is not None:
            binned = self._main(self.grid.cells(binned=True))
            yield _Group("equal difficulty", "all", binned, told)
            inside = pairs["strategy"].isin(names).to_numpy()
            for bin_ in binned.table["bin"].unique():
                own = inside & (pairs["bin"] == bin_).to_numpy()
                yield _Group("difficulty", f"bin {bin_}", binned.where(binned.table["bin"] == bin_), own)
        labels = whole.table["strategy"].unique()
        for label in labels if len(labels) > 1 else ():
            own = (pairs["strategy"] == label).to_numpy() & (pairs["bin"] == "").to_numpy()
            yield _Group("strategy", label, whole.where(whole.table["strategy"] == label), own)
        yield from self._steps(main, told)

    def _main(self, cells: Answered) -> Answered:
        honest = cells.table["honest"].to_numpy(dtype=bool)
        return cells.where(honest) if honest.any() else cells

    def _steps(self, cells: Answered, told: npt.NDArray[np.bool_]) -> Iterator[_Group]:
        """Each pair of adjacent sizes, and of adjacent budgets."""
        table, pairs = cells.table, self.pairs
        models = {float(size): sorted(set(rows)) for size, rows in table.groupby("size")["model"]}  # type: ignore[arg-type]
        sizes = sorted(models)
        for low, high in pairwise(sizes) if len(sizes) > 2 else ():
            own = told & pairs["small"].isin(models[low]).to_numpy() & pairs["large"].isin(models[high]).to_numpy()
            name = f"{', '.join(models[low])} to {', '.join(models[high])}"
            yield _Group("size", name, cells.where(table["size"].isin([low, high])), own)
        levels = list(table.groupby("level")["budget"].mean().sort_values().index)
        for step in pairwise(levels) if len(levels) > 2 else ():
            own = told & pairs["level"].isin(step).to_numpy()
            yield _Group("budget", " to ".join(step), cells.where(table["level"].isin(step)), own)

    @cached_property
    def surface(self) -> Fit | str:
        """The T^2 surface of the ways over all, or why there is none."""
        cells = self._main(self.grid.cells())
        if self.grid.axis != SAMPLES or len(cells.table["strategy"].unique()) > 1:
            return "of samples by one strategy alone"
        tokens = {name: float(s.training_tokens) for name, s in self.grid.specs.items() if s.training_tokens}
        try:
            found = fit_surface(cells, tokens, bootstrap=min(self.draws, 300), seed=self.seed)
        except (DataError, FitError) as error:
            return str(error)
        return found if found.objective is not None else f"{found.status} ({found.why})"

    def _surface(self, group: _Group) -> dict[str, float | None]:
        if isinstance(self.surface, str) or group.of not in ("all", "size", "budget"):
            return {}
        middle = [2.0 ** float(np.mean(group.cells.table[name].unique())) for name in ("size", "budget")]
        return dict(
            zip(("surface", "surface_low", "surface_high"), surface_rate(self.surface, *middle), strict=True)
        )

    def notes(self, table: pd.DataFrame) -> Iterator[str]:
        """What the rates and pairs rest on."""
        yield (
            f"lack of fit: p that levels of models and budgets add nothing; below {_LEVEL} a rate is a mean over "
            "unlike steps; changes: p that the rate is one at every budget"
        )
        known = table[table["status"] != UNKNOWN]
        width = (known["high"] - known["low"]) * _APART
        ends = [(known[end] - known[f"bootstrap_{end}"]).abs() > width for end in ("low", "high")]
        yield (
            "intervals: 95 %, delta method, robust by problem; the bootstrap's ends differ by more than a quarter "
            f"of the width in {int((ends[0] | ends[1]).sum())} of {len(known)} rows"
        )
        found = self.surface
        if isinstance(found, str):
            yield f"no T^2 surface beside it: {found}"
        else:
            why = f" ({found.why})" if found.why else ""
            yield f"surface, in the middle of the same cells: {found.law.text}: {found.status}{why}"
        yield from self._against(table)

    def _against(self, table: pd.DataFrame) -> Iterator[str]:
        """The clearest pair against a fit by which smaller is better."""
        first = table[(table["of"] == "all") & (table["unit"] == FLOPS)].iloc[0]
        if first["smaller"] == CONTRADICTED:
            own = self.pairs[self.pairs["bin"] == ""]
            worst = own.sort_values("high").iloc[0]
            ends = (
                f"{100 * worst['difference']:+.1f} points ({100 * worst['low']:.1f} to {100 * worst['high']:.1f})"
            )
            yield (
                f"by the fit smaller is better at equal inference FLOPs, but {int((own['high'] < 0).sum())} of "
                f"{len(own)} single comparisons say the reverse, such as {worst['small']} less {worst['large']} "
                f"at the latter's {worst['level']} {self.grid.axis}: {ends}"
            )


def _said(row: dict[Any, Any]) -> str:
    what, by = ("pretraining FLOPs", "inference FLOPs") if row["unit"] == FLOPS else ("the model", row["unit"])
    if row["status"] == UNKNOWN:
        return f"one doubling of {what}: no rate ({row['why']})"
    ends = f"{row['rate']:.3f} doublings of {by} (95 % {row['low']:.3f} to {row['high']:.3f})"
    mean = ", a mean over steps that differ" if row["status"] == MEAN else ""
    smaller = (
        f"; at equal inference FLOPs the fit favours smaller models: {row['smaller']}" if row["smaller"] else ""
    )
    return f"one doubling of {what} is worth {ends}{mean}{smaller}"


def _numbers(found: Rate) -> dict[str, Any]:
    drawn = found.drawn or (None, None, None)
    told = UNTESTED if found.lack_of_fit is None else MEAN if found.lack_of_fit < _LEVEL else FITTED
    return {
        "rate": found.rate, "low": found.low, "high": found.high, "error": found.error,
        "bootstrap_low": drawn[1], "bootstrap_high": drawn[2], "lack_of_fit": found.lack_of_fit,
        "changes_with_budget": found.changes, "surface": None, "surface_low": None, "surface_high": None,
        "status": told,
    }  # fmt: skip


def _notes(evidence: Evidence, grid: Grid, rule: Convention) -> Iterator[str]:
    yield f"convention: {rule}"
    yield "parameters: all of a model's; FLOPs of pretraining, and of inference an answer, under the convention"
    assumed = sorted({path.model for path in grid.paths if not evidence.recorded(path.model)})
    if assumed:
        tokens = evidence.tokens
        yield (
            f"tokens of {', '.join(assumed)}: none recorded; an answer is taken to read {tokens.prompt} and write "
            f"{tokens.generated}"
        )
    if not any(path.honest for path in grid.paths):
        yield "every way takes a perfect verifier (coverage)"
    yield from evidence.told
    yield from grid.notes
