"""Views made by hand through the parts that real evidence takes: ways with readers and prices, arms, groups."""

import numpy as np

from scalinglab.curves import Finals, Group, Price, Way, arms_from
from scalinglab.exchange import ALL, Lifetime, View
from scalinglab.exchange.splits import Division, bin_groups
from scalinglab.exchange.views import Menu
from scalinglab.flops import CONVENTIONS
from scalinglab.optimal import compute_optimal

PAPER = CONVENTIONS["paper"]
BUDGETS = (1, 4, 16, 64)
LIFE = Lifetime(PAPER, 150.0, 1100.0, 10.0)


def way_of(role, model, right, cost, budgets=BUDGETS, *, strategy="parallel", selector="majority"):
    """One way to answer that was run at ``budgets``; right: (problems, budgets); cost: of each budget."""
    right, budgets = np.asarray(right, dtype=float), np.array(budgets)
    names = tuple(f"{i:03d}" for i in range(len(right)))
    runs = {int(k): np.full(len(right), float(c)) for k, c in zip(budgets, cost, strict=True)}
    price = Price(np.zeros(len(right)), np.zeros(len(right)), runs)
    reader = Finals(names, budgets, right)
    return Way(role, model, strategy, "{}", "", selector, None, reader, (price,))


def view_of(ways, *, life=LIFE, labels=None):
    """A View of a small and a large model that answer in these ways, with the compute-optimal strategy."""
    (arms,) = arms_from(ways, [life.convention])
    labels = np.ones(len(arms.problems), dtype=int) if labels is None else labels
    count = int(labels.max())
    division = Division(arms.problems, count, bin_groups([labels], count), (labels,))
    bins = division.groups if count > 1 else ()
    groups = (Group(ALL, np.arange(len(arms.problems))), *bins)
    plain = View(arms, life, groups, "small", "large", {}, ("small",))
    optimal = compute_optimal([division.case(arms, plain.menu(), 0, 0, charged=False)])
    return View(arms, life, groups, "small", "large", {}, ("small",), menus=(Menu(("small",), tuple(optimal)),))


def planted(accuracy, large, *, flops=BUDGETS, once=2.0, problems=100, life=LIFE, labels=None):
    """A small model that costs ``flops`` at 1, 4, 16 and 64 samples; a large one that answers once at ``once``.

    accuracy: of every budget, or of every problem at every budget; large: of all problems, or of each.
    """
    right = np.broadcast_to(np.asarray(accuracy, float), (problems, len(flops)))
    theirs = np.broadcast_to(np.asarray(large, float), problems)[:, None]
    ways = [
        way_of("policy", "small", right, flops),
        way_of("large", "large", theirs, [once], (1,), strategy="greedy"),
    ]
    return view_of(ways, life=life, labels=labels)
