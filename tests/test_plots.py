import inspect
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.container import BarContainer

from scalinglab import flops, plots
from scalinglab.evidence import open_evidence
from scalinglab.exchange import (
    CANNOT_PAY,
    OPTIMAL,
    OUTSIDE,
    PAPER_R,
    R_COLUMNS,
    line_table,
    match_specs,
    published_bars,
    published_lines,
)
from scalinglab.exchange import compare as compared
from scalinglab.flops import CONVENTIONS
from scalinglab.report import comparison_report, paper_report
from scalinglab.specs import find

PAIR = ("Pythia-1B", "Pythia-12B")
MECHANISM = "PRM search"


def compare(*, bins=5, steps=(2, 3), n=140, r=PAPER_R):
    """Forty problems, 140 samples each, of two models some 12 times apart."""
    counts = [
        {"model": model, "problem": f"p{i:02}", "n": n, "correct": step * i * n // 140}
        for model, step in zip(PAIR, steps, strict=True)
        for i in range(40)
    ]
    return compared(open_evidence(pd.DataFrame(counts), small=PAIR[0], large=PAIR[1]), bins=bins, r=r)


RESULT = compare()
CURVES = line_table([RESULT.view("paper")])
HEAD = RESULT.verdicts[RESULT.verdicts["strategy"] == OPTIMAL]
FLIPS = RESULT.sensitivity()
FLIPS = FLIPS[FLIPS["strategy"] == OPTIMAL]


def relative(result, rule):
    """Draws the headline of a comparison under a rule, as the report does."""
    rows = result.verdicts[(result.verdicts["strategy"] == OPTIMAL) & (result.verdicts["convention"] == rule)]
    return lambda ax: plots.grouped_bars(ax, plots.relative_frame(rows))


BARS = published_bars()
PUBLISHED = published_lines()
COSTS = {
    name: cost["components"]
    for name, cost in flops.compare_conventions(find("Qwen3-0.6B"), 512, 512, samples=16).items()
}


def grouped():
    bars = BARS[BARS["mechanism"] == MECHANISM]
    names = {"group": bars["difficulty"], "bar": [f"k = {k}" for k in bars["k"]]}
    return pd.DataFrame(names | {"value": bars["improvement_pct"]})


def budgets():
    rows = []
    for rule in CONVENTIONS.values():
        match = match_specs(*map(find, PAIR), prompt=512, generated=512, convention=rule)
        rows += [{"convention": rule.name, "budget": f"R = {r:g}", "k": match.k(r)} for r in PAPER_R]
    return pd.DataFrame(rows)


def ratios():
    rows = []
    for rule in CONVENTIONS.values():
        for length in (128, 1024, 8192):
            small, large = (flops.total(flops.prefill(find(name), length, convention=rule)) for name in PAIR)
            rows.append({"convention": rule.name, "length": length, "ratio": large / small})
    return pd.DataFrame(rows)


OPTIMAL_ROWS = pd.DataFrame(
    {"kind": OPTIMAL, "strategy": OPTIMAL, "selector": OPTIMAL, "bin": name, "flops": flops, "accuracy": value,
     "low": value - 0.1, "high": value + 0.1, "problems": 20}
    for name in ("all", "1", "2")
    for flops, value in ((1e8, 0.4), (1e9, 0.6))
)  # fmt: skip
STARS = pd.DataFrame(
    {"bin": name, "R": r, "flops": 1e9 / r, "large": 0.5, "problems": 20}
    for name in ("all", "1", "2")
    for r in (1, 9)
)
CHOSEN = pd.DataFrame(
    {"bins": kind, "bin": "all", "budget": k, "accuracy": 0.5, "low": 0.4, "high": 0.6, "in_sample": 0.55}
    for kind in ("predicted", "oracle")
    for k in (1, 4, 16)
)
BASE = pd.DataFrame(
    {"strategy": "parallel, majority", "k": k, "accuracy": 0.45, "low": 0.4, "high": 0.5} for k in (1, 4, 16)
)
GAINS = pd.DataFrame(
    {"mechanism": "search", "against": "parallel samples", "by": by, "unit": "flops", "n": n, "gain": gain,
     "low": 1.0, "high": None, "verdict": verdict}
    for by in ("step", "mixture")
    for n, gain, verdict in ((4, 2.0, "reached"), (16, None, "not reached"), (64, 4.0, "reached"))
)  # fmt: skip
EVEN = pd.DataFrame(
    {"strategy": name, "bin": b, "status": status, "R": r, "low": 0.5, "high": high, "measured_from": 0.2,
     "measured_to": np.nan}
    for name in ("parallel", OPTIMAL)
    for b, status, r, high in (
        ("all", "crossed", 1.0, 4.0), ("1", "not crossed: test-time at every measured R", np.nan, np.nan)
    )
)  # fmt: skip

PAIRS = pd.DataFrame({
    "small": ["a", "a", "b", "a"], "small_arm": "one sample", "large": ["b", "c", "c", "a"], "large_arm": "greedy",
    "n_ratio": [2.0, 4.0, 2.0, 1.0], "flops_ratio": [0.5, 2.0, 0.9, 8.0], "gain": [0.1, 0.3, -0.2, 0.02],
    "low": [0.05, 0.2, -0.3, -0.1], "high": [0.15, 0.4, -0.1, 0.14],
})  # fmt: skip
CLAIMS = pd.DataFrame({
    "gain": [0.1, -0.1, 0.0], "low": [0.05, -0.2, -0.1], "high": [0.2, -0.05, 0.1],
    "remark": ["dear", "cheap", "?"],
})  # fmt: skip

SEEDS = pd.DataFrame({
    "trial": ["search", "search", "revisions", "revisions"], "R": ["R = 0.16", "R = 22"] * 2,
    "difference": [0.1, -0.2, 0.05, np.nan], "low": [0.02, -0.3, -0.1, np.nan], "high": [0.2, -0.1, 0.2, np.nan],
    "seed 0": [0.12, -0.1, 0.0, np.nan], "seed 1": [0.08, -0.3, 0.1, np.nan],
})  # fmt: skip

CHARTS = {
    "grouped_bars": lambda ax: plots.grouped_bars(ax, grouped()),
    "sensitivity": lambda ax: plots.sensitivity(ax, FLIPS),
    "breakdown": lambda ax: plots.breakdown(ax, COSTS),
    "published_lines": lambda ax: plots.published_lines(ax, PUBLISHED, MECHANISM),
    "rule_effect": lambda ax: plots.rule_effect(ax, BARS),
    "matched_budgets": lambda ax: plots.matched_budgets(ax, budgets()),
    "cost_ratio": lambda ax: plots.cost_ratio(ax, ratios()),
    "optimal_by_bin": lambda ax: plots.optimal_by_bin(ax, OPTIMAL_ROWS, STARS, "large"),
    "optimal_curves": lambda ax: plots.optimal_curves(ax, CHOSEN, BASE),
    "gains": lambda ax: plots.gains(ax, GAINS),
    "break_even": lambda ax: plots.break_even(ax, EVEN),
    "gain_by_cost": lambda ax: plots.gain_by_cost(ax, PAIRS),
    "over_seeds": lambda ax: plots.over_seeds(ax, SEEDS, x="R", order=["R = 0.16", "R = 22"]),
    "claims": lambda ax: plots.claims(ax, ["one", "two", "three"], CLAIMS),
    "lines_by": lambda ax: plots.lines_by(ax, ratios(), x="length", y="ratio", by="convention", log="xy"),
}
each_chart = pytest.mark.parametrize("name", CHARTS)


def draw(chart):
    """The Axes of a chart."""
    _, (ax,) = plots.figure()
    chart(ax)
    return ax


def lay_out(ax):
    """The same Axes, when every text has found its place."""
    ax.figure.draw_without_rendering()
    return ax


def test_where_nothing_was_measured_a_chart_over_seeds_says_so():
    ax = draw(lambda ax: plots.over_seeds(ax, SEEDS, x="R", order=["R = 0.16", "R = 1", "R = 22"]))
    assert [(text.get_text(), text.get_position()[0]) for text in ax.texts] == [("not measured", 1)]


@pytest.fixture(scope="module")
def charts():
    return {name: lay_out(draw(chart)) for name, chart in CHARTS.items()}


@pytest.fixture(scope="module")
def figures():
    """Every figure of both reports, laid out."""
    sections = [*paper_report().sections, *comparison_report(RESULT, "exact").sections]
    drawn = {section.name: section.draw() for section in sections if section.draw is not None}
    for figure in drawn.values():
        figure.draw_without_rendering()
    return drawn


def named(ax):
    """Lines with a label of their own, which a legend shows."""
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def ticks(axis):
    return [label for label in axis.get_ticklabels() if label.get_text() and label.get_visible()]


def shown(axis):
    """The tick labels within the view."""
    low, high = sorted(axis.get_view_interval())
    return [
        label.get_text() for at, label in zip(axis.get_ticklocs(), ticks(axis), strict=False) if low <= at <= high
    ]


def overlap(one, other):
    """Whether two boxes share more than a pixel of both width and height."""
    one, other = one.get_window_extent(), other.get_window_extent()
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    along = min(one.y1, other.y1) - max(one.y0, other.y0)
    return across > 1 and along > 1


def test_a_star_stands_at_the_budget_of_each_r_and_a_line_at_the_accuracy(charts):
    ax = charts["optimal_by_bin"]
    assert [text.get_text() for text in ax.texts] == ["R = 1", "R = 9"]
    stars = [line for line in ax.lines if line.get_marker() == "*" and len(line.get_xdata())]
    assert [(line.get_xdata().tolist(), set(line.get_ydata())) for line in stars] == [([1e9, 1e9 / 9], {50.0})] * 2
    line = named(ax)["bin 1 (easiest), n = 20"]
    marked = line.get_markevery()
    assert line.get_ydata()[marked] == pytest.approx([40, 60])
    middle = np.interp(line.get_xdata().mean(), line.get_xdata(), line.get_ydata())
    assert middle == pytest.approx(
        np.interp(line.get_xdata().mean(), line.get_xdata()[marked], [40, 60]), rel=1e-3
    )


def test_a_break_even_that_was_not_crossed_points_to_its_side(charts):
    marks = [(line.get_marker(), line.get_xdata()[0]) for line in charts["break_even"].lines
             if line.get_marker() in "os<>" and len(line.get_xdata())]  # fmt: skip
    crossed, pointing = [x for mark, x in marks if mark in "os"], [x for mark, x in marks if mark == ">"]
    assert crossed == [1, 1]
    assert pointing == [charts["break_even"].get_xlim()[1]] * 2


def test_every_strategy_has_its_line_in_each_panel():
    drawn = {"parallel, majority": "majority", "parallel, best-of-n by prm": "best-of-n"}
    lines = [OPTIMAL_ROWS.assign(kind="parallel", strategy=name, selector=how) for name, how in drawn.items()]
    curves = pd.concat([OPTIMAL_ROWS, *lines])
    figure, axes = plots.figure(2, rows=2)
    assert len(axes) == 4
    plots.frontier(axes[:3], curves, STARS, "large")
    assert [ax.get_title() for ax in axes[:3]] == ["all, n = 20", "bin 1 (easiest), n = 20", "bin 2, n = 20"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "parallel", "majority", "best-of-n", "compute-optimal, 95 %", "large, one answer",
    ]  # fmt: skip
    parallel = [line for line in axes[0].lines if line.get_marker() == "o"]
    assert {line.get_linestyle() for line in parallel} == {":", "--"}
    assert len({line.get_color() for line in parallel}) == 1


# Every chart


def test_every_chart_is_tested():
    drawing = {
        name
        for name, function in inspect.getmembers(plots, inspect.isfunction)
        if not name.startswith("_") and next(iter(inspect.signature(function).parameters)) == "ax"
    }
    assert drawing - {"advice"} == set(CHARTS)  # advice is drawn in test_advise_bought


def test_the_front_of_an_atlas_is_numbered_and_a_claim_has_the_shape_of_its_sign(charts):
    texts = [text.get_text() for text in charts["gain_by_cost"].texts]
    assert texts == ["1", "2"]
    kinds = ["small side better (2)", "undecided (1)", "large side better (1)"]
    assert labels(charts["gain_by_cost"]) == [*kinds, "1: a against b (greedy)", "2: a against c (greedy)"]
    drawn = [line.get_marker() for line in charts["claims"].lines if line.get_marker() in ("o", "s", "^")]
    assert drawn[:3] == ["o", "s", "^"]


@each_chart
def test_a_chart_says_what_its_axes_show(charts, name):
    ax = charts[name]
    assert ax.get_ylabel() or all(not text.get_text().replace(".", "").isdigit() for text in ticks(ax.yaxis))
    assert ax.get_xlabel() or all(not text.get_text().replace(".", "").isdigit() for text in ticks(ax.xaxis))
    assert len(ticks(ax.xaxis)) > 1
    assert len(ticks(ax.yaxis)) > 1


@each_chart
def test_a_legend_names_each_thing_once_and_hides_no_data(charts, name):
    ax = charts[name]
    legend = ax.get_legend()
    if legend is None:
        assert name == "sensitivity", "its cells carry their words"
        return
    assert len(labels(ax)) == len(set(labels(ax))) > 0
    inside = legend.get_window_extent()
    if name != "published_lines":
        assert not overlap(legend, ax), "the legend stands beside the data"
    for line in ax.lines:
        if line.get_transform() == ax.transData:
            points = ax.transData.transform(np.asarray(line.get_xydata(), dtype=float))
            assert not any(inside.contains(*point) for point in points)


@each_chart
def test_the_labels_of_an_axis_do_not_overlap(charts, name):
    for axis in (charts[name].xaxis, charts[name].yaxis):
        straight = [label for label in ticks(axis) if label.get_rotation() == 0]
        assert not [pair for pair in combinations(straight, 2) if overlap(*pair)]


@each_chart
def test_slanted_labels_stand_further_apart_than_they_are_high(charts, name):
    ax = charts[name]
    slanted = [label for label in ticks(ax.xaxis) if label.get_rotation()]
    spots = [ax.transData.transform(label.get_position())[0] for label in slanted]
    for label, (one, other) in zip(slanted, pairwise(spots), strict=False):
        height = label.get_fontsize() * ax.figure.dpi / 72
        assert (other - one) * np.sin(np.deg2rad(label.get_rotation())) > height


@pytest.mark.parametrize("bins", [1, 2, 6])
def test_the_groups_of_a_study_fit_beside_each_other(bins):
    result = compare(bins=bins)
    ax = lay_out(draw(relative(result, "small-pays")))
    groups = ticks(ax.xaxis)
    assert len(groups) == (1 if bins == 1 else bins + 1)
    assert not [pair for pair in combinations(groups, 2) if overlap(*pair)]


# The figures of the reports


def test_every_axes_of_a_report_has_a_title(figures):
    assert len(figures) == 10
    assert all(ax.get_title() for figure in figures.values() for ax in figure.axes)


def test_what_a_report_draws_stays_within_its_figure_and_out_of_its_neighbour(figures):
    for name, figure in figures.items():
        edge, boxes = figure.bbox.padded(1), [ax.get_tightbbox() for ax in figure.axes]
        assert all(edge.contains(*corner) for box in boxes for corner in box.get_points()), name
        assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])], name


