"""Names are text, on a terminal, in a figure, on a page and in a spreadsheet; no error is more than a line."""

import csv
import io
import re
import signal
import subprocess
import warnings

import numpy as np
import pandas as pd
import pytest
from commands import assert_refused, finish, real
from matplotlib.text import Text

from scalinglab import plots
from scalinglab.names import short, visible
from scalinglab.report import Report, Section

HOSTILE = [
    "$x^2$", "$\\frac{", "a$b", "\\$5 and $6", "_{a}^", "$", "\\mathdefault{$1^", "模型", "x" * 10_000,
    "<script>alert(1)</script>", "=HYPERLINK(\"http://x\")", "@SUM(1)", "+1+cmd|' /C calc'!A0", "-2+3",
    "\x1b[31mred", "\x1b]0;title\x07", "\x1b[2J\x1b[1;1H", "\u202egnirts", "a\x00b", "a\rb",
]  # fmt: skip
LINE = "--bins 2 --r 22 --convention paper"


def table(folder, small):
    """Counts of a model of any name against another."""
    path = folder / "counts.csv"
    rows = [(m, f"p{i}", 8, min(8, s * i % 9)) for m, s in ((small, 2), ("large", 3)) for i in range(12)]
    pd.DataFrame(rows, columns=["model", "problem", "n", "correct"]).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "$x^2$ <script>alert(1)</script>",
        "@a$b\x1b]0;title\x07\u202e",
        "+1+cmd|' /C calc'!A0 $\\frac{",
        "模" * 10_000,
    ],
    ids=["markup", "escapes", "formula", "long"],
)
def test_a_report_on_a_model_of_any_name_is_written_and_runs_nothing(scalinglab, tmp_path, name):
    paths = {"DATA": table(tmp_path, name), "SMALL": name, "OUT": tmp_path / "out",
             "ONE": f"{name}=1e9@2e10", "TWO": "large=14e9@2e10"}  # fmt: skip
    line = f"DATA --small SMALL --large large --spec ONE --spec TWO {LINE}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = scalinglab(f"report {line} --out OUT", **paths)
    assert (done.code, done.err) == (0, "")
    shown = scalinglab(f"exchange {line}", **paths)
    assert (shown.code, shown.err) == (0, "")
    assert not re.search(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x7f-\x9f\u202e]", shown.out)
    assert "<script>alert" not in (tmp_path / "out" / "report.html").read_text()
    for path in (tmp_path / "out").glob("*.csv"):
        cells = [cell for row in csv.reader(io.StringIO(path.read_text())) for cell in row]
        assert [cell for cell in cells if cell[:1] in tuple("=+-@") and not re.match(r"[+-]?[\d.]+", cell)] == []


def test_a_name_in_a_figure_is_drawn_as_it_is_and_numbers_of_a_scale_as_powers():
    for name in HOSTILE:
        drawn, (ax,) = plots.figure()
        ax.plot([1, 1e6], [1, 2], label=f"of {name}")
        ax.set(xscale="log", title=name, xlabel=f"of {name}")
        ax.set_yticks([1, 2], [name, "other"], fontsize=7)
        ax.legend(fontsize=7)
        assert plots.png(drawn) == plots.png(drawn)
        texts = {text.get_text() for text in drawn.findobj(Text)}
        assert short(name) in texts, name
        assert all(len(line) <= 100 for text in texts for line in text.split("\n"))
        assert any("10^{" in label.get_text() and label.get_parse_math() for label in ax.get_xticklabels())


def test_a_name_with_dollars_is_not_drawn_as_mathematics():
    def pixels(name, *, parse):
        drawn, (ax,) = plots.figure()
        ax.set_title(name, parse_math=parse)
        return plots.png(drawn)

    assert pixels("$x^2$", parse=True) == pixels("$x^2$", parse=False)
    assert pixels("$x^2$", parse=True) != pixels("x2", parse=False)


def test_short_names_stay_and_long_ones_keep_both_ends():
    assert short("Qwen3-0.6B, 64 samples\nand more") == "Qwen3-0.6B, 64 samples\nand more"
    long = short("begin" + "x" * 10_000 + "end")
    assert len(long) == 32
    assert (long[:5], long[-3:]) == ("begin", "end")
    assert len(short("word " * 1000)) == 100
    assert visible("a\nb\x1b[2J\u202e\ud800é") == "a\\nb\\x1b[2J\\u202e\\ud800é"


def test_a_text_that_would_be_a_formula_is_quoted_and_numbers_are_not(tmp_path):
    texts = ["=1+1", "+21.6 test-time", "-1.5", "-2+3+cmd|' /C calc'!A0", "@x", "\tx", "plain"]
    frame = pd.DataFrame(
        {"=name": texts, "value": np.arange(7) - 3, "known": pd.array([-1, None] * 3 + [2], "Int64")}
    )
    Report("t", [Section("a", "A", [], frame)]).write(tmp_path / "out", command=["scalinglab", "x"])
    rows = list(csv.reader(io.StringIO((tmp_path / "out" / "a.csv").read_text())))
    assert rows[0] == ["'=name", "value", "known"]
    cells = ["'=1+1", "+21.6 test-time", "-1.5", "'-2+3+cmd|' /C calc'!A0", "'@x", "'\tx", "plain"]
    assert [row[0] for row in rows[1:]] == cells
    assert [row[1] for row in rows[1:]] == list(map(str, range(-3, 4)))
    assert [row[2] for row in rows[1:]] == ["-1", ""] * 3 + ["2"]


def test_an_error_with_a_hostile_name_is_one_line_without_its_escapes(scalinglab):
    done = scalinglab("exchange COUNTS --small SMALL --large Pythia-6.9B", SMALL="\x1b]0;pwned\x07")
    assert_refused(done)
    assert "\x1b" not in done.err
    assert "\x07" not in done.err


def test_an_unexpected_error_is_one_line_that_names_a_file_of_its_details(scalinglab, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("scalinglab.report.paper_report", lambda: {}["no such\nkey"])
    assert_refused(scalinglab("paper --out OUT", OUT=tmp_path / "out"), "unexpected KeyError")
    (file,) = tmp_path.glob("scalinglab-*.txt")
    details = file.read_text()
    assert f"scalinglab paper --out {tmp_path / 'out'}" in details
    assert "Traceback (most recent call last)" in details
    assert file.stat().st_mode & 0o077 == 0


def test_without_room_for_details_the_error_is_still_one_line(scalinglab, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    monkeypatch.setattr("scalinglab.report.paper_report", lambda: [][0])
    assert_refused(scalinglab("paper --out OUT", OUT=tmp_path / "out"), "details could not be written")


@pytest.mark.parametrize("line", ["atlas --shipped", "curve - --small a --large b"])
def test_ctrl_c_ends_any_verb_in_one_line_with_the_code_of_collect(line):
    process = real(*line.split(), stdin=subprocess.PIPE)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(signal.SIGINT)
        done = finish(process)
    finally:
        process.kill()
    assert (done.code, done.out) == (1, "")
    assert done.err == "scalinglab: stopped; the same command begins anew\n"
