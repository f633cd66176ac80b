"""Mutations of [[strategies]] and [verifiers]: a plan, or one line that names the key; never a traceback."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import ScriptedEngine

from scalinglab import study
from scalinglab.collect import check
from scalinglab.errors import DataError

MANY = settings(
    max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
HEAD = '[task]\nkind = "testbed"\nlevels = [[2, 2]]\ncount = 2\n'
MODELS = "".join(f'[models.{name}]\nmodel = "testbed/base/{name}"\n' for name in ("small", "reviser", "prm"))
VERIFIERS = {
    "prm": {"kind": "token", "model": "prm", "template": "rlhflow", "good": "+", "bad": "-"},
    "orm": {"kind": "reward", "model": "prm", "template": {"step": "{step} #"}, "outcome": True},
    "judge": {
        "kind": "judge", "model": "prm", "votes": 2, "temperature": 0.5, "max_tokens": 9, "pattern": "(a|b)",
        "good": "a", "bad": "b", "template": {"end": "?"},
    },
    "graded": {"kind": "judge", "model": "small", "scale": 10},
    "noisy": {"kind": "noisy", "of": "prm", "flips": 0.2},
    "exact": {"kind": "exact"},
    "mine": {"kind": f"{__name__}:made", "model": "prm", "scale": 3},
}  # fmt: skip
STRATEGIES = [
    {"name": "greedy", "models": ["small"], "aggregate": "min"},
    {"name": "parallel", "budgets": [1, 4], "temperature": 0.7, "verifier": ["prm", "judge"]},
    {"name": "revisions", "budgets": [4], "lengths": [1, 2], "verifier": "orm"},
    {"name": "beam_search", "budgets": [4, 16], "width": "sqrt", "rounds": 3, "verifier": "prm"},
    {"name": "lookahead", "budgets": [8], "width": 2, "steps": 3, "verifier": "mine"},
    {"name": "rebase", "budgets": [4], "balance": 0.3, "verifier": "noisy"},
    {"name": "think", "thinking": [0, 64], "budgets": [2], "forcing": True, "waits": 1, "tags": ["<t>", "</t>"]},
    {"name": "think", "efforts": ["low", "high"], "budgets": [2], "verifier": "graded"},
    {"name": "early_stopping", "budgets": [4, 8], "threshold": 0.9, "batch": 2, "temperature": 1},
]
KEYS = sorted({key for table in (*STRATEGIES, *VERIFIERS.values()) for key in table} | {"", "sample", "a b"})
WORDS = st.sampled_from(
    ["", " ", "small", "prm", "think", "sqrt", "x:y", "os:path", "(", "é\n", "math.:pi", "a" * 99]
)
PLAIN = st.one_of(
    st.integers(-3, 5),
    st.just(2**70),
    st.floats(),
    st.booleans(),
    WORDS,
    st.sampled_from([0, -1, math.inf, math.nan]),
)
VALUES = st.one_of(PLAIN, st.lists(PLAIN, max_size=3), st.dictionaries(st.sampled_from(KEYS), PLAIN, max_size=2))
CHANGES = st.lists(
    st.tuples(st.integers(0, 99), st.sampled_from(KEYS), VALUES | st.none()), min_size=1, max_size=2
)


def made(engine, task, *, scale):  # noqa: ARG001
    return engine


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def table(head, values):
    return f"{head}\n" + "".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in values.items())


def planned(path, verifiers, strategies):
    """The study of these tables, planned, and each of its cells checked as ``collect`` does."""
    named = [table(f"[verifiers.{name}]", values) for name, values in verifiers.items()]
    path.write_text("".join([HEAD, MODELS, *named, *(table("[[strategies]]", one) for one in strategies)]))
    one = study.read_study(path)
    with study.opened_task(one) as task:
        plan = study.plan_of(one, task)
        engines = {name: ScriptedEngine(model=name) for name in one.models}
        for unit in plan.units():
            check(unit, engines, one.verifiers, task)
    return plan


def test_the_tables_that_are_changed_are_a_study(tmp_path):
    assert len(planned(tmp_path / "study.toml", VERIFIERS, STRATEGIES).cells) == 14


@MANY
@given(changes=CHANGES)
@pytest.mark.parametrize("which", ["strategies", "verifiers"])
def test_a_changed_table_is_a_study_or_one_line_that_names_a_key(which, changes, tmp_path):
    verifiers = {name: dict(values) for name, values in VERIFIERS.items()}
    strategies = [dict(values) for values in STRATEGIES]
    tables = strategies if which == "strategies" else list(verifiers.values())
    for at, key, value in changes:
        tables[at % len(tables)].pop(key, None)
        if value is not None:
            tables[at % len(tables)][key] = value
    try:
        planned(tmp_path / "study.toml", verifiers, strategies)
    except DataError as error:
        refused = error
    else:
        return
    assert "\n" not in str(refused)
    assert len(refused.args) == 3
    named = {key for change in changes for key in (change[1], *(change[2] if isinstance(change[2], dict) else ()))}
    also = ("budget", "model", "kind", "name", "strategy", "verifier", "template", "thinking", "of", "there twice")
    assert any(key and key in str(refused) for key in (*named, *also))
