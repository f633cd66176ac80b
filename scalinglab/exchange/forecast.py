"""What a pair of models that nobody measured would gain, from the pairs of atlases; and how far off that is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from scalinglab.curves import DRAWS, Floats, resampled, tails
from scalinglab.errors import DataError
from scalinglab.exchange.atlas import Atlas
from scalinglab.fits import Meta, fit_meta, solve_meta

MIXED = "mixed model"
FORECASTERS = (MIXED, "always pretraining", "always test-time", "nearest measured pair", "mean of the others")
"""The second and third forecast the mean loss and the mean gain of the measured pairs, whatever the pair."""
TERMS = ("log2 N ratio", "log10 R", "thinking", "search", "verifier", "logit accuracy")
PAIR, SMALL = "pair", "small model"
_KEYS = ["task", "small", "small_arm", "large", "large_arm"]
_ONCE = r"(one sample|greedy)\b"
_CHECKED = r"\bby "


@dataclass(frozen=True)
class Forecast:
    """A meta-regression of the gain at equal lifetime FLOPs, and its errors on pairs that it was not shown.

    rows: see ``measured``, with the mixed model's forecasts. errors: one row a left_out (pair: both directions
    and all arms of two models, on every task; small model: every pair that it is in) and forecaster. Over so many
    pairs, each weighing the same: rmse and mae in accuracy points with their 95 % bootstrap over pairs (rmse_low,
    rmse_high, mae_low, mae_high); less: rmse of the mixed model less this one (less_low, less_high); right_signs:
    the share among those that are decided, so many. coefficients: term, points a unit of it, 95 % by the jackknife
    over models (low, high), error (standard error were pairs independent). notes: what all of it rests on.
    """

    rows: pd.DataFrame
    errors: pd.DataFrame
    coefficients: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def unbeaten(self) -> list[str]:
        """The forecasters than which the mixed model's RMSE is not measurably less, and with what left out."""
        rows = self.errors[(self.errors["forecaster"] != MIXED) & ~(self.errors["less_high"] < 0)]
        return [
            f"{name} ({left} left out)" for name, left in zip(rows["forecaster"], rows["left_out"], strict=True)
        ]

    @property
    def said(self) -> str:
        """The errors in a sentence."""
        told = "; ".join(_told(name, rows) for name, rows in self.errors.groupby("left_out", sort=False))
        better = f"no better than {', '.join(self.unbeaten)}" if self.unbeaten else "better than all of them"
        found = f"Forecast of a pair that nobody measured: {told}"
        return f"{found}. At 95 % it is {better}; `advise` does not use it."


def forecast(atlases: Sequence[Atlas], *, draws: int = DRAWS, seed: int = 0) -> Forecast:
    """Fit the pairs of these atlases, one a task, and forecast each from the others.

    Raises DataError where there are too few pairs of different models.
    """
    rows = measured(atlases)
    terms, models, pairs = list(_kept(rows)), _models(rows), rows["pair"].nunique()
    if pairs < len(terms) + 3 or len(models) < 4:
        given = f"{pairs} pairs of {len(models)} models that can be paid at an R"
        raise DataError(given, f"{len(terms) + 3} pairs of 4 models, or more", "add runs, specs or --r")
    members = np.column_stack([rows["small"].eq(m) | rows["large"].eq(m) for m in models])
    design, gain = _design(rows, terms), rows["gain"].to_numpy(np.float64)
    fitted = fit_meta(design, gain, _groups(rows), members)
    left = {PAIR: _by_pair(rows), SMALL: _by_small(rows)}
    errors = []
    for name, folds in left.items():
        found = _forecasts(design, rows, folds)
        errors.append(_errors(rows, found, name, draws, seed))
        rows = rows.assign(**{f"forecast, {name} left out": found[:, 0]})
    table = _coefficients(fitted, terms)
    return Forecast(rows, pd.concat(errors, ignore_index=True), table, tuple(_notes(rows, terms)))