def test_the_rows_of_a_sensitivity_table_fit_above_each_other(figures):
    (ax,) = figures["sensitivity"].axes
    assert len(ticks(ax.yaxis)) == 18
    assert not [pair for pair in pairwise(ticks(ax.yaxis)) if overlap(*pair)]
    assert not [pair for pair in pairwise(ax.texts) if overlap(*pair)]


# What each chart shows


def test_a_comparison_has_a_line_for_each_bin_and_a_star_for_the_large_model_at_each_r():
    rows, head = CURVES[CURVES["strategy"] == OPTIMAL], HEAD[HEAD["convention"] == "paper"]
    ax = draw(lambda ax: plots.optimal_by_bin(ax, rows, head, PAIR[1]))
    drawn = [line for line in ax.lines if line.get_label().startswith("bin")]
    assert len(drawn) == 5
    for i, line in enumerate(drawn, start=1):
        curve = rows[rows["bin"] == str(i)]
        wanted = curve[["flops", "accuracy"]].to_numpy(dtype=float) * [1, 100]
        assert line.get_xydata()[line.get_markevery()] == pytest.approx(wanted[np.argsort(wanted[:, 0])])
        assert line.get_label().endswith(f"n = {curve['problems'].iloc[0]}")
    stars = [line.get_xydata() for line in ax.lines if line.get_marker() == "*" and len(line.get_xdata())]
    assert len(stars) == 5
    for i, found in enumerate(stars, start=1):
        wanted = head.loc[head["bin"] == str(i), ["flops", "large"]].to_numpy(dtype=float) * [1, 100]
        assert found == pytest.approx(wanted)
    assert len(ax.collections) == 5, "a band for each bin"
    assert labels(ax)[-1] == "Pythia-12B, one answer"


