"""Token usage as Inspect and Every Eval Ever write it, under the rules that its own total tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scalinglab.samples.importers.jsons import mapping, whole

READ, WRITE = "input_tokens_cache_read", "input_tokens_cache_write"
FIELDS = ("input_tokens", READ, WRITE, "output_tokens", "reasoning_tokens", "total_tokens")
Usage = Mapping[str, int]
"""What was reported, by field; what was not is left out."""
OUTSIDE = "reasoning tokens stand beside the output here and are added to it"


def usage_of(value: Any) -> Usage:
    """The counts that a report holds."""
    report = mapping(value)
    counts = {name: whole(report.get(name)) for name in FIELDS}
    return {name: count for name, count in counts.items() if count is not None}


def summed(usages: Iterable[Usage]) -> Usage:
    """Field by field; one that nobody reported is left out."""
    found: dict[str, int] = {}
    for usage in usages:
        for name, count in usage.items():
            found[name] = found.get(name, 0) + count
    return found


def less(usage: Usage, other: Usage) -> Usage:
    """What is left of a report without another's part."""
    return {name: max(count - other.get(name, 0), 0) for name, count in usage.items()}


def tokens_of(usage: Usage) -> tuple[dict[str, int | None], bool]:
    """prompt, generated, cached and thinking tokens (None: not reported), and whether thoughts stood outside.

    The whole prompt is input + cache read + cache write, unless the total says that the input holds these already
    (Inspect before PR #3341). The output holds the thoughts, unless the total says that it does not, or there are
    more of them than output (Inspect's Grok, issue #5528).
    """
    prompt, output, total = (usage.get(name) for name in ("input_tokens", "output_tokens", "total_tokens"))
    read, thinking = usage.get(READ), usage.get("reasoning_tokens")
    outside = False
    if prompt is not None and output is not None:
        rest, thoughts = (read or 0) + usage.get(WRITE, 0), thinking or 0
        plain = (prompt + rest + output, prompt + output)
        sums = (*plain, *(one + thoughts for one in plain))
        rule = sums.index(total) if total in sums else 0
        outside = thoughts > 0 and (rule >= 2 or thoughts > output)
        prompt += rest if rule in (0, 2) else 0
        output += thoughts if outside else 0
    named = {"prompt": prompt, "generated": output, "cached": read, "thinking": thinking}
    return {f"{name}_tokens": count for name, count in named.items()}, outside
