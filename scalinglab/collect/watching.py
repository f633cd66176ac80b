"""Verifiers whose word for it that they cannot read a solution is taken once they have read another."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial

from scalinglab.collect.recording import Place, Recorder
from scalinglab.collect.task import Problem
from scalinglab.collect.verifiers import Verifier
from scalinglab.errors import EngineError, UnreadError
from scalinglab.samples import RunStore

_ROWS = 10_000


class Watched:
    """A verifier that has read a solution, or is not known to: its settings may be why it cannot read one.

    read: whether it had read one before, asked where that matters. tell: told in a line of the first that it
    cannot read.
    """

    def __init__(self, inner: Verifier, read: Callable[[], bool], tell: Callable[[str], None] | None) -> None:
        self._inner, self._tell, self._before = inner, tell, read
        self._read: bool | None = None

    async def score(
        self, problem: Problem, steps: Sequence[str], *, recorder: Recorder, place: Place, every: bool = False
    ) -> tuple[float, ...]:
        """As the verifier does. Raises UnreadError only where it has read a solution, else EngineError."""
        try:
            scores = await self._inner.score(problem, steps, recorder=recorder, place=place, every=every)
        except UnreadError as error:
            self._read = self._before() if self._read is None else self._read
            if not self._read:
                raise EngineError(*error.args) from error
            if self._tell is not None:
                self._tell(f"problem {problem.id!r} has a solution that is not scored: {error.args[0]}")
                self._tell = None
            raise
        self._read = True
        return scores


def watched(
    verifiers: Mapping[str, Verifier], store: RunStore | None, tell: Callable[[str], None] | None
) -> dict[str, Verifier]:
    """The verifiers of a run by name; what they had read before is in its store."""

    def read(name: str) -> bool:
        return store is not None and has_read(store, name)

    return {name: Watched(one, partial(read, name), tell) for name, one in verifiers.items()}


def has_read(store: RunStore, verifier: str) -> bool:
    """Whether it gave any solution a score above 0: one without a step has 0, and was not read."""
    with closing(store.parts(_ROWS)) as parts:
        for part in parts:
            names = part.units.set_index("key")["verifiers"]
            made = part.solutions[["unit", "scores", "other_scores"]].itertuples(index=False)
            for unit, own, others in made:
                if any(own if names[unit][:1] == (verifier,) else json.loads(others).get(verifier, ())):
                    return True
    return False