def test_the_budget_of_each_r_is_what_the_pair_may_spend():
    at = HEAD[(HEAD["convention"] == "paper") & (HEAD["bin"] == "all")].set_index("R")["flops"]
    match = match_specs(*map(find, PAIR), prompt=256, generated=256, convention=CONVENTIONS["paper"])
    for r, flops_ in at.items():
        assert flops_ == pytest.approx(match.small.at(match.k(r)))


def test_a_comparison_without_bins_is_one_line_of_all_problems():
    result = compare(bins=1)
    rows = line_table([result.view("paper")])
    rows, head = rows[rows["strategy"] == OPTIMAL], result.verdicts[result.verdicts["strategy"] == OPTIMAL]
    ax = draw(lambda ax: plots.optimal_by_bin(ax, rows, head[head["convention"] == "paper"], PAIR[1]))
    assert labels(ax) == ["all, n = 40", "Pythia-12B, one answer"]


def test_bars_have_the_height_and_whiskers_of_the_verdicts():
    rows = HEAD[HEAD["convention"] == "small-pays"]
    ax, rows = draw(relative(RESULT, "small-pays")), rows[rows["relative"].notna()]
    assert len(rows) > 6
    assert labels(ax) == [f"R = {r:g}" for r in PAPER_R]
    for container in (each for each in ax.containers if isinstance(each, BarContainer)):
        here = rows[rows["R"] == float(container.get_label().removeprefix("R = "))]
        heights = np.array([bar.get_height() for bar in container.patches])
        assert heights[~np.isnan(heights)] == pytest.approx(100 * here["relative"].to_numpy(dtype=float))
    whiskers = [segment[:, 1] for lines in ax.collections for segment in lines.get_segments()]
    ends = sorted(map(tuple, (ends for ends in whiskers if not np.isnan(ends).any())))
    wanted = sorted(map(tuple, 100 * rows[["relative_low", "relative_high"]].to_numpy(dtype=float)))
    assert np.array(ends) == pytest.approx(np.array(wanted))


