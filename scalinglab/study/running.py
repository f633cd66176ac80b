"""A study run: engines opened, units collected into a folder, the same command goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from scalinglab.collect import (
    About,
    BenchmarkTask,
    Engine,
    ExactVerifier,
    JudgeVerifier,
    NoisyVerifier,
    Progress,
    Recorder,
    RewardVerifier,
    Task,
    TokenVerifier,
    Verifier,
    check,
    collect,
)
from scalinglab.collect.opening import Served, open_engine
from scalinglab.collect.recording import together
from scalinglab.collect.run import solve
from scalinglab.collect.watching import watched
from scalinglab.errors import DataError
from scalinglab.outside import imported
from scalinglab.samples import Plan, Unit, write_references
from scalinglab.study.cast import POLICIES, ModelSettings, exposed, key_of
from scalinglab.study.folder import begun, held, note
from scalinglab.study.plan import Probe, Sent, located, middle_of, plan_of
from scalinglab.study.settings import Study, VerifierSettings
from scalinglab.study.task import opened_task

Report = Callable[[Progress], None]
Starting = Callable[[str], None]
"""Told the name of each model before its engine is started, which takes a while."""
Working = Callable[[int, int], None]
"""Told how many units are done, and of how many, when the engines are up and the next are begun."""
Tell = Callable[[str], None]
"""Told in a line what a user must know while it runs."""


async def run_study(
    study: Study,
    out: str | Path,
    *,
    progress: Report | None = None,
    starting: Starting | None = None,
    working: Working | None = None,
    tell: Tell | None = None,
    stop: asyncio.Event | None = None,
) -> Plan:
    """Do what is left of a study, in ``out``; returns its plan. Once ``stop`` is set, no unit is begun.

    The folder holds the store, study.toml, the plan, from which others read what was run and its specs, the
    engines and machines that did it, and the right answers of a benchmark.
    Nothing that is done is lost however this ends: the same call goes on. Raises DataError for a study or a
    folder that cannot be, or that another collector holds, EngineError where an engine fails for good.
    """
    out, tell = Path(out), tell or silent
    before = begun(out)
    with opened_task(study, wording=before.wording if before else None, tell=tell) as task:
        plan = plan_of(study, task)
        if before is None:  # there may be no folder, and shall be none where a key is missing
            for name in plan.asked_models:
                key_of(study.models[name])
        with held(study, plan, out) as store:
            if isinstance(task, BenchmarkTask):
                write_references(out, {(task.name, p.id): p.answer for p in task.problems.values()})
            known, units = store.done(), list(plan.units())
            finished = sum(unit.key in known for unit in units)
            for group in groups(study, units):
                left = [unit for unit in group if unit.key not in known]
                if not left or (stop is not None and stop.is_set()):
                    continue
                report = _shifted(progress, finished, len(units))
                async with opened(study, task, left, starting, tell) as (engines, verifiers):
                    note(out, await asked(engines, tell))
                    if working is not None:
                        working(finished, len(units))
                    finished += len(left)
                    work = left, engines, verifiers, task, store
                    await collect(
                        *work, in_flight=study.in_flight, progress=report, stop=stop, tell=tell, held=True
                    )
    return plan


async def probe_study(study: Study, *, starting: Starting | None = None, tell: Tell | None = None) -> Probe:
    """Do every cell of a study on one problem, of middle length; nothing is written. Raises as ``run_study``."""
    tell = tell or silent
    with opened_task(study) as task:
        plan = plan_of(study, task)
        middle = middle_of(plan, task)
        units = [unit for unit in plan.units() if unit.problem == middle]
        done, seconds, prompts, abouts = [], 0.0, dict[str, str](), dict[str, About]()
        for group in groups(study, units):
            async with opened(study, task, group, starting, tell) as (engines, verifiers):
                abouts |= await asked(engines, tell)
                for unit in group:
                    check(unit, engines, verifiers, task)
                start = perf_counter()
                recorders = [Recorder(unit) for unit in group]
                pairs = zip(group, recorders, strict=True)
                heard = watched(verifiers, None, tell)
                made = await together(solve(unit, engines, heard, task, one) for unit, one in pairs)
                seconds += perf_counter() - start
                done += [(unit, *one) for unit, one in zip(group, made, strict=True)]
                for recorder in recorders:
                    prompts = recorder.prompts() | prompts
    sent = [Sent(name, prompts[name], study.models[name].api, abouts[name].begins) for name in prompts]
    return Probe(plan, done, seconds, sent)


async def asked(engines: Mapping[str, Engine], tell: Tell) -> dict[str, About]:
    """What each engine says of itself, before the first unit. Raises EngineError where one has not its model."""
    abouts = dict(zip(engines, await together(one.about() for one in engines.values()), strict=True))
    for name, about in abouts.items():
        for line in about.notes:
            tell(f"{name}: {line}")
    return abouts


def silent(line: str) -> None:
    """Nobody listens."""


def groups(study: Study, units: Sequence[Unit]) -> list[list[Unit]]:
    """The units that run while the same engines are open: all, or those of one policy."""
    if study.side_by_side:
        return [list(units)]
    return [[unit for unit in units if unit.model == name] for name in dict.fromkeys(unit.model for unit in units)]


def _shifted(progress: Report | None, before: int, total: int) -> Report | None:
    """Counts of the whole study, where a collection knows only its own units."""
    if progress is None:
        return None
    done = before

    def report(one: Progress) -> None:
        nonlocal done
        done += 1
        progress(Progress(one.unit, one.calls, one.solutions, done, total))

    return report


@asynccontextmanager
async def opened(
    study: Study, task: Task, units: Sequence[Unit], starting: Starting | None, tell: Tell
) -> AsyncIterator[tuple[dict[str, Engine], dict[str, Verifier]]]:
    """The engines and verifiers that units need, closed at the end."""
    wanted = {name for unit in units for name in unit.verifiers}
    settings = {name: study.verifiers[name] for name in study.verifiers if name in wanted}
    settings |= {one.of: study.verifiers[one.of] for one in list(settings.values()) if one.of is not None}
    named = dict.fromkeys([*(u.model for u in units), *(one.model for one in settings.values() if one.model)])
    here = sum(not study.models[name].url for name in named)
    async with AsyncExitStack() as stack:
        engines: dict[str, Engine] = {}
        for name in named:
            if starting is not None:
                starting(name)
            await asyncio.sleep(0)  # starting one blocks the loop: a Ctrl-C is heard between two
            pooling = any(one.model == name and one.kind == "reward" for one in settings.values())
            engines[name] = await _open(study, study.models[name], pooling=pooling, engines=here, tell=tell)
            stack.push_async_callback(engines[name].close)
        verifiers: dict[str, Verifier] = {}
        for one in sorted(settings.values(), key=lambda one: one.kind == "noisy"):
            verifiers[one.name] = _verifier(one, engines, verifiers, task)
        yield engines, verifiers


async def _open(study: Study, model: ModelSettings, *, pooling: bool, engines: int, tell: Tell) -> Engine:
    at = located(model, study.folder)
    if not model.url and at.startswith((".", "/")) and not Path(at).exists():
        raise DataError(
            f"{model.name}: no model in {study.folder / at}",
            "a folder relative to the study's, or a name of a hub",
            "train or fetch it, or mend its model",
        )
    if (shown := exposed(model)) is not None:
        tell(shown)
    served = Served(
        model.url,
        model.served or at,
        api=model.api,
        server=model.server,
        replicas=model.replicas,
        answers_as=model.answers_as,
        extra=model.extra,
        key=key_of(model),
        requests=study.requests,
        timeout=study.timeout,
    )
    return await open_engine(
        at,
        name=model.name,
        served=served if model.url else None,
        settings=_engine(study, model),
        pooling=pooling,
        engines=engines,
        tell=tell,
    )


def _engine(study: Study, model: ModelSettings) -> Mapping[str, Any]:
    """What the study says of engines that holds for this model: one that drafts cannot verify."""
    given = study.engine or {}
    return {key: given[key] for key in given if key != "speculative_config" or model.name in POLICIES}


def _verifier(
    settings: VerifierSettings, engines: Mapping[str, Engine], known: Mapping[str, Verifier], task: Task
) -> Verifier:
    if settings.kind == "noisy":
        return NoisyVerifier(known[str(settings.of)], settings.flips)
    if settings.kind == "exact":
        exact = getattr(task, "check", None)
        if exact is None:
            raise DataError(
                f"verifier {settings.name} of kind exact for {task.name}",
                "a task whose steps can be checked",
                "use a model as the verifier",
            )
        return ExactVerifier(exact)
    if ":" in settings.kind:
        return _made(settings, None if settings.model is None else engines[settings.model], task)
    engine, ask = engines[str(settings.model)], settings.template or task.verifier_prompt
    if settings.kind == "judge":
        return JudgeVerifier(engine, ask, **settings.options)
    if settings.kind == "reward":
        return RewardVerifier(engine, ask, outcome=settings.outcome, logits=settings.logits, label=settings.label)
    return TokenVerifier(engine, ask, good=settings.good, bad=settings.bad)


def _made(settings: VerifierSettings, engine: Engine | None, task: Task) -> Verifier:
    """A verifier from outside the package."""
    make = imported(settings.kind, "verifier")
    try:
        made: Verifier = make(engine, task, **settings.options)
    except Exception as error:  # a function from outside may raise what it likes
        raise DataError(
            f"verifier {settings.name}: {settings.kind} fails ({' '.join(str(error).split())})",
            "keys that it takes",
            f"mend verifiers.{settings.name}",
        ) from error
    return made
