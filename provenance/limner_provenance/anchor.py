"""The anchor: the newest checkpoint, kept in a file outside the database, replaced at every commit.

Whoever cuts the log's tail together with its checkpoints has to know of this file too. It never goes back to an older
checkpoint. Knows nothing of entries.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

from limner_provenance.checkpoint import parse_unverified
from limner_provenance.errors import LogCorrupt, StorageUnavailable
from limner_provenance.files import sync_folder, unavailable, write_durably
from limner_provenance.locks import exclusive, shared

_MAX_BYTES = 4096
_PATIENCE = 0.5


class Anchor:
    """The anchor file. It is overwritten in place under its lock.

    The text fits a disk sector and never gets shorter, so one small write replaces it whole; renaming a new file over
    it instead costs as much as half a commit (measured on ext4), and waiting for the disk costs a whole one. After a
    power cut it may lag behind, and is still a state the log went through.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._held: tuple[bytes, int] = (b"", -1)

    def read(self) -> str | None:
        """Give the checkpoint in the file, or None where there is no file.

        Raises:
            StorageUnavailable: it cannot be read.
            LogCorrupt: it is no text.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                shared(descriptor)
                return os.pread(descriptor, _MAX_BYTES, 0).decode()
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise LogCorrupt(f"The anchor {self.path} is no checkpoint.", remedy="Restore it.") from None
        except OSError as error:
            raise unavailable(self.path, error) from error

    def replace(self, note: str, size: int) -> None:
        """Put the checkpoint of `size` entries into the file, unless a newer one is there.

        Raises:
            StorageUnavailable: the file cannot be written.
        """
        data = note.encode()
        with self._lock:
            try:
                self._replace(data, size)
            except FileNotFoundError:
                self._create(data)
            except OSError as error:
                raise unavailable(self.path, error) from error
            self._held = (data, size)

    def _replace(self, data: bytes, size: int) -> None:
        descriptor = os.open(self.path, os.O_RDWR)
        try:
            self._lock_file(descriptor)
            there = os.pread(descriptor, _MAX_BYTES, 0)
            if self._size(there) < size:
                os.pwrite(descriptor, data, 0)
                if len(there) > len(data):
                    os.ftruncate(descriptor, len(data))
        finally:
            os.close(descriptor)

    def _lock_file(self, descriptor: int) -> None:
        """Take the file's lock, which others hold for microseconds; a reader who keeps it must not stop the log."""
        deadline = time.monotonic() + _PATIENCE
        while not exclusive(descriptor, wait=False):
            if time.monotonic() > deadline:
                raise StorageUnavailable(f"The anchor {self.path} is locked by another program.")
            time.sleep(0.001)

    def _create(self, data: bytes) -> None:
        try:
            write_durably(self.path, data, mode=0o644)
        except OSError as error:
            raise unavailable(self.path, error) from error

    def _size(self, data: bytes) -> int:
        """Give the size that a checkpoint says; what is no checkpoint may be replaced."""
        if data == self._held[0]:
            return self._held[1]
        try:
            return parse_unverified(data.decode()).size
        except (LogCorrupt, UnicodeDecodeError):
            return -1

    def sync(self) -> None:
        """Make the file durable."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_folder(self.path.parent)