def test_nothing_within_the_measured_budgets_still_draws():
    result = compare(bins=1, r=[0.001], n=4, steps=(1, 3))
    assert set(result.verdicts["verdict"]) == {OUTSIDE}
    ax = draw(relative(result, "paper"))
    assert all(np.isnan(bar.get_height()) for bar in ax.patches)
    for section in comparison_report(result, "paper").sections:
        if section.draw is not None:
            plots.png(section.draw())


def test_a_large_model_that_solves_nothing_still_draws():
    result = compare(steps=(2, 0))
    ax = draw(relative(result, "paper"))
    assert all(np.isnan(bar.get_height()) for bar in ax.patches)
    assert result.verdicts["relative"].isna().all()


def test_bars_beyond_300_percent_go_on_a_signed_logarithmic_axis():
    result = compare(steps=(3, 1))
    ax = draw(relative(result, "paper"))
    assert np.nanmax([bar.get_height() for bar in ax.patches]) > 300
    assert ax.get_yscale() == "symlog"


def test_a_break_even_beyond_every_measured_end_stays_within_its_axes():
    far = EVEN.assign(R=np.where(EVEN["R"].notna(), 50.0, np.nan), high=np.nan)
    ax = lay_out(draw(lambda ax: plots.break_even(ax, far)))
    assert ax.get_xlim()[0] < 0.2 < 50 < ax.get_xlim()[1]


