"""What training a helper (a verifier, a reviser) cost. Data that several of them share are charged once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scalinglab.errors import DataError, SpecError
from scalinglab.flops import Convention

KINDS = ("paper", "exact")
"""Under which kind of rule a training was counted as it ran: 2N a token, or every matrix product."""


@dataclass(frozen=True)
class Tuning:
    """FLOPs of training one helper, by kind of rule, and of making each of its data.

    ``data``: by the data's key; what has the same key in two records is the same data. Raises DataError for FLOPs
    that are no whole number.
    """

    model: str
    flops: Mapping[str, int]
    data: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kinds in (self.flops, *self.data.values()):
            for kind, spent in kinds.items():
                whole = isinstance(spent, int) and not isinstance(spent, bool) and spent >= 0
                if kind not in KINDS or not whole:
                    raise DataError(
                        f"tuning of {self.model} is {kind!r}: {spent!r}",
                        f"a whole number of FLOPs >= 0 under {' or '.join(KINDS)}",
                        "mend its manifest",
                    )


@dataclass(frozen=True)
class Charge:
    """FLOPs charged once: the training of one model, or data that all of ``models`` were trained on."""

    models: tuple[str, ...]
    data: str | None
    flops: int


def tuning_of(model: str, manifest: Mapping[str, Any]) -> Tuning | None:
    """The training of a helper from its manifest (``flops``, ``data_flops``, ``data``: its key).

    None for a model that was trained on no one's samples, which is a policy. Data without a key are its own.
    """
    if not manifest.get("data_flops"):
        return None
    key = manifest.get("data") or f"data of {model}"
    return Tuning(model, manifest["flops"], {key: manifest["data_flops"]})


def tuning_flops(tunings: Iterable[Tuning], models: Iterable[str], convention: Convention) -> int:
    """FLOPs of training those of ``models`` that have a record, each of their data once; 0 if never charged.

    Raises SpecError where a training was not counted under this kind of rule, DataError where two records give
    the same data different costs.
    """
    wanted = set(models)
    if not convention.tuning:
        return 0
    return sum(charge.flops for charge in charges([t for t in tunings if t.model in wanted], convention))


def charges(tunings: Sequence[Tuning], convention: Convention) -> list[Charge]:
    """What a rule that charges training charges for these: one for each model, and one for each of the data."""
    kind = "exact" if convention.parameters == "matmul" else "paper"
    trained = [Charge((tuned.model,), None, _under(kind, tuned.flops, tuned.model)) for tuned in tunings]
    data: dict[str, Charge] = {}
    for tuned in tunings:
        for key, kinds in tuned.data.items():
            spent, before = _under(kind, kinds, tuned.model), data.get(key)
            if before is not None and before.flops != spent:
                raise DataError(
                    f"data {key} cost {before.flops} FLOPs for {before.models[0]} and {spent} for {tuned.model}",
                    "one cost",
                    "give data that differ a key each",
                )
            data[key] = Charge((*(before.models if before else ()), tuned.model), key, spent)
    return [*trained, *data.values()]


def _under(kind: str, kinds: Mapping[str, int], model: str) -> int:
    if kind not in kinds:
        raise SpecError(
            f"the training of {model} was not counted under {kind}", " or ".join(kinds) or "a count", "count it"
        )
    return kinds[kind]
