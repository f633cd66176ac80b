"""The run: units of work in flight together, each journalled whole as it finishes, resumed at any moment."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from scalinglab.collect.journal import Done, Journal
from scalinglab.collect.protocol import Engine
from scalinglab.collect.recording import Recorder, together
from scalinglab.collect.strategies import Policy, Strategy, apart, find, scored
from scalinglab.collect.task import Task
from scalinglab.collect.verifiers import Verifier
from scalinglab.collect.watching import watched
from scalinglab.errors import DataError, DeadEngineError, EngineError
from scalinglab.samples import AGGREGATES, Call, RunStore, Solution, Unit

_collecting: set[Path] = set()
_IN_A_ROW = 8
"""Units that fail, none done between, before an engine is taken for dead; as many as are in flight, at least."""
_SWEPT = 10_000
"""Objects made, less those freed, between two sweeps: Python's own 700 are for programs that hold few."""


@dataclass(frozen=True)
class Progress:
    """A unit that has just been journalled, and how many of all units are done, those of earlier runs included."""

    unit: Unit
    calls: Sequence[Call]
    solutions: Sequence[Solution]
    done: int
    total: int


async def collect(
    units: Sequence[Unit],
    engines: Mapping[str, Engine],
    verifiers: Mapping[str, Verifier],
    task: Task,
    store: RunStore,
    *,
    in_flight: int = 64,
    progress: Callable[[Progress], None] | None = None,
    stop: asyncio.Event | None = None,
    tell: Callable[[str], None] | None = None,
    held: bool = False,
) -> int:
    """Do the units that the store lacks, up to ``in_flight`` at a time; returns how many were done now.

    ``engines`` are by the model that units name, ``verifiers`` by the name their parameters give. A finished
    unit is on disk within a second (see ``Journal``), and before ``progress`` tells of it, so that a cancellation
    (Ctrl-C) or an error loses only units in flight, a kill or a crash those finished in its last second too;
    the same call goes on. Once ``stop`` is set no unit is begun, those in flight are done.
    ``tell``: told in a line when the first unit fails. ``held``: the caller is the store's ``sole_collector``
    already.

    A unit for which an engine fails for good is left for the next call, which begins with those that failed least
    often, and the others are done, unless so many fail in a row that the engine must be dead. Then raises
    EngineError, one that names the first unit that failed. A solution that a verifier cannot read is graded
    "unscored", once it has read another (see ``Watched``).
    Raises DataError for a unit that cannot be done, before any is, and where the store is full or another
    collector has it.
    """
    if in_flight < 1:
        raise DataError(f"in_flight is {in_flight}", "1 or more units at a time", "raise in_flight")
    for unit in units:
        check(unit, engines, verifiers, task)
    with nullcontext() if held else sole_collector(store.path), _seldom_swept():
        wanted = {unit.key: unit for unit in units}
        left = _left(wanted, store)
        done = before = len(wanted) - len(left)

        def report(one: Done) -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(Progress(*one, done, len(wanted)))

        journal = Journal(store, report)
        work = partial(solve, engines=engines, verifiers=watched(verifiers, store, tell), task=task)
        shared = _Work(iter(left), work, journal, store, max(_IN_A_ROW, in_flight), stop, tell)

        async def workers() -> None:
            await together(shared.work() for _ in range(min(in_flight, len(left))))
            journal.end()

        try:
            await together((workers(), journal.keep()))
        finally:
            journal.flush()
    if shared.failed:
        raise shared.failure() from shared.failed[0][1]
    return done - before


@dataclass
class _Work:
    """What the workers of a run share: the units that are left, and how they have fared.

    most: units that may fail in a row. in_a_row: those that have failed since the last one was done.
    """

    queue: Iterator[Unit]
    solve: Callable[[Unit], Awaitable[tuple[list[Call], list[Solution]]]]
    journal: Journal
    store: RunStore
    most: int
    stop: asyncio.Event | None
    tell: Callable[[str], None] | None
    failed: list[tuple[Unit, EngineError]] = field(default_factory=list)
    in_a_row: int = 0

    async def work(self) -> None:
        """One unit after the other, until none is left or none shall be begun. Raises DeadEngineError."""
        for unit in self.queue:
            if self.in_a_row >= self.most or (self.stop is not None and self.stop.is_set()):
                return
            try:
                calls, solutions = await self.solve(unit)
            except DeadEngineError:
                raise
            except EngineError as error:
                self._fail(unit, error)
                continue
            self.in_a_row = 0
            self.journal.append(unit, calls, solutions)

    def _fail(self, unit: Unit, error: EngineError) -> None:
        """Leave a unit for the next run, which is noted at once."""
        self.store.fail(unit)
        self.failed.append((unit, error))
        self.in_a_row += 1
        if self.tell is not None and len(self.failed) == 1:
            self.tell(f"{self.failure()}; the others go on")

    def failure(self) -> EngineError:
        """One error for all units that failed, in the words of the first."""
        unit, error = self.failed[0]
        given, allowed, do = error.args
        more = f", and {len(self.failed) - 1} more failed" if len(self.failed) > 1 else ""
        named = f"{unit.strategy} of problem {unit.problem!r} by {unit.model} failed: {given}{more}"
        return EngineError(named, allowed, do)


def _left(wanted: Mapping[str, Unit], store: RunStore) -> list[Unit]:
    """What is not done: first what was never tried, in the order given, last what has failed most often."""
    done, failures = store.done(), store.failures()
    left = [key for key in wanted if key not in done]
    return [wanted[key] for key in sorted(left, key=lambda key: failures.get(key, 0))]


