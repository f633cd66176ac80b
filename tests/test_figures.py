"""Figures for papers: formats, widths in inches, letters, collisions, contrast, LaTeX, and calls on given Axes."""

import re
import zlib
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from simulated import record

from scalinglab import plots
from scalinglab.errors import DataError
from scalinglab.evidence import REAL_MODELS, bodies_of, open_evidence
from scalinglab.exchange import Charges, atlas, compare
from scalinglab.files import SHIPPED
from scalinglab.flops import CONVENTIONS
from scalinglab.report import Report, Section, atlas_report, comparison_report, latex, paper_report

PYTHIA = Path(__file__).parents[2] / "shared" / "data" / "pythia_math" / "counts.csv"
WIDTHS = [None, 3.3]


def demo():
    return compare(open_evidence(SHIPPED / "demo"))


@pytest.fixture(scope="module")
def found():
    return demo()


def drawn_of(name, folder):
    """The figures of one body of evidence, by name, drawn anew."""
    if name == "demo":
        made = comparison_report(demo(), "paper")
    elif name == "pythia":
        if not PYTHIA.exists():
            pytest.skip(f"{PYTHIA} is not here")
        evidence = open_evidence(PYTHIA, small="Pythia 1B", large="Pythia 12B")
        made = comparison_report(compare(evidence), "paper")
    elif name == "simulated":
        record(folder)
        made = comparison_report(compare(open_evidence(folder)), "paper")
    elif name == "paper":
        made = paper_report()
    else:
        made = atlas_report(
            [atlas(body, Charges(CONVENTIONS["paper"], [0.79])) for body in bodies_of([REAL_MODELS])]
        )
    return {one.name: one.draw for one in made.sections if one.draw is not None}


def texts(figure):
    """The texts that are seen, slanted ones and numbers of scales apart."""
    figure.draw_without_rendering()
    shown = {text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()}
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low <= tick.get_loc() <= high or not ax.axison:
                    shown.difference_update((tick.label1, tick.label2))
    return [text for text in shown if text.get_rotation() in (0, 90)]


