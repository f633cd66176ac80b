"""Bodies of evidence: what a folder holds, runs and tables of any tasks, with what it says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from scalinglab.errors import DataError
from scalinglab.evidence.opening import open_evidence
from scalinglab.evidence.record import Evidence
from scalinglab.files import SHIPPED
from scalinglab.samples import is_run
from scalinglab.specs import ModelSpec, parse

REAL_MODELS = SHIPPED / "evidence"
"""Recorded outcomes of real models that come with the package, a folder a source."""
ABOUT = "evidence.json"
"""What a folder says of its evidence: specs by model as --spec takes them, and the fields of ``Body``."""
_TABLES = (".csv", ".tsv", ".parquet", ".jsonl")


@dataclass(frozen=True)
class Body:
    """Evidence on one task, and what its folder says of it.

    perfect: whether answers can really be checked, so that what a perfect verifier picks can be had. nominal:
    models whose size is not known: their N is a name, and only what is free of it may be said. uncharged: by
    model what nobody is charged. title, source, licence: as its folder has them; "" for others' files.
    """

    evidence: Evidence
    perfect: bool = False
    nominal: tuple[str, ...] = ()
    uncharged: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    source: str = ""
    licence: str = ""


def bodies_of(
    paths: Sequence[str | Path], *, specs: Mapping[str, ModelSpec] | None = None, perfect: bool = False,
    prompt: int | None = None, generated: int | None = None,
) -> list[Body]:  # fmt: skip
    """The evidence in runs, tables and folders of them, a body a task.

    A folder with an ``evidence.json`` is a body of its own; all other sources of the same tasks are read as one
    (see ``open_evidence``). specs, perfect: over what a folder says. Raises DataError where there is none, or
    specs name a model that answered in none of them.
    """
    given, opened = dict(specs or {}), partial(open_evidence, prompt=prompt, generated=generated)
    told: list[Path] = []
    plain: list[Path] = []
    for path in paths:
        for one in _sources(Path(path)):
            (told if (one / ABOUT).is_file() else plain).append(one)
    found = [_told(folder, opened) for folder in told]
    found += [Body(evidence) for evidence in _joined(plain, opened)]
    if not found:
        raise DataError(f"no evidence in {', '.join(map(str, paths))}", "runs or tables", "name some")
    known = {name for body in found for name in _names(body.evidence)}
    for name in given:
        if name not in known:
            raise DataError(
                f"--spec {name}, which is not in the data", f"one of {', '.join(sorted(known))}", "mend it"
            )
    priced = [
        replace(body, evidence=_with(body.evidence, given), perfect=perfect or body.perfect) for body in found
    ]
    return [
        replace(body, evidence=body.evidence.of_task(task)) for body in priced for task in body.evidence.tasks()
    ]


def _sources(path: Path) -> Iterator[Path]:
    """The runs and tables at a path; of a folder of them each, in order of names."""
    if not path.is_dir() or is_run(path) or (path / ABOUT).is_file():
        yield path
        return
    for inner in sorted(path.iterdir()):
        if inner.suffix in _TABLES or (inner.is_dir() and (is_run(inner) or (inner / ABOUT).is_file())):
            yield inner


def _told(folder: Path, opened: Callable[..., Evidence]) -> Body:
    about = _about(folder / ABOUT)
    table = next((folder / f"samples{kind}" for kind in _TABLES if (folder / f"samples{kind}").is_file()), folder)
    specs = {name: parse(what) for name, what in about.pop("specs", {}).items()}
    about["nominal"] = tuple(about.get("nominal", ()))
    return Body(opened(table, specs=specs), **about)


def _about(path: Path) -> dict[str, Any]:
    allowed = [*(name for name in Body.__dataclass_fields__ if name != "evidence"), "specs"]
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error})", "a JSON object", "mend it") from error
    if not isinstance(found, dict) or set(found) - set(allowed):
        raise DataError(f"{path} holds other fields", f"some of {', '.join(allowed)}", "drop the others")
    return found


def _joined(paths: Sequence[Path], opened: Callable[..., Evidence]) -> Iterator[Evidence]:
    """Sources of the same tasks as one body of evidence."""
    found = [(path, opened(path)) for path in paths]
    groups: dict[tuple[str, ...], list[tuple[Path, Evidence]]] = {}
    for path, evidence in found:
        groups.setdefault(tuple(evidence.tasks()), []).append((path, evidence))
    for members in groups.values():
        several = [path for path, _ in members]
        yield members[0][1] if len(several) == 1 else _all(several, [one for _, one in members], opened)


def _all(paths: Sequence[Path], parts: Sequence[Evidence], opened: Callable[..., Evidence]) -> Evidence:
    """Several sources as one, with the specs that each one's plan has."""
    known = {name: spec for part in parts for name, spec in part.specs.items()}
    return _with(opened(list(paths)), known)


def _names(evidence: Evidence) -> set[str]:
    return {*evidence.models(), *evidence.specs, *evidence.lacking, *evidence.verifiers}


def _with(evidence: Evidence, given: Mapping[str, ModelSpec]) -> Evidence:
    """The evidence with these specs over its own, of models that are in it; a verifier's name is its model's."""
    behind = {name: evidence.verifiers.get(name) or name for name in given if name in _names(evidence)}
    new = {model: given[name] for name, model in behind.items()}
    lacking = tuple(name for name in evidence.lacking if name not in new)
    return replace(evidence, specs={**evidence.specs, **new}, lacking=lacking)
