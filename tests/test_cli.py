"""The command line itself: exit codes, streams, help, wrong usage, and data that cannot be read."""

import json
import os
import signal
from pathlib import Path

import pytest
from commands import EXCHANGE, HEAD, assert_misused, assert_refused, finish, real

from scalinglab import __version__

FULL = Path("/dev/full")


# The real command


def test_the_command_prints_its_version():
    done = finish(real("--version"))
    assert (done.code, done.out, done.err) == (0, f"scalinglab {__version__}\n", "")


def test_the_command_prints_one_document_without_a_warning():
    done = finish(real("flops", "Pythia-1B", "--prompt", "1", "--generate", "10", "--json"))
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["conventions"]["paper"]["total"] == 20 * 1_011_781_632


def test_an_error_is_one_line_on_stderr_and_exit_code_1():
    assert_refused(finish(real("specs", "no\nsuch model")), "no model or file named 'no\\nsuch model'")


def test_wrong_usage_is_exit_code_2():
    assert_misused(finish(real("specs", "--nonsense")))


def test_a_reader_that_leaves_early_sees_no_traceback():
    process = real("specs", "--json")
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), err) == (1, "")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
def test_a_full_disk_behind_stdout_is_one_line():
    with FULL.open("w") as full:
        done = finish(real("specs", "--json", stdout=full))
    assert (done.code, done.err) == (1, "scalinglab: error: No space left on device\n")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_an_interrupt_ends_a_report_without_a_traceback(tmp_path, monkeypatch):
    """The report waits for its matplotlib settings, which a named pipe holds back, when the signal comes."""
    settings = tmp_path / "matplotlibrc"
    os.mkfifo(settings)
    monkeypatch.setenv("MATPLOTLIBRC", str(settings))
    process = real("paper", "--out", tmp_path / "out")
    with settings.open("w"):
        process.send_signal(signal.SIGINT)
        done = finish(process)
    stopped = "scalinglab: stopped; the same command begins anew\n"
    assert (done.code, done.out, done.err) == (1, "", stopped)
    assert not (tmp_path / "out").exists()


# Versions and help


def test_the_version_is_the_packages(scalinglab):
    assert scalinglab("--version").out == f"scalinglab {__version__}\n"


def test_no_command_shows_the_help_as_wrong_usage(scalinglab):
    done = scalinglab("")
    assert_misused(done)
    assert "exchange" in done.err


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "--nonsense",
        "specs --nonsense",
        "specs --ratio many",
        "flops",
        "flops Qwen3-8B --prompt 5",
        "flops Qwen3-8B --train 2T --prompt 5",
        "flops Qwen3-8B --prompt 5 --generate 6 --sequence 7",
        "flops Qwen3-8B --prompt five --generate 6",
        "flops Qwen3-8B --prompt 1.5 --generate 6",
        "budget",
        "budget --ratio many --r 1",
        "curve",
        "curve COUNTS --seed -1",
        "curve COUNTS --generate few",
        f"{EXCHANGE} --bins few",
        f"{EXCHANGE} --bins 1.5",
        f"{EXCHANGE} --seed x",
        f"{EXCHANGE} --seed -1",
        f"{EXCHANGE} --ratio many",
        "report COUNTS --small Pythia-2.8B --large Pythia-6.9B",
        "paper --nonsense",
        "paper extra",
    ],
)
def test_wrong_usage_exits_with_2(scalinglab, line):
    assert_misused(scalinglab(line))


# Data that cannot be read

BAD = {
    "missing-column.csv": ("model,problem,n\nA,1,2\n", "no column 'correct'"),
    "two-model-columns.csv": ("model,Model,problem,n,correct\nA,A,1,2,1\n", "both model and Model"),
    "more-correct.csv": (HEAD + "A,1,2,2\nA,2,2,3\n", "row 2 has more correct than n"),
    "negative.csv": (HEAD + "A,1,2,-1\n", "row 1 has a bad correct"),
    "fraction.csv": (HEAD + "A,1,2.5,1\n", "row 1 has a bad n"),
    "no-samples.csv": (HEAD + "A,1,0,0\n", "row 1 has n = 0"),
    "absent.csv": (HEAD + "A,1,2,\n", "row 1 has no number in correct"),
    "infinite.csv": (HEAD + "A,1,inf,1\n", "row 1 has no number in n"),
    "text.csv": (HEAD + "A,1,two,1\n", "row 1 has no number in n"),
    "nameless.csv": (HEAD + ",1,2,1\n", "row 1 has no model or problem"),
    "twice.csv": (HEAD + "A,1,2,1\nA,1,2,1\n", "row 2 repeats a model and problem"),
    "quote.csv": (HEAD + '"A,1,2,1\n', "cannot be read"),
    "empty.csv": ("", "cannot be read"),
    "header.csv": (HEAD, "has no rows"),
    "binary.csv": (bytes(range(256)), "cannot be read"),
    "utf-16.csv": ((HEAD + "A,1,2,1\n").encode("utf-16"), "cannot be read"),
    "broken.jsonl": ("{nope\n", "cannot be read"),
    "list.jsonl": ("[1, 2]\n", "line 1 is no object"),
    "empty.jsonl": ("", "has no rows"),
    "cut-off-run.jsonl": ('{"unit": {"key"', "line 1 is no unit of work"),
    "binary-run.jsonl": (b'{"unit"\xff\xfe', "cannot read"),
    "text.parquet": ("nope", "cannot be read"),
    "text.sqlite": ("not a database, but long enough to be taken for a header of one", "not a database"),
    "empty.sqlite": (b"", "no units of work in"),
    "rate.jsonl": ('{"model": "A", "problem": "p", "n": 2, "correct": 0.5}\n', "row 1 has a bad correct"),
    "rate.csv": ("model,problem,sample,correct\nA,p,0,0.5\n", "correct"),
    "table.txt": (HEAD + "A,1,2,1\n", "of type '.txt'"),
    "suffixless": (HEAD + "A,1,2,1\n", "of type 'unknown'"),
}


