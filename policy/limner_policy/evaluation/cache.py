"""Keeps scores in the output folder, a line each, so that an interrupted evaluation goes on where it stopped.

Only whole answers are kept: what was unknown is asked again. A torn last line, as a power cut leaves it, is ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from limner_policy.detectors.base import Detector
from limner_policy.evaluation.judged import canonical, digest

NAME = "scores.cache.jsonl"
_SCORE = re.compile(r"0\.\d{6}|1\.000000")


def key_of(detector: Detector, definition: str) -> str:
    """What a score depends on beside the picture: the detector with its weights, its categories and their meaning.

    Args:
        detector: name, version, digest and categories count.
        definition: what else counts, such as the digests of the packs that define its lists and concepts.
    """
    return digest([detector.name, detector.version, detector.digest, list(detector.categories), definition])


class Cache:
    """Scores by (detector's key, picture, change); a context manager that appends to its file."""

    def __init__(self, folder: Path) -> None:
        """Read what earlier runs left."""
        self._path = folder / NAME
        self._found: dict[tuple[str, str, str], dict[str, str]] = {}
        torn = False
        if self._path.exists():
            data = self._path.read_bytes()
            torn = not data.endswith(b"\n") and bool(data)
            for line in data.decode("utf-8", "replace").splitlines():
                self._take(line)
        self._file = self._path.open("a", encoding="utf-8", newline="\n")
        if torn:
            self._file.write("\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def get(self, key: str, picture: str, change: str) -> Mapping[str, str] | None:
        """The scores by category, or None."""
        return self._found.get((key, picture, change))

    def put(self, key: str, picture: str, change: str, scores: dict[str, str]) -> None:
        """Keep the scores of one picture."""
        self._found[key, picture, change] = scores
        self._file.write(canonical({"key": key, "picture": picture, "change": change, "scores": scores}) + "\n")

    def flush(self) -> None:
        """Hand what was put to the operating system."""
        self._file.flush()

    def __len__(self) -> int:
        return len(self._found)

    def _take(self, line: str) -> None:
        try:
            entry = json.loads(line)
            scores = {str(name): str(score) for name, score in entry["scores"].items()}
            place = (str(entry["key"]), str(entry["picture"]), str(entry["change"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        if all(_SCORE.fullmatch(score) for score in scores.values()):
            self._found[place] = scores
