import itertools
import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import scalinglab
from scalinglab import testbed
from scalinglab.cli import app
from scalinglab.curves import Graded, Pool
from scalinglab.errors import DataError
from scalinglab.tasks import Level, extract, grade, problems, solution, split_steps, step_is_right
from scalinglab.testbed import (
    Attempted,
    Criterion,
    Ladder,
    Recipe,
    Scale,
    Shape,
    helper_costs,
    ladder_counts,
    ladder_table,
    load_model,
    sample,
    score,
    train_ladder,
)
from scalinglab.testbed.attempts import limit
from scalinglab.testbed.criteria import by_bin, judge
from scalinglab.testbed.ladder import validation_loss
from scalinglab.testbed.measure import Measured, measure
from scalinglab.testbed.vocabulary import BOS_ID, EOS_ID, encode

SHAPES, LEVELS = (Shape(64, 128, 1, 2), Shape(32, 64, 1, 1)), (Level(0, 1), Level(0, 2))
TUNED = Recipe(1000, (0.005, 1e-3), 1.0, 20, rows=16)
MICRO = Scale(
    "micro",
    *SHAPES,
    LEVELS,
    policy=Recipe(20_000, (0.03, 1e-2), 0.4, 320, rows=16),
    prm=TUNED,
    orm=TUNED,
    reviser=TUNED,
    steps=Attempted(20, 4, rollouts=2),
    tries=Attempted(40, 8),
    chains=Attempted(20, 2),
)
LADDER = Ladder(
    replace(MICRO, policy=replace(MICRO.policy, tokens=6000, decay=0.0)),
    SHAPES[::-1],
    marks=(2000, 6000),
    repeated=(32,),
    seeds=2,
    problems=10,
    samples=4,
)
COUNT = 12
HELPERS = ("prm", "orm", "reviser")
RATIO, SMALL, LARGE, BINS = "parameters, large to small", "small greedy", "large greedy", "pass@1 by bin"
NAMES = [RATIO, SMALL, LARGE, BINS, *(f"{name}, share of pretraining" for name in HELPERS)]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Sums in one order, so that a resumed training can be compared bit by bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def micro():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(testbed.SCALES, "micro", MICRO)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("testbed") / "new" / "folder"
    done = invoke("train", "--scale", "micro", "--controls", "--out", folder, "--json")
    assert done.exit_code == 0, done.exception
    return SimpleNamespace(folder=folder, stdout=done.stdout, stderr=done.stderr)


@pytest.fixture(scope="module")
def evaluated(made):
    """What evaluate prints of the folder, and what it measured for that."""
    kept = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            testbed,
            "measure",
            lambda *given, **how: kept.append(measure(*given, **how)) or kept[0],
        )
        given = ["--folder", made.folder, "--scale", "micro", "--problems", COUNT, "--seed", 3]
        done = invoke("evaluate", *given, "--json")
    assert done.exit_code == 0, done.exception
    return SimpleNamespace(found=kept[0], stdout=done.stdout)


@pytest.fixture(scope="module")
def ladder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ladder")
    return SimpleNamespace(folder=folder, rows=train_ladder(folder, ladder=LADDER))


def invoke(*arguments):
    return CliRunner().invoke(app, ["testbed", *map(str, arguments)])


def pool(shares, *, right=0.9, wrong=0.1, each=8, n=128):
    """Samples of ``each`` problems a share of right ones; all wrong samples of a problem agree."""
    good = np.arange(n) < np.round(np.repeat(shares, each) * n)[:, None]
    graded = Graded(good, np.where(good, 0, 1), np.where(good, right, wrong))
    rows = len(good)
    return Pool("small", tuple(map(str, range(rows))), np.full(rows, n), good.sum(axis=1), graded)


def planted(shares=(0.9, 0.5, 0.3, 0.125, 0.0), **changed):
    """A testbed that meets every criterion, save for what is changed."""
    rows = 8 * len(shares)
    problem = np.arange(rows)
    right = np.tile(np.arange(20) < 10, (rows, 1))
    chains = np.zeros((rows, 8, 8), dtype=bool)
    chains[:, :, 1:] = (problem % 2 == 0)[:, None, None]
    values = {
        "drawn": (),
        "ratio": 13.5,
        "costs": dict.fromkeys(HELPERS, 0.04),
        "small": (problem % 4 == 0).astype(float),
        "large": (problem % 4 > 0).astype(float),
        "prm": pool(shares),
        "orm": pool(shares, right=0.8, wrong=0.2),
        "step_scores": list(np.where(right, 0.7, 0.3)),
        "step_right": list(right),
        "chains": chains,
    }
    return Measured(**(values | changed))


