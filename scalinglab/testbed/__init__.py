"""A small and a 14x larger model trained from scratch, so that every FLOP of a study is known."""

from scalinglab.testbed.criteria import Criterion, pair_criteria
from scalinglab.testbed.policy import Trained, load_policy, quiet, train_pair, train_policy
from scalinglab.testbed.sampling import sample
from scalinglab.testbed.scales import SCALES, Scale, Shape

__all__ = [
    "SCALES",
    "Criterion",
    "Scale",
    "Shape",
    "Trained",
    "load_policy",
    "pair_criteria",
    "quiet",
    "sample",
    "train_pair",
    "train_policy",
]
