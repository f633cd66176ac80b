"""The ledger of the evidence: everything that was recorded, with pretraining and the training of helpers."""

from __future__ import annotations

from scalinglab.errors import DataError
from scalinglab.evidence import Evidence
from scalinglab.exchange.lifetime import refuse_unreported
from scalinglab.flops import Convention
from scalinglab.ledger import Ledger, price
from scalinglab.samples import Run


def charged_to(evidence: Evidence, rule: Convention) -> Ledger:
    """What a rule charges for all recorded calls, the pretraining of their models, and helpers' training.

    Raises DataError where no calls are recorded, as of counts; SpecError where the rule cannot price a model,
    or prices counts that nobody reported.
    """
    run = evidence.run
    if run is None or run.calls.empty:
        raise DataError(
            f"{evidence.source} records no tokens", "a run with its calls", "compare it with `scalinglab exchange`"
        )
    judging = run.calls["role"] == "verifier"
    answering, judges = (set(run.calls.loc[of, "model"]) for of in (~judging, judging))
    refuse_unreported(evidence, rule, answering, judges)
    calls = run.calls[~run.calls["model"].isin(evidence.lacking)]
    return price(Run(run.units, calls, run.solutions), evidence.specs, convention=rule, tuning=evidence.tuning)
