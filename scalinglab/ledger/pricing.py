"""Who spent what: prices recorded calls under a Convention into entries by phase; says what it left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scalinglab import flops
from scalinglab.errors import DataError
from scalinglab.flops import Convention
from scalinglab.ledger.record import ENTRY, SHARED, Ledger
from scalinglab.ledger.tuning import Tuning, charges
from scalinglab.samples import Run
from scalinglab.specs import ModelSpec

Row = dict[str, Any]
_Ints = npt.NDArray[np.int64]
_LOW = (1 << 31) - 1
_COUNTED = tuple(f"{what}_tokens" for what in ("question", "prompt", "cached", "reusable", "generated", "scored"))
_Take = dict[str, npt.NDArray[Any]]
"""Columns of calls as arrays, of one length."""


def price(
    run: Run,
    specs: Mapping[str, ModelSpec],
    *,
    convention: Convention,
    tuning: Sequence[Tuning] = (),
) -> Ledger:
    """The ledger of a recorded run: its calls, the pretraining of its models, and its helpers' training.

    ``specs`` names every model of the run. Raises DataError where one is missing.
    """
    calls = _with_units(run, specs)
    spent, free = _price_calls(calls, specs, convention)
    pretrained = _pretraining(calls, specs, {helper.model for helper in tuning}, convention)
    tuned = _tuned(calls, tuning, convention)
    shared = {"problem": SHARED, "strategy": SHARED, "unit": SHARED}
    trained = [entry | shared for entry in (*pretrained[0], *tuned[0])]
    return Ledger(
        convention,
        pd.concat([_frame(trained, [*ENTRY, "tokens", "flops"]), spent], ignore_index=True),
        pd.concat([_frame([*pretrained[1], *tuned[1]], list(free.columns)), free], ignore_index=True),
    )


def priced_counts(convention: Convention, *, verifier: bool) -> tuple[str, ...]:
    """The counts beside its lengths that a call must tell to be priced, of a verifier's or of another's.

    cached_tokens: what an engine's cache held; reusable_tokens: what an ideal one would; question_tokens: the part
    of the prompt that is paid once, or by nobody.
    """
    if verifier and convention.verifier == "nobody":
        return ()
    found = ["cached_tokens"] if convention.reuse == "measured" else []
    if convention.reuse == "ideal" and (verifier or convention.prompts != "free"):
        found.append("reusable_tokens")
    if convention.prompts == "once" or (verifier and convention.prompts == "free"):
        found.append("question_tokens")
    return tuple(found)


def by_unit(
    run: Run, specs: Mapping[str, ModelSpec], conventions: Sequence[Convention]
) -> list[dict[str, npt.NDArray[np.float64]]]:
    """What each unit of a run takes under each convention, in FLOPs, (units, 2), without a ledger's entries.

    Under "" what answering took, or drawing samples for difficulty; under a model's name what it took to judge.
    The first column is reading the question, where that is paid once; the second is all else.
    ``specs`` names every model of the run. Raises DataError where one is missing, SpecError where one is charged
    that a convention cannot price.
    """
    calls = _with_units(run, specs)
    take, (models, names) = _counts(calls), pd.factorize(calls["model"])
    group = 2 * models + (take["verifier"] & ~take["difficulty"])
    order = np.argsort(group, kind="stable")
    take = {name: column[order] for name, column in take.items()}
    at = pd.Index(run.units["key"]).get_indexer(pd.Index(calls["unit"]))[order]
    edges = np.searchsorted(group[order], np.arange(2 * len(names) + 1))
    found = []
    for convention in conventions:
        work, spent = take | _charged(take, convention), {"": np.zeros((len(run.units), 2))}
        for g in np.flatnonzero(np.diff(edges)).tolist():
            model, rows = str(names[g // 2]), slice(edges[g], edges[g + 1])
            own = spent.setdefault(model if g % 2 else "", np.zeros((len(run.units), 2)))
            taken = {name: amounts[rows] for name, amounts in work.items()}
            if not (taken["read"].any() or taken["steps"].any()):
                continue  # of what nobody pays no price is needed
            for part, _, flops_ in _call_flops(specs[model], taken, convention):
                column = int(part != "question" or convention.prompts != "once")
                own[:, column] += np.bincount(at[rows], flops_, len(own))
        found.append(spent)
    return found


def _with_units(run: Run, specs: Mapping[str, ModelSpec]) -> pd.DataFrame:
    units = run.units.set_index("key")[["problem", "strategy", "role"]].rename(columns={"role": "payer"})
    calls = run.calls.join(units, on="unit")
    unknown = next((name for name in _COUNTED if calls[name].isna().any()), None)
    if unknown is not None:
        raise DataError(
            f"calls without {unknown}", "counts in every call", "fill in what was not reported (samples.filled)"
        )
    if calls["payer"].isna().any():
        orphan = calls.loc[calls["payer"].isna(), "unit"].iloc[0]
        raise DataError(f"a call names unit {orphan}", "a unit of the run", "export the run again")
    missing = sorted(set(calls["model"].unique()) - set(specs))
    if missing:
        raise DataError(
            f"no spec for model {', '.join(missing)}", "a spec for every model of the run", "add it to specs"
        )
    return calls


def _price_calls(
    calls: pd.DataFrame, specs: Mapping[str, ModelSpec], convention: Convention
) -> tuple[pd.DataFrame, pd.DataFrame]:
    work = charged_tokens(calls, convention)
    spent, free = _add_up(work, specs, convention), _left_out(work)
    recorded = int(calls["prompt_tokens"].sum()) + int(calls["generated_tokens"].sum())
    assert recorded == int(spent["tokens"].sum()) + int(free["tokens"].sum()), "a token is charged or left out"
    return spent, free


def charged_tokens(calls: pd.DataFrame, convention: Convention) -> pd.DataFrame:
    """Which tokens of each call the convention charges, added as columns.

    question_from, rest_from: where the charged part of the question and of the rest of the prompt begin.
    read = tokens charged for reading; steps = tokens charged for writing; why = the rule that freed a whole
    call (empty where it is charged).
    """
    take, why = _counts(calls), pd.Series("", calls.index)
    for reason, freed in _freed(take, convention):
        why = why.mask(freed, reason)
    return calls.assign(**_charged(take, convention), why=why)


def _counts(calls: pd.DataFrame) -> _Take:
    """The tokens of each call, and what decides who pays; again: whether its model read the question before."""
    return {name: calls[name].to_numpy(dtype=np.int64) for name in _COUNTED} | {
        "verifier": (calls["role"] == "verifier").to_numpy(dtype=bool),
        "difficulty": (calls["strategy"] == "difficulty").to_numpy(dtype=bool),
        "large": (calls["payer"] == "large").to_numpy(dtype=bool),
        "again": calls.duplicated(["unit", "role", "model"]).to_numpy(),
    }


def _charged(take: _Take, convention: Convention) -> _Take:
    """The columns of ``charged_tokens`` but why."""
    question, prompt, generated = (take[f"{name}_tokens"] for name in ("question", "prompt", "generated"))
    question_from, rest_from = _starts(take, convention)
    if convention.prompts == "free":
        question_from, rest_from = question, np.where(take["verifier"], rest_from, prompt)
    steps = flops.decode_steps(generated, convention)
    # Where a verifier's logits are read, its first token is off its prompt's: the reading has paid for it.
    steps = np.where(take["verifier"] & (take["scored_tokens"] > 0), np.maximum(generated - 1, 0), steps)
    for _, freed in _freed(take, convention):
        question_from, rest_from = np.where(freed, question, question_from), np.where(freed, prompt, rest_from)
        steps = np.where(freed, 0, steps)
    read = (question - question_from) + (prompt - rest_from)
    return {"question_from": question_from, "rest_from": rest_from, "read": read, "steps": steps}


def _starts(take: _Take, convention: Convention) -> tuple[_Ints, _Ints]:
    question, cached = take["question_tokens"], take["cached_tokens"]
    if convention.reuse == "measured":
        paid = take["again"] & (convention.prompts == "once")
        return np.where(paid, question, np.minimum(cached, question)), np.maximum(cached, question)
    reused = take["reusable_tokens"] * (convention.reuse == "ideal")
    if convention.parameters == "matmul":  # the last token written was never passed
        reused = np.minimum(reused, np.maximum(take["prompt_tokens"] - question - 1, 0))
    known = reused > 0
    if convention.prompts == "once":
        known = known | take["again"]
    return question * known, question + reused


def _freed(take: _Take, convention: Convention) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """The rules that free whole calls, each with which; the last that does is the one to name."""
    if convention.verifier == "nobody":
        yield "nobody pays the verifier", take["verifier"]
    if convention.verifier == "small":
        yield "only the small model pays its verifier", take["verifier"] & take["large"]
    if not convention.difficulty:
        yield "estimating difficulty is not charged", take["difficulty"]


def _whole(rows: pd.DataFrame) -> dict[str, _Ints]:
    """The columns of whole numbers as arrays."""
    return {name: rows[name].to_numpy(dtype=np.int64) for name in rows.columns if rows[name].dtype == np.int64}


def _call_flops(
    spec: ModelSpec, take: Mapping[str, _Ints], convention: Convention
) -> Iterator[tuple[str, _Ints, _Ints]]:
    """The tokens and FLOPs of each part of the calls of one model, by the columns of their tokens."""
    question, rest = take["question_tokens"] - take["question_from"], take["prompt_tokens"] - take["rest_from"]
    if convention.attention == "full":  # one pass sees more pairs than two
        whole = (question > 0) & (take["rest_from"] == take["question_tokens"])
        question, rest = np.where(whole, question + rest, question), np.where(whole, 0, rest)
    logits = np.maximum(flops.first_logit(take["read"]), np.minimum(take["scored_tokens"], take["read"]))
    for part, new, start, outputs in (
        ("question", question, take["question_from"], np.where(rest == 0, logits, 0)),
        ("context", rest, take["rest_from"], np.where(rest > 0, logits, 0)),
    ):
        yield part, new, flops.cost(spec, new, context=start, logits=outputs, convention=convention)
    steps, rule = take["steps"], flops.step_by_step(convention)
    yield "generated", steps, flops.cost(spec, steps, context=take["prompt_tokens"], logits=steps, convention=rule)


def _add_up(work: pd.DataFrame, specs: Mapping[str, ModelSpec], convention: Convention) -> pd.DataFrame:
    """Sums by entry in exact integers: int64 halves are added apart and joined as Python ints."""
    found = []
    for model, rows in work.groupby("model", sort=False):
        who, firsts = _numbered(rows, ["unit", "role"])
        order = np.argsort(who, kind="stable")
        starts = np.searchsorted(who[order], np.arange(len(firsts)))
        for part, tokens, spent in _call_flops(specs[str(model)], _whole(rows), convention):
            amounts = (tokens, spent >> 31, spent & _LOW)
            sums = [np.add.reduceat(amount[order], starts).tolist() for amount in amounts]
            exact = np.array([(high << 31) + low for high, low in zip(*sums[1:], strict=True)], dtype=object)
            added = rows.iloc[firsts][["role", "model", "problem", "strategy", "unit"]]
            found.append(added.assign(part=part, tokens=sums[0], flops=exact))
    if not found:
        return pd.DataFrame(columns=[*ENTRY, "tokens", "flops"])
    every = pd.concat(found, ignore_index=True)
    is_of = [every["strategy"] == "difficulty", every["role"] == "verifier", every["part"] == "generated"]
    phase = np.select([which.to_numpy() for which in is_of], ["difficulty", "verifier", "decode"], "prefill")
    every.insert(0, "phase", pd.Series(phase, every.index))
    return every.loc[every["tokens"] > 0].reset_index(drop=True)


def _numbered(rows: pd.DataFrame, keys: list[str]) -> tuple[_Ints, _Ints]:
    """The number of each row's values of ``keys``, by first appearance, and the rows of these."""
    numbers = np.zeros(len(rows), dtype=np.int64)
    for key in keys:
        codes, values = pd.factorize(rows[key])
        numbers = numbers * len(values) + codes
    numbers, _ = pd.factorize(numbers)
    return numbers, np.flatnonzero(~pd.Series(numbers).duplicated().to_numpy())


