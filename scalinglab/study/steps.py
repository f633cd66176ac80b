"""What is made of a run, step by step: a step is done again only where what it rests on has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab import __version__
from scalinglab.errors import DataError
from scalinglab.files import is_partial, save

STEPS = "steps.json"
"""In the folder that holds a run and what was made of it: what each step rested on, and wrote."""
_FLEETING = (".lock", "-shm")
"""Ends of names in a run's folder that say nothing of what it holds."""


@dataclass(frozen=True)
class Step:
    """One thing that is made of a run.

    does: in words. options: what else than the run it depends on, as JSON has it. make: writes files into the
    folder and returns their paths.
    """

    name: str
    does: str
    options: Mapping[str, Any]
    make: Callable[[], Sequence[Path]]


@dataclass(frozen=True)
class Made:
    """What became of a step: its files, whether they stood as they were, or why there are none."""

    step: str
    files: tuple[str, ...] = ()
    kept: bool = False
    failed: str | None = None


class Results:
    """A folder that holds a run, in ``run``, and what was made of it.

    Raises DataError where it holds anything that is not of an earlier study here.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.run = self.folder / "run"
        self._known = self._read()

    def begin(self) -> None:
        """Make the folder this study's."""
        self._save()

    def make(self, step: Step) -> Made:
        """Do a step, unless its files are those of the same run, options and version of this package.

        A step that cannot be done is said to have failed; the others can still be. Raises DataError where the
        folder cannot be read or written.
        """
        digest = self._digest(step)
        before = self._known.get(step.name, {})
        files = tuple(before.get("files", ()))
        if before.get("digest") == digest and all((self.folder / name).is_file() for name in files):
            return Made(step.name, files, kept=True)
        self._known.pop(step.name, None)
        self._save()
        made = tuple(str(path.relative_to(self.folder)) for path in step.make())
        self._known[step.name] = {"digest": digest, "files": list(made)}
        self._save()
        return Made(step.name, made)

    def _digest(self, step: Step) -> str:
        said = json.dumps([step.name, step.options, __version__, content_of(self.run)], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()

    def _read(self) -> dict[str, Any]:
        place = self.folder / STEPS
        try:
            if not place.is_file():
                _check_empty(self.folder)
                return {}
            return dict(json.loads(place.read_text(encoding="utf-8"))["steps"])
        except DataError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{place} cannot be read ({error})", f"what `scalinglab run` left in {STEPS}", "give another --out"
            ) from error

    def _save(self) -> None:
        document = {"about": "what each step of `scalinglab run` rested on, and wrote", "steps": self._known}
        save(self.folder / STEPS, json.dumps(document, indent=1) + "\n")


def content_of(run: Path) -> str:
    """A digest of all files of a run's folder that hold something. Raises DataError where one cannot be read."""
    digest = hashlib.sha256()
    try:
        for path in sorted(path for path in run.rglob("*") if path.is_file() and path.stat().st_size):
            if not path.name.endswith(_FLEETING) and not is_partial(path.name):
                with path.open("rb") as file:
                    own = hashlib.file_digest(file, "sha256").hexdigest()
                digest.update(f"{path.relative_to(run)} {own}\n".encode())
    except OSError as error:
        raise DataError(f"cannot read {run} ({error.strerror})", "a run's folder", "check the path") from error
    return digest.hexdigest()


def _check_empty(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and all(is_partial(path.name) for path in folder.iterdir())):
        raise DataError(
            f"{folder} holds something else", "a new folder, or one of `scalinglab run`", "give another --out"
        )
