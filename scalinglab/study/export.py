"""A run as files to keep or to hand on: its samples as Parquet, with the plan that prices them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from scalinglab.errors import DataError
from scalinglab.files import whole, whole_folder
from scalinglab.report import manifest
from scalinglab.samples import (
    COLLECTED,
    PLAN,
    REFERENCES,
    Run,
    find_plan,
    is_run,
    noted,
    read_collected,
    read_parts,
    read_plan,
    write_parquet,
)
from scalinglab.samples.parquet import refuse_others

SAMPLES = "samples"


def export_run(folder: str | Path, out: str | Path, *, command: Sequence[str]) -> list[Path]:
    """Write the run in ``folder`` to ``out``: its samples as tables, a manifest, and its study and plan if any.

    What is written is a run too: all that reads the one reads the other. It is read part by part, so that a run
    of any size can be exported, and takes its place once all of it is written. Raises DataError where it is no
    run's folder, or ``out`` cannot be written.
    """
    folder, out = Path(folder), Path(out)
    alone = is_run(folder) and find_plan(folder) is None
    seeds = set() if alone else {cell.seed for cell in read_plan(folder).cells}
    if folder.resolve() == out.resolve():
        raise DataError(f"{folder} to itself", "another folder", "give another --out")
    notes = {"notes": list(noted(folder))} if noted(folder) else {}
    about = {"collected": read_collected(folder), **notes}
    kept = [name for name in ("study.toml", PLAN, COLLECTED, REFERENCES) if (folder / name).is_file()]
    files = {name: (folder / name).read_bytes() for name in kept}
    refuse_others(out / SAMPLES)
    with _made(out), ExitStack() as stack:  # what was entered last takes its place first, the samples at the end
        samples = stack.enter_context(whole_folder(out / SAMPLES))
        write_parquet(_seen(read_parts(folder), seeds), samples)
        tables = sorted(f"{SAMPLES}/{path.name}" for path in samples.iterdir())
        made = manifest(command, [*sorted(files), *tables], seed=min(seeds)) | {"seeds": sorted(seeds)} | about
        files["manifest.json"] = (json.dumps(made, indent=1) + "\n").encode()
        for name, content in files.items():
            stack.enter_context(whole(out / name)).write_bytes(content)
    return [*(out / name for name in tables), *(out / name for name in files)]


def _seen(parts: Iterator[Run], seeds: set[int]) -> Iterator[Run]:
    """The parts as they are; their seeds are added to ``seeds``."""
    for part in parts:
        seeds.update(map(int, part.units["seed"].unique()))
        yield part


@contextmanager
def _made(out: Path) -> Iterator[None]:
    """Errors of the disk as DataError; a folder that was made for nothing goes again."""
    there = out.exists()
    try:
        yield
    except BaseException as error:
        if not there:
            with suppress(OSError):
                out.rmdir()
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise DataError(
                f"cannot write {out} ({reason})", "a writable folder with room", "choose another"
            ) from error
        raise
