"""What an import brings in, through the command line: the rows of the run, what was said, and what was refused."""

import json
from pathlib import Path

import pandas as pd
from commands import assert_refused

from scalinglab.samples import read_run

CASES = Path(__file__).parent / "data" / "import"
TOKENS = ("prompt_tokens", "generated_tokens", "cached_tokens", "thinking_tokens")


def cases(name, *musts):
    """The cases of one kind that must end in one of these ways, with what is right."""
    found = json.loads((CASES / f"expected_{name}.json").read_text(encoding="utf-8"))
    return [(case, right) for case, right in found.items() if right["must"] in musts]


def rows_of(run):
    """A row an answer: model, task, problem, effort, sample, grade, tokens and finish reason."""
    found = read_run(run)
    units = found.units.set_index("key")[["model", "task", "problem", "parameters", "strategy"]]
    rows = found.solutions.join(units, on="unit")
    rows["effort"] = [json.loads(one).get("effort", "") for one in rows.pop("parameters")]
    calls = found.calls[["unit", "position", *TOKENS, "finish_reason"]]
    return rows.merge(calls, on=["unit", "position"], how="left")


def imported(scalinglab, tmp_path, kind, case, *flags):
    """The rows of a case that comes in, and all that was said of it."""
    out = tmp_path / "run"
    done = scalinglab(" ".join([f"import {kind} CASE --out OUT --json", *flags]), CASE=CASES / case, OUT=out)
    assert done.code == 0, done.err
    said = json.loads(done.out)
    notes = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["notes"]
    assert said["notes"] == notes
    return rows_of(out), "\n".join(notes)


def refused(scalinglab, tmp_path, kind, case, *words):
    """A case that is refused in one line with these words, nothing left in --out nor beside it."""
    out = tmp_path / "run"
    done = scalinglab(f"import {kind} CASE --out OUT", CASE=CASES / case, OUT=out)
    assert_refused(done)
    assert all(word in done.err for word in words), done.err
    assert list(tmp_path.iterdir()) == []


def graded(rows, grade):
    """The problems of the answers of a grade, in order."""
    return sorted(rows.loc[rows["grade"] == grade, "problem"])


def known(rows, name):
    """The values of a column as whole numbers; None where unknown."""
    return [None if pd.isna(one) else int(one) for one in rows[name]]
