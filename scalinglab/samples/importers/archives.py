"""Members of zip archives that nobody vouches for: also zstd ones, of bounded size, and never written to disk."""

from __future__ import annotations

import zlib
from pathlib import Path
from types import TracebackType
from zipfile import BadZipFile, ZipFile, ZipInfo

import pyarrow

from scalinglab.errors import DataError

_ZSTD = 93
"""The zip method of zstd, which zipfile reads only since Python 3.14."""
_LOCAL = 30
"""Bytes of a member's own header before its name."""
MOST = 128 * 2**20
"""Bytes that one member may unpack to."""
_RATIO = 1000
"""How many times its own size an archive may unpack to; JSON in zstd comes to a hundred at most."""


class Archive:
    """A zip file whose members are read by name, one at a time. Raises DataError where it is no zip or a bomb."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = ZipFile(path)
        except (OSError, BadZipFile, NotImplementedError, ValueError) as error:
            raise DataError(
                f"{path} cannot be read ({error})", "a whole zip archive; is it cut off?", "check it"
            ) from error
        self._members = {one.filename: one for one in self._zip.infolist()}
        unpacked = sum(one.file_size for one in self._zip.infolist())
        if unpacked > max(MOST, _RATIO * path.stat().st_size):
            raise self._refused(
                "the archive", f"unpacks to {unpacked:,} bytes", f"{_RATIO} times its size at most"
            )

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._zip.close()

    def names(self) -> list[str]:
        """The members' names as they are written; never paths to write to."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """A member's content. Raises DataError where it is damaged, or declares or unpacks to too much."""
        member = self._members[name]
        if member.file_size > MOST:
            raise self._refused(name, f"unpacks to {member.file_size:,} bytes", f"{MOST:,} at most")
        try:
            content = self._zstd(member) if member.compress_type == _ZSTD else self._zip.read(member)
        except (OSError, BadZipFile, EOFError, RuntimeError, ValueError, zlib.error) as error:
            raise self._refused(name, f"cannot be unpacked ({error})", "a whole archive") from error
        if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
            raise self._refused(name, "is damaged", "what its checksum says")
        return content

    def _zstd(self, member: ZipInfo) -> bytes:
        with self.path.open("rb") as file:
            file.seek(member.header_offset)
            header = file.read(_LOCAL)
            lengths = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
            file.seek(sum(lengths), 1)
            packed = file.read(member.compress_size)
        with pyarrow.CompressedInputStream(pyarrow.BufferReader(packed), "zstd") as stream:
            return bytes(stream.read(member.file_size + 1))

    def _refused(self, name: str, what: str, allowed: str) -> DataError:
        return DataError(f"{self.path}: {name} {what}", allowed, "check the file")
