"""Difficulty bins of the problems compared, always set on samples that are not then used to score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from scalinglab.curves import (
    Arms,
    Efforts,
    Floats,
    Group,
    Line,
    Placed,
    Pool,
    Price,
    Reader,
    Sampled,
    from_tokens,
    pool_from_run,
    whole_numbers,
)
from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.flops import Convention
from scalinglab.ledger import by_unit
from scalinglab.optimal import ORACLE, Bins, difficulty_bins, halves, mean_score
from scalinglab.samples import Run, scored_by

SPLITS = 4
"""Divisions of the samples into those that set bins and those that score, over which results are averaged."""
ENOUGH = 40_000
"""Problems beyond which two divisions say as much."""
DIFFICULTY = "difficulty"


@dataclass(frozen=True)
class Division:
    """The problems in difficulty bins, once or over several splits of the samples.

    groups: each bin that holds problems. halves: by way, of each split the reader of samples that did not set its
    bins. labels: of each split, (problems,); ease: what was binned, pass@1 or ``verifier``'s mean score. samples:
    of a problem that it took; flops: what those cost a problem under each rule, (problems,).
    """

    problems: tuple[str, ...]
    count: int
    groups: tuple[Group, ...]
    labels: tuple[np.ndarray, ...]
    verifier: str | None = None
    ease: tuple[Floats, ...] = ()
    samples: int = 0
    flops: tuple[Floats, ...] = ()
    halves: Mapping[int, tuple[Reader, ...]] = field(default_factory=dict)

    @property
    def splits(self) -> int:
        return len(self.labels)

    def case(self, arms: Arms, lines: Sequence[Line], split: int, rule: int, charged: bool) -> tuple[Arms, Bins]:
        """The arms of these lines, read on a split's scoring half where there is one, and the split's bins."""
        parts = [self._read(arms, line, split) for line in lines]
        at = np.concatenate([columns for columns, _ in parts])
        own = replace(arms.where(at), accuracy=np.hstack([values for _, values in parts]), readers={}, prices={})
        cost, ease = self.flops[rule] if self.flops else None, self.ease[split] if self.ease else None
        source = self.verifier or ORACLE
        return own, Bins(self.problems, self.labels[split], self.count, source, ease, self.samples, cost, charged)

    def _read(self, arms: Arms, line: Line, split: int) -> tuple[np.ndarray, Floats]:
        if line.way not in self.halves:
            return line.columns, arms.accuracy[:, line.columns]
        half = self.halves[line.way][split]
        kept = line.budgets <= half.budgets[-1]
        budgets = line.budgets[kept].astype(np.int64)
        return line.columns[kept], half.at(budgets, np.arange(len(arms.problems)))[0]


def divided(
    evidence: Evidence, arms: Sequence[Arms], rules: Sequence[Convention], small: str, *, count: int, seed: int,
    verifier: str | None = None,
) -> Division:  # fmt: skip
    """The arms' problems in ``count`` bins by the small model's accuracy, or by ``verifier``'s mean score of it.

    By its samples of strategy difficulty where there are any; else by half of its parallel samples, over several
    splits. Raises DataError where it has fewer than two samples of a problem, or for more bins than problems.
    """
    problems = arms[0].problems
    if count == 1:
        return undivided(problems)
    kept = _kept(evidence, small)
    if kept is not None:
        judge = None if verifier is None else evidence.verifiers[verifier]
        seen = kept if verifier is None else scored_by(kept, verifier, model=judge)
        pool = pool_from_run(seen, small, strategy=DIFFICULTY)
        ease = _ease(pool, verifier)[_rows(pool.problems, problems)]
        labels = difficulty_bins(ease, count)
        spent = _spent(evidence, kept, judge, rules, problems)
        samples = round(float(pool.n.mean()))
        return Division(problems, count, bin_groups([labels], count), (labels,), verifier, (ease,), samples, spent)
    return _halved(evidence, arms, rules, small, count, seed, verifier)


def undivided(problems: tuple[str, ...]) -> Division:
    """All problems in one bin, which takes no samples to set."""
    return Division(problems, 1, (), (np.ones(len(problems), dtype=np.int64),))


def _ease(pool: Pool, verifier: str | None) -> Floats:
    return pool.correct / pool.n if verifier is None else mean_score(pool)


def _halved(
    evidence: Evidence, arms: Sequence[Arms], rules: Sequence[Convention], small: str, count: int, seed: int,
    verifier: str | None,
) -> Division:  # fmt: skip
    readers = _sampled(arms[0], small)
    if not readers:
        raise DataError(
            f"no parallel samples of {small}", "two or more of each problem, to set bins", "use --bins 1"
        )
    labels: list[np.ndarray] = []
    eases: list[Floats] = []
    setter = _setter(arms[0], list(readers), verifier)
    later: dict[int, list[Reader]] = {way: [] for way in readers}
    for split in range(SPLITS if len(arms[0].problems) <= ENOUGH else 2):
        for way, reader in readers.items():
            assert isinstance(reader, Placed)
            assert isinstance(reader.reader, Sampled)
            easy, scored = halves(reader.reader.pool, seed=seed + split)
            later[way].append(Placed(Sampled(scored, reader.reader.selector, seed), reader.rows))
            if way == setter:
                eases.append(_ease(easy, verifier)[reader.rows])
        labels.append(difficulty_bins(eases[-1], count))
    later |= _efforts(arms[0], later)
    half = int(easy.n.mean())
    prices = [_told(one, evidence, rule, small, setter) for one, rule in zip(arms, rules, strict=True)]
    spent = tuple(price.flops(np.array([half]))[:, 0] for price in prices)
    groups = bin_groups(labels, count)
    return Division(arms[0].problems, count, groups, tuple(labels), verifier, tuple(eases), half, spent,
                    {way: tuple(every) for way, every in later.items()})  # fmt: skip


def _efforts(arms: Arms, later: Mapping[int, Sequence[Reader]]) -> dict[int, list[Reader]]:
    """Of each line over efforts that holds samples which set the bins: the line with the other half, by split."""
    found: dict[int, list[Reader]] = {}
    named = arms.table.drop_duplicates("way").set_index("way")[["model", "strategy", "setting"]]
    for way, mine in arms.readers.items():
        line = mine.reader if isinstance(mine, Placed) else None
        if not (isinstance(mine, Placed) and isinstance(line, Efforts)):
            continue
        for setter, scored in later.items():
            model, *arm = named.loc[setter]
            if model == named.loc[way, "model"] and tuple(arm) in line.arms:
                at = line.arms.index((str(arm[0]), str(arm[1])))
                halved = [half for one in scored if isinstance(half := getattr(one, "reader", None), Sampled)]
                answers = [replace(half, selector="recorded", known={}) for half in halved]
                parts = [(*line.parts[:at], half, *line.parts[at + 1 :]) for half in answers]
                found[way] = [replace(mine, reader=replace(line, parts=own)) for own in parts]
    return found


def _sampled(arms: Arms, small: str) -> dict[int, Reader]:
    """The readers of the small model's independent samples, by way, whatever a study of choosers calls them.

    Of strategy parallel where it has any; of one setting, for others are other samples.
    """
    ways = arms.table[arms.table["model"] == small].drop_duplicates("way").set_index("way")
    own = ways[ways["strategy"] == "parallel"]
    if own.empty:
        ways = ways[ways["role"] != "reviser"]
        own = ways[[arms.readers[way].step == 1 and arms.readers[way].fewest > 1 for way in ways.index]]
    kept = own[own["setting"] == own["setting"].iloc[0]] if len(own) else own
    return {int(way): arms.readers[int(way)] for way in kept.index}


def _told(arms: Arms, evidence: Evidence, rule: Convention, small: str, setter: int) -> Price:
    """What a sample for difficulty costs, with the verifier that judges it; a perfect one is not paid."""
    first = arms.table.drop_duplicates("way").set_index("way")
    if first.loc[setter, "selector"] != "coverage":
        return arms.prices[setter]
    plain = first[
        (first["model"] == small) & (first["strategy"] == "parallel") & (first["selector"] == "majority")
    ]
    if len(plain):
        return arms.prices[int(plain.index[0])]
    tokens, spec = evidence.tokens_of(small), evidence.spec(small)
    return from_tokens(spec, None, tokens, len(arms.problems), rule=rule, verified=False)


def _setter(arms: Arms, ways: Sequence[int], verifier: str | None) -> int:
    """The way whose samples set the bins: any of the small model's, or one that the verifier judged."""
    judged = arms.table.drop_duplicates("way").set_index("way")["verifier"]
    found = [way for way in ways if verifier in (None, judged[way])]
    if not found:
        raise DataError(f"no parallel samples judged by {verifier}", "some, to predict difficulty", "collect some")
    return found[0]


