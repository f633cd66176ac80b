"""Finished units on their way to the store: committed together, a moment after they are done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

from scalinglab.samples import Call, RunStore, Solution, Unit

Done = tuple[Unit, Sequence[Call], Sequence[Solution]]
_MOST, _LONGEST, _SHARE = 50, 1.0, 0.1


class Journal:
    """Writes finished units to a store, several in a transaction where they come faster than a disk writes.

    A unit is written as soon as it is done, unless the last transaction is so recent that they would take more
    than a tenth of the time; then it waits for that long, but never for more than a second, nor with 50 of
    them. What waits is lost in a kill or a crash, and done again by the next run; what ``told`` has heard of is
    on disk, and no failure of power loses it. ``flush`` at the end, however it ends.
    """

    def __init__(self, store: RunStore, told: Callable[[Done], None]) -> None:
        self._store, self._told = store, told
        self._waiting: list[Done] = []
        self._more, self._ended = asyncio.Event(), False
        self._next = 0.0

    def append(self, unit: Unit, calls: Sequence[Call], solutions: Sequence[Solution]) -> None:
        """Take a finished unit. Raises DataError where the store cannot be written."""
        self._waiting.append((unit, calls, solutions))
        self._more.set()
        if len(self._waiting) >= _MOST:
            self.flush()

    def flush(self) -> None:
        """Write all that waits, and tell of it. Raises DataError where the store cannot be written."""
        units, self._waiting = self._waiting, []
        self._more.clear()
        if not units:
            return
        begun = monotonic()
        self._store.extend(units)
        now = monotonic()
        self._next = now + min(_LONGEST, (now - begun) / _SHARE)
        for one in units:
            self._told(one)

    def end(self) -> None:
        """No unit will follow."""
        self._ended = True
        self._more.set()

    async def keep(self) -> None:
        """Write what is appended meanwhile, each in its time, until the end."""
        while not self._ended:
            await self._more.wait()
            if not self._ended:
                await asyncio.sleep(max(0.0, self._next - monotonic()))
            self.flush()
