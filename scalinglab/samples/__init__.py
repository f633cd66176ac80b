"""What was run, in tokens and never in FLOPs: sample records, the run store, counts published by others."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.samples.collected import COLLECTED, noted, read_collected
    from scalinglab.samples.columns import tasks_in
    from scalinglab.samples.counts import kind_of, read_counts
    from scalinglab.samples.cuts import cut_solutions
    from scalinglab.samples.files import is_run, read_parts, read_run, update_solutions, write_jsonl
    from scalinglab.samples.filling import Unreported, filled
    from scalinglab.samples.frames import opened, read_stream, read_table
    from scalinglab.samples.importers.reading import read_logs
    from scalinglab.samples.importers.record import Asked, Importer, Log, importers
    from scalinglab.samples.parquet import write_parquet
    from scalinglab.samples.plan import PLAN, Cell, Plan, PlanModel, find_plan, read_plan
    from scalinglab.samples.records import ANSWERED, GRADES, ROLES, SETTLED, Call, Run, Solution, Unit, sound
    from scalinglab.samples.references import REFERENCES, read_references, write_references
    from scalinglab.samples.same import Sameness, same_samples
    from scalinglab.samples.store import RunStore
    from scalinglab.samples.tables import read_samples
    from scalinglab.samples.told import unread
    from scalinglab.samples.verifiers import AGGREGATES, scored_by

__all__ = [
    "AGGREGATES",
    "ANSWERED",
    "COLLECTED",
    "GRADES",
    "PLAN",
    "REFERENCES",
    "ROLES",
    "SETTLED",
    "Asked",
    "Call",
    "Cell",
    "Importer",
    "Log",
    "Plan",
    "PlanModel",
    "Run",
    "RunStore",
    "Sameness",
    "Solution",
    "Unit",
    "Unreported",
    "cut_solutions",
    "filled",
    "find_plan",
    "importers",
    "is_run",
    "kind_of",
    "noted",
    "opened",
    "read_collected",
    "read_counts",
    "read_logs",
    "read_parts",
    "read_plan",
    "read_references",
    "read_run",
    "read_samples",
    "read_stream",
    "read_table",
    "same_samples",
    "scored_by",
    "sound",
    "tasks_in",
    "unread",
    "update_solutions",
    "write_jsonl",
    "write_parquet",
    "write_references",
]

lazy(__name__)
