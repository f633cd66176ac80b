"""docs/strategies.md: its blocks are one module and one study, collected on scripts and compared."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from scripted import ScriptedEngine

from scalinglab import study
from scalinglab.errors import DataError
from scalinglab.evidence import open_evidence
from scalinglab.exchange import compare
from scalinglab.flops import CONVENTIONS
from scalinglab.samples import read_run
from scalinglab.study import running

PAGE = (Path(__file__).parents[1] / "docs" / "strategies.md").read_text(encoding="utf-8")
PROBLEMS = [(f"How much is {n} and {n}?", 2 * n) for n in range(10, 30)]


def blocks(language):
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL))


def words(prompt, seed):
    """A verdict to a judge; a thought that closes itself; to a question an answer, right two times in three."""
    if "Proposed solution" in prompt:
        return "Verdict: yes" if seed % 2 else "Verdict: no"
    if prompt.endswith("<think>"):
        return "hm</think>"
    n = int(re.search(r"How much is (\d+)", prompt)[1])
    return f"The answer is {2 * n + (seed % 3 == 1)}."


def test_the_page_is_short_and_names_no_block_that_is_not_run():
    assert len(PAGE.splitlines()) < 150
    assert set(re.findall(r"```(\w+)", PAGE)) == {"python", "toml"}


def test_what_the_page_says_is_collected_and_compared(tmp_path, monkeypatch):
    pytest.importorskip("math_verify")
    (tmp_path / "mine.py").write_text(blocks("python"))
    (tmp_path / "study.toml").write_text(blocks("toml"))
    rows = [json.dumps({"question": question, "answer": str(answer)}) for question, answer in PROBLEMS]
    (tmp_path / "problems.jsonl").write_text("\n".join(rows))
    monkeypatch.syspath_prepend(tmp_path)

    async def open_engine(model, *, name, **_):  # noqa: ARG001
        return ScriptedEngine(words, model=name)

    monkeypatch.setattr(running, "open_engine", open_engine)
    one = study.read_study(tmp_path / "study.toml")
    asyncio.run(study.run_study(one, tmp_path / "run"))
    run = read_run(tmp_path / "run")
    sizes = run.solutions.groupby("unit").size().to_dict()
    mine = run.units[run.units["strategy"] == "mine:TIE_BREAK"]
    assert {(budget, sizes[key]) for key, budget in zip(mine["key"], mine["budget"], strict=True)} == {
        (2, 1),
        (6, 3),
        (6, 6),
    }
    assert set(run.solutions["grade"]) == {"right", "wrong"}
    assert set(run.solutions["answer"].str[-2:]) == {".0"}
    found = compare(open_evidence(tmp_path / "run"), rules=[CONVENTIONS["small-pays"]], bins=1)
    code = "from scalinglab.collect.strategies import known; print(known('mine:TIE_BREAK').selectors.alone)"
    for folder, says in ((tmp_path, "('majority',)"), (Path("/"), "cannot be imported")):
        path = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=path, check=False)
        assert says in done.stdout + done.stderr, "another process reads it as what it is, or not at all"
    labels = {line.label for line in found.views[0].lines()}
    assert {"mine:TIE_BREAK, majority", "early_stopping batch=2 threshold=0.95, majority"} <= labels
    assert any("effort=64 forcing=True" in label for label in labels)
    assert any("weighted by judge" in label for label in labels)
    assert any("weighted by short" in label for label in labels)
    assert not any("short" in line.label for line in found.views[0].menu()), "nobody pays it, so it is no advice"


def test_a_verifier_from_outside_that_fails_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("def made(engine, task, *, scale):\n    raise ValueError('no\\nscale')\n")
    (tmp_path / "study.toml").write_text(
        '[task]\nkind = "testbed"\nlevels = [[2, 2]]\ncount = 1\n[models.small]\nmodel = "testbed/base/small"\n'
        '[verifiers.own]\nkind = "broken:made"\nscale = "x"\n'
        '[[strategies]]\nname = "parallel"\nbudgets = [1]\nverifier = "own"\n'
    )
    monkeypatch.syspath_prepend(tmp_path)

    async def open_engine(model, *, name, **_):  # noqa: ARG001
        return ScriptedEngine({}, model=name)

    monkeypatch.setattr(running, "open_engine", open_engine)
    with pytest.raises(DataError, match=r"verifier own: broken:made fails \(no scale\); .*; mend verifiers.own"):
        asyncio.run(study.run_study(study.read_study(tmp_path / "study.toml"), tmp_path / "run"))