def test_break_evens_that_are_all_outside_are_said_in_words():
    none = EVEN.assign(
        status="outside", **dict.fromkeys(("R", "low", "high", "measured_from", "measured_to"), np.nan)
    )
    ax = lay_out(draw(lambda ax: plots.break_even(ax, none)))
    assert [text.get_text() for text in ax.texts] == ["no break-even lies within what was measured"]


def test_grouped_bars_are_the_published_ones_and_zero_is_visible(charts):
    ax, frame = charts["grouped_bars"], grouped()
    heights = sorted(bar.get_height() for bar in ax.patches)
    assert heights == sorted(frame["value"])
    assert shown(ax.xaxis) == ["easy", "medium", "hard"]
    ticks_at_zero = [line for line in ax.lines if line.get_marker() == "_" and len(line.get_xdata())]
    assert len(ticks_at_zero) == (frame["value"] == 0).sum() == 1


@pytest.mark.parametrize("losses", [True, False])
def test_what_was_not_measured_is_said_within_the_axes_and_never_over_the_title(losses):
    value = np.array([np.nan, 40.0, 60.0]) * (-1 if losses else 1)
    frame = pd.DataFrame({"group": "all", "bar": ["R = 0.16", "R = 0.79", "R = 22"], "value": value})
    drawn, (ax,) = plots.figure()
    plots.grouped_bars(ax, frame)
    drawn.canvas.draw()
    [said] = [text for text in ax.texts if text.get_text() == "not measured"]
    inside, box = ax.get_window_extent(), said.get_window_extent()
    assert inside.y0 <= box.y0
    assert box.y1 <= inside.y1


