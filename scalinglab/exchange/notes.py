"""What every number of a comparison rests on, in sentences; and what was not counted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scalinglab.curves import MOST_UNITS, lines_of
from scalinglab.evidence import Evidence
from scalinglab.exchange.matched import once_name
from scalinglab.exchange.splits import DIFFICULTY, SPLITS
from scalinglab.exchange.views import View
from scalinglab.exchange.weak import WEAK
from scalinglab.optimal import RESAMPLES, Optimal
from scalinglab.samples import same_samples

EVIDENCE, VERDICTS = "evidence", "verdicts"


@dataclass(frozen=True)
class Note:
    """A sentence on what numbers rest on. topic: EVIDENCE, on which advice rests too, or VERDICTS alone."""

    topic: str
    text: str


def notes_of(
    evidence: Evidence, found: Sequence[View], *, sunk: bool = False, weak: str | None = None
) -> tuple[Note, ...]:
    """What every number here rests on."""
    view = found[0]
    once = [
        f"large: {_once(view)}",
        f"R: one sample of {view.small} a query ({evidence.written():.4g} tokens) over its training tokens",
    ]
    paid = [_SUNK] if sunk else []
    return (
        *_about(EVIDENCE, [_tokens(evidence), *unreported(evidence, _used(evidence)), *evidence.told]),
        *_about(VERDICTS, once),
        *_about(EVIDENCE, [*_trained(evidence), *_missing(view), *_grades(evidence)]),
        *_about(VERDICTS, [*_READ, *fewer_draws(view.menus[0].optimal)]),
        *_about(EVIDENCE, [*_bins(evidence, view), *_revisers(evidence), *_judges(evidence, found)]),
        *_about(VERDICTS, [] if weak is None else [WEAK]),
        *_about(EVIDENCE, [*paid, *_tuned(evidence, found)]),
    )


_READ = (
    "between measured budgets stands their mixture, linear in FLOPs; beyond the dearest, the best within the "
    "budget is a lower bound, and nothing is extrapolated",
    "compute-optimal: the arms of each bin at a price of FLOPs, chosen on other problems; it trains every "
    "helper, or fewer where they cannot be paid, the dearest dropped first; its intervals hold for all "
    "groups and R at once",
    "single lines are exploratory: each interval stands alone",
)
_SUNK = "sunk: nobody pays pretraining; training verifiers and revisers is paid where it is charged"


_ALWAYS = (*_READ, _SUNK)
_DEFINED = ("R: one sample of ", "tokens: as the run recorded", "bins: 1 is easiest")


def lasting(notes: Iterable[str]) -> list[str]:
    """The notes without those that are the same of every study: how its numbers are to be read."""
    return [note for note in notes if note not in _ALWAYS and not note.startswith(_DEFINED)]


def _about(topic: str, texts: Iterable[str]) -> list[Note]:
    return [Note(topic, text) for text in texts]


def fewer_draws(splits: Sequence[Optimal]) -> Iterator[str]:
    """What stands behind the compute-optimal intervals where there are too many problems for every resample."""
    problems, draws = len(splits[0].problems), splits[0].chosen.draws.shape[1]
    if draws < RESAMPLES:
        units = f" of {MOST_UNITS} random groups of problems" if problems > MOST_UNITS else ""
        halves = f"; bins are set on {len(splits)} splits, not {SPLITS}" if 1 < len(splits) < SPLITS else ""
        yield (
            f"so many problems ({problems}): compute-optimal intervals rest on {draws} resamples{units}, "
            f"not {RESAMPLES}{halves}"
        )


def _tokens(evidence: Evidence) -> str:
    read, wrote = evidence.tokens.prompt, evidence.tokens.generated
    assumed, every = _assumed(evidence)
    if every:
        return f"tokens: none recorded; every sample is taken to read {read} and write {wrote}"
    but = (
        f", but none of {', '.join(assumed)}: a sample is taken to read {read} and write {wrote}"
        if assumed
        else ""
    )
    return (
        f"tokens: as the run recorded them, call by call{but}; costs a query are means over the problems compared"
    )


def _used(evidence: Evidence) -> Collection[str]:
    return {*evidence.pair(), *evidence.helpers()}


def unreported(evidence: Evidence, used: Collection[str]) -> Iterator[str]:
    """Counts of the recorded calls of these models that nobody reported, and what stands for them."""
    told: dict[tuple[str, str], list[str]] = {}
    for one in evidence.unreported:
        if one.arm:
            yield f"left out: {one.model} / {one.arm}, whose tokens nobody reported, though of its other answers"
            continue
        share = "none" if one.missing == one.of else f"{one.of - one.missing:,} of {one.of:,}"
        mean = "" if one.taken is None else f"; taken to be {one.taken:.4g}"
        stands = f"{mean} (--prompt)" if one.missing == one.of and mean else f"{mean}, the mean of the others"
        if one.model in used:
            why = stands if mean else f"; no rule is used that prices {_UNKNOWN.get(one.what, 'them')}"
            told.setdefault((one.what, f"{share} reported{why}"), []).append(one.model)
    for (what, how), models in told.items():
        yield f"{what} tokens of {', '.join(models)}: {how}"


_UNKNOWN = {"cached": "what an engine's cache held", "reusable": "what an ideal cache would hold"}


def _assumed(evidence: Evidence) -> tuple[list[str], bool]:
    """The models that are compared whose answers have no recorded tokens, and whether that is all of them."""
    answering = (*evidence.pair(), *evidence.revisers())
    found = [name for name in answering if not evidence.recorded(name)]
    return found, len(found) == len(answering)


def _once(view: View) -> str:
    name, _, effort = once_name(view).partition(" at effort ")
    at = f" at effort {effort}, its dearest" if effort else ""
    if name == "greedy":
        return f"its greedy answer{at}"
    if name == "one sample":
        return f"its one recorded answer{at}"
    return f"its mean single-sample accuracy ({name}){at}; no greedy answer is recorded"


def _trained(evidence: Evidence) -> Iterator[str]:
    pair = [evidence.spec(name) for name in evidence.pair()]
    small, large = pair
    if small.training_tokens is not None and large.training_tokens is not None:
        names = evidence.pair()
        tokens = [f"{name} {spec.training_tokens:.4g}" for name, spec in zip(names, pair, strict=True)]
        differ = "" if small.training_tokens == large.training_tokens else ": they differ"
        yield f"training tokens D: {', '.join(tokens)}{differ}"
        if small.training_tokens * small.total > large.training_tokens * large.total:
            why = "was trained on so many more tokens that it" if small.total < large.total else "is larger and"
            yield f"{names[0]} {why} cost more to pretrain than {names[1]}"


def _missing(view: View) -> Iterator[str]:
    shared, whole = len(view.arms.problems), view.arms.whole
    for name, count in view.arms.missing.items():
        yield f"missing: {name} was never asked {count} of {whole} problems; compared on {shared}"


_CUT = ("length", "max_tokens")
"""What servers and logs call a completion that a limit cut."""


def _grades(evidence: Evidence) -> Iterator[str]:
    """Samples that were not right for another reason than a wrong answer, counted."""
    if evidence.run is None:
        return
    counts = evidence.run.solutions["grade"].value_counts()
    odd = [f"{int(n)} {grade}" for grade, n in counts.items() if grade not in ("right", "wrong")]
    if odd:
        yield f"of {int(counts.sum())} answers {', '.join(odd)}: all stay in n as not right"
    yield from same_samples(evidence.run)
    calls = evidence.run.calls
    for name in evidence.pair():
        cut = calls.loc[(calls["model"] == name) & (calls["role"] != "verifier"), "finish_reason"].isin(_CUT)
        if cut.any():
            yield f"of {len(cut):,} completions of {name} {100 * cut.mean():.1f} % were cut by a limit of tokens"


def _bins(evidence: Evidence, view: View) -> Iterator[str]:
    if len(view.groups) == 1:
        return
    run = evidence.run
    kept = run is not None and bool((run.units["strategy"] == DIFFICULTY).any())
    how = (
        "samples kept for difficulty"
        if kept
        else f"one half of its parallel samples, scored on the other, over {len(view.menus[0].optimal)} splits; "
        "all problems on all samples"
    )
    yield f"bins: 1 is easiest for {view.small}, set on {how}"


def _revisers(evidence: Evidence) -> Iterator[str]:
    """No plan records which model a reviser was tuned from or whose answers it revises: the small one's."""
    revisers, (small, _) = evidence.revisers(), evidence.pair()
    if revisers:
        yield (
            f"{', '.join(revisers)}: taken to revise for {small}, the small model here, and to be tuned from it; "
            "no base is recorded"
        )


