"""Command lines for tests: run in this process or as the installed command, on data of known truth."""

import io
import json
import os
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest

from scalinglab import cli
from scalinglab.samples import Call, RunStore, Solution, Unit, write_jsonl, write_parquet

FIRST = Path(__file__).parent / "data" / "first-study"
SMALL, LARGE, JUDGE = "Pythia-2.8B", "Pythia-6.9B", "Pythia-160M"
RIGHT = {"p1": 4, "p2": 3, "p3": 1, "p4": 0}
"""How many of the small model's four samples of each problem of the run are right."""
ACCURACY = {"coverage": 0.75, "majority": 0.5, "best-of-n": 0.75, "weighted": 0.75}
"""With all four samples: on p3 one well-scored right answer stands against three poor wrong ones."""
CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "vocab_size": 100,
    "max_position_embeddings": 128,
}
EXCHANGE = "exchange COUNTS --small Pythia-2.8B --large Pythia-6.9B"
RUN_EXCHANGE = "exchange RUN --small tiny --large big"
RUN_SPECS = f"--spec tiny={SMALL} --spec big={LARGE} --spec judge={JUDGE}"
HEAD = "model,problem,n,correct\n"


@pytest.fixture(scope="session")
def counts(tmp_path_factory):
    """Forty problems, 80 samples each, of two catalogue models and one unknown one."""
    path = tmp_path_factory.mktemp("counts") / "counts.csv"
    rows = []
    for i in range(40):
        rows += [f"{SMALL},p{i},80,{i}", f"{LARGE},p{i},80,{2 * i}", f"mine,p{i},80,{i // 2}"]
    path.write_text(HEAD + "\n".join(rows) + "\n")
    return path


def parallel(store, problem, right):
    calls, solutions = [], []
    for i in range(4):
        calls.append(Call("policy", "tiny", 20, 10, 20, sample=i, cached_tokens=0))
        calls.append(Call("verifier", "judge", 30, 1, 20, scored_tokens=1, sample=i, cached_tokens=0))
        good = i < right
        answer, grade, scores = ("7", "right", (0.2, 0.9)) if good else ("0", "wrong", (0.9, 0.1))
        solutions.append(Solution("so", answer, grade, scores, sample=i))
    unit = Unit("run", "math", problem, "policy", "tiny", "parallel", {"verifier": "judge"}, budget=4)
    store.append(unit, calls, solutions)


def greedy(store, problem, right):
    answer, grade = ("7", "right") if right else ("0", "wrong")
    unit = Unit("run", "math", problem, "large", "big", "greedy")
    store.append(
        unit, [Call("large", "big", 20, 10, 20, cached_tokens=0)], [Solution("so", answer, grade, (0.5,))]
    )


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """One recorded run in each form: four problems, four scored samples of tiny, one greedy one of big."""
    folder = tmp_path_factory.mktemp("runs")
    forms = {
        form: folder / name for form, name in (("sqlite", "r.sqlite"), ("parquet", "r"), ("jsonl", "r.jsonl"))
    }
    with RunStore(forms["sqlite"]) as store:
        for problem, right in RIGHT.items():
            parallel(store, problem, right)
            greedy(store, problem, right == 4)
        run = store.read()
    write_parquet(run, forms["parquet"])
    write_jsonl(run, forms["jsonl"])
    return forms


@pytest.fixture(scope="session")
def scalinglab(counts, runs):
    """Runs a command line in this process; COUNTS and RUN stand for the paths of the data above."""

    def run(line, **paths):
        paths = {"COUNTS": counts, "RUN": runs["sqlite"]} | paths
        words = [str(paths.get(word, word)) for word in shlex.split(line)]
        code = 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
            patch.setattr(sys, "argv", ["scalinglab", *words])
            with redirect_stderr(io.StringIO()) as err:
                try:
                    cli.main()
                except SystemExit as stop:
                    code = stop.code
        return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())

    return run


@pytest.fixture(scope="session")
def document(scalinglab):
    """Runs a command line with --json and reads the one strict JSON document it prints."""

    def run(line, **paths):
        done = scalinglab(f"{line} --json", **paths)
        assert (done.code, done.err) == (0, "")
        assert done.out.count("\n") == 1
        return json.loads(done.out.splitlines()[-1], parse_constant=pytest.fail)

    return run


def real(*words, **options):
    """The installed command in a process of its own, where a warning would be an error."""
    command = Path(sys.executable).with_name("scalinglab")
    if not command.exists():
        pytest.skip(f"the package is not installed beside {sys.executable}")
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen([command, *map(str, words)], env=os.environ | {"PYTHONWARNINGS": "error"}, **options)


def finish(process):
    out, err = process.communicate(timeout=60)
    return SimpleNamespace(code=process.returncode, out=out, err=err)


def assert_refused(done, phrase=""):
    """Exit code 1, nothing on stdout, and one line on stderr that names what is allowed."""
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert done.err.startswith("scalinglab: error: ")
    assert phrase in done.err
    assert "Traceback" not in done.err


def assert_misused(done):
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: ")
    assert "Traceback" not in done.err
