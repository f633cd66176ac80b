"""What collecting a study takes: samples, tokens, FLOPs, hours of a GPU and dollars, from a pilot's own calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.advise.gpus import Gpus
from scalinglab.advise.hardware import Work, query_seconds
from scalinglab.curves import spec_cost
from scalinglab.errors import DataError, SpecError
from scalinglab.evidence import Evidence
from scalinglab.flops import Convention
from scalinglab.ledger import by_unit


@dataclass(frozen=True)
class Outlay:
    """What one problem of a study takes, and ``times`` so many problems.

    answers: of the small and the large model and the revisers. read, written: tokens by model (verifiers too);
    None: unknown. flops: under ``convention``, of inference. seconds: of one GPU, a roofline, so a lower bound.
    dollars: at ``hourly`` an hour. unknown: by what is None, why.
    """

    convention: str
    answers: float
    read: Mapping[str, float] | None
    written: Mapping[str, float] | None
    flops: float | None
    seconds: float | None
    hourly: float | None
    unknown: Mapping[str, str]

    @property
    def dollars(self) -> float | None:
        """Of the GPU."""
        return None if self.seconds is None or self.hourly is None else self.seconds / 3600 * self.hourly

    def times(self, problems: int) -> dict[str, float | None]:
        """answers, tokens, flops, gpu_hours and dollars of so many problems; None where unknown."""
        tokens = None if self.read is None or self.written is None else sum(map(sum, self._tokens()))
        hours = None if self.seconds is None else self.seconds / 3600
        each = {"answers": self.answers, "tokens": tokens, "flops": self.flops}
        each |= {"gpu_hours": hours, "dollars": self.dollars}
        return {name: None if value is None else value * problems for name, value in each.items()}

    def _tokens(self) -> tuple[list[float], list[float]]:
        return list((self.read or {}).values()), list((self.written or {}).values())


def outlay(
    evidence: Evidence,
    samples: int,
    *,
    rule: Convention,
    gpus: Gpus,
    hourly: float | None = None,
    batch: int = 64,
    told: bool = True,
    sizes: bool = True,
) -> Outlay:
    """What one problem takes with ``samples`` parallel samples of the small model, all else as in the evidence.

    told: whether the tokens of samples that record none are known (given), so that hours mean something. sizes:
    whether the models' sizes are (of a ratio alone they are not). Raises DataError for a negative price.
    """
    if hourly is not None and not hourly >= 0:
        raise DataError(f"a price of {hourly}", "dollars an hour, 0 or more", "mend the price")
    run = evidence.run
    recorded = run is not None and all(map(evidence.recorded, evidence.pair()))
    works, answers = _recorded(evidence, samples) if recorded else _taken(evidence, samples)
    unknown: dict[str, str] = {}
    flops: float | None = None
    seconds: float | None = None
    try:
        flops = _spent(evidence, samples, rule) if recorded else _priced(evidence, samples, rule)
    except SpecError as error:
        unknown["flops"] = str(error)
    if not (recorded or told):
        unknown["gpu_hours"] = "no tokens are recorded: give --prompt and --generate"
    else:
        try:
            seconds = sum(query_seconds(evidence.spec(work.model), gpus, work, batch=batch).gpu for work in works)
        except (SpecError, DataError) as error:
            unknown["gpu_hours"] = str(error)
    if not sizes:
        why = "only the ratio of the models' sizes is known"
        flops, seconds, unknown = None, None, {"flops": why, "gpu_hours": why}
    if hourly is None:
        unknown["dollars"] = "no price: give --gpu-price"
    known = recorded or told
    read = {work.model: work.read for work in works} if known else None
    written = {work.model: work.written for work in works} if known else None
    return Outlay(rule.name, answers, read, written, flops, seconds, hourly, unknown)


def _taken(evidence: Evidence, samples: int) -> tuple[list[Work], float]:
    """Of answers that record no tokens: those of the small model, and one of the large."""
    tokens, context = evidence.tokens, evidence.tokens.prompt + evidence.tokens.generated / 2
    counts = zip(evidence.pair(), (samples, 1), strict=True)
    read = float(tokens.prompt)
    works = [Work(name, read, float(k * tokens.generated), context, k * read) for name, k in counts]
    return works, samples + 1.0


def _priced(evidence: Evidence, samples: int, rule: Convention) -> float:
    found = 0.0
    for name, k in zip(evidence.pair(), (samples, 1), strict=True):
        tokens = evidence.tokens_of(name)
        cost = spec_cost(evidence.spec(name), tokens.prompt, tokens.generated, convention=rule)
        found += cost.fixed + k * cost.per_sample
    return float(found)


def _scaled(evidence: Evidence, samples: int) -> tuple[pd.Series, pd.Series]:
    """By unit's key: how often its calls are made in the study, and its solutions; a mean over the problems."""
    assert evidence.run is not None
    units, solutions = evidence.run.units, evidence.run.solutions
    solved = solutions.groupby("unit").size().reindex(units["key"]).fillna(0)
    parallel = ((units["strategy"] == "parallel") & (units["model"] == evidence.pair()[0])).to_numpy()
    own = solved.to_numpy(dtype=np.float64)
    settings = units.assign(own=own).loc[parallel].groupby("problem")["own"].sum()
    had = units["problem"].map(settings).to_numpy(dtype=np.float64)
    times = np.where(parallel, samples / np.where(parallel, had, 1.0), 1.0) / units["problem"].nunique()
    return pd.Series(times, units["key"]), pd.Series(times * own, units["key"])


def _recorded(evidence: Evidence, samples: int) -> tuple[list[Work], float]:
    """Tokens of each model a problem, with the mean context of its calls; and answers a problem."""
    assert evidence.run is not None
    times, answers = _scaled(evidence, samples)
    calls = evidence.run.calls
    how = calls["unit"].map(times).to_numpy(dtype=np.float64)
    cached = calls["cached_tokens"].fillna(0).to_numpy(dtype=np.float64)
    prompt, made = (calls[f"{name}_tokens"].to_numpy(dtype=np.float64) for name in ("prompt", "generated"))
    works = []
    for model in dict.fromkeys(calls["model"]):
        at = (calls["model"] == model).to_numpy()
        read, written = float((how * (prompt - cached))[at].sum()), float((how * made)[at].sum())
        context = max(1.0, float((prompt + made / 2)[at].mean()))
        works.append(Work(str(model), read, written, context, float((how * prompt)[at].sum())))
    return works, float(answers.sum())


def _spent(evidence: Evidence, samples: int, rule: Convention) -> float:
    """FLOPs of all calls of a problem under a rule, verifiers where it charges them."""
    assert evidence.run is not None
    times, _ = _scaled(evidence, samples)
    (spent,) = by_unit(evidence.run, evidence.specs, [rule])
    each = np.sum([whole.sum(axis=1) for whole in spent.values()], axis=0)
    return float(times.to_numpy() @ each)
