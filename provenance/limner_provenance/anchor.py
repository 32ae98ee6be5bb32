"""The anchor: the newest checkpoint, kept in a file outside the database, replaced at every commit.

Whoever cuts the log's tail together with its checkpoints has to know of this file too. It never goes back to an older
checkpoint. Knows nothing of entries.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from limner_provenance.checkpoint import parse_unverified
from limner_provenance.errors import LogCorrupt
from limner_provenance.files import sync_folder, unavailable, write_durably
from limner_provenance.locks import exclusive


class Anchor:
    """The anchor file and the lock that keeps processes from replacing a newer checkpoint by an older one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_path = path.with_name(path.name + ".lock")
        self._thread_lock = threading.Lock()
        self._held: tuple[bytes, int] = (b"", -1)

    def read(self) -> str | None:
        """Give the checkpoint in the file, or None where there is no file.

        Raises:
            StorageUnavailable: it cannot be read.
            LogCorrupt: it is no text.
        """
        try:
            return self.path.read_bytes().decode()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise LogCorrupt(f"The anchor {self.path} is no checkpoint.") from None
        except OSError as error:
            raise unavailable(self.path, error) from error

    def replace(self, note: str, size: int) -> None:
        """Put the checkpoint of `size` entries into the file, unless a newer one is there.

        Raises:
            StorageUnavailable: the file cannot be written.
        """
        with self._locked():
            if self._size() >= size:
                return
            try:
                write_durably(self.path, note.encode(), mode=0o644)
            except OSError as error:
                raise unavailable(self.path, error) from error
            self._held = (note.encode(), size)

    def sync(self) -> None:
        """Make the file's name durable."""
        with contextlib.suppress(OSError):
            sync_folder(self.path.parent)

    def _size(self) -> int:
        """Give the size that the file's checkpoint says; a file that is no checkpoint may be replaced."""
        try:
            data = self.path.read_bytes()
        except OSError:
            return -1
        if data == self._held[0]:
            return self._held[1]
        try:
            return parse_unverified(data.decode()).size
        except (LogCorrupt, UnicodeDecodeError):
            return -1

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other threads and processes out."""
        with self._thread_lock:
            try:
                descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise unavailable(self._lock_path, error) from error
            try:
                exclusive(descriptor, wait=True)
                yield
            finally:
                os.close(descriptor)
