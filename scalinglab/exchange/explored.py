"""Beside the headlines of a repeated study: the gain, predicted difficulty, the joint optimum of a ladder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.curves import Floats, over_seeds
from scalinglab.evidence import Evidence
from scalinglab.exchange.chosen import Chosen
from scalinglab.fits import cells_in, joint, lifetime
from scalinglab.fits.joint import NUMBERS
from scalinglab.flops import Convention
from scalinglab.optimal import MIXTURE, Optimal

TARGETS = (0.25, 0.5, 0.75)
"""Accuracies that the ladder is asked for."""
_DRAWS = 200


def gains_over(found: Mapping[str, Chosen]) -> pd.DataFrame:
    """The gain over parallel samples of the same proposer in FLOPs, a row a mechanism and n; exploratory.

    gain: the geometric mean over seeds, of those that reach it; reached: how many do; then each seed's own. No
    interval: of each seed alone, over problems, see ``Gain.table``.
    """
    parts = [one.gain().assign(seed=name) for name, one in found.items() if one.gains]
    if not parts:
        return pd.DataFrame()
    every = pd.concat(parts, ignore_index=True)
    kept = every[(every["unit"] == "flops") & (every["by"] == MIXTURE)]
    rows = []
    for (mechanism, against, n), own in kept.groupby(["mechanism", "against", "n"], sort=False):
        known = own.dropna(subset=["gain"])
        mean = float(np.exp(np.log(known["gain"]).mean())) if len(known) else np.nan
        row = {"mechanism": mechanism, "against": against, "n": n, "gain": mean, "reached": len(known)}
        rows.append(row | {f"seed {name}": gain for name, gain in zip(own["seed"], own["gain"], strict=True)})
    return pd.DataFrame(rows)


def predicted_over(found: Mapping[str, Chosen]) -> pd.DataFrame:
    """Bins that the verifier predicts against one arm for all, with what estimating difficulty costs charged.

    A row a budget in FLOPs a query: accuracy by predicted and by oracle bins and of one arm for all, means over
    seeds; difference of the first and the last with its 95 % ends over problems and seeds, all budgets at once,
    and between, the standard deviation of seeds' differences. Empty where no verifier predicts. Exploratory.
    """
    chosen = list(found.values())
    if not all(one.predicted for one in chosen):
        return pd.DataFrame()
    budgets = chosen[0].predicted[0].budgets()
    guessed, told = ([_read(getattr(one, name), budgets) for one in chosen] for name in ("predicted", "oracle"))
    alone = [_read(one.predicted, budgets, fixed=True) for one in chosen]
    point = np.array([a - b for (a, _), (b, _) in zip(guessed, alone, strict=True)])
    paid = ~np.isnan(point).any(axis=0)
    draws = np.array([a - b for (_, a), (_, b) in zip(guessed, alone, strict=True)])[:, :, paid]
    _, low, high = over_seeds(draws, point[:, paid], problems=len(chosen[0].oracle[0].problems))
    means = {
        name: np.mean([one for one, _ in parts], axis=0)[paid]
        for name, parts in (("predicted", guessed), ("oracle", told), ("one arm for all", alone))
    }
    between = point[:, paid].std(axis=0, ddof=1) if len(chosen) > 1 else np.full(int(paid.sum()), np.nan)
    ends = {"difference": point[:, paid].mean(axis=0), "low": low, "high": high, "between": between}
    return pd.DataFrame({"flops": budgets[paid], **means, **ends})


def _read(splits: Sequence[Optimal], budgets: Floats, *, fixed: bool = False) -> tuple[Floats, Floats]:
    """Accuracy over all problems, (points,), and under resamples, (draws, points), a mean over splits."""
    reads = [one.read(0, budgets, fixed=fixed) for one in splits]
    return np.mean([one.accuracy for one in reads], axis=0), np.mean([one.draws for one in reads], axis=0)


def ladder_over(
    ladder: pd.DataFrame, evidence: Evidence, rule: Convention, r: Sequence[float], *, seed: int = 0
) -> pd.DataFrame:
    """Which N, D and k of a ladder reach an accuracy at the least FLOPs: by the law, and by direct search.

    A row a target, R and choice of ``fits.joint``, by the law that forecasts best; "cheapest cell measured" is the
    search. times: its FLOPs over those of the law's joint optimum. off, nearest: by how many accuracy points the
    law, and the nearest cell in its place, miss what was left out of the fit. ladder: its table, with pass@k. R is
    turned to queries by the small model's training tokens and those of one of its answers. Exploratory.
    """
    small, _ = evidence.pair()
    tokens, trained = evidence.tokens_of(small), evidence.spec(small).training_tokens or 0
    wide = rule.parameters == "non-embedding"
    named = ladder.rename(columns={"non_embedding" if wide else "parameters": "N", "tokens": "D"})
    runs = ["N", "seed"] if "seed" in named else ["N"]
    cells = cells_in(named.drop(columns=[c for c in named if str(c).startswith("flops")]), runs=runs)
    rows: list[dict[str, Any]] = []
    for target in TARGETS:
        for at in r:
            queries = at * trained / evidence.written()
            life = lifetime(target, queries, rule, prompt=tokens.prompt, generated=tokens.generated)
            best = joint(cells, life, bootstrap=_DRAWS, seed=seed)[0]
            missed = {"off": best.ranked.error, "nearest": float(np.mean([*best.nearest.values()]))}
            for choice in best.choices:
                numbers = {name: asdict(getattr(choice, name)) for name in NUMBERS}
                row = {"target": target, "R": at, "law": best.ranked.law, "choice": choice.name} | missed
                row |= {name: one["value"] for name, one in numbers.items()}
                row |= {"times low": numbers["times"]["low"], "times high": numbers["times"]["high"]}
                rows.append(row | {"outside": ", ".join(choice.outside)})
    return pd.DataFrame(rows)