def kept_apart(evidence: Evidence) -> bool:
    """Whether samples were drawn for difficulty alone."""
    return evidence.run is not None and bool((evidence.run.units["strategy"] == DIFFICULTY).any())


def bin_groups(labels: Sequence[np.ndarray], count: int) -> tuple[Group, ...]:
    found = []
    for bin_ in range(1, count + 1):
        inside = np.stack([one == bin_ for one in labels])
        members = np.flatnonzero(inside.any(axis=0))
        if len(members):
            found.append(Group(str(bin_), members, inside[:, members] if len(labels) > 1 else None))
    counts = whole_numbers([float(group.weights.sum()) for group in found])
    return tuple(replace(group, counted=count) for group, count in zip(found, counts, strict=True))


def _kept(evidence: Evidence, small: str) -> Run | None:
    """What was sampled for difficulty alone."""
    run = evidence.run
    if run is None:
        return None
    units = run.units[(run.units["strategy"] == DIFFICULTY) & (run.units["model"] == small)]
    if units.empty:
        return None
    calls, solutions = (frame[frame["unit"].isin(units["key"])] for frame in (run.calls, run.solutions))
    return Run(units, calls, solutions)


def _spent(
    evidence: Evidence, kept: Run, judge: str | None, rules: Sequence[Convention], problems: Sequence[str]
) -> tuple[Floats, ...]:
    """FLOPs of a problem's samples for difficulty under each rule, judged by ``judge`` alone (None: by nobody)."""
    paid = (kept.calls["role"] != "verifier") | (kept.calls["model"] == judge)
    own = Run(kept.units, kept.calls[paid & ~kept.calls["model"].isin(evidence.lacking)], kept.solutions)
    at = pd.Index(problems).get_indexer(pd.Index(kept.units["problem"]))
    found = by_unit(own, evidence.specs, [replace(rule, difficulty=True) for rule in rules])
    return tuple(
        np.bincount(at[at >= 0], spent[""].sum(axis=1)[at >= 0], len(problems)).astype(np.float64)
        for spent in found
    )


def _rows(known: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    at = {problem: i for i, problem in enumerate(known)}
    lacking = [problem for problem in wanted if problem not in at]
    if lacking:
        raise DataError(
            f"no samples for the difficulty of {len(lacking)} problems, such as {lacking[0]}",
            "samples of strategy difficulty of every problem, or of none",
            "finish the run",
        )
    return np.array([at[problem] for problem in wanted])
