"""Search and revisions apart, each with its controls: which arms are compared, over several training seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab.curves import ARM
from scalinglab.evidence import Evidence
from scalinglab.exchange.groupings import Among
from scalinglab.exchange.views import View
from scalinglab.flops import with_axes
from scalinglab.optimal import chain_length
from scalinglab.samples import Run

MORE = "small-more"
"""The small shape that was pretrained by as many FLOPs more as helpers take."""
PRM, ORM = "prm", "orm"
SMALL_GREEDY, LARGE_VERIFIED = "the small policy's greedy answer", "the large model with the same PRM"
SEARCH, REVISIONS = "search", "revisions"
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Trial:
    """One way to spend compute that is compared with the large model alone.

    name, text: what it is; verifier: what chooses, "" for votes; strategies of the small model or the ``reviser``,
    all of that role without any; length: of chains, where one alone is meant.
    """

    name: str
    text: str
    verifier: str
    reviser: bool = False
    length: int | None = None

    def among(self, view: View, shared: frozenset[tuple[object, ...]]) -> Among:
        """Its arms, of those that every seed has, and the large model's: one answer, and its best with the PRM."""
        return lambda table: (self._own(table, view.small) & _in(table, shared)) | _large(table, view, shared)

    def measured(self, view: View, shared: frozenset[tuple[object, ...]]) -> bool:
        """Whether a seed has any arm of it."""
        return bool((self._own(view.arms.table, view.small) & _in(view.arms.table, shared)).any())

    def _own(self, table: pd.DataFrame, small: str) -> _Mask:
        whose = (table["role"] == "reviser") if self.reviser else (table["model"] == small)
        taken = whose & (table["verifier"] == self.verifier) & (table["strategy"] != "greedy")
        if not self.verifier:
            taken &= (table["selector"] == "majority") & (table["strategy"] == "parallel")
        if self.length is not None:
            taken &= np.array([chain_length(setting) == self.length for setting in table["setting"]], dtype=bool)
        return np.asarray(taken & (table["selector"] != "coverage"))


TRIALS = (
    Trial(SEARCH, "the small policy, chosen by the PRM", PRM),
    Trial(REVISIONS, "the reviser, chosen by the ORM", ORM, reviser=True),
    Trial("majority", "the small policy's votes, without a verifier", ""),
    Trial("reviser, parallel", "the reviser asked anew each time, chosen by the ORM", ORM, True, 1),
)
"""What is compared: both mechanisms, then what they must be better than."""


def shared_arms(found: Mapping[str, View]) -> frozenset[tuple[object, ...]]:
    """The arms that every seed has."""
    return frozenset.intersection(*(frozenset(_keys(view.arms.table)) for view in found.values()))


def not_shared(found: Mapping[str, View]) -> list[str]:
    """Strategies and budgets that some seeds have, and with them no part in means over seeds."""
    shared, told = shared_arms(found), []
    for seed, view in found.items():
        own = [key for key in _keys(view.arms.table) if key not in shared]
        names = dict.fromkeys(f"{key[2]} at {key[6]}" for key in own)
        if names:
            told.append(f"{', '.join(names)}: of seed {seed}, not of every seed, and so in no mean over seeds")
    return told


def first_answers(view: View) -> dict[str, int]:
    """Arms that answer without any choice, by what they are: positions among the view's arms."""
    table = view.arms.table
    plain = (table["verifier"] == "") & (table["selector"] == "majority") & (table["budget"] == 1)
    length = np.array([chain_length(setting) == 1 for setting in table["setting"]], dtype=bool)
    reviser, greedy = table["role"] == "reviser", table["strategy"] == "greedy"
    once = {
        "the reviser's first answer, greedy": reviser & greedy,
        "the reviser's first answer, sampled": reviser & (table["strategy"] == "revisions") & length,
        SMALL_GREEDY: (table["model"] == view.small) & greedy,
    }
    found = {name: np.flatnonzero(mask & plain) for name, mask in once.items()}
    found[LARGE_VERIFIED] = np.flatnonzero(_verified(table, view.large))
    return {name: int(at[-1]) for name, at in found.items() if len(at)}


def helper_shares(view: View) -> str:
    """What training each helper takes, its data included, as a share of the small policy's pretraining."""
    paid = replace(view.lifetime, convention=with_axes(view.convention, "tuning"))
    known, told = {one.model for one in paid.tuning}, []
    for name in (name for name in view.helpers if name != view.small):
        share = paid.trained("policy", [name]) / paid.small - 1 if name in known and paid.small else None
        told.append(f"{name} {'unknown' if share is None else f'{100 * share:.2g} %'}")
    return f"training of helpers, data included, over the small model's pretraining: {', '.join(told) or 'none'}"


def with_more(evidence: Evidence, more: Evidence | None) -> Evidence | None:
    """The large model of a seed beside the small shape that was pretrained further: of the run itself, under the
    name ``MORE``, or the small model of a run of its own. None where neither has it."""
    run = evidence.run
    if run is None:
        return None
    small, large = evidence.pair()
    if more is None:
        if MORE not in evidence.models():
            return None
        return replace(evidence.of_models([MORE, large]).unverified(), small=MORE, verifiers={}, tuning=())
    ours = more.of_models([more.small or small]).unverified()
    assert ours.run is not None
    theirs = evidence.of_models([large]).unverified().run
    assert theirs is not None
    renamed = [frame.assign(model=MORE) for frame in (ours.run.units, ours.run.calls)]
    tables = zip((*renamed, ours.run.solutions), (theirs.units, theirs.calls, theirs.solutions), strict=True)
    both = Run(*(pd.concat(pair, ignore_index=True) for pair in tables))
    specs = dict(evidence.specs) | {MORE: replace(more.spec(more.small or small), name=MORE)}
    return replace(evidence, run=both, small=MORE, specs=specs, verifiers={}, tuning=())


def _large(table: pd.DataFrame, view: View, shared: frozenset[tuple[object, ...]]) -> _Mask:
    once = np.zeros(len(table), dtype=bool)
    once[_place(table, view)] = True
    return once | (_verified(table, view.large) & _in(table, shared))


def _place(table: pd.DataFrame, view: View) -> int:
    """Where the large model's one answer stands."""
    way, own = view.once.way, table["way"].to_numpy()
    return int(np.flatnonzero(own == way)[0])


def _verified(table: pd.DataFrame, large: str) -> _Mask:
    """The large model's samples chosen by the PRM, of its largest budget."""
    own = (table["model"] == large) & (table["verifier"] == PRM) & (table["selector"] == "weighted")
    return np.asarray(own & (table["budget"] == table.loc[own, "budget"].max()))


def _keys(table: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(table[list(ARM)].itertuples(index=False, name=None))


def _in(table: pd.DataFrame, shared: frozenset[tuple[object, ...]]) -> _Mask:
    return np.array([key in shared for key in _keys(table)], dtype=bool)
