"""Keeps prompts that a model has embedded: in memory, and in files where a folder is given.

A file is named by the digests of model and wording, so that it is never used for another one; one that does not hold
what it should is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]
else:
    Array = Any


class PromptCache:
    """Unit vectors by the digests of model and wording."""

    def __init__(self, folder: Path | None) -> None:
        """Keep them in files of `folder` too; None: in memory alone."""
        self._folder = folder
        self._known: dict[str, Array] = {}

    def get(self, model: str, wording: str, make: Callable[[], Array]) -> Array:
        """What is kept for this model and wording, else what `make` gives: float64 of shape (prompts, dimensions)."""
        name = hashlib.sha256(f"{model}\n{wording}".encode()).hexdigest()
        if name not in self._known:
            kept = self._read(name)
            self._known[name] = self._written(name, make()) if kept is None else kept
        return self._known[name]

    def _read(self, name: str) -> Array | None:
        import numpy as np

        if self._folder is None:
            return None
        try:
            found = np.load(self._folder / f"{name}.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        whole = found.dtype == np.float64 and found.ndim == 2 and np.isfinite(found).all()
        return found if whole and np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6) else None

    def _written(self, name: str, vectors: Array) -> Array:
        import numpy as np

        if self._folder is None:
            return vectors
        # A full or read-only disk costs the next start some seconds, and nothing else.
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            part = self._folder / f".{name}.{os.getpid()}.npy"
            np.save(part, vectors, allow_pickle=False)
            part.replace(self._folder / f"{name}.npy")
        return vectors
