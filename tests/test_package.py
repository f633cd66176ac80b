"""``import scalinglab as sl``, what a notebook shows, and how the command line is found and read."""

import os
import subprocess
import sys

import pandas as pd
import pytest
from commands import assert_refused, finish, real
from test_imports import loaded

import scalinglab as sl
from scalinglab.cli.verbs import _GROUPS, app
from scalinglab.errors import DataError
from scalinglab.study import RECORDED

NAMES = {"CONVENTIONS", "choose", "compare", "comparison_report", "find", "match_specs", "open_evidence", "parse"}


def test_the_package_offers_what_a_session_begins_with_and_completes_it():
    assert NAMES < set(sl.__all__) < set(dir(sl))
    assert {"flops", "exchange", "plots", "advise"} < set(dir(sl))
    assert sl.find("Qwen3-8B").name == "Qwen3-8B"
    assert sl.flops.CONVENTIONS is sl.CONVENTIONS


def test_the_import_alone_loads_nothing_heavy_and_completes_without_loading():
    assert not loaded("import scalinglab as sl\ndir(sl)\nsl.find") & {"matplotlib", "pandas", "scipy", "pyarrow"}


def test_a_record_is_three_lines_with_its_names_as_text():
    counts = pd.DataFrame(
        {"model": model, "problem": f"p{i}", "n": 8, "correct": min(8, step * i)}
        for model, step in (("<b>$a", 1), ("large", 2))
        for i in range(10)
    )
    specs = {"<b>$a": sl.parse("1e9@2e10"), "large": sl.parse("14e9@2e10")}
    evidence = sl.open_evidence(counts, small="<b>$a", large="large", specs=specs)
    found = sl.compare(evidence, bins=1)
    view = found.view("paper")
    advice = sl.advise.advise(view, queries=1e9, budget=1e22)
    for shown in (evidence, found, advice, sl.choose(evidence, rule=sl.CONVENTIONS["paper"], bins=1).oracle[0]):
        assert 2 <= len(repr(shown).split("\n")) <= 3
        assert all(len(line) <= 120 for line in repr(shown).split("\n"))
        assert "<b>$a" not in shown._repr_html_().removeprefix("<b>")
        assert shown._repr_html_().startswith("<b>")
    assert "counts of 2 models on 10 problems" in repr(evidence)
    assert "samples of 2 models on 150 problems of testbed" in repr(sl.open_evidence(RECORDED))


@pytest.mark.parametrize(
    "given", [None, 3, [], {"a": 1}, pd.Series([1]), [None], pd.DataFrame(), pd.DataFrame({"a": [1]}), [[1, 2]]],
    ids=lambda given: type(given).__name__,
)  # fmt: skip
def test_what_is_no_evidence_is_refused_in_three_parts(given):
    with pytest.raises(DataError) as refused:
        sl.open_evidence(given)
    assert len(refused.value.args) == 3


# The command line


def test_every_verb_stands_once_under_a_heading_of_the_help_and_no_line_is_cut(scalinglab, monkeypatch):
    import typer.main

    monkeypatch.setenv("COLUMNS", "80")
    short, long = scalinglab("-h"), scalinglab("--help")
    assert short.out == long.out
    assert "..." not in short.out.split("\n", 1)[1]
    assert max(map(len, short.out.splitlines())) <= 80
    grouped = [name for names in _GROUPS.values() for name in names]
    assert len(grouped) == len(set(grouped))
    assert set(typer.main.get_command(app).commands) <= set(grouped)
    for name in typer.main.get_command(app).commands:
        assert f"\n  {name} " in short.out
        assert scalinglab(f"{name} -h").code == 0


def test_it_runs_as_a_module():
    ran = [sys.executable, "-m", "scalinglab", "--version"]
    done = subprocess.run(ran, capture_output=True, text=True, check=True)
    assert done.stdout == f"scalinglab {sl.__version__}\n"
    failed = subprocess.run([*ran[:3], "specs", "nobody"], capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_verbs(shell):
    words = {"COMP_WORDS": "scalinglab ex", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "scalinglab ex"}
    ran = (
        os.environ
        | words
        | {"_SCALINGLAB_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    )
    code = "import sys; sys.argv = ['scalinglab']; from scalinglab.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=ran, capture_output=True, text=True, check=False)
    assert "exchange" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_table_on_standard_input_is_read_and_one_that_is_none_is_one_line(counts):
    line = "curve - --model Pythia-2.8B --k 1"
    with counts.open() as table:
        done = finish(real(*line.split(), stdin=table))
    assert (done.code, done.err) == (0, "")
    process = real(*line.split(), stdin=subprocess.PIPE)
    process.stdin.write("nonsense")
    assert_refused(finish(process))


def test_one_who_waits_at_a_terminal_is_told_and_the_line_goes_before_anything_is_printed(monkeypatch, capsys):
    from time import sleep

    from scalinglab.cli import terminal

    monkeypatch.setattr(terminal, "_SAY_AFTER", 0.1)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with terminal.plain(), terminal.waiting("report, x"):
        sleep(0.3)
        print("found")
    out, err = capsys.readouterr()
    assert out == "found\n"
    assert err.startswith("\rscalinglab: report, x, 0 s ")
    assert err.endswith("\r\x1b[K")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    with terminal.plain(), terminal.waiting("report, x"):
        sleep(0.3)
    assert capsys.readouterr() == ("", "")
