"""Search and revisions: what each can choose among, and parallel sampling of its own proposer."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from scalinglab.curves import Arms
from scalinglab.optimal.choosing import Mask

SEARCHES = ("beam_search", "lookahead", "dvts", "rebase")


@dataclass(frozen=True)
class Mechanism:
    """One way to spend more on an answer, under one verifier.

    name: search or revisions; verifier: "" for none. arms: its own, and parallel samples of its proposer under
    the same verifier; baseline: the latter alone, by rising budget, and in words.
    """

    name: str
    verifier: str
    arms: Arms
    baseline: Arms
    against: str


def mechanisms(arms: Arms, *, small: str, selector: str = "weighted") -> list[Mechanism]:
    """The mechanisms that were measured, once for each verifier that chose their answers.

    Search is by the ``small`` model and is compared with its parallel samples; revisions are by a reviser and are
    compared with its own: chains of length 1, or its strategy parallel. ``selector`` chooses among parallel
    samples. Searches answer by their own vote, chains within and then across: at length 1 that is the weighted
    vote (PAPER section 3). Greedy answers belong to neither. A mechanism that lacks such a baseline is left out.
    """
    table = arms.table
    strategy = table["strategy"]
    single = (strategy == "revisions") & table["setting"].map(chain_length).eq(1)
    search = (table["model"] == small) & strategy.isin(SEARCHES)
    revised = (strategy == "revisions") & ~single
    sampled = strategy == "parallel"
    parts = {
        "search": (search, sampled & (table["model"] == small), "of the small model"),
        "revisions": (revised, (sampled | single) & (table["role"] == "reviser"), "of the reviser"),
    }
    found = []
    for name, (own, parallel, whose) in parts.items():
        for verifier in sorted(set(table.loc[own, "verifier"])):
            judged = table["verifier"] == verifier
            base = (parallel & judged & (table["selector"] == selector)).to_numpy()
            mine = (own & judged & table["selector"].isin([selector, "hierarchical"])).to_numpy()
            if base.any() and mine.any():
                by = f" by {verifier}" if verifier else ""
                against = f"parallel samples {whose}, {selector}{by}"
                found.append(Mechanism(name, verifier, arms.where(mine | base), _rising(arms, base), against))
    return found


def _rising(arms: Arms, base: Mask) -> Arms:
    """Baseline arms by budget, the first of each."""
    found = arms.where(base)
    _, first = np.unique(found.table["budget"].to_numpy(), return_index=True)
    return found.where(first)


def chain_length(setting: str) -> int | None:
    """The length of chains, None of another strategy."""
    length = json.loads(setting).get("length")
    return None if length is None else int(length)
