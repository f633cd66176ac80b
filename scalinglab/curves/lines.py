"""Lines: arms that differ only in budget, and what a line answers at FLOPs a query over a group of problems."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scalinglab.curves.alike import alike
from scalinglab.curves.arms import Arms
from scalinglab.curves.mixtures import shares
from scalinglab.curves.pools import Floats, Ints
from scalinglab.curves.readers import Reader
from scalinglab.grids import eighths

MEASURED, BOUND, CANNOT, BELOW = "measured", "lower bound", "cannot pay", "below measured budgets"
"""What stands at FLOPs a query: a mixture of measured budgets; beyond the dearest, the best of those within, which
is a lower bound; nothing, since one answer costs more; or nothing, since no smaller budget was run."""


def whole_numbers(means: Sequence[float]) -> list[int]:
    """Means rounded so that they add up to their rounded sum: what is left over goes to the largest remainders."""
    found = np.floor(np.round(means, 9)).astype(int)
    left = round(sum(means)) - int(found.sum())
    found[np.argsort(found - np.asarray(means), kind="stable")[:left]] += 1
    return [int(number) for number in found]


@dataclass(frozen=True)
class Group:
    """Problems that are compared together.

    members: their positions. inside: where bins were set on halves of the samples, in which splits each member was
    in this bin, (splits, members), and there it is scored on the other half; None where one division is enough.
    counted: how many problems it is said to hold, so that the bins of all problems add up (see ``whole_numbers``).
    """

    name: str
    members: Ints
    inside: npt.NDArray[np.bool_] | None = None
    counted: int | None = None

    @property
    def weights(self) -> Floats:
        """The share of splits in which each member counts, (members,)."""
        return np.ones(len(self.members)) if self.inside is None else self.inside.mean(axis=0)

    @property
    def size(self) -> int:
        """How many problems are compared: over splits, the mean number in this bin, rounded."""
        return round(float(self.weights.sum())) if self.counted is None else self.counted

    @property
    def effective(self) -> float:
        """How many problems that count alike would leave the mean as much doubt (Kish 1965)."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())

    def mean(self, values: Floats) -> Floats:
        """The weighted mean over members of values of these members, along the first axis."""
        return np.asarray(np.tensordot(self.weights / self.weights.sum(), values, axes=1))

    def mean_of(self, values: Floats) -> Floats:
        """The same of values of all problems."""
        return values[0] if alike(values) else self.mean(values[self.members])

    def evened(self, values: Floats) -> Floats:
        """Values of the members whose plain mean is the weighted one, and which spread as it does, to first order.

        What a member that counts half adds to the mean's doubt is half: all that resamples problems can use these.
        """
        if self.inside is None:
            return values
        middle, share = self.mean(values), self.weights / self.weights.mean()
        return np.asarray(middle + share.reshape(-1, *[1] * (values.ndim - 1)) * (values - middle))


@dataclass(frozen=True)
class Line:
    """Arms that differ only in budget. way: its number in ``Arms``; columns: its arms by rising budget.

    models: all that an answer takes, the one that answers first, its verifier's included. label tells it from
    every other line of its side, and names the model where another's has the same words.
    """

    way: int
    label: str
    role: str
    models: tuple[str, ...]
    strategy: str
    setting: str
    verifier: str
    selector: str
    columns: Ints
    budgets: Floats


@dataclass(frozen=True)
class Reading:
    """A line at FLOPs a query in a group: accuracy of each member, its variance from votes, (members, points).

    k: the mean budget, (points,). status: of each point, MEASURED, BOUND, CANNOT or BELOW; accuracy is NaN under
    the last two. fewest: samples behind any one accuracy.
    """

    accuracy: Floats
    noise: Floats
    k: Floats
    status: tuple[str, ...]
    fewest: int


_NAMES = ("role", "model", "strategy", "setting", "verifier", "selector")


def lines_of(arms: Arms, judges: Mapping[str, str | None]) -> list[Line]:
    """Every line of the arms. judges: the model behind each verifier's name."""
    columns: dict[int, list[int]] = {}
    for at, way in enumerate(arms.table["way"].tolist()):
        columns.setdefault(way, []).append(at)
    names, budgets = arms.table[list(_NAMES)].to_numpy(object), arms.table["budget"].to_numpy(np.float64)
    found = []
    for way, listed in columns.items():
        own: Ints = np.array(listed)[np.argsort(budgets[listed], kind="stable")]
        role, model, strategy, setting, verifier, selector = map(str, names[own[0]])
        judge, label = judges.get(verifier), label_of(strategy, setting, verifier, selector)
        models = (model,) if judge is None else (model, judge)
        found.append(Line(way, label, role, models, strategy, setting, verifier, selector, own, budgets[own]))
    return _told_apart(found)


def _told_apart(lines: Sequence[Line]) -> list[Line]:
    """The lines, with the model's name in the label of those that another model of the same side has too."""
    models: dict[tuple[bool, str], set[str]] = {}
    for line in lines:
        models.setdefault((line.role == "large", line.label), set()).add(line.models[0])
    return [
        replace(line, label=f"{line.label} ({line.models[0]})")
        if len(models[line.role == "large", line.label]) > 1
        else line
        for line in lines
    ]


