"""A run as a folder of three Parquet tables: written part by part, and read back as the same frames."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet

from scalinglab.errors import DataError
from scalinglab.files import whole_folder
from scalinglab.samples.checks import Columns, checked
from scalinglab.samples.records import COLUMNS, FORMAT, Call, Run, Solution, Unit

_MARK = b"scalinglab"
"""Under which name a table's metadata hold the version of the format; older exports hold none."""
_TYPES = {
    "int": pyarrow.int64(),
    "int | None": pyarrow.int64(),
    "float": pyarrow.float64(),
    "float | None": pyarrow.float64(),
    "Sequence[float]": pyarrow.list_(pyarrow.float64()),
}
_PACKED = {"compression": "zstd", "compression_level": 15}
"""A third smaller than pyarrow's own choice; an export takes a fifth longer, as the store is what takes time."""
_RECORDS = {"units": Unit, "calls": Call, "solutions": Solution}


def parquet_tables(folder: Path) -> list[Path]:
    """Where the tables of a run are in its folder."""
    return [folder / f"{table}.parquet" for table in COLUMNS]


def write_parquet(run: Run | Iterable[Run], folder: str | Path) -> None:
    """Write units.parquet, calls.parquet and solutions.parquet; the folder appears whole or not at all.

    run: a run, or its parts, of which only one is held at a time. Raises DataError where it cannot be written.
    """
    folder = Path(folder)
    try:
        refuse_others(folder)
        with whole_folder(folder) as partial, ExitStack() as files:
            writers = {}
            for table, schema in _SCHEMAS.items():  # a writer that finds no room leaves its file open
                file = files.enter_context((partial / f"{table}.parquet").open("wb"))
                writers[table] = files.enter_context(pyarrow.parquet.ParquetWriter(file, schema, **_PACKED))
            for part in [run] if isinstance(run, Run) else run:
                for table, writer in writers.items():
                    rows = getattr(part, table)[list(COLUMNS[table])]
                    writer.write_table(pyarrow.Table.from_pandas(rows, _SCHEMAS[table], preserve_index=False))
    except (OSError, ValueError, TypeError, pyarrow.ArrowException) as error:
        if isinstance(error, DataError):
            raise
        raise unwritable(folder, error) from error


def refuse_others(folder: Path) -> None:
    """Raise DataError where a folder holds other files than the tables of a run: they would be gone."""
    others = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    others -= {path.name for path in parquet_tables(folder)}
    if others:
        raise DataError(
            f"{folder} holds other files ({min(others)})", "a new folder or an exported run", "choose another path"
        )


def read_parquet(folder: Path, *, columns: Columns = COLUMNS) -> Run:
    """The run in a folder of tables. columns: of each table, those wanted. Raises DataError."""
    frames = {
        table: _read(path, columns[table]) for table, path in zip(COLUMNS, parquet_tables(folder), strict=True)
    }
    return checked(frames, {table: str(folder / f"{table}.parquet") for table in COLUMNS}, columns=columns)


def unwritable(path: Path, error: Exception) -> DataError:
    """What to say of a file or folder that cannot be written."""
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(
        f"cannot write {path} ({reason})", "a run as the store reads it, a path with room", "choose another"
    )


def _read(path: Path, columns: Iterable[str]) -> pd.DataFrame:
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _refuse_later(path, (file.schema_arrow.metadata or {}).get(_MARK, b"1"))
            found = file.read(columns=[name for name in columns if name in file.schema_arrow.names])
            found.validate(full=True)
        frame: pd.DataFrame = found.to_pandas(types_mapper={pyarrow.int64(): pd.Int64Dtype()}.get)
        if "scores" in frame:
            frame["scores"] = pd.Series(found["scores"].to_pylist(), frame.index, dtype=object)
    except (OSError, ValueError, TypeError, KeyError, pyarrow.ArrowException) as error:
        if isinstance(error, DataError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"cannot read {path} ({reason:.80})", "a Parquet table of a run", "export the run again"
        ) from error
    whole = {str(name): column.astype("int64") for name, column in frame.items() if _int64(column)}
    return frame.assign(**whole)


def _int64(column: pd.Series) -> bool:
    return column.dtype == pd.Int64Dtype() and not column.isna().any()


def _refuse_later(path: Path, mark: bytes) -> None:
    version = int(mark) if mark.isdigit() else 0
    if not 1 <= version <= FORMAT:
        raise later(path, mark.decode(errors="replace"))


def later(path: Path, version: object) -> DataError:
    """What to say of a file whose format is of a version that nobody here knows."""
    return DataError(
        f"{path} was written by a later version of scalinglab (format {version!r:.20})",
        f"format {FORMAT} or earlier",
        "install that version, or a later one",
    )


def _schema(table: str) -> pyarrow.Schema:
    types = {"position": pyarrow.int64()}
    types |= {field.name: _TYPES.get(str(field.type), pyarrow.string()) for field in fields(_RECORDS[table])}
    columns = [(name, types.get(name, pyarrow.string())) for name in COLUMNS[table]]
    return pyarrow.schema(columns, metadata={_MARK: str(FORMAT)})


_SCHEMAS = {table: _schema(table) for table in COLUMNS}