def test_grouped_bars_may_leave_the_legend_to_a_neighbour():
    assert draw(lambda ax: plots.grouped_bars(ax, grouped(), legend=False)).get_legend() is None


def test_the_table_of_verdicts_has_a_word_in_each_cell_and_marks_the_flips(charts):
    ax, table = charts["sensitivity"], FLIPS
    verdicts = table[list(CONVENTIONS)].to_numpy()
    words = {
        "test-time": "test-time",
        "pretraining": "pretrain",
        CANNOT_PAY: "small cannot\npay",
        "undecided": "undecided",
        OUTSIDE: "not\nmeasured",
    }
    assert [text.get_text() for text in ax.texts] == [words[verdict] for verdict in verdicts.ravel()]
    assert [text.get_text() for text in ax.get_xticklabels()] == list(CONVENTIONS)
    rows = [text.get_text() for text in ax.get_yticklabels()]
    assert len(rows) == len(table)
    assert ["FLIPS" in row for row in rows] == list(table["flips"])
    flipped = draw(lambda ax: plots.sensitivity(ax, table.head(3).assign(flips=[False, True, False])))
    assert ["FLIPS" in text.get_text() for text in flipped.get_yticklabels()] == [False, True, False]
    (image,) = ax.images
    codes = np.asarray(image.get_array())
    assert {(verdict, code) for verdict, code in zip(verdicts.ravel(), codes.ravel(), strict=True)} == {
        (verdict, list(words).index(verdict)) for verdict in set(verdicts.ravel())
    }


