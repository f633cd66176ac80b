import base64
import json
import math
import os
import re
import sys
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab import __version__, flops, plots
from scalinglab.errors import DataError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import (
    FIXED,
    OPTIMAL,
    OUTSIDE,
    PAPER_R,
    R_COLUMNS,
    choose,
    line_table,
    match_ratio,
    match_specs,
    published,
    published_bars,
    published_lines,
)
from scalinglab.exchange import compare as compared
from scalinglab.flops import CONVENTIONS
from scalinglab.report import Report, Section, comparison_report, manifest, paper_report, rows, text
from scalinglab.specs import find, parse

COMMAND = ["scalinglab", "report", "my counts.csv"]
NASTY = "<script>alert(1)</script> & \"so\" 'on'"
VOID = {"meta", "img", "br"}
ORIGIN = "Where this comes from"


def compare(small="small", large="large", *, correct=(5, 7), n=300, r=PAPER_R, bins=5):
    """Forty problems, 300 samples each, of which a bare number of parameters prices the models: no exact rule."""
    counts = [
        {"model": model, "problem": f"p{i:02}", "n": n, "correct": step * i * n // 300}
        for model, step in zip((small, large), correct, strict=True)
        for i in range(40)
    ]
    sizes = {small: parse("1e9@20e9"), large: parse("14e9@20e9")}
    return compared(open_evidence(pd.DataFrame(counts), small=small, large=large, specs=sizes), r=r, bins=bins)


@pytest.fixture(scope="module")
def paper():
    return paper_report()


def nasty_report():
    """A report on a model with a hostile name."""
    return comparison_report(compare(NASTY), "paper")


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    """That report, the folder it wrote and the paths it returned."""
    report, folder = nasty_report(), tmp_path_factory.mktemp("nasty") / "a" / "b"
    return report, folder, report.write(folder, command=COMMAND, seed=7)


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and text by element."""

    def __init__(self, source):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else None, data))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def inside(self, tag):
        return [data for name, data in self.texts if name == tag]


def section(report, name):
    (found,) = [section for section in report.sections if section.name == name]
    return found


# The paper


def test_the_paper_is_five_findings_each_with_a_heading_a_note_a_table_and_a_figure(paper):
    names = [section.name for section in paper.sections]
    assert names == ["who_wins", "rule_effect", "lines", "real_pairs", "one_query"]
    for finding in paper.sections:
        assert finding.heading
        assert all(finding.notes)
        assert len(finding.notes) > 0
        assert len(finding.table) > 0
        assert finding.draw().axes


def test_who_wins_are_the_published_bars(paper):
    table, bars = section(paper, "who_wins").table, published_bars()
    cells = table.melt(["mechanism", "k", *R_COLUMNS], var_name="difficulty", value_name="cell")
    wanted = {(bar.mechanism, bar.k, bar.difficulty): bar for bar in bars.itertuples()}
    assert len(cells) == len(bars) == len(wanted) == 18
    for row in cells.itertuples():
        bar = wanted[row.mechanism, row.k, row.difficulty]
        value, winner = row.cell.split()
        assert float(value) == bar.improvement_pct
        assert winner == bar.winner


def test_who_wins_gives_the_printed_r_of_each_budget(paper):
    printed = section(paper, "who_wins").table.set_index(["mechanism", "k"])["R paper"]
    for k, r in {256: 0.16, 64: 0.79, 16: 22}.items():
        assert printed["revisions", k] == printed["PRM search", k] == pytest.approx(r, rel=0.03)


def test_the_effect_of_the_rule_is_r_under_each_rule(paper):
    table, m = section(paper, "rule_effect").table, published()["ratio"]
    assert sorted(table["k"]) == [16, 64, 256]
    for column in R_COLUMNS:
        match = match_ratio(m, CONVENTIONS[column.removeprefix("R ")])
        assert list(table[column]) == [match.r(k) for k in table["k"]]


def test_the_lines_are_the_published_ones_at_the_three_budgets(paper):
    table, lines = section(paper, "lines").table, published_lines()
    assert set(table["k"]) == {16, 64, 256}
    assert len(table) == 3 * len(lines[["mechanism", "series"]].drop_duplicates())
    pd.testing.assert_frame_equal(table, lines[lines["k"].isin([16, 64, 256])])


def test_real_pairs_have_the_budgets_of_their_specs(paper):
    table = section(paper, "real_pairs").table
    pairs = {("Pythia-1B", "Pythia-12B"), ("Qwen3-0.6B", "Qwen3-8B")}
    assert set(zip(table["small"], table["large"], strict=True)) == pairs
    assert list(table["convention"]) == 2 * list(CONVENTIONS)
    for row in table.to_dict("records"):
        rule, models = CONVENTIONS[row["convention"]], (find(row["small"]), find(row["large"]))
        match = match_specs(*models, prompt=512, generated=512, convention=rule)
        assert [row[f"k at R = {r:g}"] for r in PAPER_R] == [match.k(r) for r in PAPER_R]


def test_the_components_of_one_query_add_up_to_its_cost(paper):
    table = section(paper, "one_query").table.set_index("convention")
    costs = flops.compare_conventions(find("Qwen3-0.6B"), 512, 512, samples=16)
    assert table.sum(axis=1).to_dict() == {name: cost["total"] for name, cost in costs.items()}


def test_the_text_of_the_paper_holds_its_title_and_every_finding(paper):
    shown = paper.text()
    assert "beats one about 14 times larger in 9 of 18 cells" in shown.split("\n")[0]
    assert paper.title in shown
    for finding in paper.sections:
        assert finding.heading in shown
        assert finding.text() in shown
        assert all(f"\n  - {note}" in shown for note in finding.notes)
    assert "arXiv 2408.03314" in shown
    assert "nan" not in shown.lower().split()


# A comparison


def test_the_report_of_a_comparison_shows_one_convention_and_tests_all():
    result = compare()
    report = comparison_report(result, "small-pays")
    names = ["verdicts", "optimal", "frontier", "by_bin", "breakeven", "lifetimes", "sensitivity"]
    assert [finding.name for finding in report.sections] == names
    verdicts, optimal, frontier, by_bin, even, costs, flips = report.sections
    assert report.title == "small with test-time compute against large"
    wanted = result.verdicts[result.verdicts["convention"] == "small-pays"]
    pd.testing.assert_frame_equal(verdicts.table, wanted)
    assert f"convention: {CONVENTIONS['small-pays']}" in verdicts.notes
    assert set(result.notes) <= set(verdicts.notes)
    curves = line_table([result.view("small-pays")])
    pd.testing.assert_frame_equal(frontier.table, curves)
    pd.testing.assert_frame_equal(by_bin.table, curves[curves["strategy"] == OPTIMAL])
    assert set(even.table["convention"]) == {"small-pays"}
    assert set(optimal.table["strategy"]) == {OPTIMAL, FIXED}
    sides = costs.table.groupby("R", sort=False)["lifetime"]
    assert (sides.max() / sides.min()).to_numpy() == pytest.approx(1)
    pd.testing.assert_frame_equal(flips.table, result.sensitivity())
    assert [note.split(":")[0] for note in flips.notes] == [
        "cannot pay", *(f"{name} left out" for name in ("kaplan", "exact", "exact-measured"))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("convention", "reason"), [("exact", "training sequence length unknown"), ("nonsense", "it was not asked for")]
)
def test_a_convention_without_verdicts_is_refused_in_one_line_with_the_reason(convention, reason):
    with pytest.raises(DataError, match="one of paper, paper-verifier, small-pays") as refusal:
        comparison_report(compare(bins=1), convention)
    message = str(refusal.value)
    assert message.splitlines() == [message]
    assert reason in message


def test_a_comparison_whose_every_break_even_is_outside_is_written_whole(tmp_path):
    """Case 26: nothing was measured at these R, and nothing crosses."""
    result = compare(correct=(1, 7), n=4, r=[0.001], bins=2)
    assert set(result.verdicts["verdict"]) == {OUTSIDE}
    written = comparison_report(result, "paper").write(tmp_path, command=COMMAND)
    assert {path.name for path in written} >= {"breakeven.png", "verdicts.csv", "report.html"}
    assert "Traceback" not in (tmp_path / "report.html").read_text()


def test_the_compute_optimal_strategy_is_a_section_where_it_was_chosen():
    counts = pd.DataFrame(
        {"model": model, "problem": f"p{i}", "n": 16, "correct": min(16, step * i)}
        for model, step in (("Pythia-1B", 1), ("Pythia-12B", 2))
        for i in range(12)
    )
    evidence = open_evidence(counts, small="Pythia-1B", large="Pythia-12B")
    chosen = choose(evidence, rule=CONVENTIONS["paper"], bins=2)
    report = comparison_report(compared(evidence, bins=2), "paper", optimal=chosen)
    found = section(report, "optimal")
    pd.testing.assert_frame_equal(found.table, chosen.table())
    assert any(note.startswith("gain: no search or revisions") for note in found.notes)
    assert found.draw().axes


# Text and rows


def test_a_table_for_people_shows_missing_numbers_as_a_dash():
    frame = pd.DataFrame({"a": [1.5, None], "b": ["x", None], "c": [10**12, 3]})
    assert [line.split() for line in text(frame).splitlines()] == [
        ["a", "b", "c"],
        ["1.5", "x", "1e+12"],
        ["-", "-", "3"],
    ]


def test_an_empty_table_is_said_to_be_empty():
    assert "DataFrame" not in text(pd.DataFrame())


@pytest.mark.parametrize("missing", [None, math.nan, np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT")])
def test_rows_turn_what_is_missing_into_null(missing):
    frame = pd.DataFrame({"value": [missing]}, dtype=object)
    assert rows(frame) == [{"value": None}]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int64(2**62), 2**62),
        (np.int8(-1), -1),
        (np.float64(0.1), 0.1),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (True, True),
        (3, 3),
        (2**80, 2**80),
        ("", ""),
    ],
)
def test_rows_turn_numpy_scalars_into_json_ready_ones(value, plain):
    (row,) = rows(pd.DataFrame({"value": [value]}, dtype=object))
    assert row == {"value": plain}
    assert type(row["value"]) is type(plain)


def test_rows_of_typed_columns_are_strict_json():
    columns = {"i": np.array([1, 2]), "f": [0.5, np.nan], "b": [True, False], 3: ["x", None]}
    plain = [{"i": 1, "f": 0.5, "b": True, "3": "x"}, {"i": 2, "f": None, "b": False, "3": None}]
    assert json.loads(json.dumps(rows(pd.DataFrame(columns)), allow_nan=False)) == plain


def test_no_row_is_an_empty_list():
    assert rows(pd.DataFrame({"a": []})) == []


# Files


def test_a_report_writes_tables_figures_a_page_and_a_manifest(nasty):
    report, folder, paths = nasty
    names = [finding.name for finding in report.sections]
    drawn = [finding.name for finding in report.sections if finding.draw is not None]
    wanted = (
        {f"{name}.csv" for name in names} | {f"{name}.png" for name in drawn} | {"report.html", "manifest.json"}
    )
    assert {path.name for path in paths} == {path.name for path in folder.iterdir()} == wanted
    assert {path.parent for path in paths} == {folder}


def test_the_csv_files_hold_the_tables(nasty):
    report, folder, _ = nasty
    for finding in report.sections:
        read = pd.read_csv(folder / f"{finding.name}.csv", dtype={"bin": str})
        for name in {"model", "verifier"} & set(read):
            read[name] = read[name].astype(object).fillna("")
        pd.testing.assert_frame_equal(read, finding.table.reset_index(drop=True), check_dtype=False)


def test_the_png_files_are_the_figures(nasty):
    report, folder, _ = nasty
    finding = report.sections[0]
    assert (folder / f"{finding.name}.png").read_bytes() == plots.png(finding.draw())


def test_the_manifest_says_how_the_folder_was_made(nasty):
    _, folder, paths = nasty
    manifest = json.loads((folder / "manifest.json").read_text(), parse_constant=pytest.fail)
    assert set(manifest) == {"command", "files", "seed", "versions", "machine"}
    assert manifest["command"] == "scalinglab report 'my counts.csv'"
    assert manifest["seed"] == 7
    assert manifest["files"] == sorted(path.name for path in paths if path.name != "manifest.json")
    assert manifest["versions"]["scalinglab"] == __version__
    assert manifest["versions"]["numpy"] == np.__version__
    assert {"python", "scipy", "pandas", "matplotlib"} <= set(manifest["versions"])
    assert manifest["machine"]["cores"] == os.cpu_count()
    assert all(manifest["machine"].values())


def test_the_page_is_whole_html_with_every_finding(nasty):
    report, folder, _ = nasty
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert page.inside("title") == page.inside("h1") == [report.title]
    assert page.inside("h2") == [*(finding.heading for finding in report.sections), ORIGIN]
    assert page.inside("li") == [note for finding in report.sections for note in finding.notes]
    assert page.inside("a")[: len(report.sections)] == [finding.heading for finding in report.sections]
    whole, short = (sum(getattr(f, name) is not None for f in report.sections) for name in ("table", "short"))
    empty = sum(f.short is not None and f.short.empty for f in report.sections)
    once = sum(f.short is f.table for f in report.sections)
    assert len(page.all("table")) == whole + short - empty - once
    assert "scalinglab report 'my counts.csv'" in page.inside("dd")


def test_helpers_that_nobody_trained_cost_exactly_nothing(nasty):
    assert (section(nasty[0], "lifetimes").table["helpers"] == 0).all()


def test_a_title_over_figures_stands_over_each_that_is_drawn(paper):
    titled = paper.over_figures("A against B")
    drawn = [finding.draw() for finding in titled.sections if finding.draw is not None]
    assert [one.get_suptitle() for one in drawn] == ["A against B"] * len(drawn)


def test_the_page_needs_no_other_file_and_no_network(nasty):
    report, folder, _ = nasty
    source = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(source)
    drawn = [finding for finding in report.sections if finding.draw is not None]
    for finding, image in zip(drawn, page.all("img"), strict=True):
        kind, content = image["src"].split(",")
        assert kind == "data:image/svg+xml;base64"
        assert base64.b64decode(content, validate=True) == plots.svg(plots.settled(finding.draw()))
        assert image["alt"] == finding.heading
    inside = {*(f"#{f.name}" for f in report.sections), *(path.name for path in folder.iterdir())}
    assert {link["href"] for link in page.all("a")} <= inside
    outside = {"src", "href", "srcset", "data", "action"}
    assert not [tag for tag, attributes in page.elements if tag not in ("img", "a") and outside & set(attributes)]
    assert not re.search(r"https?:", source)
    assert "url(" not in source
    assert "@import" not in source


def test_the_page_shows_a_hostile_name_and_does_not_run_it(nasty):
    _, folder, _ = nasty
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.all("script") == []
    assert any(NASTY in shown for shown in page.inside("h1"))
    assert any(shown.startswith(f"training tokens D: {NASTY} 2e+10") for shown in page.inside("li"))


def test_the_cells_of_the_page_are_escaped(tmp_path):
    finding = Section("a", NASTY, [NASTY], pd.DataFrame({NASTY: [NASTY, None]}))
    paths = Report(NASTY, [finding]).write(tmp_path, command=COMMAND)
    assert sorted(path.name for path in paths) == ["a.csv", "manifest.json", "report.html"]
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.inside("th") == [NASTY]
    assert page.inside("td") == [NASTY, "-"]
    assert page.all("script") == page.all("img") == []


def test_the_same_data_make_the_same_bytes(nasty, tmp_path):
    _, _, first = nasty
    again = nasty_report().write(tmp_path, command=COMMAND, seed=7)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in first]


def small_report():
    return Report("title", [Section("a", "heading", [], pd.DataFrame({"x": [1]}))])


def test_a_report_replaces_an_older_one_and_leaves_other_files_alone(tmp_path):
    small_report().write(tmp_path, command=COMMAND)
    (tmp_path / "a.csv").write_text("old and longer than the new one")
    (tmp_path / "mine.txt").write_text("mine")
    small_report().write(str(tmp_path), command=COMMAND)
    assert (tmp_path / "a.csv").read_text() == "x\n1\n"
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_is_a_data_error(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="cannot write") as refusal:
        small_report().write(tmp_path / place, command=COMMAND)
    assert str(tmp_path / place) in str(refusal.value)
    assert isinstance(refusal.value.__cause__, OSError)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_that_cannot_be_replaced_leaves_no_partial_one(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(DataError, match=r"a\.csv"):
        small_report().write(tmp_path, command=COMMAND)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_the_page_is_utf_8_where_the_locale_is_not(tmp_path):
    finding = Section("a", "Wörter – 言葉", [], pd.DataFrame({"x": ["é"]}))
    Report("ü", [finding]).write(tmp_path, command=COMMAND)
    page = Page(Path(tmp_path / "report.html").read_bytes().decode("utf-8"))
    assert page.inside("h2") == ["Wörter – 言葉", ORIGIN]
    assert (tmp_path / "a.csv").read_bytes() == "x\né\n".encode()
    assert {"charset": "utf-8"} in page.all("meta")


def test_a_manifest_names_the_distribution_behind_a_module(monkeypatch):
    monkeypatch.setattr(metadata, "packages_distributions", lambda: {"vllm": ["numpy"]})
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delitem(sys.modules, "transformers", raising=False)
    assert "vllm" not in manifest(["scalinglab"], [], None)["versions"]