def label_of(strategy: str, setting: str, verifier: str, selector: str) -> str:
    """A line in words, such as "beam_search width=4, weighted by prm"."""
    options = " ".join(f"{key}={value}" for key, value in json.loads(setting).items())
    chosen = f"{selector} by {verifier}" if verifier else selector
    return ", ".join([" ".join(filter(None, [strategy, options])), *filter(None, [chosen])])


def read(
    arms: Arms, line: Line, group: Group, flops: Floats, *, cheapest: float, halves: Sequence[Reader] | None = None
) -> Reading:
    """What a line answers at FLOPs a query, given the group's mean costs.

    cheapest: what the cheapest answer of its side costs in this group: below it nobody can answer, though a search
    may not have been run so small. halves: of each split, the reader of the samples that did not set its bins.
    Beyond the dearest budget each problem has the budget that is best on the others.
    """
    readers, budgets = _readers(arms, line, group, halves)
    cost = arms.prices[line.way].mean(budgets, group.members, group.weights)
    status = _status(flops, cost, float(cost[0]) if readers[0].step == 1 else cheapest)
    within, nowhere = (np.array([one in kinds for one in status]) for kinds in ((BOUND,), (CANNOT, BELOW)))
    mix = shares(cost, np.clip(flops, cost.min(), cost.max()))
    own = np.isin(budgets, line.budgets) | (budgets == budgets[-1])  # a bound is the best of these
    used = mix.any(axis=1) | (own & within.any())
    budgets, mix, own = budgets[used], mix[used], own[used]
    values, noise = _values(readers, group, budgets)
    accuracy, doubt, k = values @ mix, noise @ mix**2, budgets @ mix
    if within.any():
        best = _best(values, group.weights, own)
        accuracy[:, within] = np.take_along_axis(values, best[:, None], axis=1)
        doubt[:, within] = np.take_along_axis(noise, best[:, None], axis=1)
        k[within] = np.average(budgets[best], weights=group.weights)
    for array in (accuracy, doubt, k):
        array[..., nowhere] = np.nan
    return Reading(accuracy, doubt, k, tuple(status), min(reader.fewest for reader in readers))


def scanned(arms: Arms, line: Line, group: Group, *, halves: Sequence[Reader] | None = None) -> Ints:
    """The budgets of a line in a group, eight in each doubling.

    What ``read`` knows, up to mixtures of budgets a ninth apart at most: votes are read at no others.
    """
    readers, budgets = _readers(arms, line, group, halves)
    step = readers[0].step
    return step * eighths(int(budgets[-1]) // step) if step else budgets


def values_of(
    arms: Arms, line: Line, group: Group, budgets: Ints, *, halves: Sequence[Reader] | None = None
) -> tuple[Floats, Floats]:
    """Accuracy of each member at some of these, and its noise, (members, budgets) both."""
    return _values(_readers(arms, line, group, halves)[0], group, budgets)


def _readers(
    arms: Arms, line: Line, group: Group, halves: Sequence[Reader] | None
) -> tuple[Sequence[Reader], Ints]:
    """What reads a line in a group, and at which budgets."""
    readers = [arms.readers[line.way]] if halves is None or group.inside is None else list(halves)
    return readers, min((reader.budgets for reader in readers), key=len)


def _best(values: Floats, weights: Floats, own: npt.NDArray[np.bool_]) -> Ints:
    """Which of the line's own budgets answers best, for each member, chosen on the others: every second problem.

    Chosen on the problems that it is scored on, the best of several equal budgets looks better than any.
    """
    half = np.arange(len(values)) % 2
    best = np.empty(len(values), dtype=np.int64)
    for here in range(2):
        other = half != here if len(values) > 1 else np.ones(1, dtype=np.bool_)
        best[half == here] = np.where(own, np.average(values[other], axis=0, weights=weights[other]), -1).argmax()
    return best


def _status(flops: Floats, cost: Floats, cheapest: float) -> list[str]:
    slack = 1e-9
    found = []
    for at in flops.tolist():
        if at < cheapest * (1 - slack):
            found.append(CANNOT)
        elif at < cost.min() * (1 - slack):
            found.append(BELOW)
        else:
            found.append(MEASURED if at <= cost.max() * (1 + slack) else BOUND)
    return found


def _values(readers: Sequence[Reader], group: Group, budgets: Ints) -> tuple[Floats, Floats]:
    """Accuracy and noise of each member at each budget; of halves, over the splits in which it is in the group."""
    if group.inside is None or len(readers) == 1:
        return readers[0].at(budgets, group.members)
    sums = np.zeros((2, len(group.members), len(budgets)))
    for reader, here in zip(readers, group.inside, strict=True):
        if not here.any():  # in this split nothing is in the bin
            continue
        sums[:, here] += np.stack(reader.at(budgets, group.members[here]))
    times = group.inside.sum(axis=0)[:, None]
    return sums[0] / times, sums[1] / times  # halves share samples: their noise is not averaged away
