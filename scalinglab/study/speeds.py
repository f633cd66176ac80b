"""How fast the models of a study are here, and the hours that all of it would take at that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scalinglab.collect import Engine, Task, Verifier, check
from scalinglab.collect.recording import together
from scalinglab.collect.run import solve
from scalinglab.samples import Call, Plan, Unit
from scalinglab.study.plan import middle_of
from scalinglab.study.rates import Rate, generating, verifying
from scalinglab.study.running import Starting, Tell, asked, groups, opened
from scalinglab.study.settings import Study

_WORK = {"token": "score", "reward": "reward", "judge": "judge"}
"""What each kind of verifier asks of its model; one from outside asks what it likes."""


@dataclass
class Speeds:
    """rates: of each model and work. wanted: the tokens that the study takes of each, as rates count them."""

    rates: list[Rate] = field(default_factory=list)
    wanted: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def hours(self) -> float | None:
        """Hours of the study, one model's work after the other's; None where a rate is unknown."""
        speeds = {(rate.model, rate.work): rate.tokens_per_second for rate in self.rates}
        seconds = 0.0
        for key, tokens in self.wanted.items():
            speed = speeds.get(key)
            if speed is None:
                return None
            seconds += tokens / speed
        return seconds / 3600 if self.wanted else None

    async def measure(
        self,
        study: Study,
        task: Task,
        plan: Plan,
        *,
        seconds: float,
        starting: Starting | None,
        tell: Tell,
    ) -> None:
        """Let each model do its work for some seconds, then every cell on one problem, which stands for all.

        What was measured stays where an engine fails. Raises EngineError then.
        """
        middle = middle_of(plan, task)
        for group in groups(study, [unit for unit in plan.units() if unit.problem == middle]):
            async with opened(study, task, group, starting, tell) as (engines, verifiers):
                await asked(engines, tell)
                for unit in group:
                    check(unit, engines, verifiers, task)
                await self._rate(study, task, group, engines, verifiers, seconds)
                made = await together(solve(unit, engines, verifiers, task) for unit in group)
                for unit, (calls, _) in zip(group, made, strict=True):
                    self.wanted.update(_tokens(study, unit, calls, len(plan.problems)))

    async def _rate(
        self,
        study: Study,
        task: Task,
        group: Sequence[Unit],
        engines: Mapping[str, Engine],
        verifiers: Mapping[str, Verifier],
        seconds: float,
    ) -> None:
        """One model after the other, each alone: the policies first, whose texts the verifiers then read."""
        known, texts = {(rate.model, rate.work) for rate in self.rates}, list[str]()
        for name in dict.fromkeys(unit.model for unit in group):
            if (name, "generate") not in known:
                made = generating(engines[name], task, texts, seconds=seconds, in_flight=study.in_flight)
                self.rates.append(await made)
        for (model, work), name in _asking(study, verifiers).items():
            if (model, work) not in known:
                one = verifiers[name], work, model, task, texts
                self.rates.append(await verifying(*one, seconds=seconds, in_flight=study.in_flight))


def _asking(study: Study, names: Iterable[str]) -> dict[tuple[str, str], str]:
    """A verifier for each model that verifies and what it is asked."""
    chosen = [study.verifiers[name] for name in names]
    return {(one.model, _WORK.get(one.kind, one.kind)): one.name for one in chosen if one.model is not None}


def _tokens(study: Study, unit: Unit, calls: Sequence[Call], problems: int) -> Counter[tuple[str, str]]:
    """The tokens that one unit took, by model and work, times the problems."""
    asked = dict(_asking(study, [study.verifiers[name].of or name for name in unit.verifiers]).keys())
    found = Counter[tuple[str, str]]()
    for call in calls:
        verifies = call.role == "verifier"
        tokens = call.generated_tokens or (call.prompt_tokens if verifies else 0)
        found[call.model, asked[call.model] if verifies else "generate"] += (tokens or 0) * problems
    return found
