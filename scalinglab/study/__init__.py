"""A study.toml, run end to end and resumed; what it will take, and how far it is."""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab.samples import PLAN, Cell, Plan, read_collected, read_plan
    from scalinglab.study.beginning import write_study
    from scalinglab.study.demo import RECORDED, demo_report, demo_study
    from scalinglab.study.doctor import Checkup, check_up
    from scalinglab.study.eval_records import export_records
    from scalinglab.study.export import export_run
    from scalinglab.study.importing import graded, imported_table, write_imported
    from scalinglab.study.plan import STORE, Probe, Sent, plan_of, priced
    from scalinglab.study.reading import (
        Forecast,
        Status,
        forecast,
        frames,
        roles,
        status_of,
    )
    from scalinglab.study.regrading import Regraded, regrade_run
    from scalinglab.study.running import probe_study, run_study
    from scalinglab.study.schema import study_schema
    from scalinglab.study.settings import Study, read_study
    from scalinglab.study.steps import Made, Results, Step
    from scalinglab.study.task import opened_task

__all__ = [
    "PLAN",
    "RECORDED",
    "STORE",
    "Cell",
    "Checkup",
    "Forecast",
    "Made",
    "Plan",
    "Probe",
    "Regraded",
    "Results",
    "Sent",
    "Status",
    "Step",
    "Study",
    "check_up",
    "demo_report",
    "demo_study",
    "export_records",
    "export_run",
    "forecast",
    "frames",
    "graded",
    "imported_table",
    "opened_task",
    "plan_of",
    "priced",
    "probe_study",
    "read_collected",
    "read_plan",
    "read_study",
    "regrade_run",
    "roles",
    "run_study",
    "status_of",
    "study_schema",
    "write_imported",
    "write_study",
]

lazy(__name__)