def passed(found):
    return {criterion.name: criterion.passed for criterion in judge(found)}


def failed(found):
    return {name for name, good in passed(found).items() if not good}


def hundredths(right):
    return (np.arange(100) < right).astype(float)


def test_a_testbed_that_is_all_it_should_be_meets_every_criterion():
    assert passed(planted()) == dict.fromkeys(NAMES, True)


@pytest.mark.parametrize(("ratio", "good"), [(12.99, False), (13.0, True), (13.9, True), (13.91, False)])
def test_the_ratio_of_the_sizes_is_such_that_256_samples_pay_for_the_smallest_r(ratio, good):
    assert failed(planted(ratio=ratio)) == (set() if good else {RATIO})


@pytest.mark.parametrize(("name", "model", "least", "most"), [(SMALL, "small", 5, 60), (LARGE, "large", 40, 85)])
def test_the_task_is_neither_trivial_nor_hopeless_for_either_policy(name, model, least, most):
    for right in (least, most):
        assert failed(planted(**{model: hundredths(right)})) == set()
    for right in (least - 1, most + 1):
        assert failed(planted(**{model: hundredths(right)})) == {name}


@pytest.mark.parametrize("shares", [(0.6, 0.5, 0.4, 0.3, 0.25), (0.3,) * 5, (0.0,) * 5])
def test_difficulty_must_be_spread_over_bins(shares):
    assert failed(planted(shares)) == {BINS}


@pytest.mark.parametrize("name", HELPERS)
def test_each_helper_costs_five_per_cent_of_pretraining_at_most(name):
    assert failed(planted(costs=planted().costs | {name: 0.05})) == set()
    assert failed(planted(costs=planted().costs | {name: 0.0501})) == {f"{name}, share of pretraining"}


def test_no_criterion_asks_which_side_or_strategy_wins_or_whether_a_helper_is_good():
    whole = planted()
    flat, none = pool((0.9, 0.5, 0.3, 0.125, 0.0), right=0.5, wrong=0.5), np.zeros_like(whole.chains)
    opposite = {"step_scores": [1 - scores for scores in whole.step_scores]}
    for changed in ({"orm": flat, "chains": none, **opposite}, {"prm": flat}, {"chains": ~none}):
        assert judge(planted(**changed)) == judge(whole)
    assert failed(planted(small=hundredths(60), large=hundredths(40))) == set(), "the small one may be the better"


def test_bins_are_set_on_other_samples_than_those_scored():
    values = {criterion.name: criterion.value for criterion in judge(planted((0.3,) * 5))}
    means = [float(value) for value in values[BINS].split(", ")]
    assert means[0] < means[-1], "of 38 right ones in all, more here means fewer there"


def test_the_mean_of_a_bin_is_over_its_own_problems_and_an_empty_one_has_none():
    means = by_bin(np.array([1.0, 0.0, 0.5, 0.25]), np.array([1, 1, 2, 5]))
    assert means[[0, 1, 4]].tolist() == [0.5, 0.5, 0.25]
    assert np.isnan(means[[2, 3]]).all()


def test_what_is_measured_is_what_the_models_answer(made, evaluated):
    found = evaluated.found
    drawn = list(itertools.islice(problems("test", MICRO.levels, seed=3), COUNT))
    assert list(found.drawn) == drawn
    prompts, limits = [encode(p.question) for p in drawn], [limit(p) for p in drawn]
    for name in ("small", "large"):
        greedy = sample(load_model(made.folder / name), prompts, limits=limits, temperature=0)
        right = [float(grade(p, text) == "right") for p, [text] in zip(drawn, greedy, strict=True)]
        assert getattr(found, name).tolist() == right
    texts = sample(load_model(made.folder / "small"), prompts, limits=limits, samples=128, seed=3)
    for name in ("prm", "orm"):
        scores = score(load_model(made.folder / name), [p.question for p in drawn], texts)
        graded, pooled = getattr(found, name).graded, getattr(found, name)
        assert graded.scores.tolist() == [[steps[-1] if steps else 0.0 for steps in row] for row in scores]
        assert graded.right.tolist() == [
            [grade(p, t) == "right" for t in ts] for p, ts in zip(drawn, texts, strict=True)
        ]
        assert pooled.correct.tolist() == graded.right.sum(axis=1).tolist()
        assert pooled.n.tolist() == [128] * COUNT
        for codes, ts in zip(graded.answers, texts, strict=True):
            answers = [extract(text) for text in ts]
            assert [code == -1 for code in codes] == [answer is None for answer in answers]
            assert len(set(codes)) == len(set(answers)) == len(set(zip(codes, answers, strict=True)))
        if name == "prm":
            assert [list(row) for row in found.step_scores] == [[*itertools.chain(*row)] for row in scores]
    assert [list(row) for row in found.step_right] == [
        [step_is_right(p, split_steps(t), i) for t in ts for i in range(len(split_steps(t)))]
        for p, ts in zip(drawn, texts, strict=True)
    ]
    assert 0 < found.prm.correct.sum() < 128 * COUNT
    assert found.chains.shape == (COUNT, 8, 8)
    assert found.chains.any()
    assert found.costs == helper_costs(made.folder)


