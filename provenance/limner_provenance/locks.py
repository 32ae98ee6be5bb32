"""Locks on records: who works on a record holds its lock, and the operating system frees it when he dies.

Files under `<state>/run/`, one a running record. Knows nothing of what a record is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from limner_provenance.entries import check_record
from limner_provenance.errors import RecordRunning, StorageUnavailable
from limner_provenance.files import make_folder, unavailable


def exclusive(descriptor: int, *, wait: bool) -> bool:
    """Take the exclusive lock on an open file; False where somebody holds it and `wait` is False."""
    try:
        import fcntl
    except ImportError:
        raise StorageUnavailable("This system has no file locks that end with their process (flock).") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def shared(descriptor: int) -> None:
    """Wait until nobody holds the exclusive lock on an open file; systems without locks need no wait."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_SH)


def running(record: str) -> RecordRunning:
    """Give the error that says that somebody else holds a record's lock."""
    message = f"Another process or task works on record {record}."
    return RecordRunning(message, remedy="Wait until it ends, or ask again for its result.")


class RecordLocks:
    """The locks of all running records under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def hold(self, record: str) -> Iterator[None]:
        """Hold a record's lock while the block runs; it excludes other processes and other tasks of this one.

        Raises:
            RecordRunning: somebody else holds it.
            StorageUnavailable: the lock file cannot be made.
        """
        path = self._path(record)
        make_folder(self._folder)
        descriptor = self._take(path, create=True)
        if descriptor is None:
            raise running(record)
        try:
            yield
        finally:
            _remove(path, descriptor)

    def is_running(self, record: str) -> bool:
        """Say whether somebody holds a record's lock; the file of one who died is cleared away."""
        path = self._path(record)
        try:
            descriptor = self._take(path, create=False)
        except FileNotFoundError:
            return False
        except StorageUnavailable:
            # An auditor may not be allowed to open the file; that it is there is all he can know.
            return path.exists()
        if descriptor is None:
            return True
        _remove(path, descriptor)
        return False

    def assure(self, record: str | None) -> None:
        """Nothing to do: the operating system takes no lock away from a process that lives."""

    def _path(self, record: str) -> Path:
        """Give the lock file of a record, whose id becomes a file name."""
        return self._folder / check_record(record)

    def _take(self, path: Path, *, create: bool) -> int | None:
        """Open and lock the file; None where somebody holds it."""
        flags = os.O_RDWR | (os.O_CREAT if create else 0)
        while True:
            try:
                descriptor = os.open(path, flags, 0o600)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise unavailable(path, error) from error
            if not exclusive(descriptor, wait=False):
                os.close(descriptor)
                return None
            if _is_at(path, descriptor):
                return descriptor
            # The file was removed by its last holder between our open and our lock: that lock guards nothing.
            os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """Say whether the open file is still the one at `path`."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (there.st_ino, there.st_dev) == (here.st_ino, here.st_dev)


def _remove(path: Path, descriptor: int) -> None:
    """Remove a lock file while its lock is held, then free the lock."""
    try:
        with contextlib.suppress(OSError):
            path.unlink()
    finally:
        os.close(descriptor)