def measured(atlases: Sequence[Atlas]) -> pd.DataFrame:
    """Each pair of different models at each R at which the small side can be paid.

    Columns: task, small, small_arm, large, large_arm, R, pair (of models), gain with its interval (low, high): of
    the mixture that the small side can pay; of its arm where that costs no more, be it less; and TERMS: thinking,
    search and verifier are 1 where the small arm alone has it, -1 where the large one; logit accuracy is of the
    small model's own single answers.
    """
    every = [_joined(one) for one in atlases]
    found = pd.concat([rows for rows in every if rows["R"].notna().any()] or every[:1], ignore_index=True)
    once = found[found["small_arm"].str.match(_ONCE)]
    own = once.groupby(["task", "small"])["small_accuracy"].mean().rename("own").reset_index()
    found = found[found["R"].notna() & (found["share"] > 0)].merge(own, on=["task", "small"])
    part = found["share"] < 1
    for name, mixed in (("gain", "difference"), ("low", "low_at"), ("high", "high_at")):
        found[name] = found[name].where(~part, found[mixed])
    found["pair"] = [" | ".join(sorted(two)) for two in zip(found["small"], found["large"], strict=True)]
    found["log2 N ratio"], found["log10 R"] = np.log2(found["n_ratio"]), np.log10(found["R"])
    found["thinking"] = _trained(found, "small") - _trained(found, "large")
    found["search"] = -_matched(found, _ONCE)
    found["verifier"] = _matched(found, _CHECKED)
    n = found["problems"]
    found["logit accuracy"] = special.logit((found["own"] * n + 0.5) / (n + 1))
    columns = [*_KEYS, "R", "pair", "gain", "low", "high", *TERMS]
    return found.dropna(subset=["gain", *TERMS])[columns].reset_index(drop=True)


def _joined(found: Atlas) -> pd.DataFrame:
    verdicts = found.verdicts[[*_KEYS, "R", "share", "difference", "low", "high"]]
    verdicts = verdicts.rename(columns={"low": "low_at", "high": "high_at"})
    return found.pairs.astype({"low": float, "high": float}).merge(verdicts, on=_KEYS)


def _trained(rows: pd.DataFrame, side: str) -> npt.NDArray[np.int_]:
    """Whether a side's model was taught to think, which is what nobody is charged."""
    told = zip(rows[side], rows["uncharged"], strict=True)
    return np.array([f"{name}: reinforcement learning" in str(free).split("; ") for name, free in told], dtype=int)


def _matched(rows: pd.DataFrame, pattern: str) -> pd.Series:
    """1, -1 or 0: the small arm's name alone holds the pattern, the large one's alone, or neither or both do."""
    small, large = (
        rows[f"{side}_arm"].map(lambda arm: bool(re.search(pattern, arm))) for side in ("small", "large")
    )
    return small.astype(int) - large.astype(int)


def _models(rows: pd.DataFrame) -> list[str]:
    return sorted({*rows["small"], *rows["large"]})


def _kept(rows: pd.DataFrame) -> Iterator[str]:
    """The terms that say something that those before them do not."""
    kept: list[str] = []
    for term in TERMS:
        if np.linalg.matrix_rank(_design(rows, [*kept, term])) == len(kept) + 2:
            kept.append(term)
            yield term


def _design(rows: pd.DataFrame, terms: Sequence[str]) -> Floats:
    return np.column_stack([np.ones(len(rows)), rows[list(terms)].to_numpy(np.float64)])


def _groups(rows: pd.DataFrame) -> npt.NDArray[np.str_]:
    """Pairs by direction: what one side gains the other loses, so that the two share no intercept."""
    return (rows["small"] + " < " + rows["large"]).to_numpy(str)


Fold = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


def _by_pair(rows: pd.DataFrame) -> Iterator[Fold]:
    """Rows that are forecast, and the rows that they are forecast from."""
    for name in rows["pair"].unique():
        here = rows["pair"].eq(name).to_numpy()
        yield here, ~here


def _by_small(rows: pd.DataFrame) -> Iterator[Fold]:
    for name in rows["small"].unique():
        here = rows["small"].eq(name).to_numpy()
        yield here, ~(here | rows["large"].eq(name).to_numpy())


def _forecasts(design: Floats, rows: pd.DataFrame, folds: Iterator[Fold]) -> Floats:
    """A forecast of each row by each forecaster, (rows, forecasters), NaN where too little is left."""
    gain, groups = rows["gain"].to_numpy(np.float64), _groups(rows)
    found = np.full((len(rows), len(FORECASTERS)), np.nan)
    for here, others in folds:
        if len(np.unique(groups[others])) > design.shape[1]:
            known, asked = design[others], design[here]
            values, *_ = solve_meta(known, gain[others], groups[others])
            near = _nearest(known, gain[others], asked)
            mean = gain[others].mean()
            worse, better = (gain[others][sign * gain[others] > 0] for sign in (-1, 1))
            ends = [part.mean() if len(part) else 0.0 for part in (worse, better)]
            found[here] = np.column_stack([asked @ values, *(np.full(len(asked), end) for end in ends), near,
                                           np.full(len(asked), mean)])  # fmt: skip
    return found


