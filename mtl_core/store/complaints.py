"""What a database or a disk complains of, as sentences with a remedy."""

from __future__ import annotations

import errno
from typing import NamedTuple

from sqlalchemy.exc import DatabaseError, OperationalError


class Complaint(NamedTuple):
    """Words of a database's error (one of them is enough), the exception and its number, and the sentence."""

    words: tuple[str, ...]
    kind: type[Exception]
    number: int | None
    sentence: str


COMPLAINTS = (
    Complaint(
        ("disk is full", "no space left"),
        OSError,
        errno.ENOSPC,
        "the disk that holds {place} is full: delete old runs or free space, then resume the run",
    ),
    Complaint(
        ("foreign key",),
        LookupError,
        None,
        "the run is no longer in the store {place}: it was deleted meanwhile, so nothing more of it is recorded",
    ),
    Complaint(
        ("not a database",),
        ValueError,
        None,
        "{place} is no store of MTL Explorer (it is not a database): choose another file or folder",
    ),
    Complaint(
        ("malformed", "corrupt", "unsupported file format"),
        ValueError,
        None,
        "the store {place} is damaged: move it away and start a new one, or bring back a copy of it",
    ),
    Complaint(
        ("readonly", "read-only"),
        PermissionError,
        errno.EACCES,
        "the store {place} may not be written: ask for write permission or choose another folder",
    ),
    Complaint(
        ("locked",),
        TimeoutError,
        errno.EAGAIN,
        "the store {place} is busy: another program has held it for too long; close that one and try again",
    ),
    Complaint(
        ("unable to open",),
        OSError,
        errno.EACCES,
        "the store {place} cannot be opened: check that it exists and that its folder may be written",
    ),
    Complaint(
        ("disk i/o",),
        OSError,
        errno.EIO,
        "the disk that holds {place} reports an error: check it, then resume the run",
    ),
    Complaint(
        ("connection refused", "connection failed", "could not translate host", "failed to resolve host"),
        ConnectionError,
        errno.ECONNREFUSED,
        "the database {place} does not answer: check that it runs and that the address is right",
    ),
)


def explain(error: DatabaseError, place: str) -> Exception | None:
    """The complaint as an exception that a person can act on; None if it is our own slip."""
    said = str(error.orig).lower()
    for complaint in COMPLAINTS:
        if any(words in said for words in complaint.words):
            sentence = complaint.sentence.format(place=place)
            return system_error(complaint.number, sentence, complaint.kind)
    if isinstance(error, OperationalError):  # of the database's surroundings, not of our statement
        return system_error(
            errno.EIO, f"the store {place} reports an error ({error.orig}): check its disk or its server, then try again"
        )
    return None


def system_error(number: int | None, sentence: str, kind: type[Exception] = OSError) -> Exception:
    """An exception that carries an error number and still reads as the bare sentence, without "[Errno 28]"."""
    error = kind(sentence)
    if isinstance(error, OSError):
        error.errno = number
    return error
