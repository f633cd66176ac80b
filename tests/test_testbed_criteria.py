import itertools
import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import scalinglab
from scalinglab import testbed
from scalinglab.cli import app
from scalinglab.curves import Graded, Pool
from scalinglab.errors import DataError
from scalinglab.tasks import Level, extract, grade, problems, solution, split_steps, step_is_right
from scalinglab.testbed import Criterion, Ladder, Recipe, Scale, Shape, load_model, sample, score, train_ladder
from scalinglab.testbed.attempts import limit
from scalinglab.testbed.criteria import by_bin, judge
from scalinglab.testbed.ladder import validation_loss
from scalinglab.testbed.measure import Measured, measure
from scalinglab.testbed.vocabulary import BOS_ID, EOS_ID, encode

FAST, TUNED = (0.03, 1e-2), (0.005, 1e-3)
SHAPES, LEVELS = (Shape(64, 128, 1, 2), Shape(32, 64, 1, 1)), (Level(1, 1), Level(1, 2))
RECIPES = (Recipe(16_000, FAST, 0.4, 320), Recipe(1000, TUNED, 0.4, 20), Recipe(1000, TUNED, 0.4, 20))
MICRO = Scale("micro", *SHAPES, LEVELS, (), *RECIPES, questions=20, samples=8, rollouts=2, rows=16)
LADDER = Ladder(
    replace(MICRO, policy=Recipe(6000, FAST, warm_up=120)),
    SHAPES[::-1],
    marks=(2000, 6000),
    problems=10,
    samples=4,
)
COUNT = 12
NAMES = [
    "non-embedding ratio",
    "small pass@1",
    "easiest bin, pass@1",
    "hardest bin, pass@1",
    "middle bins, pass@1",
    "PRM step accuracy",
]
RATIO, SMALL, EASIEST, HARDEST, MIDDLE, STEPS = NAMES


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
    done = invoke("train", "--scale", "micro", "--out", folder, "--json")
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
        "ratio": 14.0,
        "small": np.zeros(rows),
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


def test_a_testbed_that_is_all_it_should_be_meets_every_criterion():
    assert passed(planted()) == dict.fromkeys(NAMES, True)


@pytest.mark.parametrize(("ratio", "good"), [(13.49, False), (13.5, True), (14.5, True), (14.51, False)])
def test_the_ratio_of_the_sizes_is_about_fourteen(ratio, good):
    assert failed(planted(ratio=ratio)) == (set() if good else {RATIO})


@pytest.mark.parametrize(
    ("shares", "lost"),
    [
        ((0.7, 0.04, 0.0, 0.0, 0.0), SMALL),
        ((1.0, 0.8, 0.6, 0.3, 0.0), SMALL),
        ((0.55, 0.4, 0.25, 0.125, 0.0), EASIEST),
        ((0.9, 0.5, 0.4, 0.3, 0.1), HARDEST),
    ],
)
def test_the_small_policys_rates_overall_and_at_both_ends_are_bounded(shares, lost):
    assert lost in failed(planted(shares))
    assert (EASIEST in failed(planted(shares))) == (lost == EASIEST)


def test_no_criterion_asks_which_side_or_strategy_wins():
    whole = planted()
    flat, none = pool((0.9, 0.5, 0.3, 0.125, 0.0), right=0.5, wrong=0.5), np.zeros_like(whole.chains)
    worse = planted(large=whole.small, small=whole.large, prm=flat, orm=flat, chains=none)
    better = planted(large=np.ones_like(whole.large), chains=~none)
    assert judge(worse) == judge(better) == judge(whole)


def test_a_process_verifier_must_tell_right_steps_from_wrong_ones():
    right = planted().step_right
    assert failed(planted(step_scores=[np.where(t, 0.3, 0.7) for t in right])) == {STEPS}
    assert failed(planted(step_scores=[np.full(len(t), 0.9) for t in right])) == {STEPS}


@pytest.mark.parametrize(("answer", "often"), [(0.1, False), (0.9, True)])
def test_one_answer_for_all_steps_fails_also_where_problems_differ_in_their_steps(answer, often):
    right = [np.full(2, often) if i % 4 else np.full(6, not often) for i in range(40)]
    assert STEPS in failed(planted(step_right=right, step_scores=[np.full(len(t), answer) for t in right]))


