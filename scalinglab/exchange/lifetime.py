"""What training costs over a lifetime under a convention, and how many queries an R stands for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from scalinglab import flops
from scalinglab.errors import DataError, SpecError
from scalinglab.evidence import Evidence
from scalinglab.flops import Convention
from scalinglab.ledger import Tuning, priced_counts, tuning_flops
from scalinglab.specs import ModelSpec


@dataclass(frozen=True)
class Lifetime:
    """FLOPs of training, and how many queries R = 1 stands for: R counts tokens of one small sample a query.

    tuning: of verifiers and revisers, charged where ``convention`` does; data that several share is paid once.
    The reviser is tuned from the small model, so it costs the small model's pretraining and its own tuning.
    """

    convention: Convention
    small: float
    large: float
    queries_per_r: float
    tuning: tuple[Tuning, ...] = ()

    def trained(self, role: str, models: Iterable[str | None]) -> float:
        """FLOPs of all training behind an arm of this role that uses these models."""
        base = self.large if role == "large" else self.small
        used = sorted({model for model in models if model is not None})
        return base + float(tuning_flops(self.tuning, used, self.convention))


def lifetimes(
    evidence: Evidence, rules: Sequence[Convention], *, sunk: bool
) -> tuple[dict[Convention, Lifetime], dict[str, str]]:
    """Under each rule that can price the evidence, and why the others cannot. ``sunk``: nobody pays pretraining.

    Raises DataError where none can.
    """
    found, unpriced, written = {}, {}, evidence.written()
    for rule in rules:
        try:
            found[rule] = lifetime(evidence, rule, sunk=sunk, written=written)
        except SpecError as error:
            unpriced[rule.name] = str(error)
    if not found:
        raise DataError(
            f"no convention can be priced ({next(iter(unpriced.values()))})",
            "two models with specs and training tokens",
            "give them with --spec MODEL=7e9@2e12, or --ratio M",
        )
    return found, unpriced


def lifetime(evidence: Evidence, rule: Convention, *, sunk: bool, written: float) -> Lifetime:
    """The lifetime of the pair under one rule. written: tokens of a sample of the small model.

    Raises SpecError where the rule cannot price it.
    """
    small, large = (evidence.spec(name) for name in evidence.pair())
    ours, theirs = (0.0 if sunk else training_of(spec, rule) for spec in (small, large))
    judges = {model for model in evidence.verifiers.values() if model}
    refuse_unreported(evidence, rule, {*evidence.pair(), *evidence.revisers()}, judges)
    for spec in (small, large, *_helpers(evidence, rule)):  # a rule that one cannot serve is found before reading
        flops.total(flops.decode(spec, 1, 1, convention=rule))
    queries = float(small.training_tokens or 0) / written
    if sunk and not queries:  # nobody pays what R counts
        queries = float("inf")
    if not queries:
        raise SpecError(f"{small.name}: training tokens unknown", "a spec with training tokens", "give them")
    return Lifetime(rule, ours, theirs, queries, evidence.tuning)


_NEEDED = {
    "cached": "what the engine's cache held, of every call",
    "reusable": "what an ideal cache would hold, of every call: an engine that counts tokens",
    "question": "the length of the question in every prompt: an engine that counts tokens",
}


def refuse_unreported(
    evidence: Evidence, rule: Convention, answering: Collection[str], judges: Collection[str]
) -> None:
    """Raise SpecError where the rule prices counts of these models' calls that nobody reported."""
    for what, allowed in _NEEDED.items():
        charged = {
            model
            for models, verifier in ((answering, False), (judges, True))
            if f"{what}_tokens" in priced_counts(rule, verifier=verifier)
            for model in models
        }
        lacking = sorted({one.model for one in evidence.unreported if one.what == what} & charged)
        if lacking:
            raise SpecError(
                f"{what} tokens of {', '.join(lacking)} were not reported", allowed, "choose another convention"
            )


def _helpers(evidence: Evidence, rule: Convention) -> list[ModelSpec]:
    """The specs of the revisers and, where the rule charges any, the verifiers, by their names in the data."""
    judges = set() if rule.verifier == "nobody" else {model for model in evidence.verifiers.values() if model}
    names = [name for name in (*evidence.revisers(), *sorted(judges)) if name in evidence.specs]
    return [replace(evidence.specs[name], name=name) for name in names]


def training_of(spec: ModelSpec, rule: Convention) -> float:
    """FLOPs of a model's pretraining. Raises SpecError where its tokens are unknown."""
    if spec.training_tokens is None:
        raise SpecError(
            f"{spec.name}: training tokens unknown",
            "a spec with training tokens",
            "give them: --spec MODEL=WHAT@2e12",
        )
    return float(flops.total(flops.training(spec, spec.training_tokens, convention=rule)))
