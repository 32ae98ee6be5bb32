"""Lists of a pack: terms, or entities with their names. Plain values; how files are read is `list_files.py`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Entity:
    """Somebody or something with names: an artist, a public figure, a mark.

    A name counts only with a word of `near` close to it, where there are any, and not with one of `unless_near`.
    `ambiguous` says that its names are words of their own too (Apple, Rose), so that rules can ask for context.
    """

    id: str
    names: tuple[str, ...]
    kind: str = ""
    near: tuple[str, ...] = ()
    unless_near: tuple[str, ...] = ()
    ambiguous: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class WordList:
    """One list of a pack. Either `terms` or `entities` is filled.

    `file` is its path inside the pack's folder and `sha256` the digest of its bytes; both are empty for a list that
    stands in the pack itself. `refreshed` is the day (YYYY-MM-DD) on which its owner last brought it up to date.
    """

    name: str
    terms: tuple[str, ...] = field(default=(), repr=False)
    entities: tuple[Entity, ...] = field(default=(), repr=False)
    file: str = ""
    sha256: str = ""
    owner: str = ""
    refreshed: str = ""
    max_age_days: int | None = None

    def __len__(self) -> int:
        """Terms or entities."""
        return len(self.terms) or len(self.entities)