def _nearest(known: Floats, gain: Floats, asked: Floats) -> Floats:
    """The mean gain of the nearest rows, terms in standard deviations."""
    scale = known.std(axis=0)
    scale[scale == 0] = 1.0
    apart = (((asked[:, None] - known[None]) / scale) ** 2).sum(axis=2)
    near = apart <= apart.min(axis=1, keepdims=True) + 1e-12
    return np.asarray((near * gain).sum(axis=1) / near.sum(axis=1))


def _errors(rows: pd.DataFrame, found: Floats, left_out: str, draws: int, seed: int) -> pd.DataFrame:
    gain = rows["gain"].to_numpy(np.float64)[:, None]
    decided = ((rows["low"] > 0) | (rows["high"] < 0)).to_numpy()[:, None]
    signs = np.where(decided, np.sign(found) == np.sign(gain), np.nan)
    groups = rows["pair"].where(~np.isnan(found[:, 0]))
    square, size, right = (
        pd.DataFrame(part).groupby(groups.to_numpy()).mean().to_numpy()
        for part in ((found - gain) ** 2, abs(found - gain), signs)
    )
    drawn = resampled(np.stack([square, size], axis=1), draws, seed).reshape(draws, 2, -1)
    drawn[:, 0] = np.sqrt(drawn[:, 0])
    rmse, mae, less = drawn[:, 0], drawn[:, 1], drawn[:, 0, :1] - drawn[:, 0]
    points = {"rmse": np.sqrt(square.mean(axis=0)), "mae": size.mean(axis=0)}
    points["less"] = points["rmse"][0] - points["rmse"]
    table: dict[str, object] = {"left_out": left_out, "forecaster": FORECASTERS, "pairs": len(square)}
    for name, part in (("rmse", rmse), ("mae", mae), ("less", less)):
        low, high = np.quantile(part, tails(len(square)), axis=0)
        table |= {name: 100 * points[name], f"{name}_low": 100 * low, f"{name}_high": 100 * high}
    told = ~np.isnan(right[:, 0])
    share = right[told].mean(axis=0) if told.any() else np.nan
    return pd.DataFrame(table | {"right_signs": share, "decided": int(told.sum())})


def _coefficients(fitted: Meta, terms: Sequence[str]) -> pd.DataFrame:
    parts = (fitted.points, fitted.low, fitted.high, fitted.error)
    numbers = {name: 100 * part for name, part in zip(("points", "low", "high", "error"), parts, strict=True)}
    return pd.DataFrame({"term": ["intercept", *terms], **numbers})


def _notes(rows: pd.DataFrame, terms: Sequence[str]) -> Iterator[str]:
    same = rows.groupby("pair")["gain"].nunique().eq(1).sum()
    yield (
        f"{len(rows)} rows of {rows['pair'].nunique()} pairs of {len(_models(rows))} models on "
        f"{', '.join(rows['task'].unique())}: each pair at each R at which the small side can be paid; where it "
        "costs less than it may, its gain is a lower bound; one model against itself has no R and is not in it"
    )
    yield f"R only says which pairs can be paid in {same} of them, whose gain is one at every R that is left"
    for term in TERMS:
        pairs = rows.loc[rows[term] != 0, "pair"].nunique() if term in terms else 0
        if term not in terms:
            yield f"{term}: left out, as it says nothing that the terms before it do not"
        elif term in ("thinking", "search", "verifier"):
            alone = ", forecast without it" if pairs == 1 else ""
            yield f"{term} (1: of the small arm alone, -1: the large one) differs in {pairs} of the pairs{alone}"
    yield "logit accuracy is of the small model's own single answers, which are often one side of the gain too"
    yield (
        "a random intercept a pair and direction, unweighted; pairs share models: coefficients have the jackknife "
        "over models, the bootstrap of errors is over pairs and too narrow"
    )


def _told(left_out: object, rows: pd.DataFrame) -> str:
    others = ", ".join(f"{row.rmse:.1f} {row.forecaster}" for row in rows.iloc[1:].itertuples())
    first, best = rows.iloc[0], rows.iloc[1:].sort_values("right_signs").iloc[-1]
    return (
        f"with its {left_out} left out the mixed model is off by {first['rmse']:.1f} points (RMSE, 95 % "
        f"{first['rmse_low']:.1f} to {first['rmse_high']:.1f}), against {others}, and has the right sign in "
        f"{100 * first['right_signs']:.0f} % of {first['decided']} decided pairs "
        f"({best['forecaster']}: {100 * best['right_signs']:.0f} %)"
    )
