"""A zip file that nobody vouches for, read without unpacking it anywhere: only known members, of known size and kind.

An archive may be made to harm: to write outside a folder, to fill memory or disk, to run code. So nothing is extracted by its
own name, no pickle is ever read, every size is known before a byte is unpacked, and arrays must be as long as they say.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MOST_MEMBERS = 60_000
MOST_TEXT = 2**24  # bytes of a member that is read as text: what JSON becomes in memory is up to 25 times larger
MOST_BYTES = 2**30  # unpacked, the checkpoint left out: a run of ten million numbers needs 40 MB
_END = struct.Struct("<4s4H2LH")  # the record at the end of a zip file
_ENTRY = 46  # bytes of a member's entry in the directory, at least
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Damaged(ValueError):
    """A file that does not hold together."""


class Box:
    """A zip file, open for careful reading. Raises ValueError, in a sentence, for whatever is wrong with it."""

    def __init__(self, path: Path, stored: tuple[str, ...] = (), *, most: int | None = None) -> None:
        """``stored``: members that may be of any size because they must not be compressed; ``most``: bytes of all others."""
        self.name, self._most = path.name, MOST_BYTES if most is None else most
        self._file = path.open("rb")
        try:
            self._check_directory()
            self._zip = zipfile.ZipFile(self._file)
            self._check_members(stored)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error, OverflowError) as error:
            self._file.close()
            raise self.damaged(str(error)) from error
        except BaseException:
            self._file.close()
            raise
        self._left = set(self._zip.namelist())

    def __enter__(self) -> Box:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._zip.close()
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    @property
    def left(self) -> set[str]:
        """The members that nobody has asked for."""
        return self._left

    def damaged(self, why: str) -> Damaged:
        """What to say of a file that does not hold together."""
        return Damaged(f"{self.name} is damaged or no archive of a run ({why}): ask for it again")

    def text(self, name: str, most: int | None = None) -> bytes:
        """A member that is to be read as JSON or YAML, of at most so many bytes (``MOST_TEXT`` if None)."""
        most = MOST_TEXT if most is None else most
        if name in self and self._zip.getinfo(name).file_size > most:
            raise self.damaged(f"{name} is over {most / 2**20:.3g} MB")
        return self.content(name)

    def content(self, name: str) -> bytes:
        """A member's content: as many bytes as the directory says, however many it would unpack to."""
        with self._open(name) as member:
            content = self._part(member, name, self._zip.getinfo(name).file_size)
            if len(content) < self._zip.getinfo(name).file_size:
                raise self.damaged(f"{name} is shorter than it says")
            return content

    def copy(self, name: str, target: Path) -> None:
        """Write a member to a file of our own name, part by part."""
        with self._open(name) as member, target.open("xb") as file:
            while part := self._part(member, name, 2**20):
                file.write(part)

    def array(self, name: str, dtype: str | None = None) -> NDArray[Any]:
        """A member in numpy's format; numbers only, and as many bytes as its shape says."""
        content = self.content(name)
        file = io.BytesIO(content)
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, kind = read(file)
        except (ValueError, EOFError) as error:
            raise self.damaged(f"{name} is no array: {str(error)[:100]}") from error
        numbers = memoryview(content)[file.tell() :]
        size = kind.itemsize
        for length in shape:  # Python's whole numbers: no overflow, unlike numpy's
            size *= int(length)
        if kind.hasobject or kind.kind not in "biuf" or fortran or (dtype is not None and kind != np.dtype(dtype)):
            raise self.damaged(f"{name} holds {kind.str}, not plain numbers of the kind that belongs there")
        if size != len(numbers) or min(shape, default=1) < 0:
            raise self.damaged(f"{name} says shape {shape} and holds {len(numbers)} bytes")
        array: NDArray[Any] = np.frombuffer(numbers, kind).reshape(shape)
        return array

    def _open(self, name: str) -> IO[bytes]:
        self._left.discard(name)
        try:
            return self._zip.open(name)
        except KeyError:
            raise self.damaged(f"{name} is missing") from None
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, struct.error) as error:
            raise self.damaged(f"{name}: {error}") from error

    def _part(self, member: IO[bytes], name: str, n_bytes: int) -> bytes:
        """The next so many bytes at most: without a number, zipfile unpacks all there are before it looks at their number."""
        try:
            return member.read(n_bytes)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise self.damaged(f"{name}: {error}") from error

    def _check_directory(self) -> None:
        """The directory's own size, before zipfile builds an object for each of its entries."""
        size = self._file.seek(0, os.SEEK_END)
        start = max(0, size - 2**16 - _END.size)
        self._file.seek(start)
        tail = self._file.read()
        place = tail.rfind(b"PK\5\6")
        if place < 0 or len(tail) - place < _END.size:
            raise self.damaged("it is no zip file, or cut off")
        *_, n_members, directory_bytes, _, _ = _END.unpack(tail[place : place + _END.size])
        if tail[max(0, place - 20) : place].startswith(b"PK\6\7"):
            raise self.damaged("its directory is for files over 4 GB")
        if n_members > MOST_MEMBERS or directory_bytes > MOST_MEMBERS * (_ENTRY + 100):
            raise self.damaged(f"it has over {MOST_MEMBERS:,} members")
        self._file.seek(0)

    def _check_members(self, stored: tuple[str, ...]) -> None:
        members = self._zip.infolist()
        names = [member.filename for member in members]
        if len(set(names)) < len(names):
            raise self.damaged("a member is in it twice")
        for member in members:
            if member.flag_bits & 0x1:
                raise self.damaged(f"{member.filename[:60]!r} is encrypted")
            if member.compress_type not in _COMPRESSIONS:
                raise self.damaged(f"{member.filename[:60]!r} is compressed in an unknown way")
            if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
                raise self.damaged(f"{member.filename[:60]!r} has two sizes")
            if member.filename in stored and member.compress_type != zipfile.ZIP_STORED:
                raise self.damaged(f"{member.filename} may not be compressed")
        size = sum(member.file_size for member in members if member.filename not in stored)
        if size > self._most:
            raise ValueError(
                f"{self.name} would unpack to {size / 2**20:,.0f} MB, over the limit of {self._most / 2**20:,.0f} MB: "
                "nothing of it was read"
            )