def test_train_prints_what_each_model_is_and_cost_and_draws_its_bars_on_stderr(made):
    models = json.loads(made.stdout)["models"]
    assert [row["model"] for row in models] == ["small", "large", "prm", "reviser", "orm", "more", "long"]
    for row in models:
        manifest = json.loads((made.folder / row["model"] / "manifest.json").read_text())
        assert row == {"model": row["model"]} | {key: manifest[key] for key in row if key != "model"}
        assert set(row["flops"]) == {"paper", "exact"}
    for stage in ("small", "large", "steps", "prm", "tries", "reviser", "chains", "orm", "more", "long"):
        assert stage in made.stderr
    table = invoke("train", "--scale", "micro", "--out", made.folder)
    assert table.exit_code == 0, table.exception
    for row in models[:-2]:
        [line] = [line for line in table.stdout.splitlines() if row["model"] in line]
        assert f"{row['steps']}" in line


def test_evaluate_prints_the_criteria_of_the_folder_as_json(made, evaluated):
    document = json.loads(evaluated.stdout)
    assert list(document) == ["criteria"]
    sizes = [json.loads((made.folder / n / "manifest.json").read_text())["parameters"] for n in ("small", "large")]
    assert evaluated.found.ratio == sizes[1] / sizes[0]
    wanted = judge(evaluated.found, seed=3)
    assert [c.name for c in wanted] == NAMES
    assert document["criteria"] == [
        {"name": c.name, "value": c.value, "wanted": c.wanted, "pass": c.passed} for c in wanted
    ]
    assert {type(row["pass"]) for row in document["criteria"]} == {bool}
    assert all(row["value"] and row["wanted"] for row in document["criteria"])


def test_evaluate_without_json_is_a_table_a_criterion_a_line(monkeypatch, tmp_path):
    asked = []

    def stub(scale, folder, **given):
        asked.append((scale, folder, given))

    rows = [Criterion("first", "1.00", "above 0", True), Criterion("second", "2.00", "below 0", False)]
    monkeypatch.setattr(testbed, "measure", stub)
    monkeypatch.setattr(testbed, "judge", lambda *_, **__: rows)
    done = invoke("evaluate", "--scale", "micro", "--folder", tmp_path, "--seed", 4)
    assert asked == [(MICRO, tmp_path, {"count": 200, "seed": 4})]
    first, second = (
        next(line for line in done.stdout.splitlines() if name in line) for name in ("first", "second")
    )
    assert "above 0" in first
    assert "below 0" in second
    assert first.split()[-1].lower() != second.split()[-1].lower()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--scale", "huge", "--out", "x"], "scale 'huge'; expected one of tiny, base"),
        (["evaluate", "--scale", "ladder", "--folder", "x"], "scale 'ladder'"),
        (["evaluate", "--scale", "tiny"], "no models of scale 'tiny' in the package"),
        (["evaluate", "--scale", "micro", "--folder", "nowhere"], "nowhere"),
        (["train", "--scale", "micro", "--out", "/dev/null/below"], "cannot write /dev/null/below"),
        (["train", "--scale", "ladder", "--out", "/dev/null/below"], "cannot write /dev/null/below"),
    ],
)
def test_the_verbs_refuse_in_words(arguments, message):
    done = invoke(*arguments)
    assert isinstance(done.exception, DataError), repr(done.exception)
    assert message in str(done.exception)


