"""Files and folders that are written whole or not at all, and the place of the data that come with the package."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from scalinglab.errors import DataError

SHIPPED = Path(__file__).parent / "data"
"""What comes with the package: catalogue, the paper's tables, models, the recorded demonstration."""
MANIFEST = "manifest.json"
"""In a folder that a command wrote: by which command, and which files are its own."""


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """A new empty file beside ``path`` to be written; it is moved there at the end, or gone on an error or Ctrl-C.

    Its name is random, so that nobody's file is written over and no symbolic link followed; a kill leaves it
    (see ``is_partial``). Raises OSError as writing does.
    """
    path = Path(path)
    partial = _beside(path)
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """A new folder beside ``path`` to be filled; it takes the place of what is there, all at once, or is gone.

    Makes the folders above. Where it cannot take the place, what was there is put back. Raises OSError.
    """
    path = Path(path).resolve()  # a link to a folder stays one
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, old = _beside(path), _beside(path)
    partial.mkdir()
    try:
        yield partial
        if path.is_dir():
            os.replace(path, old)
        os.replace(partial, path)
    except BaseException:
        if old.is_dir() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def save(path: str | Path, content: bytes | str) -> Path:
    """Write a file whole or not at all, its folder made; text as UTF-8. Raises DataError where it cannot be."""
    path = Path(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial:
            partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def save_all(
    folder: str | Path, files: Mapping[str, bytes], *, command: Sequence[str], beside: Collection[str] = ()
) -> list[Path]:
    """Write the files of one command, its manifest among them, all together or none; return their paths.

    They take the place of what the same command wrote there before, and of nothing else: see ``own_files``.
    Raises DataError where they cannot be written, or would be written over somebody's.
    """
    folder = Path(folder)
    own = own_files(folder, command=command, beside=beside)
    refuse_taken(folder, files, own=own)
    with made_folder(folder), ExitStack() as stack:
        # What is entered last takes its place first: the manifest, by which the next call knows the rest.
        for name in sorted(files, key=lambda name: name == MANIFEST):
            stack.enter_context(whole(folder / name)).write_bytes(files[name])
    with suppress(OSError):
        for name in own.difference(files):
            (folder / name).unlink()
    return [folder / name for name in files]


def own_files(folder: str | Path, *, command: Sequence[str], beside: Collection[str] = ()) -> set[str]:
    """The files in a folder that are the same command's, as its manifest says; none where the folder is new.

    command: a command line, of which program and verb are compared. beside: names that may be there anyway.
    Raises DataError where the folder holds other things, and no manifest of that command: it is somebody's.
    """
    folder = Path(folder)
    if not os.path.lexists(folder):
        return set()
    with explained(folder):
        there = sorted(path.name for path in folder.iterdir() if not is_partial(path.name))
    if not set(there).difference(beside):
        return set()
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        same = shlex.split(manifest["command"])[:2] == list(command[:2])
        listed = {name for name in manifest["files"] if Path(name).name == name} | {MANIFEST}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        same, listed = False, set()
    if not same:
        raise _not_ours(folder, next(name for name in there if name not in beside))
    return {name for name in listed if (folder / name).is_file()}


def refuse_taken(folder: Path, names: Iterable[str], *, own: Collection[str]) -> None:
    """Raise DataError where one of the names is taken by what is not one's own."""
    for name in sorted(names):
        if name not in own and os.path.lexists(folder / name):
            raise _not_ours(folder, name)


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """The folder with those above it, gone again on an error if it was made for nothing; see ``explained``."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            yield
    except BaseException:
        with suppress(OSError):
            for path in new:
                path.rmdir()
        raise


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Errors of the disk as DataError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(
            f"cannot write {path} ({reason})", "a writable folder with room", "choose another folder"
        ) from error


def is_partial(name: str) -> bool:
    """Whether a file of this name is what a kill left of one that was being written."""
    return re.fullmatch(r"\.[0-9a-f]{16}\.partial", name) is not None


def _beside(path: Path) -> Path:
    return path.with_name(f".{token_hex(8)}.partial")


def _not_ours(folder: Path, name: str) -> DataError:
    return DataError(
        f"{folder} holds {name}, which this command did not write",
        "a new folder, or one that the same command wrote",
        "choose another folder, or move what is there",
    )
