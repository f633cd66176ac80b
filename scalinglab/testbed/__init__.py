"""A small and a 14x larger model trained from scratch, so that every FLOP of a study is known."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.testbed.attempts import Attempts
    from scalinglab.testbed.controls import helper_costs, train_controls
    from scalinglab.testbed.criteria import Criterion, judge
    from scalinglab.testbed.ladder import ladder_counts, ladder_table, train_ladder
    from scalinglab.testbed.measure import Measured, measure
    from scalinglab.testbed.policy import load_model, quiet, train_pair, train_policy
    from scalinglab.testbed.recipe import shipped, train_helpers, train_testbed
    from scalinglab.testbed.report import report_of
    from scalinglab.testbed.reviser import revise, train_reviser
    from scalinglab.testbed.sampling import sample
    from scalinglab.testbed.scales import LADDER, SCALES, Attempted, Ladder, Scale, Shape
    from scalinglab.testbed.search import search_rates
    from scalinglab.testbed.training import Progress, Recipe, Trained
    from scalinglab.testbed.verifiers import score, train_verifier

__all__ = [
    "LADDER",
    "SCALES",
    "Attempted",
    "Attempts",
    "Criterion",
    "Ladder",
    "Measured",
    "Progress",
    "Recipe",
    "Scale",
    "Shape",
    "Trained",
    "helper_costs",
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
    "search_rates",
    "shipped",
    "train_controls",
    "train_helpers",
    "train_ladder",
    "train_pair",
    "train_policy",
    "train_reviser",
    "train_testbed",
    "train_verifier",
]

lazy(__name__)