def test_a_folder_without_verifiers_is_refused_in_words(made, tmp_path):
    for name in ("small", "large"):
        (tmp_path / name).symlink_to(made.folder / name)
    with pytest.raises(DataError, match="prm"):
        measure(MICRO, tmp_path, count=10, seed=0)


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_without_its_libraries_the_testbed_says_what_to_install(monkeypatch, missing):
    monkeypatch.delattr(scalinglab, "testbed")
    for name in [name for name in sys.modules if name.startswith("scalinglab.testbed")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    done = invoke("train", "--out", "x")
    assert isinstance(done.exception, DataError)
    assert f"needs {missing}, which is not installed" in str(done.exception)
    assert "scalinglab[testbed]" in str(done.exception)


def test_train_climbs_the_ladder_and_prints_its_rows(monkeypatch, ladder, tmp_path):
    monkeypatch.setattr(testbed, "train_ladder", lambda *_, **__: ladder.rows)
    done = invoke("train", "--scale", "ladder", "--out", tmp_path, "--json")
    keys = ("model", "non_embedding", "tokens", "loss", "flops")
    assert json.loads(done.stdout)["models"] == [{key: row[key] for key in keys} for row in ladder.rows]


def test_a_ladder_has_a_row_a_shape_and_mark_and_losses_fall_along_it(ladder):
    assert [row["model"] for row in ladder.rows] == [
        "d32-seed0",
        "d32-seed0",
        "d64-seed0",
        "d64-seed0",
        "d32-seed1",
        "d32-seed1",
    ]
    for row, mark in zip(ladder.rows, LADDER.marks * 3, strict=True):
        assert mark <= row["tokens"] < mark + 1000
        assert row["flops"]["paper"] == 6 * row["parameters"] * row["tokens"]
        assert (row["n"], len(row["correct"])) == (LADDER.samples, LADDER.problems)
        model = load_model(ladder.folder / row["model"] / str(mark))
        assert sum(p.numel() for p in model.parameters()) == row["parameters"]
    drawn = list(itertools.islice(problems("validation", MICRO.levels, seed=1), 1000))
    assert validation_loss(model, drawn) == pytest.approx(row["loss"], rel=1e-6)
    drawn = list(itertools.islice(problems("test", MICRO.levels, seed=1), LADDER.problems))
    prompts, limits = [encode(p.question) for p in drawn], [limit(p) for p in drawn]
    texts = sample(model, prompts, limits=limits, samples=LADDER.samples, seed=1)
    assert row["correct"] == [sum(grade(p, t) == "right" for t in ts) for p, ts in zip(drawn, texts, strict=True)]
    for early, late in zip(ladder.rows[::2], ladder.rows[1::2], strict=True):
        assert early["loss"] > late["loss"]
    assert [row["tokens"] for row in ladder.rows[:2]] == [row["tokens"] for row in ladder.rows[2:4]]


def test_the_tables_of_a_ladder_have_each_checkpoint_of_each_seed(ladder):
    table, counts = ladder_table(ladder.folder), ladder_counts(ladder.folder)
    assert table.groupby("model")["seed"].first().to_dict() == {"d32-seed0": 0, "d32-seed1": 1, "d64-seed0": 0}
    assert len(table) == len(ladder.rows)
    assert counts.groupby("model").size().tolist() == [LADDER.problems] * len(ladder.rows)


def test_a_ladder_stopped_by_ctrl_c_goes_on_to_the_same_rows(ladder, tmp_path):
    one, first = (
        replace(LADDER, shapes=LADDER.shapes[:1], repeated=()),
        tmp_path / "d32-seed0" / "2000" / "measured.json",
    )
    stop = itertools.count()

    def interrupt(*_):
        if first.exists() and next(stop) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_ladder(tmp_path, ladder=one, progress=interrupt)
    told = []
    assert train_ladder(tmp_path, ladder=one, progress=lambda *now: told.append(now)) == ladder.rows[:2]
    assert told
    assert train_ladder(tmp_path, ladder=one, progress=lambda *_: pytest.fail("again")) == ladder.rows[:2]


def test_the_validation_loss_is_nats_a_token_of_the_solution(ladder):
    model = load_model(ladder.folder / "d32-seed0" / "6000")
    drawn = list(itertools.islice(problems("validation", MICRO.levels), 130))
    surprises = []
    for p in drawn:
        answer = [*encode(solution(p)), EOS_ID]
        row = [BOS_ID, *encode(p.question), *answer]
        with torch.inference_mode():
            said = model(input_ids=torch.tensor([row])).logits[0].log_softmax(-1)
        surprises += [-said[i - 1, row[i]].item() for i in range(len(row) - len(answer), len(row))]
    assert validation_loss(model, drawn) == pytest.approx(np.mean(surprises), rel=1e-5)


def test_search_prints_the_rates_that_were_tried_and_writes_them(monkeypatch, tmp_path):
    rates = pd.DataFrame({"model": ["small"], "pace": [0.5], "loss": [1.25], "best": [True]})
    monkeypatch.setattr(
        testbed, "search_rates", lambda scale, work, **_: rates.assign(work=f"{scale.name} {work}")
    )
    done = invoke("search", "--scale", "micro", "--work", "w", "--out", tmp_path / "rates.csv", "--json")
    [row] = json.loads(done.stdout)["rates"]
    assert row == {"model": "small", "pace": 0.5, "loss": 1.25, "best": True, "work": "micro w"}
    assert pd.read_csv(tmp_path / "rates.csv").to_dict("records") == [row]
