"""The first study.toml of somebody who has none: commented, to be edited."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from scalinglab.errors import DataError
from scalinglab.files import SHIPPED

Kind = Literal["testbed", "gsm8k", "math-500", "chat", "thinking"]
"""What a study can begin as; "chat": models behind servers that are asked for chat."""
KINDS: tuple[Kind, ...] = get_args(Kind)
_DIRECTIVE = "#:schema ./study.schema.json\n"
"""Read by taplo and Even Better TOML."""


def write_study(kind: Kind, path: str | Path) -> Path:
    """Write a commented study.toml of a kind, where no file is. Returns its path.

    Its first line names study.schema.json beside it (see ``study_schema``), by which editors complete and check.
    Raises DataError for another kind, or where there is a file or none can be written.
    """
    path = Path(path)
    if kind not in KINDS:
        raise DataError(f"a study of kind {kind!r}", f"one of {', '.join(KINDS)}", "choose one")
    text = (SHIPPED / "studies" / f"{kind}.toml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:  # never over another
            file.write(_DIRECTIVE + text)
    except FileExistsError as error:
        raise DataError(f"{path} is there", "a new file", "give another name, or move it away") from error
    except OSError as error:
        raise DataError(
            f"cannot write {path} ({error.strerror})", "a writable folder", "choose another"
        ) from error
    return path
