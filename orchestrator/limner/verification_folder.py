"""What each picture of a folder proves: the steps of `verification`, file by file, in several threads.

    1. List the files below the folder, in the order of their names; hidden folders and links are passed over.
    2. Tell pictures from other files by their first bytes, not by their names.
    3. Verify each picture; one that cannot be read is an answer too.
    4. Count.

Memory does not grow with the folder: a few pictures are in memory at a time and none is kept.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.errors import ConfigInvalid, LimnerError
from limner_provenance.errors import ImageUnreadable, ProvenanceError

if TYPE_CHECKING:
    from limner.verification import Verification, Verifier

UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Looked:
    """One picture of a folder.

    Attributes:
        file: The file.
        found: What it proves; None where it is no whole picture or cannot be read.
        problem: Why it could not be read; empty where it could.
    """

    file: Path
    found: Verification | None
    problem: str = ""

    @property
    def verdict(self) -> str:
        """The verification's verdict, or `unreadable`."""
        return UNREADABLE if self.found is None else self.found.verdict

    @property
    def good(self) -> bool:
        """True where every step that could be taken came out good."""
        return self.found is not None and self.found.good

    def to_json(self) -> dict[str, Any]:
        """Everything as one JSON document."""
        if self.found is not None:
            return self.found.to_json()
        return {"file": str(self.file), "verdict": self.verdict, "good": False, "problem": self.problem}


@dataclass
class FolderSummary:
    """How the pictures of a folder came out.

    Attributes:
        counted: Pictures by verdict.
        bad: Pictures that did not come out good.
        not_checked: Good pictures of which no step with a log could be taken.
        development: Pictures that a development certificate signed.
        passed_over: Files that are no PNG, JPEG or WebP.
        stops_first: When the first of them stops validating; None: none does.
        seconds: How long it took.
    """

    counted: Counter[str] = field(default_factory=Counter)
    bad: int = 0
    not_checked: int = 0
    development: int = 0
    passed_over: int = 0
    stops_first: datetime | None = None
    seconds: float = 0.0

    @property
    def files(self) -> int:
        """How many pictures there were."""
        return self.counted.total()

    @property
    def good(self) -> bool:
        """True where every picture came out good."""
        return self.bad == 0

    def add(self, looked: Looked) -> None:
        """Count one picture."""
        self.counted[looked.verdict] += 1
        self.bad += not looked.good
        if looked.found is None or not looked.good:
            return
        self.not_checked += looked.found.steps[2].result == "skipped"
        self.development += looked.found.credentials.development
        stops = looked.found.credentials.stops_validating
        if stops is not None and (self.stops_first is None or stops < self.stops_first):
            self.stops_first = stops

    def to_json(self) -> dict[str, Any]:
        """Everything as one JSON document."""
        stops = self.stops_first
        return vars(self) | {
            "counted": dict(self.counted),
            "files": self.files,
            "good": self.good,
            "stops_first": stops.isoformat() if stops else None,
            "seconds": round(self.seconds, 3),
        }


def pictures_in(folder: Path) -> tuple[list[Path], int]:
    """Give the pictures below a folder, sorted, and how many other files were passed over.

    Raises:
        ConfigInvalid: The folder cannot be listed, or holds no picture.
    """
    found, others = [], 0
    for path in _files(folder):  # 1
        if _is_picture(path):  # 2
            found.append(path)
        else:
            others += 1
    if not found:
        raise ConfigInvalid(
            f"{folder} holds no PNG, JPEG or WebP ({others:,} other files).", remedy="Name a folder of pictures."
        )
    return found, others


def _files(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise ConfigInvalid(
            f"{error.filename} cannot be listed: {error.strerror}.", remedy="Check its rights."
        ) from error

    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where, name) for name in sorted(names) if not Path(where, name).is_symlink())


def _is_picture(path: Path) -> bool:
    """Say whether a file begins as a picture does; one that cannot be read is looked at, and said to be unreadable."""
    from limner_provenance.credentials import sniff

    try:
        with path.open("rb") as file:
            sniff(file.read(12))
    except ImageUnreadable:
        return False
    except OSError:
        return path.suffix.lower() in {".png", ".jpg", ".jpeg", ".webp"}
    return True


def verify_files(verifier: Verifier, files: list[Path], *, threads: int) -> Iterator[Looked]:
    """Verify pictures, in their order, a few at a time."""

    def look(file: Path) -> Looked:
        try:
            return Looked(file, verifier.verify(file))  # 3
        except (ProvenanceError, LimnerError) as error:
            return Looked(file, None, str(error))

    waiting: deque[Future[Looked]] = deque()
    with ThreadPoolExecutor(threads, "verify") as pool:
        try:
            for file in files:
                waiting.append(pool.submit(look, file))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:  # the reader went away
                future.cancel()


def verify_folder(
    verifier: Verifier, folder: Path, tell: Callable[[Looked, int], None], *, threads: int = 2
) -> FolderSummary:
    """Verify every picture below a folder, in the steps of this module's docstring.

    Args:
        verifier: What each one is held against.
        folder: The folder.
        tell: Called with each picture, in order, and how many there are in all.
        threads: How many are looked at at once, 1 to 64.

    Raises:
        ConfigInvalid: The folder cannot be listed, or holds no picture.
    """
    started = time.monotonic()
    files, others = pictures_in(folder)
    summary = FolderSummary(passed_over=others)
    for looked in verify_files(verifier, files, threads=threads):
        summary.add(looked)  # 4
        tell(looked, len(files))
    summary.seconds = time.monotonic() - started
    return summary
