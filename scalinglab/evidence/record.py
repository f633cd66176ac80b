"""The evidence record: counts or samples of several models on the same problems, with its cast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import pandas as pd

from scalinglab.collect.strategies import known
from scalinglab.errors import DataError
from scalinglab.evidence.specs import find_spec
from scalinglab.ledger import Tuning
from scalinglab.names import Shown
from scalinglab.samples import Run, Unreported
from scalinglab.samples.options import with_options
from scalinglab.specs import ModelSpec

SAMPLED = ("parallel", "greedy")
"""How a model's own answers are drawn."""
UNNAMED = ("", "table")
"""Tasks of tables that name none."""


@dataclass(frozen=True)
class Tokens:
    """Tokens that a sample is taken to read and write where none are recorded."""

    prompt: int = 256
    generated: int = 256


@dataclass(frozen=True)
class Evidence(Shown):
    """Who answered which problem, how, right or not, and with what tokens, with its cast.

    source: what it was read from. run: what was sampled (see ``samples.Run``); None for a table of counts.
    counts: one row a model and problem, with n and correct; None for a run. small, large: the two models that
    are compared; None where neither roles nor names say. verifiers: the model behind each verifier's name, None
    behind the exact checker. specs: by model. lacking: models without a spec. tuning: of verifiers and revisers,
    where it is known. tokens: what a sample is taken to read and write where nothing is recorded.
    unreported: counts of recorded calls that nobody reported, and what stands for them in run. told: what reading
    it left open. names: what models are called, by their name in the data, where a plan says so.
    """

    source: str
    run: Run | None
    counts: pd.DataFrame | None
    small: str | None = None
    large: str | None = None
    verifiers: Mapping[str, str | None] = field(default_factory=dict)
    specs: Mapping[str, ModelSpec] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    tuning: tuple[Tuning, ...] = ()
    tokens: Tokens = Tokens()
    unreported: tuple[Unreported, ...] = ()
    told: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        frame, what = (self.counts, "counts") if self.run is None else (self.run.units, "samples")
        assert frame is not None
        asked = f"{frame['problem'].nunique():,} problems of {', '.join(filter(None, self.tasks())) or 'one task'}"
        lacking = f"; no spec of {', '.join(self.lacking)}" if self.lacking else ""
        return (
            f"Evidence({self.source}: {what} of {len(self.models())} models on {asked},\n"
            f"  small {self.small or 'unknown'}, large {self.large or 'unknown'},\n"
            f"  verifiers {', '.join(self.verifiers) or 'none'}{lacking})"
        )

    def tasks(self) -> list[str]:
        """The tasks whose problems were asked; one, without a name, where nothing tells them apart."""
        frame = self.counts if self.run is None else self.run.units
        assert frame is not None
        return sorted(map(str, frame["task"].unique())) if "task" in frame else [""]

    def task(self) -> str:
        """The one task that the evidence names; "" of none, and of several."""
        named = [name for name in self.tasks() if name not in UNNAMED]
        return named[0] if len(named) == 1 else ""

    def called(self, model: str) -> str:
        """What a model of the data is called: what stands behind "small" in a study's plan."""
        return self.names.get(model, model)

    def of_task(self, task: str) -> Evidence:
        """The evidence on one of several tasks. Raises DataError for an unknown one."""
        if task not in self.tasks():
            raise DataError(f"no task {task!r}", f"one of {', '.join(self.tasks())}", "name a task of the data")
        if self.run is None:
            assert self.counts is not None
            mine = self.counts[self.counts["task"] == task] if "task" in self.counts else self.counts
            return replace(self, counts=mine.reset_index(drop=True))
        unreported = tuple(one for one in self.unreported if one.task == task)
        return replace(self._of_units(self.run, self.run.units["task"] == task), unreported=unreported)

    def of_problems(self, problems: Iterable[str]) -> Evidence:
        """The evidence on some of the problems."""
        wanted = set(problems)
        if self.run is None:
            assert self.counts is not None
            return replace(self, counts=self.counts[self.counts["problem"].isin(wanted)].reset_index(drop=True))
        return self._of_units(self.run, self.run.units["problem"].isin(wanted))

    def of_models(self, models: Iterable[str]) -> Evidence:
        """What some of the models of a run answered."""
        assert self.run is not None
        return self._of_units(self.run, self.run.units["model"].isin(set(models)))

    def unverified(self) -> Evidence:
        """What was answered in a run with no verifier at work."""
        assert self.run is not None
        return self._of_units(self.run, with_options(self.run.units)["verifiers"].map(len) == 0)

    def _of_units(self, run: Run, chosen: pd.Series) -> Evidence:
        units = run.units[chosen].reset_index(drop=True)
        kept = (frame[frame["unit"].isin(units["key"])] for frame in (run.calls, run.solutions))
        return replace(self, run=Run(units, *(frame.reset_index(drop=True) for frame in kept)))

    def models(self) -> list[str]:
        """The models that answered, by name."""
        frame = self.counts if self.run is None else self.run.units
        assert frame is not None
        return sorted(map(str, frame["model"].unique()))

    def known(self, model: str) -> str:
        """The model's name. Raises DataError where it answered nothing."""
        if model not in self.models():
            raise DataError(
                f"no samples of model {model!r}", f"one of {', '.join(self.models())}", "name a model of the data"
            )
        return model

    @cached_property
    def counted(self) -> Mapping[str, pd.DataFrame]:
        """The counts of each model."""
        return (
            {} if self.counts is None else {str(m): rows for m, rows in self.counts.groupby("model", sort=False)}
        )

    def pair(self) -> tuple[str, str]:
        """The small and the large model. Raises DataError where one is not named, or one is both."""
        for name, option in ((self.small, "small"), (self.large, "large")):
            if name is None:
                known = ", ".join(self.models())
                raise DataError(f"no {option} model named", f"one of {known}", f"name it with --{option}")
        assert self.small is not None
        assert self.large is not None
        if self.small == self.large:
            raise DataError(f"{self.small} as the small and the large model", "two models", "name another")
        return self.small, self.large

    def revisers(self) -> tuple[str, ...]:
        """The models that revise the small one's answers."""
        if self.run is None:
            return ()
        units = self.run.units
        return tuple(sorted(map(str, units.loc[units["role"] == "reviser", "model"].unique())))

    def helpers(self) -> tuple[str, ...]:
        """The small model, its revisers and every verifier that is a model."""
        judges = sorted(model for model in set(self.verifiers.values()) if model is not None)
        return (self.pair()[0], *self.revisers(), *judges)

    def written(self) -> float:
        """Generated tokens of one sample of the small model: recorded, or taken to be."""
        small, _ = self.pair()
        if self.run is None:
            return float(self.tokens.generated)
        units, calls = self.run.units, self.run.calls
        own = units[units["model"] == small]
        for strategy in (*SAMPLED, *own["strategy"].unique()):
            keys = own.loc[own["strategy"] == strategy, "key"]
            made = calls[calls["unit"].isin(keys) & (calls["role"] != "verifier")]
            solved = int(self.run.solutions["unit"].isin(keys).sum())
            if not (strategy in SAMPLED or known(strategy).draws):  # of these a budget says how many samples it is
                solved = int(own.loc[own["strategy"] == strategy, "budget"].sum())
            if solved and made["generated_tokens"].sum():
                return float(made["generated_tokens"].sum()) / solved
        return float(self.tokens.generated)

    def spec(self, model: str) -> ModelSpec:
        """What prices a model. Raises SpecError where nothing does."""
        return find_spec(model, self.specs)

    def tokens_of(self, model: str) -> Tokens:
        """Mean tokens that one answer of a model reads and writes: recorded, or taken to be."""
        if model not in self._read:
            self._read[model] = self._tokens_of(model)
        return self._read[model]

    @cached_property
    def _read(self) -> dict[str, Tokens]:
        return {}

    def _tokens_of(self, model: str) -> Tokens:
        if self.run is None or not self.recorded(model):
            return self.tokens
        units = self.run.units
        mine = units["model"] == model
        sampled = mine & units["strategy"].isin(SAMPLED)
        keys = units.loc[sampled if sampled.any() else mine, "key"]
        calls = self.run.calls
        own = calls[calls["unit"].isin(keys) & (calls["role"] != "verifier")]
        return Tokens(round(float(own["question_tokens"].mean())), round(float(own["generated_tokens"].mean())))

    def recorded(self, model: str) -> bool:
        """Whether the calls of a model's answers are recorded, and so its tokens."""
        return model in self._answering

    @cached_property
    def _answering(self) -> frozenset[str]:
        """The models whose answers have recorded calls."""
        if self.run is None:
            return frozenset()
        calls = self.run.calls
        return frozenset(calls.loc[calls["role"] != "verifier", "model"].unique())