def test_a_problem_whose_samples_have_no_step_is_no_crash():
    whole = planted()
    found = planted(
        step_scores=[np.array([]), *whole.step_scores[1:]], step_right=[np.array([], bool), *whole.step_right[1:]]
    )
    assert failed(found) == set()


def test_empty_bins_meet_no_criterion():
    lost = failed(planted((0.9, 0.0, 0.0, 0.0, 0.0)))
    assert {HARDEST, MIDDLE} <= lost
    assert EASIEST not in lost
    assert {EASIEST, HARDEST, MIDDLE} <= failed(planted((0.0,) * 5))


def test_bins_are_set_on_other_samples_than_those_scored():
    values = {criterion.name: criterion.value for criterion in judge(planted((0.3,) * 5))}
    assert float(values[EASIEST]) < float(values[HARDEST]), "of 38 right ones in all, more here means fewer there"


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


def test_train_prints_what_each_model_is_and_cost_and_draws_its_bars_on_stderr(made):
    models = json.loads(made.stdout)["models"]
    assert [row["model"] for row in models] == ["small", "large", "prm", "orm", "reviser"]
    for row in models:
        manifest = json.loads((made.folder / row["model"] / "manifest.json").read_text())
        assert row == {"model": row["model"]} | {key: manifest[key] for key in row if key != "model"}
        assert set(row["flops"]) == {"paper", "exact"}
    for stage in ("small", "large", "attempts", "prm", "orm", "reviser"):
        assert stage in made.stderr
    table = invoke("train", "--scale", "micro", "--out", made.folder)
    assert table.exit_code == 0, table.exception
    for row in models:
        [line] = [line for line in table.stdout.splitlines() if row["model"] in line]
        assert f"{row['steps']}" in line


def test_evaluate_prints_the_criteria_of_the_folder_as_json(made, evaluated):
    document = json.loads(evaluated.stdout)
    assert list(document) == ["criteria"]
    sizes = [
        json.loads((made.folder / n / "manifest.json").read_text())["non_embedding"] for n in ("small", "large")
    ]
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
    assert [row["model"] for row in ladder.rows] == ["d32", "d32", "d64", "d64"]
    for row, mark in zip(ladder.rows, LADDER.marks * 2, strict=True):
        assert mark <= row["tokens"] < mark + 1000
        assert row["flops"]["paper"] == 6 * row["parameters"] * row["tokens"]
        assert (row["n"], len(row["correct"])) == (LADDER.samples, LADDER.problems)
        model = load_model(ladder.folder / row["model"] / str(mark))
        assert sum(p.numel() for p in model.parameters()) == row["parameters"]
    drawn = list(itertools.islice(problems("validation", MICRO.levels), 1000))
    assert validation_loss(model, drawn) == pytest.approx(row["loss"], rel=1e-6)
    drawn = list(itertools.islice(problems("test", MICRO.levels), LADDER.problems))
    prompts, limits = [encode(p.question) for p in drawn], [limit(p) for p in drawn]
    texts = sample(model, prompts, limits=limits, samples=LADDER.samples)
    assert row["correct"] == [sum(grade(p, t) == "right" for t in ts) for p, ts in zip(drawn, texts, strict=True)]
    for early, late in (ladder.rows[:2], ladder.rows[2:]):
        assert early["loss"] > late["loss"]
    assert [row["tokens"] for row in ladder.rows[:2]] == [row["tokens"] for row in ladder.rows[2:]]


def test_a_ladder_stopped_by_ctrl_c_goes_on_to_the_same_rows(ladder, tmp_path):
    one, first = replace(LADDER, shapes=LADDER.shapes[:1]), tmp_path / "d32" / "2000" / "measured.json"
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
    model = load_model(ladder.folder / "d32" / "6000")
    drawn = list(itertools.islice(problems("validation", MICRO.levels), 130))
    surprises = []
    for p in drawn:
        answer = [*encode(solution(p)), EOS_ID]
        row = [BOS_ID, *encode(p.question), *answer]
        with torch.inference_mode():
            said = model(input_ids=torch.tensor([row])).logits[0].log_softmax(-1)
        surprises += [-said[i - 1, row[i]].item() for i in range(len(row) - len(answer), len(row))]
    assert validation_loss(model, drawn) == pytest.approx(np.mean(surprises), rel=1e-5)