def _left_out(work: pd.DataFrame) -> pd.DataFrame:
    """Tokens that no entry charges, with the rule that frees them."""
    reasons = {
        "question tokens": "free, shared or cached under this convention",
        "re-read tokens": "free or cached under this convention",
        "generated tokens": "never read again: the step before paid for their logits",
    }
    amounts = (
        work["question_from"],
        work["rest_from"] - work["question_tokens"],
        work["generated_tokens"] - work["steps"],
    )
    who = work[["role", "model", "why"]].assign(**dict(zip(reasons, amounts, strict=True)))
    sums = who.groupby(["role", "model", "why"], sort=False)[list(reasons)].sum().reset_index()
    parts = [
        sums.assign(what=what, tokens=sums[what], why=sums["why"].where(sums["why"] != "", why))
        for what, why in reasons.items()
    ]
    every = pd.concat(parts)
    return every.loc[every["tokens"] > 0, ["what", "role", "model", "tokens", "why"]].reset_index(drop=True)


def _pretraining(
    calls: pd.DataFrame, specs: Mapping[str, ModelSpec], tuned: Set[str], convention: Convention
) -> tuple[list[Row], list[Row]]:
    """An entry for each model that answers, and what is not counted of them. One that was tuned from another has
    no pretraining of its own."""
    entries: list[Row] = []
    unknown: list[Row] = []
    solvers = calls.loc[calls["role"] != "verifier", ["role", "model"]].drop_duplicates("model")
    for role, model in solvers[~solvers["model"].isin(tuned)].itertuples(index=False):
        spec = specs[model]
        who = {"role": role, "model": model}
        if spec.training_tokens is None:
            why = "training tokens of the spec are unknown"
            unknown.append({"what": "pretraining", **who, "tokens": None, "why": why})
            continue
        spent = flops.total(flops.training(spec, spec.training_tokens, convention=convention))
        entries.append(
            {"phase": "pretrain", **who, "part": SHARED, "tokens": spec.training_tokens, "flops": spent}
        )
    return entries, unknown


