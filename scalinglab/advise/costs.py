"""What an option takes beside FLOPs: seconds of GPUs, seconds until an answer, dollars of GPUs and of a server."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from scalinglab.advise.gpus import Gpus
from scalinglab.advise.hardware import Work, query_seconds
from scalinglab.advise.prices import Rates, dollars
from scalinglab.advise.recommended import Option
from scalinglab.advise.work import Works
from scalinglab.curves import Arms, Ints, Line
from scalinglab.errors import DataError, SpecError
from scalinglab.evidence import Evidence

_DAY, _HOUR = 86_400.0, 3600.0


@dataclass(frozen=True)
class Hardware:
    """The GPUs that answer, the sequences that decode together on each replica, and dollars an hour of one GPU."""

    gpus: Gpus
    batch: int = 64
    hourly: float | None = None

    def __post_init__(self) -> None:
        if self.hourly is not None and not 0 <= self.hourly < math.inf:
            raise DataError(f"a price of {self.hourly}", "dollars an hour, 0 or more", "mend the price")


@dataclass(frozen=True)
class Cost:
    """An option in seconds and dollars; what cannot be said is None, and ``why`` says why.

    seconds: of GPU a query, and by model; split: the fewest GPUs that hold each model. latency: seconds until the
    last answer of a query, of the part of the plan that takes longest. total_seconds: of GPU for all queries;
    training_seconds: at the GPU's peak. days: until all queries are answered, the models taking turns on all the
    GPUs. dollars: of all those seconds at the price of a GPU; None without one. All are lower bounds: a roofline,
    at peak and full bandwidth. served, served_total: dollars a query and for all queries at a server's prices of
    tokens, which nobody's training is part of; None without prices.
    """

    model: str
    strategy: str
    plan: str
    gpus: str
    batch: int
    seconds: float | None = None
    by_model: dict[str, float] = field(default_factory=dict)
    split: dict[str, int] = field(default_factory=dict)
    latency: float | None = None
    total_seconds: float | None = None
    training_seconds: float | None = None
    days: float | None = None
    dollars: float | None = None
    served: float | None = None
    served_total: float | None = None
    why: str = ""


def costs_on(
    options: Iterable[Option],
    arms: Arms,
    evidence: Evidence,
    hardware: Hardware,
    *,
    queries: float,
    prices: Mapping[str, Rates] | None = None,
) -> list[Cost]:
    """Each option's seconds and dollars in BF16, from the tokens that its parts were measured to read and write.

    Raises DataError for prices of models that are not in the data.
    """
    works, priced = Works(arms, evidence), prices or {}
    unknown = sorted(set(priced) - {*evidence.models(), *filter(None, evidence.verifiers.values())})
    if unknown:
        raise DataError(
            f"prices of {', '.join(unknown)}", f"of {', '.join(evidence.models())}", "name models as the data do"
        )
    return [_cost(option, works, hardware, queries, priced) for option in options]


def _cost(option: Option, works: Works, hardware: Hardware, queries: float, prices: Mapping[str, Rates]) -> Cost:
    parts = [(part.share, works.of(part.way, part.k)) for part in option.parts]
    said: list[str] = []
    found: dict[str, Any] = {}
    try:
        found = _seconds(parts, works.evidence, hardware, option.training, queries)
    except (SpecError, DataError) as error:  # of a model of unknown shape, or that does not fit
        said.append(f"seconds unknown: {error}")
    if found and found["latency"] is None:
        said.append("latency unknown: no calls say how many tokens of a search follow one another")
    if prices:
        bills = [(share, dollars(of, prices)) for share, of in parts]
        each = [None if bill is None else share * bill for share, (bill, _) in bills]
        said += dict.fromkeys(text for _, (_, text) in bills if text)
        served = None if None in each else sum(filter(None, each))
        found |= {"served": served, "served_total": None if served is None else queries * served}
    gpus, why = str(hardware.gpus), "; ".join(said)
    return Cost(option.model, option.strategy, option.plan(), gpus, hardware.batch, why=why, **found)


def _seconds(
    parts: list[tuple[float, list[Work]]], evidence: Evidence, hardware: Hardware, training: float, queries: float
) -> dict[str, Any]:
    by_model: dict[str, float] = {}
    split: dict[str, int] = {}
    for share, works in parts:
        for work in works:
            found = query_seconds(evidence.spec(work.model), hardware.gpus, work, batch=hardware.batch)
            by_model[work.model] = by_model.get(work.model, 0.0) + share * found.gpu
            split[work.model] = max(split.get(work.model, 1), found.split)
    waits = [waited(works, evidence, hardware) for _, works in parts]
    seconds = sum(by_model.values())
    trained, total = training / hardware.gpus.gpu.peak, queries * seconds
    bill = None if hardware.hourly is None else (total + trained) / _HOUR * hardware.hourly
    return {
        "seconds": seconds, "by_model": by_model, "split": split,
        "latency": None if None in waits else max(filter(None, waits), default=0.0),
        "total_seconds": total, "training_seconds": trained, "days": total / hardware.gpus.count / _DAY,
        "dollars": bill,
    }  # fmt: skip


def waited(works: Iterable[Work], evidence: Evidence, hardware: Hardware) -> float | None:
    """Seconds until a query is answered, its models one after another; None where no calls say.

    Raises SpecError for a model of unknown shape, DataError for one that does not fit.
    """
    each = [query_seconds(evidence.spec(w.model), hardware.gpus, w, batch=hardware.batch).waited for w in works]
    return None if None in each else sum(filter(None, each))


@dataclass
class Waiting:
    """Which budgets of a line answer within ``limit`` seconds; ``left_out`` gathers whose seconds are unknown."""

    works: Works
    hardware: Hardware
    limit: float
    left_out: dict[str, str] = field(default_factory=dict)

    def __call__(self, line: Line, budgets: Ints) -> npt.NDArray[np.bool_]:
        return np.array([self._soon(line, float(k)) for k in budgets], dtype=np.bool_)

    def _soon(self, line: Line, k: float) -> bool:
        try:
            found = waited(self.works.of(line.way, k), self.works.evidence, self.hardware)
        except (SpecError, DataError) as error:
            self.left_out[line.models[0]] = str(error)
            return False
        if found is None:
            self.left_out[line.label] = "no calls say how many of its tokens follow one another"
        return found is not None and found <= self.limit


def waiting(arms: Arms, evidence: Evidence, hardware: Hardware, limit: float) -> Waiting:
    """What ``advise`` takes as ``within`` to limit the seconds of an answer. Raises DataError for none above 0."""
    if not (math.isfinite(limit) and limit > 0):
        raise DataError(f"a latency of {limit} seconds", "a number above 0", "mend --latency")
    return Waiting(Works(arms, evidence), hardware, limit)
