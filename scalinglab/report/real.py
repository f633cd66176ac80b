"""The shipped evidence on real models as a folder: claims in words, their figure, every pair, the paper's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from scalinglab import plots
from scalinglab.exchange import Forecast, forecast
from scalinglab.report.atlas import atlas_sections, ends, forecast_sections, points
from scalinglab.report.claims import DRAWS, Claim, Evidence, shipped_evidence
from scalinglab.report.page import Report, Section
from scalinglab.report.paper import paper_report

_TITLE = "Real models: test-time compute of a small one against a larger one"
_HOW = (
    f"gain: of the small side, in accuracy points, with a 95 % paired bootstrap over problems ({DRAWS:,} "
    "resamples); each stands alone",
    "convention paper (2N a token, prompts and verifier free) where no other is named; R = D_inference / "
    "D_pretrain",
)


def first_sentence(*, seed: int = 0) -> str:
    """The first claim, in one sentence."""
    (found,) = shipped_evidence(names=["openai-gsm8k"], seed=seed)
    return found.claims[0].text


def real_report(found: Sequence[Evidence], told: Forecast) -> Report:
    """The claims first, then the pairs and verdicts of each source, what they forecast, and the paper's."""
    names = [
        f"{one.body.evidence.tasks()[0].replace('-', '_')}{'' if at == 0 else '_' + _axis(atlas.convention)}"
        for one in found
        for at, atlas in enumerate(one.atlases)
    ]
    every = [atlas for one in found for atlas in one.atlases]
    sections = [part for atlas, name in zip(every, names, strict=True) for part in atlas_sections(atlas, name)]
    sections = [_claims(found), *sections, *forecast_sections(told), paper_report().sections[0]]
    return Report(_TITLE, sections, [found[0].claims[0].text])


def write_real(
    folder: str | Path, *, command: Sequence[str], seed: int = 0, output: plots.Output | None = None
) -> tuple[list[Path], Sequence[str]]:
    """Write the report and a README.md of its claims; return their paths, and what the report says first.

    Raises DataError where it cannot be written.
    """
    found = shipped_evidence(seed=seed)
    told = real_forecast(found, seed=seed)
    formats = ("png",) if output is None else output.formats
    words = {"README.md": readme(found, told, formats=formats).encode()}
    made = real_report(found, told)
    return made.write(folder, command=command, seed=seed, files=words, output=output), made.said


def real_forecast(found: Sequence[Evidence], *, seed: int = 0) -> Forecast:
    """What the pairs of all sources forecast, under each one's first convention."""
    return forecast([one.atlases[0] for one in found], seed=seed)


def readme(found: Sequence[Evidence], told: Forecast, *, formats: Sequence[str] = ("png",)) -> str:
    """The claims of all evidence as Markdown, with sources and the figure in the first of these formats."""
    parts = [f"# {_TITLE}", found[0].claims[0].text, *_picture(formats)]
    parts.append("\n".join(f"- {note}" for note in _HOW))
    for one in found:
        parts.append(f"## {one.body.title}\n\nSource: {one.body.source} ({one.body.licence}).")
        parts.append("\n".join(f"- {text}" for text in (*(claim.text for claim in one.claims), *one.caveats)))
    notes = "\n".join(f"- {text}" for text in told.notes)
    parts.append(f"## A pair that nobody measured\n\n{told.said}\n\n{notes}")
    parts.append(
        "## The paper's own figures\n\nRe-derived in `who_wins.csv`, and at length in [../paper](../paper)."
    )
    parts.append(
        "Every sentence here is made from the tables beside it by `scalinglab atlas --shipped --out "
        "results/real-models`, from outcomes that come with the package. `*_pairs.csv`: every pair of models in "
        "both directions; `*_verdicts.csv`: what is said of them at each R, and what the unknown would have to "
        "be; `forecast.csv`, `forecast_coefficients.csv`: errors on pairs left out, and the mixed model."
    )
    return "\n\n".join(parts) + "\n"


def _picture(formats: Sequence[str]) -> list[str]:
    """The figure of the claims as it was written; a PDF is no picture in Markdown."""
    drawn = [name for name in ("png", "svg", "pdf") if name in formats]
    shown = "" if drawn[:1] == ["pdf"] else "!"
    return [f"{shown}[Gains of the small side with 95 % intervals](claims.{name})" for name in drawn[:1]]


def _axis(convention: str) -> str:
    return convention.rpartition("+")[2].replace("=", "_").replace("-", "_")


def _claims(found: Sequence[Evidence]) -> Section:
    every = [claim for one in found for claim in one.claims]
    table = pd.DataFrame([
        {"claim": claim.label.replace("\n", " "), "gain": claim.gain, "low": claim.low, "high": claim.high,
         "remark": claim.remark.replace("\n", " "), "sentence": claim.text}
        for claim in every
    ])  # fmt: skip
    short = pd.DataFrame({
        "claim": table["claim"],
        "gain, points (95 %)": [f"{points(one.gain)} ({ends(one.low, one.high)})" for one in every],
        "at what cost": table["remark"],
    })  # fmt: skip
    caveats = [text for one in found for text in one.caveats]
    return Section("claims", "What real models say", [*_HOW, *caveats], table, partial(_draw, every), short=short)


def _draw(claims: Sequence[Claim]) -> plots.Drawn:
    drawn, axes = plots.figure(width=10.5, height=0.9 + 0.52 * len(claims))
    rows = pd.DataFrame([vars(claim) for claim in claims])
    plots.claims(axes[0], [claim.label for claim in claims], rows)
    return drawn
