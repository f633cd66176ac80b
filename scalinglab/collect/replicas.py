"""Which of several copies of a model a request goes to: a problem's all to one, whose prefix cache holds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Replicas:
    """Keeps each problem with the replica that was the least loaded at its first request."""

    def __init__(self, count: int) -> None:
        self._loads = [0] * count
        self._problems = [0] * count
        self._homes: dict[str, int] = {}

    @contextmanager
    def serving(self, problem: str) -> Iterator[int]:
        """The number, from 0, of the replica that serves a request, which is counted as its load meanwhile.

        Of replicas with equal loads the one with the fewest problems. A request about no problem ("") goes to the
        least loaded.
        """
        home = self._home(problem)
        self._loads[home] += 1
        try:
            yield home
        finally:
            self._loads[home] -= 1

    def _home(self, problem: str) -> int:
        if problem in self._homes:
            return self._homes[problem]
        least = min(range(len(self._loads)), key=lambda i: (self._loads[i], self._problems[i]))
        if problem:
            self._homes[problem] = least
            self._problems[least] += 1
        return least
