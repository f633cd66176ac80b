"""Who answered which problem, how, right or not, and with what tokens; with its cast. Opened by one function."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.evidence.opening import open_evidence
    from scalinglab.evidence.record import Evidence, Tokens
    from scalinglab.evidence.specs import find_spec, plan_specs, specs_in

__all__ = ["Evidence", "Tokens", "find_spec", "open_evidence", "plan_specs", "specs_in"]

lazy(__name__)
