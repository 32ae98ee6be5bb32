"""SHA-256 of files and of sets of files, computed once while a file stays as it is."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable
from pathlib import Path

from limner_providers.errors import ModelUnavailable

_known: dict[tuple[str, int, int, int], str] = {}
_lock = threading.Lock()


def file_sha256(path: Path) -> str:
    """Digest a file, lower-case hex; again, while path, inode, size and time stay as they were, from memory.

    Raises:
        ModelUnavailable: it cannot be read; names the file.
    """
    try:
        state = path.stat()
        key = (str(path.resolve()), state.st_ino, state.st_size, state.st_mtime_ns)
        with _lock:
            if key in _known:
                return _known[key]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnavailable(f"{path} cannot be read ({error.strerror}).", remedy="Check the file.") from error
    with _lock:
        _known[key] = digest
    return digest


def files_sha256(named: Iterable[tuple[str, Path]]) -> str:
    """Digest a set of files: SHA-256 of the canonical JSON of the sorted list of [name, SHA-256 of the file].

    Raises:
        ModelUnavailable: a file cannot be read.
    """
    listed = sorted([name, file_sha256(path)] for name, path in named)
    text = json.dumps(listed, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
