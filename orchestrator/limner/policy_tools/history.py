"""What was in force when: the stretches between the log's entries about its policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner.policy_tools.recorded import JUDGING, Judgement, Shelf, judgements

if TYPE_CHECKING:
    from limner_provenance import AuditLog


@dataclass(slots=True)
class Stretch:
    """One pack, loaded from one `opened` entry until the one that no longer names it (None: still).

    Attributes:
        pack, version, sha256: Which pack.
        since, until: From when, inclusive, until when, exclusive.
        entry, until_entry: The entries that say so.
        loaded: The entry that keeps its bytes.
        judgements: In how many judgements it took part, the `late` ones included.
        late: Of these, those after `until`: a process that was opened before still judged with it.
    """

    pack: str
    version: str
    sha256: str
    since: str
    entry: int
    loaded: int
    until: str | None = None
    until_entry: int | None = None
    judgements: int = 0
    late: int = 0


def history(log: AuditLog) -> list[Stretch]:
    """Give every stretch in which a pack was in force, oldest first."""
    shelf = Shelf(log)
    found: list[Stretch] = []
    current: dict[str, Stretch] = {}
    for opened in shelf.opened:
        digests, index = set(opened.data["packs"]), opened.index or 0
        for sha256 in current.keys() - digests:
            gone = current.pop(sha256)
            gone.until, gone.until_entry = opened.time, index
        for sha256 in sorted(digests - current.keys()):
            loaded = shelf.loaded[sha256]
            name, version = loaded.data["name"], loaded.data["version"]
            current[sha256] = Stretch(name, version, sha256, opened.time, index, loaded.index or 0)
            found.append(current[sha256])
    _count(found, judgements(log.entries(steps=JUDGING)))
    return found


def _count(stretches: list[Stretch], all_judgements: Iterable[Judgement]) -> None:
    """Count each judgement under the newest stretch of its pack that had begun."""
    by_pack: dict[str, list[Stretch]] = {}
    for stretch in stretches:
        by_pack.setdefault(stretch.sha256, []).append(stretch)
    for judgement in all_judgements:
        index = judgement.entry.index or 0
        for pack in judgement.packs:
            begun = [s for s in by_pack.get(pack["sha256"], ()) if s.entry < index]
            if begun:
                begun[-1].judgements += 1
                begun[-1].late += begun[-1].until_entry is not None and begun[-1].until_entry < index