async def solve(
    unit: Unit,
    engines: Mapping[str, Engine],
    verifiers: Mapping[str, Verifier],
    task: Task,
    recorder: Recorder | None = None,
) -> tuple[list[Call], list[Solution]]:
    """One unit's calls and graded solutions; nothing is written. Raises EngineError."""
    recorder = recorder or Recorder(unit)
    problem, options = task.problems[unit.problem], _options(unit)
    policy = Policy(engines[unit.model], task, recorder, unit.parameters.get("temperature", 1.0))
    names = unit.verifiers
    verifier = verifiers[names[0]] if names else None
    drafts = await find(unit.strategy).solve(problem, policy, verifier, **options)
    how, others = options.get("aggregate", "last"), dict[str, list[tuple[float, ...]]]()
    for name in names[1:]:
        judged = await together(scored(problem, one, policy, verifiers[name], how) for one in drafts)
        others[name] = [one.scores for one in judged]
        drafts = [replace(one, settled=after.settled) for one, after in zip(drafts, judged, strict=True)]
    drafts = [apart(draft, problem.prompt) for draft in drafts]
    texts = list(dict.fromkeys((draft.text, draft.cut) for draft in drafts if draft.settled is None))
    grades = await together(task.grade(problem, text, cut=cut) for text, cut in texts)
    graded = dict(zip(texts, grades, strict=True))
    told = [(one.settled, None) if one.settled else graded[one.text, one.cut] for one in drafts]
    solutions = [
        Solution(
            draft.text,
            answer=told[i][1],
            grade=told[i][0],
            scores=draft.scores,
            sample=i,
            chain=draft.place.chain,
            round=draft.place.round,
            other_scores={name: scores[i] for name, scores in others.items()},
            thinking=draft.thinking,
        )
        for i, draft in enumerate(drafts)
    ]
    return await recorder.calls(), solutions


def check(unit: Unit, engines: Mapping[str, Engine], verifiers: Mapping[str, Verifier], task: Task) -> None:
    """Raises DataError where a unit names what there is not, or its parameters do not fit its strategy."""
    _one_of(unit.task, [task.name], "task")
    _one_of(unit.problem, task.problems, "problem")
    _one_of(unit.model, engines, "model")
    strategy, options = find(unit.strategy), _options(unit)
    if strategy.goes_on(options) and not engines[unit.model].continues:
        raise DataError(
            f"{unit.strategy} of {unit.model}, whose server goes on with no text that it has begun",
            'a server asked by completions (api = "completions")',
            "ask it so, or use a strategy that writes whole solutions",
        )
    _one_of(options.get("aggregate", "last"), AGGREGATES, "aggregate")
    _check_verifiers(unit, strategy, verifiers)
    accepted = _signature(strategy.solve)
    try:
        accepted.bind(None, None, None, **options)
    except TypeError as error:
        allowed = list(accepted.parameters)[3:]
        raise DataError(
            f"{unit.strategy} with parameters {options} ({error})", ", ".join(allowed), "mend parameters"
        ) from error
    temperature = unit.parameters.get("temperature", 1)
    if type(temperature) not in (int, float) or not temperature >= 0:
        raise DataError(f"{unit.strategy} with temperature {temperature!r}", "a number >= 0", "mend temperature")
    if unit.budget != (budget := strategy.budget(options)):
        raise DataError(
            f"{unit.strategy} with {options} has budget {unit.budget}", f"{budget} samples", "mend the budget"
        )


_signature = cache(inspect.signature)


def _check_verifiers(unit: Unit, strategy: Strategy, verifiers: Mapping[str, Verifier]) -> None:
    given = unit.parameters.get("verifier")
    if strategy.verifier == "guides":  # only one can, and what that one reads is part of its price
        _one_of(given, verifiers, f"verifier of {unit.strategy}")
    if strategy.verifier == "none" and given is not None:
        raise DataError(f"{unit.strategy} with verifier {given!r}", "none: it takes none", "drop verifier")
    names = unit.verifiers
    for name in names:
        _one_of(name, verifiers, f"verifier of {unit.strategy}")
    if given is not None and len(set(names)) < max(1, len(names)):
        raise DataError(
            f"{unit.strategy} with verifier {given!r}", "different verifiers, one or more", "mend verifier"
        )


def _options(unit: Unit) -> dict[str, Any]:
    """The parameters that are the strategy's own."""
    return {k: v for k, v in unit.parameters.items() if k not in ("verifier", "temperature")}


@contextmanager
def sole_collector(store: Path) -> Iterator[None]:
    """Hold a store for this process: a lock on a side file, which the system frees however the process ends.

    Raises DataError where another holds it. A POSIX lock, not flock: a worker process forked meanwhile would
    inherit that, and keep the store where its parent is killed.
    """
    side = store.resolve().with_name(f"{store.name}.lock")
    with ExitStack() as held:
        try:
            if side in _collecting:  # a process never conflicts with its own POSIX locks, and closing frees them
                raise BlockingIOError("this process collects to it")
            file = held.enter_context(side.open("a"))
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(
                f"{store} cannot be locked ({error})",
                "a store in a folder that can be written, and that no other collector holds",
                "wait for the other collector, stop it, or give another store",
            ) from error
        _collecting.add(side)
        held.callback(_collecting.discard, side)
        yield


@contextmanager
def _seldom_swept() -> Iterator[None]:
    """Python looks for cyclic garbage less often meanwhile.

    What is in flight is young and alive, and gone through each time: of the CPU seconds over HTTP that is 19 %
    with 64 requests in flight, and 30 % with 1,024. Memory stays the same.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _SWEPT) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _one_of(value: object, allowed: Sequence[str] | Mapping[str, object], name: str) -> None:
    if not isinstance(value, str) or value not in allowed:
        some = ", ".join(list(allowed)[:9]) or "none: there are none"
        raise DataError(f"{name} {value!r}", f"one of {some}", "mend the unit, or give what it names")