def _tuned(calls: pd.DataFrame, tuning: Sequence[Tuning], convention: Convention) -> tuple[list[Row], list[Row]]:
    """An entry for each helper's training and one for each of their data; and the helpers whose is not counted."""
    roles = calls.drop_duplicates("model", keep="last").set_index("model")["role"].to_dict()
    policies = calls.loc[calls["role"].isin(["policy", "large"]), "model"].unique()
    recorded = [tuned.model for tuned in tuning]
    entries = []
    for charge in charges(tuning, convention) if convention.tuning else ():
        model = charge.models[0] if len(charge.models) == 1 else SHARED
        who = {"role": SHARED if model == SHARED else roles.get(model, "verifier"), "model": model}
        entries.append({"phase": "tune", **who, "part": charge.data or SHARED, "tokens": 0, "flops": charge.flops})
    # A policy that verifies or revises itself needed no training for it.
    left = dict.fromkeys([*recorded, *(model for model in roles if model not in policies)])
    why = "no record of its training" if convention.tuning else "tuning is not charged"
    return entries, [
        {"what": "tuning", "role": roles.get(model, "verifier"), "model": model, "tokens": None, "why": why}
        for model in left
        if not (convention.tuning and model in recorded)
    ]


def _frame(rows: list[Row], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns).astype({"flops": object} if "flops" in columns else {})
