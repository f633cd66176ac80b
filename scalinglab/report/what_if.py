"""The what-if of a comparison as a part of its page: a form that recomputes the verdict, and a chart."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.util import find_spec

from scalinglab.exchange import WhatIf
from scalinglab.flops import Convention
from scalinglab.report.html import Widget, asset

_PAYERS = {"nobody": "nobody", "small": "the small side", "both": "both sides"}
_SCRIPTS = ("what_if.js", "what_if_chart.js", "what_if_form.js")
NOTES = (
    "as under the convention shown, but for who pays what; the verdict moves with every choice",
    "intervals: at the R of the table those of the table, which hold for all of them at once; elsewhere as wide "
    "as if it stood in the table: of many R, groups and rules that are tried some verdicts err by chance",
    "a target is reached by the means alone: no interval stands behind it",
)


def widget(found: WhatIf, rule: Convention, r: float, *, sunk: bool) -> Widget:
    """The form as the comparison has it: at ``r`` under ``rule``.

    With the extra "page" (plotly) the chart can be zoomed and tells its points.
    """
    scripts = [asset(name) for name in _SCRIPTS]
    if find_spec("plotly") is not None:
        from plotly.offline import get_plotlyjs

        scripts.insert(0, get_plotlyjs())
    return Widget(_form(found, rule, r, sunk), found.document(), scripts)


def _form(found: WhatIf, rule: Convention, r: float, sunk: bool) -> str:
    groups = [part.group for part in found.charges[0].parts]
    by_bin = {group: "all problems" if group == "all" else f"difficulty bin {group}" for group in groups}
    units = {"r": "R = D_inference / D_pretrain", "queries": "queries over the lifetime"}
    both = found.counted and found.queries_per_r is not None
    free = found.training is None
    fields = [
        '<label class="wide" for="what_if-slide">How much it is asked, from little to much'
        '<input type="range" id="what_if-slide" name="slide" min="-3" max="3" step="0.01"></label>',
        f'<label>its value<input type="number" name="load" min="0" step="any" value="{r:g}"></label>',
        _select("counted in", "unit", units if both else {"r": units["r"]}, "r"),
        _select("problems", "group", by_bin, groups[0]),
        _select("who pays the verifier", "verifier", _PAYERS, rule.verifier),
        '<label>accuracy to reach (%)<input type="number" name="target" min="0" max="100" step="any"></label>',
        "<fieldset><legend>charged</legend>"
        + _check("tuning", "training verifiers and revisers", rule.tuning)
        + (_check("difficulty", "estimating difficulty", rule.difficulty) if len(groups) > 1 else "")
        + _check("sunk", "nothing for pretraining (sunk, as open weights)", sunk or free, disabled=free)
        + "</fieldset>",
    ]  # fmt: skip
    return (
        f'<form id="what_if-form" aria-label="What if">{"".join(fields)}</form>'
        '<p id="what_if-verdict" class="verdict" role="status" aria-live="polite"></p><p id="what_if-goal"></p>'
        '<div id="what_if-chart" class="chart"></div><div class="scroll"><table id="what_if-table"><thead><tr>'
        f'<th scope="col">over the lifetime</th><th scope="col">{escape(found.small)} and helpers</th>'
        f'<th scope="col">{escape(found.large)} ({escape(found.against)})</th></tr></thead><tbody></tbody></table>'
        "</div><noscript><p>The what-if needs JavaScript; the tables do not.</p></noscript>"
    )


def _select(label: str, name: str, options: dict[str, str], chosen: str) -> str:
    listed = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in options.items()
    )
    return f'<label>{label}<select name="{name}">{listed}</select></label>'


def _check(name: str, label: str, on: bool, *, disabled: bool = False) -> str:
    state = f"{' checked' if on else ''}{' disabled' if disabled else ''}"
    return f'<label><input type="checkbox" name="{name}"{state}> {label}</label>'


def middle(r: Sequence[float]) -> float:
    """The R at which the page opens: the middle one of those compared."""
    return sorted(r)[len(r) // 2]