def collisions(figure):
    """Pairs of texts whose boxes share more than a point both ways."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    least = figure.dpi / 72
    return [
        (one, other)
        for (one, a), (other, b) in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > least and min(a.y1, b.y1) - max(a.y0, b.y0) > least
    ]


def outside(figure):
    """Texts that stand out of the figure by more than a point."""
    edge = figure.bbox.padded(figure.dpi / 72)
    return [
        text.get_text()
        for text in texts(figure)
        if not all(edge.contains(*corner) for corner in text.get_window_extent().get_points())
    ]


@pytest.mark.parametrize("name", ["demo", "simulated", "pythia", "paper", "real"])
def test_no_two_texts_of_shipped_evidence_collide_or_leave_the_figure_at_any_width(name, tmp_path):
    for section, draw in drawn_of(name, tmp_path).items():
        for width in WIDTHS:
            figure = plots.settled(draw()) if width is None else plots.fitted(draw(), width)
            assert not collisions(figure), (section, width)
            assert not outside(figure), (section, width)
            if width is not None:
                assert figure.get_size_inches()[0] == pytest.approx(width)
                assert all(7 <= text.get_fontsize() <= 9 for text in texts(figure)), (section, width)


def simple():
    figure, (ax,) = plots.figure(width=5)
    ax.plot([1, 2], label="a line")
    ax.set(xlabel="x", ylabel="y", title="title")
    ax.legend()
    return figure


@pytest.mark.parametrize(
    ("width", "inches"), [("3.3in", 3.3), ("84mm", 84 / 25.4), ("8.4 cm", 8.4 / 2.54), ("240pt", 240 / 72.27)]
)
def test_a_figure_is_as_wide_as_asked_in_each_format(width, inches):
    output = plots.read_output("png,svg,pdf", width)
    files = output.files("a", simple())
    assert list(files) == ["a.png", "a.svg", "a.pdf"]
    assert int.from_bytes(files["a.png"][16:20], "big") == pytest.approx(300 * inches, abs=1)
    assert float(re.search(rb'width="([\d.]+)pt"', files["a.svg"])[1]) == pytest.approx(72 * inches, abs=0.1)
    assert float(re.search(rb"/MediaBox \[ ?0 0 ([\d.]+)", files["a.pdf"])[1]) == pytest.approx(72 * inches)


def test_a_pdf_embeds_its_fonts_and_has_no_date_and_the_same_bytes():
    one, other = (plots.pdf(simple()) for _ in range(2))
    assert one == other
    plain = one + b"".join(_inflated(one))
    assert b"/FontFile2" in plain
    assert b"/Type3" not in plain
    assert b"CreationDate" not in plain
    assert plots.svg(simple()) == plots.svg(simple())
    assert b"<dc:date>" not in plots.svg(simple())


def _inflated(content):
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", content, re.S):
        try:
            yield zlib.decompress(stream)
        except zlib.error:
            continue


@pytest.mark.parametrize(
    ("formats", "width"), [("gif", None), ("png,", None), ("pdf", "3.3"), ("pdf", "wide"), ("pdf", "1mm")]
)
def test_an_unknown_format_or_width_is_said(formats, width):
    with pytest.raises(DataError, match="--format" if width is None else "--width"):
        plots.read_output(formats, width)


def test_a_report_is_written_in_the_formats_asked_for(tmp_path):
    table = pd.DataFrame({"model": ["a_b"], "gain": [0.5]})
    made = Report("title", [Section("one", "A heading", [], table, simple)])
    output = plots.read_output("pdf,svg,tex", "3.3in")
    written = {path.name for path in made.write(tmp_path, command=["scalinglab"], output=output)}
    assert written == {"one.csv", "one.pdf", "one.svg", "one.tex", "report.html", "manifest.json"}
    assert "svg+xml" in (tmp_path / "report.html").read_text()
    assert r"\label{tab:one}" in (tmp_path / "one.tex").read_text()


# Colours


def luminance(colour):
    """Relative luminance, WCAG 2."""
    rgb = np.array(to_rgb(colour))
    return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("colour", plots.COLOURS)
def test_a_colour_stands_out_from_white_paper(colour):
    assert 1.05 / (luminance(colour) + 0.05) >= 3


def test_every_line_and_mark_of_a_comparison_stands_out_from_white(found):
    figure, (ax,) = plots.figure()
    for draw in (plots.exchange, plots.by_bin, plots.break_evens):
        draw(found, ax=ax)
    lines = [line for line in ax.lines if line.get_marker() != "*"]  # a star has a black edge
    assert all(1.05 / (luminance(line.get_color()) + 0.05) >= 3 for line in lines)
    assert figure.axes == [ax]


# On given Axes


@pytest.mark.parametrize("draw", [plots.exchange, plots.by_bin, plots.break_evens, plots.rules])
def test_a_comparison_is_drawn_on_given_axes_with_models_and_task_in_its_title(found, draw):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    figure, (left, right) = plots.figure(2)
    assert draw(found, ax=left) is None
    assert figure.axes == [left, right]
    assert not right.has_data()
    assert pyplot.get_fignums() == before, "no figure of its own"
    assert left.get_title().startswith("testbed/base/small against testbed/base/large, testbed\n")


def test_every_line_is_drawn_on_given_axes(found):
    groups = len(found.view("paper").groups)
    figure = Figure()
    axes = list(np.ravel(figure.subplots(2, groups // 2)))
    plots.lines(found, axes=axes)
    assert figure.axes == axes
    assert all(ax.has_data() for ax in axes)


# What was not measured


def test_what_was_not_measured_is_said_and_not_drawn(found):
    _, (ax,) = plots.figure()
    plots.exchange(found, ax=ax)
    head = found.verdicts[
        (found.verdicts["strategy"] == "compute-optimal") & (found.verdicts["convention"] == "paper")
    ]
    missing = int(head["relative"].isna().sum())
    assert missing > 3
    assert [text.get_text() for text in ax.texts].count("not measured") == missing
    assert sum(np.isnan(bar.get_height()) for bar in ax.patches) == missing


# LaTeX


def test_a_table_is_booktabs_with_its_text_escaped():
    frame = pd.DataFrame(
        {"model_a": ["50 % & more", "[a]"], "gain": [-0.25, 1.5], "points": ["-2.3 (-24.0 to 19.3)"] * 2}
    )
    assert latex(frame, caption="100 %", label="x").splitlines() == [
        r"\begin{table}", r"\centering", r"\caption{100 \%}", r"\label{tab:x}",
        r"\begin{tabular}{lrr}", r"\toprule", r"model\_a & gain & points \\", r"\midrule",
        r"50 \% \& more & $-$0.25 & $-$2.3 ($-$24.0 to 19.3) \\", r"{}[a] & 1.5 & $-$2.3 ($-$24.0 to 19.3) \\",
        r"\bottomrule", r"\end{tabular}", r"\end{table}",
    ]  # fmt: skip
