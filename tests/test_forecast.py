"""A meta-regression over pairs: planted effects, a pair that is really left out, and atlases that say nothing."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.mixed_linear_model import MixedLM

from scalinglab.errors import DataError
from scalinglab.evidence import REAL_MODELS
from scalinglab.exchange import Atlas, forecast
from scalinglab.fits import fit_meta, solve_meta

TRUE = {
    "log2 N ratio": 4.0, "log10 R": -3.0, "thinking": 20.0, "search": 6.0, "verifier": 9.0, "logit accuracy": 5.0,
}  # fmt: skip
ARMS = ("one sample", "majority at 8", "best-of-8, by m")
NOISE = 0.02


def planted(models=14, seed=0, effects=TRUE):
    """Every second model of more than its N against each larger one, by three arms, half of the queries paid."""
    rng = np.random.default_rng(seed)
    accuracy, thinks = rng.uniform(0.1, 0.7, models), rng.permutation(models) < models // 3
    pairs, verdicts = [], []
    for i in range(models):
        for j in range(i + 1, models):
            told = {"task": "planted", "small": f"m{i:02}", "large": f"m{j:02}", "large_arm": "one sample"}
            apart, ratio = rng.normal(0, NOISE), 2.0 ** rng.uniform(0, 4)
            free = "; ".join(f"m{at:02}: reinforcement learning" for at in (i, j) if thinks[at])
            for arm in ARMS:
                logit = np.log((accuracy[i] * 500 + 0.5) / (500.5 - accuracy[i] * 500))
                size = {
                    "log2 N ratio": np.log2(ratio), "thinking": int(thinks[i]) - int(thinks[j]),
                    "search": arm != ARMS[0], "verifier": "by" in arm, "logit accuracy": logit,
                }  # fmt: skip
                gain = -0.1 + apart + sum(effects[name] * value for name, value in size.items()) / 100
                names = told | {"small_arm": arm}
                pairs.append(names | {
                    "problems": 500, "small_accuracy": accuracy[i], "n_ratio": ratio, "uncharged": free,
                    "gain": 9.0, "low": None, "high": None,
                })  # fmt: skip
                for r in (0.1, 1.0, 10.0):
                    value = gain + effects["log10 R"] * np.log10(r) / 100 + rng.normal(0, 0.005)
                    ends = {"difference": value, "low": value - 0.03, "high": value + 0.03}
                    verdicts.append(names | ends | {"R": r, "share": 0.5})
    return Atlas("planted", "paper", pd.DataFrame(pairs), pd.DataFrame(verdicts), {}, ())


@pytest.fixture(scope="module")
def found():
    return forecast([planted()])


def test_planted_effects_are_recovered_and_lie_in_their_intervals(found):
    table = found.coefficients.set_index("term").drop("intercept")
    assert table["points"].to_dict() == pytest.approx(TRUE, abs=1.5)
    true = pd.Series(TRUE)
    assert ((table["low"] < true) & (true < table["high"])).sum() >= 5
    assert (table["error"] > 0).all()


def test_where_the_effects_are_real_it_is_better_than_the_others(found):
    own = found.errors[found.errors["forecaster"] == "mixed model"]
    assert own["rmse"].to_numpy() == pytest.approx(100 * NOISE, rel=0.4)
    assert found.unbeaten == []
    assert "better than all of them" in found.said
    assert (own["right_signs"] > 0.95).all()


def test_intervals_of_coefficients_hold_what_they_say_where_pairs_share_models():
    hits = []
    for seed in range(100):  # a column of the models' own, and effects of models that no column knows
        rng = np.random.default_rng(seed)
        one, two = np.triu_indices(12, 1)
        own, apart = rng.normal(size=12), rng.normal(size=12)
        gain = own[one] - own[two] + apart[one] - apart[two] + rng.normal(size=len(one))
        design = np.column_stack([np.ones(len(one)), own[one] - own[two]])
        members = (one[:, None] == np.arange(12)) | (two[:, None] == np.arange(12))
        fitted = fit_meta(design, gain, np.arange(len(one)).astype(str), members)
        hits.append([fitted.low[1] < 1 < fitted.high[1], abs(fitted.points[1] - 1) < 1.96 * fitted.error[1]])
    jackknife, alone = np.mean(hits, axis=0)
    assert jackknife > 0.9
    assert alone < 0.8  # as if pairs were independent


def test_the_closed_form_is_the_mixed_model_of_statsmodels():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), rng.integers(1, 6, 40))
    design = np.column_stack([np.ones(len(groups)), rng.normal(size=(len(groups), 2))])
    outcome = design @ [1, 2, 3] + rng.normal(size=40)[groups] + rng.normal(size=len(groups))
    said = MixedLM(outcome, design, groups=groups).fit(reml=True)
    values, known, ratio = solve_meta(design, outcome, groups.astype(str))
    assert known.all()
    assert values == pytest.approx(said.params[:3], abs=1e-4)
    assert ratio == pytest.approx(said.cov_re[0, 0] / said.scale, rel=1e-3)
    fitted = fit_meta(design, outcome, groups.astype(str), groups[:, None] == np.arange(40))
    assert fitted.error == pytest.approx(said.bse[:3], rel=1e-3)
    assert (fitted.high - fitted.low) / 2 / 2.02 == pytest.approx(fitted.error, rel=0.6)


def test_what_a_left_out_pair_or_model_gained_does_not_move_its_forecast(found):
    spoiled = planted()
    here = (spoiled.verdicts["small"] == "m03") & (spoiled.verdicts["large"] == "m07")
    spoiled.verdicts.loc[here, "difference"] = 5.0
    moved = forecast([spoiled]).rows
    pair, small = (f"forecast, {name} left out" for name in ("pair", "small model"))
    own, of_model = found.rows["pair"] == "m03 | m07", found.rows["small"] == "m03"
    assert moved.loc[own, pair].to_numpy() == pytest.approx(found.rows.loc[own, pair].to_numpy(), abs=1e-12)
    assert (abs(moved.loc[~own, pair] - found.rows.loc[~own, pair]) > 1e-6).all()
    assert moved.loc[of_model, small].to_numpy() == pytest.approx(found.rows.loc[of_model, small].to_numpy())


def test_both_directions_of_a_pair_are_left_out_together():
    one = planted(models=8)
    turn = {"small": "large", "large": "small"}
    back = Atlas("planted", "paper", one.pairs.rename(columns=turn), one.verdicts.rename(columns=turn), {}, ())
    both = [pd.concat([part, other]) for part, other in ((one.pairs, back.pairs), (one.verdicts, back.verdicts))]
    there = forecast([Atlas("planted", "paper", *both, {}, ())])
    both[1] = both[1].copy()
    both[1].loc[(both[1]["small"] == "m05") & (both[1]["large"] == "m02"), "difference"] = 5.0
    moved = forecast([Atlas("planted", "paper", *both, {}, ())]).rows
    own = moved["pair"] == "m02 | m05"
    name = "forecast, pair left out"
    assert own.sum() == 2 * 3 * 3
    assert moved.loc[own, name].to_numpy() == pytest.approx(there.rows.loc[own, name].to_numpy(), abs=1e-12)


def test_an_atlas_without_effects_says_no_better():
    found = forecast([planted(seed=1, effects=dict.fromkeys(TRUE, 0.0))])
    assert "no better than" in found.said
    assert any(name.startswith("mean of the others") for name in found.unbeaten)
    assert "`advise` does not use it" in found.said


def test_terms_that_say_nothing_are_left_out_by_name_and_too_few_pairs_are_refused():
    one = planted()
    kept = [frame[frame["small_arm"] != ARMS[1]] for frame in (one.pairs, one.verdicts)]
    found = forecast([Atlas("planted", "paper", *kept, {}, ())])
    assert "verifier" not in set(found.coefficients["term"])
    assert any(note.startswith("verifier: left out") for note in found.notes)
    with pytest.raises(DataError, match="3 pairs of 3 models"):
        forecast([planted(models=3)])


def test_the_verb_refuses_where_nothing_can_be_forecast(scalinglab):
    for name, why in (("openai-gsm8k", "1 pairs of 2 models"), ("tot-game24", "0 pairs of 0 models")):
        failed = scalinglab(f"atlas {REAL_MODELS / name} --forecast")
        assert failed.code == 1
        assert why in failed.err
