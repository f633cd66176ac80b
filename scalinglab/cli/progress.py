"""How far a run is, live on stderr, and what its engines say meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from scalinglab.errors import DataError

if TYPE_CHECKING:
    from scalinglab.collect import Progress
    from scalinglab.specs import ModelSpec

_PRICE_EVERY = 5.0
"""Seconds between two pricings of what was recorded meanwhile."""


def starting(model: str) -> None:
    """Say on stderr which engine is started, or which server is asked what it is."""
    print(f"scalinglab: starting {model}", file=sys.stderr)


def tell(line: str) -> None:
    """Say a line on stderr."""
    print(f"scalinglab: {line}", file=sys.stderr)


class Bar:
    """Live on stderr: samples (the units' budgets) done of all, units, tokens/s, FLOPs by role, time left.

    It stands from the moment at which the engines are up; lines are said above it.
    """

    def __init__(self, folder: Path, rule: str) -> None:
        self.folder, self.rule = folder, rule
        self.specs: dict[str, ModelSpec] = {}
        self.bar: Any = None
        self.new: list[Any] = []
        self.flops: dict[str, int] = {}
        self.tokens, self.samples = 0, 0
        self.start = self.priced = monotonic()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            if self.samples:
                self._price()
            self.bar.close()

    def __call__(self, progress: Progress) -> None:
        self.tokens += sum(call.generated_tokens or 0 for call in progress.calls)
        self.samples += len(progress.solutions)
        self.new.append((progress.unit, progress.calls, progress.solutions))
        if monotonic() - self.priced > _PRICE_EVERY:
            self._price()
        self.bar.update()

    def working(self, done: int, total: int) -> None:
        """Units are begun: so many are done of all."""
        from scalinglab.evidence import plan_specs

        if self.bar is not None:
            return
        try:
            from tqdm import tqdm
        except ImportError as error:
            raise DataError(
                "tqdm is not installed", "it for the progress display", "pip install 'scalinglab[collect]'"
            ) from error
        self.start, self.specs = monotonic(), plan_specs(self.folder)
        form = "{n_fmt}/{total_fmt} units {percentage:3.0f}%|{bar:20}| {elapsed}<{remaining}{postfix}"
        often = 0.5 if sys.stderr.isatty() else 30
        self.bar = tqdm(total=total, initial=done, bar_format=form, mininterval=often)
        self.bar.set_postfix_str("waiting for the first answer")

    def tell(self, line: str) -> None:
        """Say a line, above the bar where there is one."""
        if self.bar is None:
            return tell(line)
        self.bar.write(f"scalinglab: {line}", file=sys.stderr)
        return None

    def _price(self) -> None:
        from scalinglab.flops import convention
        from scalinglab.study import frames, roles

        self.priced = monotonic()
        if self.new:
            for row in roles(frames(self.new), self.specs, convention(self.rule)):
                self.flops[row["role"]] = self.flops.get(row["role"], 0) + (row["flops"] or 0)
        self.new = []
        rate = self.tokens / max(1e-9, self.priced - self.start)
        spent = ", ".join(f"{role} {flops:.2g}" for role, flops in self.flops.items())
        self.bar.set_postfix_str(f"{self.samples} samples, {rate:,.0f} tokens/s, FLOPs: {spent}", refresh=False)
