"""The cheapest way to share a study out between problems and samples that decides; and the answer in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scalinglab.advise.outlay import Outlay
from scalinglab.exchange import Outlook, Power


@dataclass(frozen=True)
class Split:
    """So many problems with so many samples each, which decide one R with a chance; cost: relative to others'."""

    r: float
    problems: int
    samples: int
    chance: float
    cost: float


def samples_around(samples: int) -> list[int]:
    """Numbers of samples among which a split is looked for: these, a quarter and half of them, and twice them."""
    return sorted({max(2, round(samples * factor)) for factor in (0.25, 0.5, 1, 2)})


def cheapest(
    power: Power, convention: str, r: float, outlays: Mapping[int, Outlay], *, chance: float, as_seen: bool = False
) -> Split | None:
    """The split with least FLOPs that decides this R with this chance; None where none of them does.

    outlays: of one problem, by number of samples. as_seen: were the difference the one that the pilot saw.
    """
    found = []
    for one in power.of(convention, r=r):
        problems, cost = one.enough(chance, as_seen=as_seen), outlays[one.samples].flops
        if problems is not None and cost is not None:
            found.append(Split(r, problems, one.samples, one.chance(problems, as_seen=as_seen), problems * cost))
    return min(found, key=lambda split: split.cost, default=None)


def said(power: Power, convention: str, problems: int, samples: int) -> str:
    """What a study of this size decides, and one of half the problems, in one or two sentences."""
    own = power.of(convention, samples)
    half = max(1, problems // 2)
    first = listed([f"R = {one.r:g} with a chance of {percent(one.chance(problems))}" for one in own])
    second = listed([percent(one.chance(half)) for one in own])
    read = [one for one in own if one.half_width(problems) == one.half_width(problems)]
    widths = sorted(100 * one.half_width(problems) for one in read)
    width = ""
    if widths:
        ends = f"{widths[0]:.1f}" if widths[-1] - widths[0] < 0.05 else f"{widths[0]:.1f} to {widths[-1]:.1f}"
        width = f" The headline's 95 % interval will be ± {ends} points{_open(read, problems)}."
    return f"{problems:,} problems and {samples:,} samples decide {first}; {half:,} would with {second}.{width}"


def _open(read: Sequence[Outlook], problems: int) -> str:
    pilot = read[0].pilot
    if pilot is None:
        return ""
    off = max(one.half_widths(problems)[1] / one.half_width(problems) for one in read) - 1
    return f" (known to within {percent(off)}, from {pilot:,} problems)"


def percent(share: float) -> str:
    """A share as whole percent; what is nearly certain is not called certain."""
    if 0 < share < 0.005:
        return "under 1 %"
    return "over 99 %" if share >= 0.995 else f"{100 * share:.0f} %"


def listed(words: Sequence[str]) -> str:
    """Words by commas, the last by "and"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
