"""Who answered which problem, how, right or not, and with what tokens; with its cast. Opened by one function."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.evidence.bodies import REAL_MODELS, Body, bodies_of
    from scalinglab.evidence.opening import names_in, open_evidence
    from scalinglab.evidence.record import Evidence, Tokens
    from scalinglab.evidence.specs import find_spec, plan_specs, specs_in

__all__ = [
    "REAL_MODELS",
    "Body",
    "Evidence",
    "Tokens",
    "bodies_of",
    "find_spec",
    "names_in",
    "open_evidence",
    "plan_specs",
    "specs_in",
]

lazy(__name__)
