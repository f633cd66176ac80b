"""One sample of an Inspect log: whose answer, what it scored, what the solver alone spent, and what is odd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalinglab.errors import DataError
from scalinglab.samples.importers.jsons import cut, inner, mapping, objects, text, whole
from scalinglab.samples.importers.usage import OUTSIDE, Usage, less, summed, tokens_of, usage_of

_CUT = ("max_tokens", "model_length")
"""Inspect's stop reasons of an answer that a limit of the model cut."""
_LONGEST = 200
"""Characters of an answer; scorers that extract none hold the whole text there."""


@dataclass(frozen=True)
class Sample:
    """One epoch of one problem. scores: by scorer, as they stand. tokens: the solver's, None where unknown. odd:
    what a reader should know, in sentences that fit several samples."""

    problem: str
    epoch: int
    scores: Mapping[str, Any]
    text: str
    reference: str | None
    tokens: Mapping[str, int | None]
    finish: str
    failed: bool
    odd: tuple[str, ...]

    def answer(self, scorer: str) -> str | None:
        """What a scorer extracted; None where that is nothing, or the whole text."""
        found = text(inner(self.scores, scorer, "answer"))
        return found if found and len(found) <= _LONGEST and "\n" not in found else None


@dataclass(frozen=True)
class Solver:
    """Whose tokens count. roles: other parts (a grader) by their model. graded: whether some model grades."""

    model: str
    roles: Mapping[str, str]
    graded: bool

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> Solver:
        """As a log's header names it."""
        roles = mapping(header, "eval", "model_roles")
        scorers = objects(inner(header, "eval", "scorers"))
        return cls(
            str(inner(header, "eval", "model")),
            {name: str(inner(role, "model") or role) for name, role in roles.items()},
            any("model_graded" in str(one.get("name")) for one in scorers),
        )

    def usage(self, report: Mapping[str, Any]) -> Usage:
        """The solver's part of a sample's or a log's usage; empty where it is not told, or not told apart.

        From events: without the calls in scorers. Without events: without its own other roles; where it may have
        graded itself in no role, nothing.
        """
        by_model = mapping(report, "model_usage")
        mine, calls = usage_of(by_model.get(self.model)), _calls(report)
        if calls:
            return less(mine, summed(usage for model, usage, scoring in calls if scoring and model == self.model))
        used = mapping(report, "role_usage")
        own = [usage_of(used.get(role)) for role, model in self.roles.items() if model == self.model]
        if self.graded and len(by_model) == 1 and not used:
            return {}
        return less(mine, summed(own))


def sample_of(found: Mapping[str, Any], solver: Solver, where: str) -> Sample:
    """A sample as a log or its summaries hold it. Raises DataError where it names no problem or epoch."""
    problem, epoch = found.get("id"), whole(found.get("epoch"))
    if problem is None or isinstance(problem, (list, dict)) or epoch is None:
        raise DataError(f"{where} has a sample without id or epoch", "both in each sample", "check the log")
    tokens, outside = tokens_of(solver.usage(found))
    return Sample(
        str(problem),
        epoch,
        mapping(found, "scores"),
        text(inner(found, "output", "completion")) or "",
        _reference(found.get("target")),
        tokens,
        _finish(found),
        bool(found.get("error")),
        (*_odd(found, solver), *([OUTSIDE] if outside else [])),
    )


def _reference(target: Any) -> str | None:
    """The one right answer; None where there are several, any of which would do."""
    if isinstance(target, list) and len(target) == 1:
        target = target[0]
    return text(target)


def _finish(found: Mapping[str, Any]) -> str:
    limit, choices = found.get("limit"), objects(inner(found, "output", "choices"))
    if limit:
        value = whole(inner(limit, "limit"))
        at = "" if value is None else f" ({value})"
        return f"{inner(limit, 'type') or limit} limit{at}"
    reason = text(choices[0].get("stop_reason")) if choices else None
    return "error" if found.get("error") else "length" if reason in _CUT else reason or "unknown"


def _odd(found: Mapping[str, Any], solver: Solver) -> list[str]:
    odd = []
    if found.get("error_retries") or whole(found.get("retries")):
        odd.append("tried again after an error: its tokens are of the last attempt alone")
    edited = [
        name for name, score in mapping(found, "scores").items() if len(objects(inner(score, "history"))) > 1
    ]
    if edited:
        odd.append(f"the score {', '.join(edited)} was edited later, and counts as edited")
    if mapping(found, "invalidation"):
        reason = cut(inner(found, "invalidation", "reason") or "no reason given")
        odd.append(f"invalidated by {inner(found, 'invalidation', 'author') or 'somebody'} ({reason}), kept here")
    others = sorted({model for model, _, scoring in _calls(found) if not scoring and model != solver.model})
    if others:
        odd.append(f"the solver also called {', '.join(others)}, whose tokens are not counted")
    return odd


def _calls(report: Mapping[str, Any]) -> list[tuple[str, Usage, bool]]:
    """The model calls among a sample's events: the model, its usage, and whether a scorer made it."""
    calls, scorers, depth = [], set(), 0
    for event in objects(report.get("events")):
        kind, of_scorer = event.get("event"), event.get("type") in ("scorer", "scorers")
        if kind == "span_begin" and (of_scorer or event.get("parent_id") in scorers):
            scorers.add(event.get("id"))
        elif kind == "step" and of_scorer:  # before there were spans
            depth += 1 if event.get("action") == "begin" else -1
        elif kind == "model":
            usage = usage_of(inner(event, "output", "usage"))
            calls.append((str(event.get("model")), usage, depth > 0 or event.get("span_id") in scorers))
    return calls
