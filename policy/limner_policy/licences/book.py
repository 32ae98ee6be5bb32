"""Finds rows in facts files by name; of the embedded files only those are read in which the name stands.

Knows files and rows, not what they mean. YAML is slow to read, so a file is first searched as bytes: names are plain
ASCII without anything that YAML could spell otherwise.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from limner_policy.errors import PolicyFileError, Problem
from limner_policy.licences.reading import read_facts
from limner_policy.licences.rows import FactsFile, Licence, Subject
from limner_policy.yaml_reading import MAX_BYTES

FOLDER = Path(__file__).parent.parent / "data" / "licences"
PATTERN = "*.facts.yaml"


class _Shelf:
    """One facts file: its bytes at once, its rows when somebody asks for a name that stands in it."""

    def __init__(self, file: str, data: bytes) -> None:
        self.file = file
        self.data = data
        self._lower = data.lower()

    def mentions(self, name: str) -> bool:
        """Whether the name stands in the file as a word of its own; `MIT` does not stand in "limited"."""
        if not name.isascii():
            return False  # no row has such a name, and not every text can be made bytes
        word = rb"(?<![\w./:@+-])%b(?![\w./:@+-])" % re.escape(name.lower().encode())
        return re.search(word, self._lower) is not None

    def seems_to_define(self, name: str) -> bool:
        """Whether a row of this very id seems to stand here: only a hint where to look first."""
        return re.search(rb"\bid: *[\"']?%b\b" % re.escape(name.lower().encode()), self._lower) is not None

    @functools.cached_property
    def rows(self) -> FactsFile:
        return read_facts(self.data, self.file)

    @functools.cached_property
    def licences(self) -> dict[str, Licence]:
        return {name.casefold(): row for row in self.rows.licences for name in row.names}

    @functools.cached_property
    def subjects(self) -> dict[str, list[Subject]]:
        found: dict[str, list[Subject]] = {}
        for row in self.rows.subjects:
            for name in row.names:
                found.setdefault(name.casefold(), []).append(row)
        return found


class Book:
    """Facts files, one's own and the common ones: where both have a name, one's own row counts."""

    def __init__(self, files: Iterable[tuple[str, bytes]], *, before: Iterable[tuple[str, bytes]] = ()) -> None:
        """Keep the files' bytes by name; they are read when they are needed. `before` are searched first."""
        self._own = [_Shelf(file, data) for file, data in before]
        self._common = [_Shelf(file, data) for file, data in files]

    @property
    def _shelves(self) -> list[_Shelf]:
        return [*self._own, *self._common]

    def _mentioning(self, name: str) -> Iterator[_Shelf]:
        yield from (shelf for shelf in self._own if shelf.mentions(name))
        common = [shelf for shelf in self._common if shelf.mentions(name)]
        # No two of the common files have a name, so that the likeliest may be read first.
        yield from sorted(common, key=lambda shelf: not shelf.seems_to_define(name))

    def licence(self, name: str) -> tuple[Licence, FactsFile] | None:
        """The licence of that id or alias, in any case of letters, and the file it stands in.

        Raises:
            PolicyFileError: a file in which the name stands is broken.
        """
        for shelf in self._mentioning(name):
            if row := shelf.licences.get(name.casefold()):
                by_id = self.licence(row.facts.id) if self._own and name.casefold() != row.facts.id.casefold() else None
                return by_id or (row, shelf.rows)
        return None

    def subject(
        self, name: str, roles: Iterable[str] | None = None, instant: datetime | None = None
    ) -> tuple[Subject, FactsFile] | None:
        """The subject of that id or alias.

        Args:
            name: in any case of letters.
            roles: only these; None: any, a provider before the others.
            instant: rows in force then; None: those without an end.

        Raises:
            PolicyFileError: a file in which the name stands is broken.
        """
        wanted = None if roles is None else frozenset(roles)
        for shelf in self._mentioning(name):
            found = shelf.subjects.get(name.casefold(), [])
            rows = [row for row in found if (wanted is None or row.role in wanted) and _holds(row, instant)]
            if rows:
                row = min(rows, key=lambda row: row.role != "provider")
                # An alias of a common row whose id has a row of one's own means that row.
                aliased = self._own and name.casefold() != row.id.casefold()
                by_id = self.subject(row.id, (row.role,), instant) if aliased else None
                return by_id or (row, shelf.rows)
        return None

    def files(self) -> tuple[FactsFile, ...]:
        """All files, read whole.

        Raises:
            PolicyFileError: with the problems of all of them.
        """
        problems: list[Problem] = []
        for shelf in self._shelves:
            try:
                shelf.rows  # noqa: B018 -- reads
            except PolicyFileError as error:
                problems.extend(error.problems)
        if problems:
            raise PolicyFileError(problems)
        return tuple(shelf.rows for shelf in self._shelves)

    def names(self) -> list[str]:
        """Every name that can be asked for, sorted."""
        return sorted({name for file in self.files() for row in file.rows for name in row.names})

    @functools.cached_property
    def sha256(self) -> str:
        """One digest of all files: of the lines `SHA-256 of the file`, in the order of search."""
        digests = "".join(hashlib.sha256(shelf.data).hexdigest() + "\n" for shelf in self._shelves)
        return hashlib.sha256(digests.encode()).hexdigest()


def _holds(row: Subject, instant: datetime | None) -> bool:
    return row.effective.until is None if instant is None else row.effective.covers(instant)


@functools.cache
def embedded_book() -> Book:
    """The facts that come with Limner."""
    return Book(_contents(_files(FOLDER)))


def load_book(paths: Iterable[str | Path]) -> Book:
    """Facts files of one's own before the embedded ones, read whole: a row of yours counts instead of ours.

    Args:
        paths: files, or folders that stand for all *.facts.yaml directly in them.

    Raises:
        PolicyFileError: with the problems of all files; a name that two of them have is one.
    """
    own = list(_contents(file for path in map(Path, paths) for file in _files(path)))
    _no_twins(Book(own).files())
    return Book(_contents(_files(FOLDER)), before=own)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob(PATTERN))
    if not files:
        told = f"the folder holds no {PATTERN} file"
        raise PolicyFileError([Problem(str(path), 1, 1, "", told, "", "Name a facts file, or put one there")])
    return files


def _contents(files: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        try:
            with file.open("rb") as stream:
                yield str(file), stream.read(MAX_BYTES + 1)
        except OSError as error:
            told = "there is no such facts file" if isinstance(error, FileNotFoundError) else str(error.strerror)
            raise PolicyFileError([Problem(str(file), 1, 1, "", told, "", "Check the path")]) from None


def _no_twins(files: Iterable[FactsFile]) -> None:
    seen: dict[tuple[type, str], tuple[str, int]] = {}
    problems = []
    for file in files:
        for row in file.rows:
            for name in row.names:
                key = (type(row), name.casefold())
                if key in seen and seen[key][0] != file.file:
                    other, line = seen[key]
                    told = f"{name} stands in {other}:{line} too"
                    problems.append(Problem(file.file, row.line, 1, "", told, "", "Keep one of them"))
                seen.setdefault(key, (file.file, row.line))
    if problems:
        raise PolicyFileError(problems)
