"""What is collected, from study.toml to a comparison: efforts as imported ones, votes of unequal size."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scripted import ScriptedTestbed, opinion, solving

from scalinglab import study
from scalinglab.curves import arms_of
from scalinglab.evidence import open_evidence
from scalinglab.exchange import compare, curves
from scalinglab.flops import CONVENTIONS
from scalinglab.samples import Call, RunStore, Solution, Unit, cut_solutions, read_run
from scalinglab.specs import parse
from scalinglab.study import running

PAPER = [CONVENTIONS["paper"]]
TEXT = """
[task]
kind = "testbed"
levels = [[2, 2], [2, 3]]
count = 12
[models.small]
model = "testbed/base/small"
[models.large]
model = "testbed/base/large"
[[strategies]]
name = "greedy"
models = ["large"]
"""
THINK = """
[[strategies]]
name = "think"
thinking = [0, 8, 64]
budgets = [4]
"""
STOPPING = """
[[strategies]]
name = "early_stopping"
budgets = [4, 12]
batch = 2
"""


class Thinker(ScriptedTestbed):
    """Is wrong the less, the more it thinks; a thought has as many tokens as its budget."""

    def __init__(self, task, **options):
        super().__init__(solving(task, wrong=0.3), **options)
        self.writers = {budget: solving(task, wrong=wrong) for budget, wrong in ((0, 0.5), (8, 0.3), (64, 0.05))}

    async def generate(self, prompt, *, thinking=None, **options):
        if thinking is None:
            return await super().generate(prompt, **options)
        text = self.writers[thinking.budget](prompt, options["seed"])
        spent = thinking.budget
        cached = await self._serve("generate", prompt)
        made = await ScriptedTestbed({prompt: [text]}).generate(prompt, **options)
        made = replace(made, cached_tokens=cached, generated_tokens=spent + made.generated_tokens)
        return replace(made, thinking="x" * spent, thinking_tokens=spent)


def collected(text, tmp_path, monkeypatch):
    """A study run on scripted engines, as a folder."""
    path, out = tmp_path / "study.toml", tmp_path / "run"
    path.write_text(TEXT + text)
    one = study.read_study(path)
    with study.opened_task(one) as task:
        drawn = task

    async def open_engine(model, *, name, **_):  # noqa: ARG001
        return Thinker(drawn, model=name, good=opinion)

    monkeypatch.setattr(running, "open_engine", open_engine)
    asyncio.run(study.run_study(one, out))
    return out


def rows_of(run, strategy):
    """A run as others would write it: a row an answer, with its effort."""
    units = run.units.set_index("key")
    written = run.calls.set_index(["unit", "sample"])["generated_tokens"]
    return pd.DataFrame(
        {
            "model": units.loc[one["unit"], "model"],
            "problem": units.loc[one["unit"], "problem"],
            "strategy": {"think": strategy}.get(units.loc[one["unit"], "strategy"], "greedy"),
            "effort": str(units.loc[one["unit"], "options"].get("effort", "")),
            "answer": one["answer"],
            "grade": one["grade"],
            "prompt_tokens": len(ScriptedTestbed.tokens("<bos>" + units.loc[one["unit"], "problem"])),
            "output_tokens": written[one["unit"], one["sample"]],
        }
        for one in run.solutions.to_dict("records")
    )


@pytest.mark.parametrize("strategy", ["parallel", "think"])
def test_collected_efforts_are_the_arms_that_imported_ones_are(strategy, tmp_path, monkeypatch):
    out = collected(THINK, tmp_path, monkeypatch)
    run, own = read_run(out), open_evidence(out)
    assert set(run.units["strategy"]) == {"greedy", "think"}
    table = rows_of(run, strategy)
    other = open_evidence(table, small="small", large="large", specs=own.specs)
    found, expected = (compare(one, rules=PAPER, bins=1) for one in (own, other))
    (line,) = [line for line in found.views[0].lines() if line.strategy == "think"]
    lengths = table[table["model"] == "small"].groupby("effort")["output_tokens"].mean()
    assert line.budgets.tolist() == [round(lengths[budget]) for budget in ("0", "8", "64")]
    right = found.views[0].arms.accuracy[:, line.columns].mean(axis=0)
    by_effort = table.assign(right=table["grade"] == "right").groupby("effort")["right"].mean()
    assert right == pytest.approx(by_effort.loc[["0", "8", "64"]].to_numpy())
    keys = ["strategy", "R", "against"]
    shown = ["small", "large", "difference", "low", "high", "flops"]
    one, two = (each.verdicts.set_index(keys)[shown].sort_index() for each in (found, expected))
    assert one.index.tolist() == two.index.tolist()
    pd.testing.assert_frame_equal(one, two, check_exact=False, rtol=1e-6)


def test_a_curve_over_collected_budgets_and_the_tokens_that_were_used(tmp_path, monkeypatch):
    evidence = open_evidence(collected(THINK, tmp_path, monkeypatch))
    table, _ = curves(evidence, models=["small"], selector="think", rule=PAPER[0])
    assert table["k"].is_monotonic_increasing
    assert len(table) == 3
    many, _ = curves(evidence, models=["small"], selector="majority", rule=PAPER[0])
    assert sorted(set(zip(many["effort"], many["k"], strict=True))) == sorted(
        (effort, k) for effort in ("0", "8", "64") for k in (1, 2, 4)
    )


def test_an_export_has_the_tokens_of_a_thought_beside_its_answer(tmp_path, monkeypatch):
    out = collected(THINK, tmp_path, monkeypatch)
    files = study.export_records(out, tmp_path / "records", command=["scalinglab"])
    (lines,) = [path for path in files if path.suffix == ".jsonl" and "small" in str(path)]
    told = [json.loads(line)["token_usage"] for line in lines.read_text().splitlines()]
    assert Counter(one["reasoning_tokens"] for one in told) == {0: 48, 8: 48, 64: 48}
    assert all(one["output_tokens"] > one["reasoning_tokens"] for one in told)


def majority_right(answers, grades):
    """The chance that the majority is right, ties broken evenly."""
    votes = Counter(answer for answer in answers if answer is not None)
    top = [answer for answer, count in votes.items() if count == max(votes.values())]
    right = {answer for answer, grade in zip(answers, grades, strict=True) if grade == "right"}
    return sum(answer in right for answer in top) / len(top)


def test_votes_that_stop_early_are_read_as_what_was_drawn(tmp_path, monkeypatch):
    out = collected(STOPPING, tmp_path, monkeypatch)
    run, evidence = read_run(out), open_evidence(out)
    (arms,) = arms_of(evidence, [CONVENTIONS["small-pays"]], models=["small"])
    assert arms.table[["strategy", "selector", "verifier", "budget"]].to_numpy().tolist() == [
        ["early_stopping", "majority", "", 4],
        ["early_stopping", "majority", "", 12],
    ]
    units = run.units[run.units["strategy"] == "early_stopping"].set_index("key")
    sizes = run.solutions.groupby("unit").size().loc[units.index]
    assert len(set(sizes[units["budget"] == 12])) > 1
    assert (sizes <= units["budget"]).all()
    assert (sizes == run.calls.groupby("unit").size().loc[units.index]).all()
    price = 2 * evidence.specs["small"].total
    for key, unit in units.iterrows():
        mine, calls = (frame[frame["unit"] == key] for frame in (run.solutions, run.calls))
        at = arms.problems.index(unit["problem"]), [4, 12].index(unit["budget"])
        assert arms.accuracy[at] == pytest.approx(majority_right(mine["answer"].tolist(), mine["grade"].tolist()))
        assert arms.flops[at] == price * calls["generated_tokens"].sum()


def test_votes_that_stop_early_have_a_verdict(tmp_path, monkeypatch):
    evidence = open_evidence(collected(STOPPING, tmp_path, monkeypatch))
    found = compare(evidence, rules=PAPER, bins=1)
    (line,) = found.views[0].lines()
    assert line.label == "early_stopping batch=2, majority"
    costs = found.views[0].arms.flops[:, line.columns].mean(axis=0)
    assert np.all(np.diff(costs) > 0)
    assert set(found.verdicts["strategy"]) >= {"compute-optimal", line.label}
    written = read_run(tmp_path / "run")
    own = written.units.loc[written.units["model"] == "small", "key"]
    mean = written.calls[written.calls["unit"].isin(own)]["generated_tokens"].mean()
    assert evidence.written() == pytest.approx(mean), "R counts the tokens of a sample that was drawn"


SEARCHES = """
[models.prm]
model = "testbed/base/prm"
[verifiers.prm]
model = "prm"
[[strategies]]
name = "beam_search"
budgets = [4, 16]
width = "sqrt"
verifier = "prm"
[[strategies]]
name = "beam_search"
budgets = [4, 16]
verifier = "prm"
[[strategies]]
name = "lookahead"
budgets = [8]
verifier = "prm"
[[strategies]]
name = "lookahead"
budgets = [16]
steps = 3
verifier = "prm"
"""


def test_both_widths_of_the_paper_and_both_lookaheads_are_lines_of_one_study(tmp_path, monkeypatch):
    evidence = open_evidence(collected(SEARCHES, tmp_path, monkeypatch))
    (view,) = compare(evidence, rules=PAPER, bins=1).views
    assert {line.label: line.budgets.tolist() for line in view.lines()} == {
        "beam_search width=sqrt, weighted by prm": [4, 16],
        "beam_search width=4, weighted by prm": [4, 16],
        "lookahead steps=1 width=4, weighted by prm": [8],
        "lookahead steps=3 width=4, weighted by prm": [16],
    }


# A tree as it was recorded until a step said by itself that it was the last: the solutions of round 1 wait for a
# round of end tokens, which prunes four to two and copies them; finals are numbered anew.
OLD = Unit("run", "sums", "p", "policy", "small", "beam_search", {"beams": 4, "width": 2, "verifier": "prm"}, 4)


def test_trees_of_the_old_kind_stay_readable(tmp_path):
    steps = [Call("policy", "small", 10, 5, 10, cached_tokens=0, sample=i) for i in range(4)]
    grown = [replace(call, prompt_tokens=15, reusable_tokens=5, cached_tokens=15, round=1) for call in steps]
    ends = [replace(call, prompt_tokens=20, reusable_tokens=10, generated_tokens=1, round=2) for call in grown]
    finals = [
        Solution("t", answer, grade, [0.5, score], sample=i, round=2)
        for i, (answer, grade, score) in enumerate(
            [("4", "right", 0.6), ("4", "right", 0.6), ("5", "wrong", 0.8), ("5", "wrong", 0.8)]
        )
    ]
    large = replace(OLD, role="large", model="large", strategy="greedy", parameters={}, budget=1)
    with RunStore(tmp_path / "run.sqlite") as store:
        store.append(OLD, [*steps, *grown, *ends], finals)
        store.append(large, [replace(steps[0], role="large", model="large")], [Solution("t", "4", "right")])
    spec = parse("1e9@1e12")
    evidence = open_evidence(tmp_path, specs={"small": spec, "large": spec, "prm": spec})
    (arms,) = arms_of(evidence, PAPER, models=["small"])
    assert arms.table[["strategy", "selector", "budget"]].to_numpy().tolist() == [["beam_search", "weighted", 4]]
    assert arms.accuracy.tolist() == [[0.0]]
    assert arms.flops.tolist() == [[2e9 * (4 * 5 + 4 * 5 + 4)]]
    assert not cut_solutions(read_run(tmp_path)).any()
