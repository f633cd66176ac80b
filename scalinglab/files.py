"""Files and folders that are written whole or not at all, and the place of the data that come with the package."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from scalinglab.errors import DataError

SHIPPED = Path(__file__).parent / "data"
"""What comes with the package: catalogue, the paper's tables, models, the recorded demonstration."""


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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial:
            partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        raise DataError(
            f"cannot write {path} ({error.strerror})", "a writable folder with room", "choose another folder"
        ) from error
    return path


def is_partial(name: str) -> bool:
    """Whether a file of this name is what a kill left of one that was being written."""
    return re.fullmatch(r"\.[0-9a-f]{16}\.partial", name) is not None


def _beside(path: Path) -> Path:
    return path.with_name(f".{token_hex(8)}.partial")
