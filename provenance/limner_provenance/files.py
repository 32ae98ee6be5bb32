"""Files that have to be whole, durable and private: atomic replacement, key files, temporary names.

Knows nothing of what the files mean.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from limner_provenance.errors import KeyUnavailable, StorageUnavailable

TEMPORARY = ".part-"
"""Begins the name of every file that is not finished; such files are swept when nobody else has the log open."""


def make_folder(path: Path, *, private: bool = False) -> Path:
    """Make a folder (and those above it); a private one is for the owner alone.

    Raises:
        StorageUnavailable: it cannot be made.
    """
    try:
        path.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
    except OSError as error:
        raise unavailable(path, error) from error
    return path


def write_durably(path: Path, data: bytes, *, mode: int = 0o666, sync: bool = True) -> None:
    """Put `data` at `path` so that at every moment the old content, or the new one, or none, is there whole.

    Args:
        path: the final name, replaced if it exists.
        data: the whole content.
        mode: permissions of the new file before the umask.
        sync: wait until file and folder are on the disk.

    Raises:
        OSError: it could not be written; nothing half-written stays.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{os.urandom(4).hex()}-{path.name}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - measured: half the cost of the Path method, at every commit
        if sync:
            sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 - the name may not exist
        raise


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable; systems that cannot open a folder need no such call."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_private(path: Path, text: str) -> None:
    """Write a key file with mode 0600 into a folder of mode 0700.

    Raises:
        StorageUnavailable: it cannot be written.
    """
    make_folder(path.parent, private=True)
    try:
        write_durably(path, text.encode(), mode=0o600)
    except OSError as error:
        raise unavailable(path, error) from error


def read_private(path: Path) -> str:
    """Read a key file, refusing one that others may read.

    Raises:
        KeyUnavailable: it is missing, unreadable, no text, or readable by group or world.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii")
    except FileNotFoundError:
        raise KeyUnavailable(f"The key file {path} is missing.", remedy="Restore it from your backup.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise KeyUnavailable(f"The key file {path} cannot be read: {_why(error)}.") from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        message = f"The key file {path} can be read by others (mode {stat.S_IMODE(mode):04o})."
        raise KeyUnavailable(message, remedy=f"Run: chmod 600 {path}")
    return text.strip()


def unavailable(path: Path, error: OSError) -> StorageUnavailable:
    """Say in plain words that a path cannot be used."""
    remedy = "Make room on the disk." if error.errno == 28 else "Check that the folder exists and may be written to."
    return StorageUnavailable(f"{path} cannot be used: {_why(error)}.", remedy=remedy)


def _why(error: Exception) -> str:
    """Give the operating system's words, which hold no secret."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is no text"