def test_the_stacks_of_a_breakdown_are_as_high_as_the_query_costs(charts):
    ax = charts["breakdown"]
    assert [text.get_text() for text in ax.get_xticklabels()] == list(CONVENTIONS)
    assert labels(ax) == list(dict.fromkeys(part for parts in COSTS.values() for part in parts))
    tops = [
        max(bars.patches[i].get_y() + bars.patches[i].get_height() for bars in ax.containers) for i in range(6)
    ]
    assert tops == pytest.approx([sum(parts.values()) for parts in COSTS.values()])


def test_published_lines_are_the_digitised_ones(charts):
    ax, rows = charts["published_lines"], PUBLISHED[PUBLISHED["mechanism"] == MECHANISM]
    lines = named(ax)
    assert list(lines) == list(rows["series"].unique())
    for series, line in lines.items():
        wanted = rows.loc[rows["series"] == series, ["k", "accuracy_pct"]]
        assert line.get_xydata() == pytest.approx(wanted.to_numpy(dtype=float))


def test_the_effect_of_the_rule_has_a_labelled_mark_for_each_budget_and_rule(charts):
    ax, wanted = charts["rule_effect"], BARS.drop_duplicates("k").sort_values("k")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["k = 16", "k = 64", "k = 256"]
    assert labels(ax) == [column.removeprefix("R ") for column in R_COLUMNS]
    for column, line in zip(R_COLUMNS, named(ax).values(), strict=True):
        assert list(line.get_xdata()) == list(wanted[column])
    written = [f"{value:.2g}" for column in R_COLUMNS for value in wanted[column]]
    assert [text.get_text() for text in ax.texts] == written
    assert not [pair for pair in combinations(ax.texts, 2) if overlap(*pair)]


def test_matched_budgets_have_a_mark_for_each_rule_and_budget(charts):
    ax, points = charts["matched_budgets"], budgets()
    for budget, line in named(ax).items():
        assert list(line.get_ydata()) == list(points.loc[points["budget"] == budget, "k"])
        assert list(line.get_xdata()) == list(range(6))
    assert labels(ax) == [f"R = {r:g}" for r in PAPER_R]


def test_lines_by_a_column_show_its_values_and_bands(charts):
    ax, points = charts["lines_by"], ratios()
    assert labels(ax) == list(CONVENTIONS)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    for name, line in named(ax).items():
        wanted = points.loc[points["convention"] == name, ["length", "ratio"]]
        assert line.get_xydata() == pytest.approx(wanted.to_numpy(dtype=float))
    banded = points.assign(low=points["ratio"] - 1, high=points["ratio"] + 1)
    how = {"x": "length", "y": "ratio", "by": "convention", "low": "low", "high": "high"}
    assert len(draw(lambda ax: plots.lines_by(ax, banded, **how)).collections) == len(CONVENTIONS)


def test_cost_ratios_have_a_line_for_each_rule(charts):
    ax, points = charts["cost_ratio"], ratios()
    assert labels(ax) == list(CONVENTIONS)
    for name, line in named(ax).items():
        wanted = points.loc[points["convention"] == name, ["length", "ratio"]]
        assert line.get_xydata() == pytest.approx(wanted.to_numpy(dtype=float))
    assert ax.get_xlabel() == "length (tokens)"


# Colours and shapes

# Machado, Oliveira & Fernandes 2009, severity 1.0, on linear RGB; XYZ of sRGB under D65.
NORMAL = np.eye(3)
DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
APART = 15
"""CIELAB distance of colours told apart at a glance; about 2 is just noticeable side by side."""


