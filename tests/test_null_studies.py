"""Studies of equal models: a headline is decided by chance in at most 5 % (7.5 % of 400 are allowed)."""

from benchmarks.null_studies import false_verdicts


def test_a_study_of_equal_models_seldom_prints_a_false_headline():
    shares = false_verdicts(40, seed=1)
    assert shares["headline"] <= 0.1  # 5 or more of 40 have a chance of 1 in 20 at a rate of 5 %
    assert shares["single lines"] > 0.3  # which is why they are marked exploratory
