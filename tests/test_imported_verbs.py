"""The verbs that ask about a folder, on a run that was imported: what it does not hold is said to be unknown."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scalinglab.cli.verbs import app
from scalinglab.samples import read_run

LOGS = Path(__file__).parent / "data" / "import" / "inspect" / "two_models"
SPECS = ("--small", "mockllm/small", "--large", "mockllm/large", "--spec", "mockllm/small=1e9@1e12",
         "--spec", "mockllm/large=14e9@1e12")  # fmt: skip


@pytest.fixture
def imported(tmp_path):
    shutil.copytree(LOGS, tmp_path / "logs")
    done = CliRunner().invoke(app, ["import", "auto", str(tmp_path / "logs"), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0
    return tmp_path / "run"


def test_it_is_done_and_its_unknown_tokens_are_unknown_and_not_0(imported):
    found = json.loads(CliRunner().invoke(app, ["status", str(imported), "--json", *SPECS]).stdout)
    assert (found["done"], found["total"]) == (8, 8)
    assert {row["cached_tokens"] for row in found["roles"]} == {None}
    assert all(row["flops"] > 0 for row in found["roles"])
    measured = ["--convention", "exact-measured"]
    dear = json.loads(CliRunner().invoke(app, ["status", str(imported), "--json", *SPECS, *measured]).stdout)
    assert {row["flops"] for row in dear["roles"]} == {None}


def test_its_export_is_the_same_run(imported, tmp_path):
    assert CliRunner().invoke(app, ["export", str(imported), "--out", str(tmp_path / "copy")]).exit_code == 0
    one, other = read_run(imported), read_run(tmp_path / "copy")
    assert one.solutions.equals(other.solutions)
    assert one.calls.equals(other.calls)


@pytest.mark.parametrize(
    "verb", ["exchange --bins 1", "curve", "optimal --bins 1", "ledger", "advise --queries 1e9 --target 0.5"]
)
def test_every_verb_reads_it(imported, verb):
    name, *options = verb.split()
    done = CliRunner().invoke(app, [name, str(imported), *SPECS, *options])
    assert done.exit_code == 0, done.exception
