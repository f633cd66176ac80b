"""What editors are told of a study.toml: the schema takes what is a study, and names what is none on its line."""

import copy
import json
import sys
import time
import tomllib
from pathlib import Path

import pytest
import test_study_mutated as mutated
from jsonschema import Draft202012Validator
from test_imports import loaded
from test_study import TEXT

from scalinglab import study
from scalinglab.errors import DataError, EngineError
from scalinglab.study.lines import line_of

ROOT = Path(__file__).parents[1]
STUDIES = sorted(path for folder in ("results", "tests/data", "scalinglab/data") for path in
                 (ROOT / folder).rglob("study*.toml"))  # fmt: skip


@pytest.fixture(scope="module")
def schema():
    made = study.study_schema()
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(json.loads(json.dumps(made)))


def test_every_committed_study_is_one(schema):
    assert len(STUDIES) > 1
    for text in (TEXT, mutated.TEXT, *(path.read_text() for path in STUDIES)):
        assert [error.message for error in schema.iter_errors(tomllib.loads(text))] == []


OPEN = ("extra", "fields")
"""Tables whose keys are the user's own."""
PLACES = [way for way in mutated.places(mutated.WHOLE) if not {*OPEN}.intersection(way[:-1])]


@pytest.mark.parametrize("way", PLACES, ids=str)
def test_what_the_schema_and_the_reader_refuse_is_the_same(way, schema, tmp_path):
    """A list of a list in place of each value, and an unknown key in each table."""
    whole = copy.deepcopy(mutated.WHOLE)
    for changed in changes(whole, way):
        assert not schema.is_valid(changed)
        (tmp_path / "study.toml").write_bytes(mutated.document(changed))
        with pytest.raises(DataError):
            study.read_study(tmp_path / "study.toml")


def changes(whole, way):
    for unknown in (False, True):
        changed = copy.deepcopy(whole)
        *around, last = way
        at = changed
        for key in around:
            at = at[key]
        if not unknown:
            at[last] = [[]]
        elif isinstance(at[last], dict) and last not in (*OPEN, "models", "verifiers"):
            at[last]["more"] = 1
        else:
            continue
        yield changed


LINES = '''# a study
name = "x"
text = """
[models]
name = 2
"""
nothing = [
  1,
]

[models.small]
model = "m"
url = [
  "a",
]
"quoted key".dotted = 1
[[strategies]]
name = "greedy"
[[strategies]]
name = "parallel"  # [strategies]
template = { end = "x" }
[strategies.table]
key = 1
'''


@pytest.mark.parametrize(
    ("way", "line"),
    [
        (("name",), 2),
        (("text",), 3),
        (("nothing",), 7),
        (("models",), 11),
        (("models", "small", "url"), 13),
        (("models", "small", "quoted key", "dotted"), 16),
        (("models", "small", "missing"), 11),
        (("strategies", 0), 17),
        (("strategies", 1), 19),
        (("strategies", 1, "name"), 20),
        (("strategies", 1, "template", "end"), 21),
        (("strategies", 1, "table", "key"), 23),
        (("strategies", 5, "name"), 17),
        (("missing",), None),
        ((), None),
    ],
)
def test_a_key_stands_on_the_line_of_its_statement(way, line):
    assert line_of(LINES, way) == line
    assert line_of(LINES.replace("\n", "\r\n"), way) == line


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("count = 3", "count = 0", "study.toml:7: task.count is 0; expected a whole number >= 1, at most"),
        ("count = 3", "", "study.toml:4: no task.count; expected a whole number"),
        ("[limits]", "[limit]", "study.toml:57: limit is no key; expected one of engine, limits"),
        ('name = "greedy"', 'name = "greedy"\nbudget = 1', r"study.toml:\d\d: strategies\[0\].budget is no key"),
        ("[1, 2, 4]", "[]", r"study.toml:\d\d: strategies\[1\].budgets is \[\]; expected a list of whole numbers"),
        (
            "budgets = [2, 4]",
            "budgets = [6]",
            r":\d\d: strategies\[2\] is beam_search with budget 6; expected",
        ),
        (
            'name = "greedy"',
            'name = "no:where"',
            r":\d\d: strategies\[0\] is strategy 'no:where' cannot be",
        ),
        ("[limits]", "[engine]\ndtype = 1\n[limits]", "study.toml:58: engine.dtype is 1; expected a text"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old, new, says, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(DataError, match=says):
        study.read_study(path)


def test_the_line_of_a_long_study_is_found_at_once():
    text = "".join(f"[verifiers.v{i}]\nmodel = 'prm'\n" for i in range(1000))
    start = time.perf_counter()
    assert line_of(text, ("verifiers", "v998", "model")) == 1998
    assert time.perf_counter() - start < 5


def test_pydantic_is_loaded_where_a_study_is_read_alone():
    ran = "from scalinglab.study import Results, export_run, plan_of, regrade_run, run_study, status_of"
    assert not loaded(ran) & {"pydantic", "pydantic_core"}


def test_without_pydantic_a_study_is_refused_in_a_line(tmp_path, monkeypatch):
    (tmp_path / "study.toml").write_text(TEXT)
    monkeypatch.delitem(sys.modules, "scalinglab.study.checked", raising=False)
    monkeypatch.delattr(study, "checked", raising=False)
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(EngineError, match="pydantic is not installed; expected it to read a study"):
        study.read_study(tmp_path / "study.toml")