@pytest.mark.parametrize("name", BAD)
def test_data_that_cannot_be_right_are_refused(scalinglab, tmp_path, name):
    content, phrase = BAD[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_refused(scalinglab("curve BAD", BAD=path), phrase)


@pytest.mark.parametrize("name", ["missing-column.csv", "binary.csv", "cut-off-run.jsonl", "text.sqlite"])
def test_every_command_that_reads_data_refuses_them(scalinglab, tmp_path, name):
    content, phrase = BAD[name]
    path, models = tmp_path / name, "--small A --large B --ratio 14"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_refused(scalinglab(f"exchange BAD {models}", BAD=path), phrase)
    assert_refused(scalinglab(f"report BAD {models} --out OUT", BAD=path, OUT=tmp_path / "out"), phrase)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("x.csv", "no file at"),
        ("x.jsonl", "no file at"),
        ("x.parquet", "no file at"),
        ("x.db", "no run store"),
    ],
)
def test_data_that_are_not_there_are_refused(scalinglab, tmp_path, name, phrase):
    assert_refused(scalinglab("curve HERE", HERE=tmp_path / name), phrase)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["folder", "folder.csv", "folder.sqlite"])
def test_a_folder_that_is_no_run_is_refused(scalinglab, tmp_path, name):
    (tmp_path / name).mkdir()
    assert_refused(scalinglab("curve HERE", HERE=tmp_path / name))


def test_a_folder_with_a_broken_table_is_refused(scalinglab, tmp_path):
    (tmp_path / "units.parquet").write_text("nope")
    assert_refused(scalinglab("curve HERE", HERE=tmp_path), "units.parquet")


def test_models_that_share_no_problem_are_refused_and_with_strict_those_that_lack_one(scalinglab, tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text(HEAD + "A,1,4,1\nA,2,4,1\nB,2,4,1\nB,3,4,1\n")
    line = "exchange C --small A --large B --ratio 14 --bins 1"
    assert_refused(scalinglab(f"{line} --strict", C=path), "lacks 1 of 3 problems")
    path.write_text(HEAD + "A,1,4,1\nA,2,4,1\nB,3,4,1\nB,4,4,1\n")
    assert_refused(scalinglab(line, C=path), "compare data that share problems")


def test_one_sample_a_problem_cannot_set_bins_and_score(scalinglab, tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text(HEAD + "A,1,1,1\nA,2,1,0\nB,1,1,1\nB,2,1,1\n")
    assert_refused(scalinglab("exchange C --small A --large B --ratio 14", C=path), "--bins 1")


def test_a_problem_that_one_side_was_never_asked_is_said(scalinglab, tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text(HEAD + "A,1,4,1\nA,2,4,1\nA,3,4,1\nB,2,4,1\nB,3,4,1\n")
    done = scalinglab("exchange C --small A --large B --ratio 14 --bins 1", C=path)
    assert done.code == 0
    assert "B / parallel was never asked 1 of 3 problems" in done.out


def test_too_little_memory_is_one_line_that_says_what_would_fit(scalinglab, monkeypatch):
    """A real request for more memory than there is, where the command reads its data."""
    import numpy as np

    from scalinglab import evidence

    monkeypatch.setattr(evidence, "open_evidence", lambda *_, **__: np.empty(2**60, dtype=np.int8))
    assert_refused(scalinglab(EXCHANGE), "not enough memory for these data; expected what fits; compare fewer")


@pytest.mark.parametrize("line", ["curve", "exchange", "optimal", "findings", "laws", "ledger", "status"])
def test_every_verb_says_that_a_file_is_missing_in_one_line(scalinglab, tmp_path, line):
    assert_refused(scalinglab(f"{line} HERE", HERE=tmp_path / "none.csv"), "none.csv")


@pytest.mark.parametrize("verb", ["curve", "exchange", "optimal", "findings", "laws", "ledger"])
def test_every_verb_knows_the_same_conventions_and_axes(scalinglab, verb):
    models = "--small tiny --large big"
    allowed = "one of paper, paper-verifier, small-pays, kaplan, exact, exact-measured"
    assert_refused(scalinglab(f"{verb} RUN {models} --convention nonsense"), allowed)
    assert_refused(scalinglab(f"{verb} RUN {models} --with nonsense"), "axis 'nonsense'; expected one of")
