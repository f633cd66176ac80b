"""Logs that are cut, damaged or hostile: one line, and nothing is written."""

import json
import shutil

import pytest
from commands import assert_refused
from imports_read import CASES, SAL

from scalinglab.errors import DataError
from scalinglab.samples import Asked, read_logs

DAMAGE = {
    "cut": lambda content: content[: len(content) * 2 // 3],
    "empty": lambda _: b"",
    "binary": lambda content: content[:40] + bytes(range(256)),
    "deep": lambda content: content[:30] + b"[" * 200_000,
}
ONE_OF_EACH = {
    "lm-eval": ("lm-eval/two_filters", "samples_*.jsonl", "--filter strict-match"),
    "lighteval": ("lighteval/two_metrics", "*.parquet", "--score em"),
    "sal": ("sal", "best_of_n_*.jsonl", ""),
    "monkeys": ("monkeys/eval_results", "7.yaml", ""),
    "evalplus": ("evalplus", "*0.8_eval_results.json", "--score base"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_a_damaged_log_is_one_line_and_nothing_is_written(kind, damage, scalinglab, tmp_path):
    name, pattern, options = ONE_OF_EACH[kind]
    folder = shutil.copytree(CASES / name, tmp_path / "log")
    path = next(folder.rglob(pattern))
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    done = scalinglab(f"import {kind} LOG --out OUT {options}", LOG=folder, OUT=tmp_path / "out")
    assert_refused(done)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["log"]


@pytest.mark.parametrize(
    "hostile",
    [
        "samples: !!python/object/apply:os.system ['touch /tmp/pwned']\nis_corrects: [true]\n",
        "samples: &a [x]\nis_corrects: [*a]\n",
        "samples: &a [*a]\nis_corrects: [true]\n",
        "samples: [1, 2]\nis_corrects: [true, false]\n",
        "samples: ['a']\nis_corrects: ['yes please']\n",
        "samples: ['a']\nis_corrects: [true]\nis_correct: [false]\n",
        "samples:\n" + "".join(f"{' ' * (i + 1)}- \n" for i in range(3000)),
    ],
    ids=["object", "alias", "loop", "numbers", "words", "both", "deep"],
)
def test_hostile_yaml_is_one_line(hostile, scalinglab, tmp_path):
    path = tmp_path / "3.yaml"
    path.write_text(hostile)
    assert_refused(scalinglab("import monkeys LOG --out OUT", LOG=path, OUT=tmp_path / "out"), "3.yaml")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("completions", []),
        ("completions", "text"),
        ("scores", [[0.1]]),
        ("scores", [["a"], [0.1], [0.2], [0.3]]),
        ("completion_tokens", [1, 2]),
        ("completion_tokens", -2),
        ("answer", None),
        ("answer", {}),
    ],
)
def test_a_line_of_sal_that_cannot_be_is_named(part, value, tmp_path):
    lines = (CASES / SAL.format("best_of_n")).read_text().splitlines()
    path = tmp_path / "best_of_n_completions.jsonl"
    path.write_text("\n".join([lines[0], json.dumps(json.loads(lines[1]) | {part: value})]))
    with pytest.raises(DataError, match="line 2"):
        read_logs(path, "sal", Asked(model="m"))


@pytest.mark.parametrize("kind", ["sal", "lighteval"])
def test_a_log_that_names_no_model_asks_for_it(kind, scalinglab, tmp_path):
    name, pattern, options = ONE_OF_EACH[kind]
    found = next((CASES / name).rglob(pattern))
    path = shutil.copy(found, tmp_path / found.name)
    assert_refused(scalinglab(f"import {kind} LOG --out OUT {options}", LOG=path, OUT=tmp_path / "o"), "--model")
    done = scalinglab(f"import {kind} LOG --out OUT {options} --model m", LOG=path, OUT=tmp_path / "o")
    assert done.code == 0
