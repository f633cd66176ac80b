"""scalinglab: with a fixed amount of compute, pretrain a bigger model or let a smaller one think longer?

``import scalinglab as sl`` offers what a session begins with; the rest is in the packages, which are a pipeline,
read in this order: ``specs``, ``flops``, ``samples``, ``ledger``, ``evidence``, ``curves``, ``optimal``,
``exchange``, ``advise``, ``plots``, ``report``, ``cli``.
"""

from typing import TYPE_CHECKING

from scalinglab.lazy import lazy

if TYPE_CHECKING:
    from scalinglab import (
        advise,
        curves,
        evidence,
        exchange,
        fits,
        flops,
        laws,
        ledger,
        optimal,
        plots,
        report,
        samples,
        specs,
        study,
    )
    from scalinglab.evidence import Evidence, open_evidence
    from scalinglab.exchange import Comparison, choose, compare, match_ratio, match_specs
    from scalinglab.flops import CONVENTIONS, convention
    from scalinglab.report import comparison_report
    from scalinglab.samples import read_run
    from scalinglab.specs import find, parse

__all__ = [
    "CONVENTIONS",
    "Comparison",
    "Evidence",
    "advise",
    "choose",
    "compare",
    "comparison_report",
    "convention",
    "curves",
    "evidence",
    "exchange",
    "find",
    "fits",
    "flops",
    "laws",
    "ledger",
    "match_ratio",
    "match_specs",
    "open_evidence",
    "optimal",
    "parse",
    "plots",
    "read_run",
    "report",
    "samples",
    "specs",
    "study",
]
__version__ = "0.1.0"

lazy(__name__)
