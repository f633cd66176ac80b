"""A small and a 14x larger model trained from scratch, so that every FLOP of a study is known."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.testbed.attempts import Attempts, collect_attempts
    from scalinglab.testbed.criteria import Criterion, judge
    from scalinglab.testbed.ladder import ladder_counts, ladder_table, train_ladder
    from scalinglab.testbed.measure import Measured, measure
    from scalinglab.testbed.policy import load_model, quiet, train_pair, train_policy
    from scalinglab.testbed.recipe import shipped, train_testbed
    from scalinglab.testbed.report import report_of
    from scalinglab.testbed.reviser import revise, train_reviser
    from scalinglab.testbed.sampling import sample
    from scalinglab.testbed.scales import LADDER, SCALES, Ladder, Scale, Shape
    from scalinglab.testbed.training import Progress, Recipe, Trained
    from scalinglab.testbed.verifiers import score, train_verifier

__all__ = [
    "LADDER",
    "SCALES",
    "Attempts",
    "Criterion",
    "Ladder",
    "Measured",
    "Progress",
    "Recipe",
    "Scale",
    "Shape",
    "Trained",
    "collect_attempts",
    "judge",
    "ladder_counts",
    "ladder_table",
    "load_model",
    "measure",
    "quiet",
    "report_of",
    "revise",
    "sample",
    "score",
    "shipped",
    "train_ladder",
    "train_pair",
    "train_policy",
    "train_reviser",
    "train_testbed",
    "train_verifier",
]

lazy(__name__)
