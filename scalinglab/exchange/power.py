"""How much is enough: the interval that a study of so many problems and samples will have, and what it decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from scalinglab.curves import BOUND, CANNOT, MEASURED, Floats, asked, doubt, simultaneous, tails, ways_of
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.exchange.headline import Headline
from scalinglab.exchange.matched import fewest_of, headline_of, noise_of, rivals
from scalinglab.exchange.matching import positive
from scalinglab.exchange.paired import CANNOT_PAY, FEWEST_PROBLEMS, PAPER_R, PRETRAINING, TEST_TIME
from scalinglab.exchange.redrawn import Redrawn
from scalinglab.exchange.splits import DIFFICULTY
from scalinglab.exchange.views import View, views
from scalinglab.flops import CONVENTIONS, Convention
from scalinglab.samples import Run

_SIMULATED = 200
"""Problems of a simulated study, about: a whole number of times those of the pilot."""
_MOST = 1_000_000
"""Problems that are looked for, at most."""
TARGET = 0.8
"""The chance with which a study should decide, unless asked otherwise."""


@dataclass(frozen=True)
class Outlook:
    """What simulated studies say of one R under one convention with so many samples of the small model a problem.

    difference: of the headline; spread: of one problem's difference (its standard error at P problems is
    spread / sqrt(P), and ``doubt``); reach: half the interval, in standard errors, of ``simulated`` problems.
    status: of the budget (see ``lines.MEASURED``). flops: a query may take; k: samples that these buy (None:
    the small model has no parallel ones). pilot: problems behind spread and difference; None where both are
    assumed.
    """

    convention: str
    r: float
    samples: int
    difference: float
    spread: float
    reach: float
    status: str
    flops: float
    k: int | None
    fewest: int
    simulated: int
    pilot: int | None

    def error(self, problems: int) -> float:
        """The standard error of the difference over so many problems."""
        return float(np.hypot(self.spread / np.sqrt(problems), doubt(problems, self.fewest)))

    def half_width(self, problems: int) -> float:
        """Half the headline's simultaneous 95 % interval; of few problems it is wider, as the engine's is."""
        tail = 1 - 2 * float(special.ndtr(-self.reach))
        wider = special.ndtri(tails(problems, tail)[0]) / special.ndtri(tails(self.simulated, tail)[0])
        return float(self.reach * wider * self.error(problems))

    def half_widths(self, problems: int) -> tuple[float, float]:
        """The 80 % range of that half width that a pilot of few problems leaves open.

        As of differences with a kurtosis of 5: most problems agree, so that few decide how much they vary.
        """
        if self.pilot is None:
            return (self.half_width(problems),) * 2
        free = (self.pilot - 1) / 2
        low, high = (float(np.sqrt(free / stats.chi2.ppf(share, free))) for share in (0.9, 0.1))
        return low * self.half_width(problems), high * self.half_width(problems)

    def chance(self, problems: int, *, as_seen: bool = False) -> float:
        """The chance that such a study decides: that its interval holds no 0.

        The true difference is one that the pilot leaves possible; with ``as_seen`` it is the one seen. A lower
        bound decides only for test-time compute. 1 where the small side cannot pay, which is decided now.
        """
        if self.status == CANNOT:
            return 1.0
        if problems < FEWEST_PROBLEMS or self.status not in (MEASURED, BOUND):
            return 0.0
        error, half, shape = self.error(problems), self.half_width(problems), np.inf
        if self.pilot is not None and not as_seen:
            error, shape = float(np.hypot(error, self.error(self.pilot))), self.pilot - 1.0
        above = float(stats.t.cdf((self.difference - half) / error, shape))
        below = float(stats.t.cdf((-self.difference - half) / error, shape))
        return above if self.status == BOUND else above + below

    def enough(self, chance: float, *, as_seen: bool = False) -> int | None:
        """The fewest problems that decide with this chance; None where no number does."""
        low, high = FEWEST_PROBLEMS, _MOST
        if self.chance(high, as_seen=as_seen) < chance:
            return None
        while high - low > 1:  # by halving: a chance rises with problems wherever it passes a half
            middle = (low + high) // 2
            low, high = (low, middle) if self.chance(middle, as_seen=as_seen) >= chance else (middle, high)
        return low if self.chance(low, as_seen=as_seen) >= chance else high

    @property
    def decided(self) -> str:
        """What the study would most likely say."""
        if self.status == CANNOT:
            return CANNOT_PAY
        return TEST_TIME if self.difference > 0 else PRETRAINING


@dataclass(frozen=True)
class Power:
    """The outlook of studies of this pair: one ``Outlook`` a convention, R and number of samples.

    pilot: its problems; None where accuracies were assumed. unpriced: conventions left out, each with its reason.
    """

    small: str
    large: str
    pilot: int | None
    outlooks: tuple[Outlook, ...]
    unpriced: dict[str, str]

    def of(self, convention: str, samples: int | None = None, r: float | None = None) -> list[Outlook]:
        """The outlooks under one convention, of one number of samples and one R where these are given."""
        return [
            one
            for one in self.outlooks
            if one.convention == convention and samples in (None, one.samples) and r in (None, one.r)
        ]

    def table(self, problems: int) -> pd.DataFrame:
        """One row an outlook, at so many problems.

        Columns: convention, R, samples, problems, difference, half_width (of the simultaneous 95 % interval),
        half_width_low and half_width_high (80 %, as the pilot leaves it open), chance and chance_as_seen (that it
        decides), status, flops and k (which a query may take).
        """
        return pd.DataFrame([_row(one, problems) for one in self.outlooks])


def power(
    evidence: Evidence,
    *,
    samples: int,
    others: Sequence[int] = (),
    r: Sequence[float] = PAPER_R,
    rules: Sequence[Convention] = tuple(CONVENTIONS.values()),
    bins: int = 5,
    sunk: bool = False,
    assumed: bool = False,
    seed: int = 0,
) -> Power:
    """What studies with so many parallel samples of the small model a problem would say, from a pilot.

    A study of about 200 problems is drawn from the pilot (see ``Redrawn``) and goes through the engine that
    compares; its error is then scaled to any number of problems. ``others``: further numbers of samples, under
    the first rule alone. ``assumed``: nothing of the evidence is in doubt (see ``assumed.assumed``). Raises
    DataError for fewer than 6 problems in the pilot, or as ``views``.
    """
    r = [positive(at, "R") for at in r]
    evidence = _without_difficulty(evidence)
    count = _shared(evidence)
    if count < FEWEST_PROBLEMS:
        raise DataError(f"a pilot of {count} problems", f"{FEWEST_PROBLEMS} or more", "collect some more")
    found: list[Outlook] = []
    unpriced: dict[str, str] = {}
    for n in (samples, *(k for k in others if k != samples)):
        if n < 2 and bins > 1:
            raise DataError(f"{n} sample a problem", "2 or more, of which half set difficulty bins", "take more")
        redrawn = Redrawn(evidence.pair()[0], n, max(1, round(_SIMULATED / count)), seed)
        wanted = rules if n == samples else rules[:1]
        made, left = views(evidence, wanted, bins=bins, sunk=sunk, seed=seed, change=redrawn)
        unpriced |= left
        for view in made:
            found += _outlooks(view, r, n, None if assumed else min(count, redrawn.most))
    return Power(*evidence.pair(), None if assumed else count, tuple(found), unpriced)


def rough_half_width(problems: int) -> float:
    """Half the headline's simultaneous 95 % interval, about, where nothing is known but the number of problems.

    2.7 standard errors (five bins, three R) of differences that vary by 0.5 a problem: between 0.4 and 0.6 in all
    studies tried (results/benchmarks/power.json).
    """
    return float(2.7 * 0.5 / np.sqrt(problems))


def _outlooks(view: View, r: Sequence[float], samples: int, pilot: int | None) -> Iterator[Outlook]:
    (rival,) = rivals(view, thinking=False, line=None)
    every = [headline_of(view, group, rival, r, fixed=False) for group in view.groups]
    fewest, problems, whole = fewest_of(view, rival), view.groups[0].size, every[0]
    reach = _reach(view, every, fewest)
    of_few = (
        1.0 if pilot is None else pilot / (pilot - 1)
    )  # the spread of the pilot's problems is about their own mean
    for j, status in enumerate(whole.status):
        error = float(whole.apart[:, j].std(ddof=1))
        noise = noise_of(view, view.groups[0])
        yield Outlook(
            view.arms.convention,
            r[j],
            samples,
            float(whole.small[j] - whole.large),
            float(np.sqrt((error**2 + noise) * problems * of_few)),
            float(reach[j]),
            status,
            float(whole.flops[j]),
            _bought(view, float(whole.flops[j])),
            fewest,
            problems,
            pilot,
        )


def _reach(view: View, every: Sequence[Headline], fewest: int) -> Floats:
    """Half the simultaneous interval over all problems at each R, in standard errors, (points,); NaN for none."""
    cells = [
        (group, one, j)
        for group, one in zip(view.groups, every, strict=True)
        for j, status in enumerate(one.status)
        if status in (MEASURED, BOUND) and group.size >= FEWEST_PROBLEMS
    ]
    found = np.full(len(every[0].status), np.nan)
    if not cells:
        return found
    counts = np.array([group.effective for group, _, _ in cells])
    extra = np.sqrt([noise_of(view, group) for group, _, _ in cells])
    apart = np.column_stack([one.apart[:, j] for _, one, j in cells])
    low, high = simultaneous(apart, np.zeros(len(cells)), problems=counts, extra=extra, fewest=fewest)
    error = np.sqrt(apart.var(axis=0, ddof=1) + extra**2 + doubt(counts, fewest) ** 2)
    for i, (_, one, j) in enumerate(cells):
        if one is every[0]:
            found[j] = (high[i] - low[i]) / 2 / error[i]
    return found


def _bought(view: View, flops: float) -> int | None:
    """The parallel samples of the small model that these FLOPs a query buy; None where it has none."""
    own = [line for line in view.menu() if line.strategy == "parallel" and line.models[0] == view.small]
    if not own:
        return None
    prices = [view.arms.prices[line.way] for line in own]
    return max(0, *(int((flops - price.fixed.mean()) / price.each.mean() + 1e-9) for price in prices))


def _without_difficulty(evidence: Evidence) -> Evidence:
    """The evidence without samples drawn for difficulty alone, which are not of the problems drawn anew."""
    run = evidence.run
    if run is None or not (run.units["strategy"] == DIFFICULTY).any():
        return evidence
    units = run.units[run.units["strategy"] != DIFFICULTY].reset_index(drop=True)
    calls, solutions = (frame[frame["unit"].isin(units["key"])] for frame in (run.calls, run.solutions))
    return replace(evidence, run=Run(units, calls.reset_index(drop=True), solutions.reset_index(drop=True)))


def _shared(evidence: Evidence) -> int:
    """The problems that every way of the pair was asked."""
    models = (*evidence.pair(), *evidence.revisers())
    return len(asked(ways_of(evidence, [], models=models)).problems)


def _row(one: Outlook, problems: int) -> dict[str, Any]:
    low, high = one.half_widths(problems)
    return {
        "convention": one.convention, "R": one.r, "samples": one.samples, "problems": problems,
        "difference": one.difference, "half_width": one.half_width(problems), "half_width_low": low,
        "half_width_high": high, "chance": one.chance(problems),
        "chance_as_seen": one.chance(problems, as_seen=True), "status": one.status, "flops": one.flops, "k": one.k,
    }  # fmt: skip
