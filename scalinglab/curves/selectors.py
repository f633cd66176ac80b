"""Every way to choose an answer among samples, one record each, and the unbiased accuracy of each at every budget.

A further selector is one function and one record:

    SELECTORS["first"] = Selector("first", choose, "the first answer of all", kinds=(INDEPENDENT,))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from scalinglab import flops
from scalinglab.curves import chains
from scalinglab.curves.estimators import best_of_k, pass_at_k
from scalinglab.curves.pools import Floats, Graded, Ints, Pool
from scalinglab.curves.votes import vote_at_k
from scalinglab.errors import DataError

Mask = npt.NDArray[np.bool_]
INDEPENDENT, FINALS, CHAINS = "independent samples", "finals of a search", "chains of revisions"


class Choose(Protocol):
    """Accuracy of what is chosen, and its variance from subsampling, both (problems, budgets).

    budgets: (problems, budgets), in samples or, of a pool of chains, in chains; equal for problems of equal size.
    draws: subsets at least where not all are counted (None: as many as are cheap). seed: of those subsets.
    """

    def __call__(self, pool: Pool, budgets: Ints, *, draws: int | None, seed: int) -> tuple[Floats, Floats]: ...


@dataclass(frozen=True)
class Selector:
    """A way to choose an answer among samples.

    kinds: of which samples it is an arm: independent samples, read at every k; all finals of a search; chains of
    revisions, read at every number of chains. None where it needs to know what is right, so that nobody can run
    it. needs_answers, needs_verifier: whether it reads the samples' answers, a verifier's scores; counts know
    neither.
    """

    name: str
    choose: Choose
    text: str
    kinds: tuple[str, ...] = ()
    needs_answers: bool = False
    needs_verifier: bool = False


SELECTORS: dict[str, Selector] = {}
"""Every selector by name, in the order in which they are shown."""


def accuracy(
    pool: Pool, selector: str, k: Sequence[int] | None, *, draws: int | None = None, seed: int = 0
) -> tuple[Floats, Floats]:
    """Unbiased accuracy at each budget, and its variance from subsampling votes (0: exact): (problems, budgets).

    k: in samples; of a pool of chains, in chains; None for all that each problem has, one budget. The mean over
    any problems has the variance ``noise[members].sum(axis=0) / len(members) ** 2`` from subsampling.
    Raises DataError for k < 1, k > n, an unknown selector, or one that needs answers or scores that were not
    recorded.
    """
    chosen = _require(pool, selector)
    budgets = pool.sizes[:, None] if k is None else np.broadcast_to(_budgets(k, pool), (len(pool.n), len(k)))
    return chosen.choose(pool, budgets, draws=draws, seed=seed)


def _coverage(pool: Pool, budgets: Ints, **_: object) -> tuple[Floats, Floats]:
    correct = pool.correct
    if pool.graded is not None and pool.graded.chains is not None:
        correct = chains.stacked(pool.graded).right.any(axis=2).sum(axis=1)
    pairs = pool.sizes * (int(correct.max(initial=0)) + 1) + correct
    first, again = np.unique(pairs, return_index=True, return_inverse=True)[1:]
    values = pass_at_k(pool.sizes[first, None], correct[first, None], budgets[first])[again]
    return values, np.zeros(values.shape)


def _recorded(pool: Pool, budgets: Ints, **_: object) -> tuple[Floats, Floats]:
    values = np.broadcast_to((pool.correct / pool.n)[:, None], budgets.shape)
    return values, np.zeros(values.shape)


def _best_of_n(pool: Pool, budgets: Ints, **_: object) -> tuple[Floats, Floats]:
    def choose(group: Graded, k: Ints) -> tuple[Floats, Floats]:
        scores = np.where(np.isnan(group.scores), -np.inf, group.scores)
        top = scores.max(axis=2)
        tied = scores == top[..., None]
        values = best_of_k((group.right & tied).sum(axis=2) / tied.sum(axis=2), top, k)
        return values, np.zeros(values.shape)

    return _by_size(pool, budgets, choose)


def _voting(weigh: Callable[[Graded], Floats | None]) -> Choose:
    """A selector of the answer with most votes; each sample casts ``weigh`` (NaN: nothing; None: one each)."""

    def choose(pool: Pool, budgets: Ints, *, draws: int | None, seed: int) -> tuple[Floats, Floats]:
        def vote(group: Graded, k: Ints) -> tuple[Floats, Floats]:
            votes, answers = weigh(group), group.answers
            if votes is not None:
                answers, votes = np.where(np.isnan(votes), -1, answers), np.nan_to_num(votes)
            return vote_at_k(answers, group.right, votes, k, draws=draws, seed=seed)

        return _by_size(pool, budgets, vote)

    return choose


def _by_size(
    pool: Pool, budgets: Ints, choose: Callable[[Graded, Ints], tuple[Floats, Floats]]
) -> tuple[Floats, Floats]:
    """What ``choose`` finds of the problems of each size, whose samples are stacked (see ``chains.stacked``)."""
    assert pool.graded is not None
    stack, (values, noise) = chains.stacked(pool.graded), np.empty((2, *budgets.shape))
    for size in np.unique(pool.sizes):
        rows = np.flatnonzero(pool.sizes == size)
        values[rows], noise[rows] = choose(stack.rows(rows, int(size)), budgets[rows[0]])
    return values, noise


def _budgets(k: Sequence[int], pool: Pool) -> Ints:
    budgets = flops.whole(np.asarray(k), "k")
    most = int(pool.sizes.min())
    if budgets.ndim != 1 or not budgets.size or budgets.min() < 1 or budgets.max() > most:
        raise DataError(
            f"k = {', '.join(map(str, np.ravel(k)))} of model {pool.model}",
            f"budgets from 1 to n = {most}, the samples of its least sampled problem",
            "lower k or collect more samples",
        )
    return np.asarray(budgets)


def _require(pool: Pool, name: str) -> Selector:
    if name not in SELECTORS:
        raise DataError(f"selector {name!r}", f"one of {', '.join(SELECTORS)}", "choose a selector")
    selector = SELECTORS[name]
    if not (selector.needs_answers or selector.needs_verifier):
        return selector
    if pool.graded is None:
        raise DataError(
            f"selector {name} on counts of model {pool.model}",
            "coverage: counts hold no answers or scores",
            "use a recorded run, or coverage",
        )
    asked = np.arange(pool.graded.right.shape[1]) < pool.n[:, None]
    if selector.needs_answers:
        _answered(pool.model, pool.graded.answers[asked] >= 0, pool.graded.right[asked], name)
    if selector.needs_verifier:
        answered = pool.graded.right | (pool.graded.answers >= 0)
        judged = asked & answered if answered.any() else asked  # nobody judges a refusal
        _scored(pool.model, pool.graded.scores[judged], selector)
    return selector


def _answered(model: str, known: Mask, right: Mask, name: str) -> None:
    """A right sample without an answer shows that answers were not recorded: it is not unparsed."""
    if (right & ~known).any():
        raise DataError(
            f"selector {name} on {model}: votes need answers; {known.sum()} of {known.size} samples have one",
            "the answers that the samples gave",
            "record the answers, or use coverage or best-of-n",
        )


def _scored(model: str, scores: Floats, selector: Selector) -> None:
    if np.isnan(scores).any():
        raise DataError(
            f"selector {selector.name}: {int(np.isnan(scores).sum())} samples of {model} have no score",
            "a verifier score for every sample",
            "run the verifier, or use majority",
        )
    if selector.needs_answers and (scores < 0).any():
        raise DataError(f"{selector.name} votes with negative scores", "scores >= 0", "use best-of-n")


def _alike(_: Graded) -> None:
    return None


def _scores(group: Graded) -> Floats:
    return group.scores


def _named(group: Graded) -> Floats:
    return chains.named_in_chains(group.answers, group.scores)


_EVERYWHERE = (INDEPENDENT, FINALS, CHAINS)
_VOTES = {"needs_answers": True, "needs_verifier": True}
for _record in (
    Selector("coverage", _coverage, "any answer is right: what a perfect verifier would choose"),
    Selector(
        "majority", _voting(_alike), "the answer most samples give", (INDEPENDENT, CHAINS), needs_answers=True
    ),
    Selector("best-of-n", _best_of_n, "the sample of the best score", (INDEPENDENT,), needs_verifier=True),
    Selector("weighted", _voting(_scores), "the answer whose samples' scores sum to most", _EVERYWHERE, **_VOTES),
    Selector(
        "hierarchical", _voting(_named), "by score within each chain, then across chains", (CHAINS,), **_VOTES
    ),
    Selector("recorded", _recorded, "what was answered: one recorded outcome, or the mean of several", (FINALS,)),
):
    SELECTORS[_record.name] = _record