def _judges(evidence: Evidence, found: Sequence[View]) -> Iterator[str]:
    selectors = {line.selector for line in lines_of(found[0].arms, found[0].judges)}
    if "coverage" in selectors:
        alone = " (the compute-optimal strategy chooses among these, as nothing else is recorded)"
        only = selectors <= {"coverage"}
        yield f"coverage: a perfect verifier picks the answer; real ones reach less{alone if only else ''}"
    called = set() if evidence.run is None else set(evidence.run.calls["model"].unique())
    left = [name for name in evidence.lacking if name in called or name in evidence.models()]
    if left:
        named = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
        yield f"left out: what {named} answered or judged, without a spec (--spec MODEL=7e9@2e12)"
    silent = {name: model for name, model in evidence.verifiers.items() if model and model not in called}
    yield from _silent(evidence, silent)


def _silent(evidence: Evidence, silent: Mapping[str, str]) -> Iterator[str]:
    """What is charged for verifiers without recorded calls: tokens of answers that have none either."""
    counted, every = _assumed(evidence)
    priced = sorted(name for name, model in silent.items() if counted and model in evidence.specs)
    free = sorted(set(silent) - set(priced))
    if priced:
        of = "" if every else f" of the answers of {', '.join(counted)} alone"
        yield f"scores by {', '.join(priced)} have no recorded calls: what judging took is taken from tokens{of}"
    if free:
        yield f"scores by {', '.join(free)} have no recorded calls: what judging took is not charged"


def _tuned(evidence: Evidence, found: Sequence[View]) -> Iterator[str]:
    """Whether training the verifiers and the reviser is charged, under which conventions, and where unknown."""
    small, _ = evidence.pair()
    used = {*(model for model in evidence.verifiers.values() if model), *evidence.revisers()} - {small}
    known = {one.model for one in evidence.tuning}
    charged = [view.arms.convention for view in found if view.convention.tuning]
    if charged and used & known:
        yield f"tuning of {', '.join(sorted(used & known))} is charged under {', '.join(charged)}"
    if used - known:
        yield f"tuning of {', '.join(sorted(used - known))} is unknown and never charged"
