"""Which solutions of a run were ended by their token limit: calls say so, and solutions do not."""

from __future__ import annotations

import pandas as pd

from scalinglab.samples.records import Run

_CHAIN = ["unit", "chain", "round"]


def cut_solutions(run: Run) -> pd.Series:
    """Whether the limit ended each solution, by the rows of ``run.solutions``.

    That is so where the call at its own place (chain, round and sample) that wrote it was cut. Where no call has
    that place, as in a search, whose last candidates are numbered anew, and where equal requests were made once:
    where every call of its chain and round was. One that is graded "truncated" was.
    """
    written = run.calls[run.calls["role"] != "verifier"]
    was_cut = written.assign(cut=written["finish_reason"] == "length")
    own = was_cut.groupby([*_CHAIN, "sample"])["cut"].first()  # a lookahead's rollout follows its step
    every = was_cut.groupby(_CHAIN)["cut"].all()
    places = run.solutions[[*_CHAIN, "sample"]]
    first = own.reindex(pd.MultiIndex.from_frame(places)).array
    second = every.reindex(pd.MultiIndex.from_frame(places[_CHAIN])).array
    found = pd.Series(first, places.index, dtype=object)
    found = found.where(found.notna(), pd.Series(second, places.index, dtype=object))
    return found.eq(True) | (run.solutions["grade"] == "truncated")
