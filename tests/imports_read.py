"""Imports of case files, read back: what the tests of importers share."""

import json
from pathlib import Path

import pytest

from scalinglab.samples import read_run

CASES = Path(__file__).parent / "data" / "import"
EXPECTED = json.loads((CASES / "expected-b.json").read_text())
SAL = "sal/data/org/tiny-1B/{}_completions.jsonl"
PLUS = "evalplus/org--tiny-1B_vllm_temp_0.8_eval_results.json"


def named(*musts):
    return [name for name, of in EXPECTED.items() if of["kind"] != "table" and of["must"] in musts]


@pytest.fixture
def imported(scalinglab, tmp_path):
    """Imports a path by name of its kind, and reads the run back; notes are what the command printed below."""

    def run(kind, path, options=""):
        done = scalinglab(f"import {kind} LOG --out OUT {options}", LOG=path, OUT=tmp_path / "out")
        assert (done.code, done.err) == (0, "")
        _, *notes = done.out.split("\n  - ")
        return read_run(tmp_path / "out"), ["  - " + " ".join(note.split()) for note in notes]

    return run


def answers(run):
    units = run.units.set_index("key")[["model", "problem", "task", "strategy", "parameters", "budget"]]
    return run.solutions.join(units, on="unit").reset_index(drop=True)


def counts(run):
    return {
        problem: f"{(of['grade'] == 'right').sum()}/{len(of)}" for problem, of in answers(run).groupby("problem")
    }


def as_counts(values):
    """Expected values by problem, as a count, one grade, or a list of grades."""

    def count(value):
        if isinstance(value, list):
            return f"{sum(value)}/{len(value)}"
        return value if isinstance(value, str) else f"{value}/1"

    return {problem: count(value) for problem, value in values.items()}


def tokens(run, name):
    return dict(zip(run.calls["position"], run.calls[name], strict=True))
