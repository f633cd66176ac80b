"""Break-even in the unknown: how much post-training, or which D, would make two lifetimes cost the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scalinglab import flops
from scalinglab.errors import SpecError
from scalinglab.flops import Convention
from scalinglab.specs import ModelSpec

_PER = 10**9
"""Tokens by which what training on one more costs is told: rules that count sequences take none of one token."""
FIELDS = ("posttraining", "posttraining_share", "d")


@dataclass(frozen=True)
class Side:
    """What a model took and takes: FLOPs of pretraining (None: D is unknown) and of each token of it, of what is
    known of its post-training, and of a query."""

    pretraining: float | None
    per_token: float
    posttraining: float
    query: float


def per_token(spec: ModelSpec, rule: Convention) -> float:
    """FLOPs of pretraining a model on one token; NaN where the rule cannot say without its sequence length."""
    try:
        return float(flops.total(flops.training(spec, _PER, convention=rule))) / _PER
    except SpecError:
        return float("nan")


def breakeven_unknown(
    small: Side, large: Side, *, written: float, r: float | None, queries: float
) -> dict[str, Any]:
    """Where the two lifetimes cost the same, at R or at a number of queries.

    written: tokens of a sample of the small model; r: None where queries are given. ``queries`` is infinite
    where R cannot be told in queries, as D of the small model is unknown.
    Where D of both is known, ``posttraining``: FLOPs that the small side's post-training may take beyond what is
    charged (below 0: so much dearer it is already), and as a share of its pretraining. Where D of both is unknown
    and R is given, that share at equal D. Else ``d``: training tokens of ``d_of`` (small, large, or both, alike);
    ``unknown`` says it in words.
    """
    found: dict[str, Any] = dict.fromkeys(FIELDS) | {"d_of": "", "unknown": ""}
    apart = large.query - small.query
    if small.pretraining is not None and large.pretraining is not None:
        if queries == float("inf"):  # R of a model whose D is not known
            return found
        margin = large.pretraining + large.posttraining - small.pretraining - small.posttraining + queries * apart
        share = margin / small.pretraining if small.pretraining else None
        return found | {"posttraining": margin, "posttraining_share": share, "unknown": _post(margin)}
    if r is not None and small.pretraining is None and large.pretraining is None:
        share = (large.per_token - small.per_token + r / written * apart) / small.per_token
        return found | {"posttraining_share": share, "unknown": _share(share)}
    slope, spare, of = _line(small, large, apart, written=written, r=r, queries=queries)
    at = spare / slope if slope else float("inf")
    return found | {
        "d": at if 0 < at < float("inf") else None,
        "d_of": of,
        "unknown": _which(slope, spare, of),
    }


def _line(
    small: Side, large: Side, apart: float, *, written: float, r: float | None, queries: float
) -> tuple[float, float, str]:
    """Slope, spare and whose D is unknown: the small side is the cheaper one where slope D <= spare."""
    more = small.posttraining - large.posttraining
    if small.pretraining is not None:  # the large one's is unknown
        return -large.per_token, queries * apart - small.pretraining - more, "large"
    if large.pretraining is not None:
        each = small.per_token - (0.0 if r is None else r / written * apart)
        return each, large.pretraining - more + (queries * apart if r is None else 0.0), "small"
    return small.per_token - large.per_token, queries * apart - more, "both"


def _post(margin: float) -> str:
    if margin < 0:
        return f"dearer already, by {-margin:.2g} FLOPs"
    return f"cheaper until its post-training takes {margin:.2g} FLOPs"


def _share(share: float) -> str:
    if share < 0:
        return f"at equal D dearer already, by {-share:.2g} times its pretraining"
    return f"at equal D cheaper until its post-training takes {share:.2g} times its pretraining"


def _which(slope: float, spare: float, of: str) -> str:
    """On which side of the D at break-even the small side is the cheaper one; D is above 0."""
    if slope != slope:
        return ""
    if slope * spare > 0:
        return f"cheaper where D of {of} is {'below' if slope > 0 else 'above'} {spare / slope:.2g}"
    return f"cheaper at {'any' if slope < 0 or (slope == 0 and spare >= 0) else 'no'} D of {of}"
