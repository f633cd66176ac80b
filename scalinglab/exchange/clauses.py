"""What is said of one row or view in a clause, and numbers as words write them; ``words`` makes sentences of them.

A difference is said in accuracy points, the small side over the large one, with its 95 % interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from scalinglab.curves import BOUND
from scalinglab.exchange.breakeven import ABOVE, BACK, BELOW, CROSSED, SUNK
from scalinglab.exchange.paired import CANNOT_PAY, OUTSIDE, TEST_TIME, UNDECIDED
from scalinglab.exchange.views import View
from scalinglab.flops import CONVENTIONS

Row = Mapping[Any, Any]
_PAID = {
    "nobody": "verifying is free",
    "small": "the small side pays for verifying",
    "both": "both sides pay for verifying",
}
_NONE = "(no interval: too few problems)"


def verdict_clause(row: Row, *, small: str, large: str) -> str:
    """That A beats B by 4.3 points (95 % 1.5 to 7.1), loses, is undecided, or why nothing can be said.

    row: verdict, difference, low and high, and where it has one status. small, large: what to call the two.
    """
    verdict, value = row["verdict"], row["difference"]
    if verdict == CANNOT_PAY:
        return (
            f"{small} cannot pay: its training, or its cheapest answer, costs more than the whole lifetime of "
            f"{large}, and pretraining wins"
        )
    if verdict == OUTSIDE or value != value:
        return (
            f"{small} against {large} is outside what was measured: no measured budget is as large as it could "
            "pay, and none within it already wins"
        )
    if verdict == UNDECIDED:
        ends = f"(95 % {interval(row['low'], row['high'])})" if row["low"] == row["low"] else _NONE
        return f"{small} against {large} is undecided: {points(value, signed=True)} points {ends}"
    wins, least = verdict == TEST_TIME, " at least" if row.get("status") == BOUND else ""
    sign = 1 if wins else -1
    ends = interval(*sorted((sign * row["low"], sign * row["high"])))
    word = "beats" if wins else "loses to"
    return f"{small} {word} {large} by{least} {points(abs(value))} points (95 % {ends})"


def short(row: Row) -> str:
    """A row in a list, such as "+4.3 (1.5 to 7.1), test-time", "outside" or "cannot pay"."""
    return ", ".join(filter(None, (difference(row), verdict_word(row))))


def difference(row: Row) -> str:
    """The difference of a row with its interval; "" where nothing was compared."""
    if row["difference"] != row["difference"] or row["verdict"] in (OUTSIDE, CANNOT_PAY):
        return ""
    ends = f"({interval(row['low'], row['high'])})" if row["low"] == row["low"] else _NONE
    return f"{points(row['difference'], signed=True)} {ends}"


def breakeven_clause(row: Row) -> str:
    """Where the small side stops paying, of a row of ``breakeven``; empty where nothing was measured."""
    status, low, high = row["status"], row["low"], row["high"]
    ends = {
        (True, True): f"95 % {low:.3g} to {high:.3g}",
        (True, False): f"95 % from {low:.3g}",
        (False, True): f"95 % up to {high:.3g}",
    }.get((low == low, high == high), "its interval ends outside what was measured")
    told = {
        CROSSED: f"break-even at R = {row['R']:.3g} ({ends})",
        BACK: "no one break-even: it falls behind again at an R below one at which it is ahead",
        ABOVE: f"ahead at every R that was measured ({_span(row)})",
        BELOW: f"behind at every R that was measured ({_span(row)})",
        UNDECIDED: f"the break-even R is undecided ({ends})",
        SUNK: "no break-even: training the small side and its helpers costs no less than training the large one",
    }
    return told.get(status, "")


def rules_clause(
    verdicts: pd.DataFrame, convention: str, at: Row, *, unpriced: Mapping[str, str] | None = None
) -> str:
    """What the other rules say of one row: those that differ with their numbers, those that agree by name, and
    those that cannot price the data. verdicts: of every convention; at: the row, of ``convention``."""
    same = ["strategy", "bin", "R", "against"] if "bin" in verdicts else ["strategy", "R", "against"]
    here = verdicts[(verdicts[same] == [at[key] for key in same]).all(axis=1)]
    rows = {row["convention"]: row for row in here.to_dict("records") if row["convention"] != convention}
    agree = [name for name, row in rows.items() if row["verdict"] == at["verdict"]]
    by_words: dict[str, list[str]] = {}
    for name, row in rows.items():
        if name not in agree:
            by_words.setdefault(verdict_word(row), []).append(name)
    parts = [_differ(word, names, rows) for word, names in by_words.items()]
    if agree:
        parts.append(f"{listed(agree)} {'agree' if len(agree) > 1 else 'agrees'}")
    if unpriced:
        parts.append(f"{listed(list(unpriced))} cannot price these data")
    return f"other rules: {'; '.join(parts)}" if parts else ""


def _differ(word: str, names: Sequence[str], rows: Mapping[str, Row]) -> str:
    if len(names) == 1:
        return f"under {names[0]} {short(rows[names[0]])}"
    known = [rows[name]["difference"] for name in names if rows[name]["difference"] == rows[name]["difference"]]
    ends = f", {points(min(known), signed=True)} to {points(max(known), signed=True)}" if known else ""
    return f"under {listed(names)} {word}{ends}"


def bins_clause(rows: Sequence[Row]) -> str:
    """Verdicts by difficulty, 1 the easiest: "test-time in bins 1, 2 and 3, undecided in bins 4 and 5"."""
    by_verdict: dict[str, list[str]] = {}
    for row in rows:
        by_verdict.setdefault(verdict_word(row), []).append(str(row["bin"]))
    return ", ".join(
        f"{word} in bin{'s' if len(bins) > 1 else ''} {listed(bins)}" for word, bins in by_verdict.items()
    )


def means(view: View) -> str:
    """What the small side answers with: whether it takes a verifier that knows the right answers."""
    only = {line.selector for line in view.menu() if line.strategy != "greedy"} == {"coverage"}
    return f"test-time compute{' and a perfect verifier' if only else ''}"


def uncharged(view: View, called: Callable[[str], str] = str) -> list[str]:
    """What nobody is charged under a view's rule, of what took part: verifying, bins, training helpers.

    called: what a model is called."""
    rule, found = view.convention, []
    helpers = [name for name in view.helpers if name != view.small]
    if rule.verifier == "nobody" and (view.judges or "perfect" in means(view)):
        found.append("verifying")
    if not rule.difficulty and len(view.groups) > 1:
        found.append("estimating difficulty")
    known = {one.model for one in view.lifetime.tuning} if rule.tuning else set()
    left = [name for name in helpers if name not in known]
    if left:
        found.append(f"training {listed([called(name) for name in left], 'or')}")
    if view.lifetime.small == view.lifetime.large == 0:
        found.append("pretraining")
    return found


def paying(convention: str) -> str:
    """A rule and who pays for verifying under it: "paper (verifying is free)"."""
    rule = CONVENTIONS.get(convention)
    return convention if rule is None else f"{convention} ({_PAID[rule.verifier]})"


def points(share: float, *, signed: bool = False) -> str:
    """Accuracy points to one decimal, or to the first that shows the sign."""
    sign = "+" if signed else ""
    text = f"{100 * share:{sign}.1f}"
    return text if float(text) or not share else f"{100 * share:{sign}.1g}"


def interval(low: float, high: float) -> str:
    """The ends of an interval in accuracy points."""
    return f"{points(low)} to {points(high)}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """Names as in a sentence: "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def _span(row: Row) -> str:
    low, high = row["measured_from"], row["measured_to"]
    return f"R from {low:.2g}" + (f" to {high:.2g}" if high == high else "")


def verdict_word(row: Row) -> str:
    """The verdict in a word or two."""
    return "outside" if row["verdict"] == OUTSIDE else str(row["verdict"])


def where(task: str, problems: int) -> str:
    """On what: "on gsm8k (1,319 problems)"."""
    return f"on {f'{task} (' if task else ''}{problems:,} problems{')' if task else ''}"


def sentence(text: str) -> str:
    """With a capital, unless it begins with a name, and a full stop."""
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