def seen(colour, eye):
    """A colour in CIELAB as an eye sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(np.asarray(eye) @ linear, 0, 1) / XYZ.sum(axis=1)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def looks(ax):
    """Colour and shape of each thing that the legend tells apart."""
    found = [
        (to_hex(line.get_color()), line.get_marker() if line.get_marker() != "None" else line.get_linestyle())
        for line in named(ax).values()
    ]
    bars = [each.patches[0] for each in ax.containers if isinstance(each, BarContainer)]
    found += [(to_hex(bar.get_facecolor()), bar.get_hatch() or "") for bar in bars]
    return [(colour, shape) for colour, shape in found if shape != "*"]


@pytest.mark.parametrize("eye", [NORMAL, DEUTERANOPIA, PROTANOPIA], ids=["normal", "deuteranopia", "protanopia"])
def test_the_seven_colours_are_told_apart_by_every_eye(eye):
    assert len(plots.COLOURS) == len(plots.HATCHES) == len(plots.MARKERS) == 7
    for one, other in combinations(plots.COLOURS, 2):
        distance = np.linalg.norm(seen(one, eye) - seen(other, eye))
        assert distance > (APART if eye is not PROTANOPIA else APART / 2), (one, other)


@pytest.mark.parametrize("name", sorted(set(CHARTS) - {"sensitivity", "gains"}))
def test_colours_used_together_differ_for_the_colour_blind_and_so_do_the_shapes(charts, name):
    pairs = looks(charts[name])
    told = [label for label in labels(charts[name]) if label[:2] not in ("1:", "2:")]  # what a number is
    if name == "gain_by_cost":
        pairs = pairs[: len(told)]
    assert len(pairs) == len(told) - (name == "optimal_by_bin")
    for (one, _), (other, _) in combinations(pairs, 2):
        assert np.linalg.norm(seen(one, DEUTERANOPIA) - seen(other, DEUTERANOPIA)) > APART
    shapes = [shape for _, shape in pairs]
    assert len(set(shapes)) == len(shapes)


def test_a_colour_of_a_gain_is_a_mechanism_and_a_shape_how_it_is_read(charts):
    marks = [each.lines[0] for each in charts["gains"].containers]
    assert len({to_hex(mark.get_color()) for mark in marks}) == 1
    assert len({mark.get_marker() for mark in marks}) == 2


def test_verdicts_that_contradict_differ_for_the_colour_blind(charts):
    (image,) = charts["sensitivity"].images
    test_time, pretraining = (to_hex(image.cmap(code)) for code in (0, 1))
    assert np.linalg.norm(seen(test_time, DEUTERANOPIA) - seen(pretraining, DEUTERANOPIA)) > 3 * APART


def test_more_bins_than_colours_still_look_different():
    result = compare(bins=10, r=[22])
    rows = line_table([result.view("paper")])
    rows, head = rows[rows["strategy"] == OPTIMAL], result.verdicts[result.verdicts["strategy"] == OPTIMAL]
    pairs = looks(draw(lambda ax: plots.optimal_by_bin(ax, rows, head[head["convention"] == "paper"], PAIR[1])))
    assert len(pairs) == len(set(pairs)) == 10


def test_more_components_than_colours_still_look_different():
    costs = flops.compare_conventions(find("DeepSeek-V2-Lite"), 10, 10)
    parts = {name: cost["components"] for name, cost in costs.items()}
    pairs = looks(draw(lambda ax: plots.breakdown(ax, parts)))
    assert len(pairs) == len(set(pairs)) == 8


# PNG


def test_a_figure_has_the_axes_asked_for():
    figure, axes = plots.figure(3, width=2, height=1.5)
    assert [type(ax) for ax in axes] == [Axes] * 3
    assert list(figure.get_size_inches()) == [6, 1.5]


def test_a_png_has_160_dots_an_inch_and_no_date():
    figure, (ax,) = plots.figure(width=2, height=1)
    ax.plot([1, 2])
    content = plots.png(figure)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert [int.from_bytes(content[at : at + 4], "big") for at in (16, 20)] == [320, 160]
    assert not [chunk for chunk in (b"tEXt", b"tIME", b"iTXt", b"zTXt") if chunk in content]


def test_the_same_chart_has_the_same_bytes(charts):
    chart = CHARTS["published_lines"]
    assert plots.png(charts["published_lines"].figure) == plots.png(draw(chart).figure)
