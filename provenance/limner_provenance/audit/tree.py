"""Entries against tiles, edges and checkpoints: the tree is grown anew from the stored bytes and compared on the way.

Where something does not fit, it finds out which side is wrong: signed checkpoints are believed before tiles, tiles
before entries. Knows nothing of payloads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from limner_provenance import tables
from limner_provenance.audit.report import AuditReport
from limner_provenance.checkpoint import Checkpoint, is_plain, parse_unverified
from limner_provenance.errors import AuditError
from limner_provenance.merkle import HASH_BYTES, Edge, root_of
from limner_provenance.rotation import KeyChain
from limner_provenance.signature_worker import SignatureWorker
from limner_provenance.tiles import WIDTH, GrowingTree

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Outside:
    """A checkpoint kept outside the database, that the log must contain: where it is from, and what it says."""

    source: str
    checkpoint: Checkpoint


class TreeCheck:
    """Follows the entries in order; call `leaf` for each and `finish` at the end."""

    def __init__(
        self,
        connection: Connection,
        report: AuditReport,
        verifier: KeyChain | None,
        outside: list[Outside],
        worker: SignatureWorker | None = None,
    ) -> None:
        self._connection = connection
        self._report = report
        self._verifier = verifier
        self._worker = worker
        self._outside = outside
        self._sizes = {item.checkpoint.size for item in outside}
        self._tree = GrowingTree()
        self._good = 0
        self._wrong_leaves: list[int] = []
        self._wrong_tiles: list[tuple[str, str]] = []
        self._rows = self._checkpoints()
        self._row = next(self._rows, None)
        self._last_size = 0
        self._judge_empty()

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self._tree.size

    def root(self) -> bytes:
        """Root over the leaves so far, as recomputed."""
        return self._tree.edge.root()

    def leaf(self, digest: bytes) -> None:
        """Take the hash of the next entry."""
        tree = self._tree
        tree.append(digest)
        if tree.new_tiles:
            for tile in tree.new_tiles:
                self._compare_tile(tile)
            tree.new_tiles = []
        size = tree.edge.size
        while self._row is not None and self._row[0] == size:
            self._compare_checkpoint(self._row)
            self._row = next(self._rows, None)
        if size in self._sizes:
            self._compare_outside()

    def finish(self) -> None:
        """Report what is left over: entries without a checkpoint, checkpoints without entries, extra tiles."""
        report, size = self._report, self._tree.size
        while self._row is not None:
            report.error(
                "This checkpoint is of a larger log: entries are missing at the end.", "checkpoint", self._row[0]
            )
            self._row = next(self._rows, None)
        if self._last_size != size:
            what = f"The entries {self._last_size} to {size - 1} are covered by no checkpoint."
            report.error(what, "entry", self._last_size)
        self._settle(good=True)
        for outside in self._outside:
            if outside.checkpoint.size > size:
                what = f"It tells of {outside.checkpoint.size} entries, the log has {size}: its end was cut off."
                report.error(what, outside.source, outside.checkpoint.size)
        self._extra_tiles()

    def _checkpoints(self) -> Iterator[tuple[Any, ...]]:
        table = tables.checkpoint
        query = select(table.c.size, table.c.previous, table.c.note, table.c.edge).order_by(table.c.size)
        with self._connection.execute(query, execution_options={"yield_per": 1000}) as result:
            for row in result:
                yield tuple(row)

    def _judge_empty(self) -> None:
        """Refuse checkpoints of no entries at all; every real one has entry 0 below it."""
        while self._row is not None and (not isinstance(self._row[0], int) or self._row[0] <= 0):
            self._report.error("A checkpoint of no entries cannot be.", "checkpoint", self._row[0], "size")
            self._row = next(self._rows, None)

    def _compare_tile(self, tile: dict[str, Any]) -> None:
        """Compare a stored tile with the one that the entries give; which side is wrong is settled later."""
        table = tables.tile
        query = select(table.c.root, table.c.hashes).where(table.c.level == tile["level"], table.c.idx == tile["idx"])
        row = self._connection.execute(query).first()
        key = f"level {tile['level']} idx {tile['idx']}"
        if row is None:
            self._report.error("A full tile is missing.", "tile", key)
            return
        if row[1] != tile["hashes"]:
            self._wrong_tiles.append((key, "hashes"))
            if tile["level"] == 0:
                self._wrong_leaves += _differing(row[1], tile["hashes"], tile["idx"] * WIDTH)
        if row[0] != tile["root"]:
            # A root that follows from its own hashes is as right as they are.
            follows = _follows(row[0], row[1])
            self._wrong_tiles += [] if follows and row[1] != tile["hashes"] else [(key, "root")]

    def _compare_checkpoint(self, row: tuple[Any, ...]) -> None:
        """Check one stored checkpoint against the tree as it is now."""
        size, previous, note, edge = row
        report = self._report
        if previous != self._last_size:
            what = f"It follows a checkpoint of {previous} entries; the one before it has {self._last_size}."
            report.error(f"{what} One is missing, or the column was changed.", "checkpoint", size, "previous")
        self._last_size = size
        root = self.root()
        said = self._said(size, note, root)
        if said is None:
            return
        if said.size != size:
            report.error(f"The note is of {said.size} entries.", "checkpoint", size, "size")
            return
        right_edge = edge == self._tree.edge.to_bytes()
        if said.root == root:
            report.checkpoints += 1
            if not right_edge:
                report.error("The edge is not the tree's.", "checkpoint", size, "edge")
            self._settle(good=True)
            self._good = size
            return
        self._wrong_entries(size, said, edge)

    def _said(self, size: int, note: Any, root: bytes) -> Checkpoint | None:
        """Read and check a note; where it says what it should, its signature may be checked elsewhere meanwhile."""
        if not isinstance(note, str):
            self._report.error("The note is no text.", "checkpoint", size, "note")
            return None
        if self._verifier is None:
            return None
        if not is_plain(note):
            self._report.error("The note has lines besides the log's own.", "checkpoint", size, "note")
        try:
            if self._worker is not None:
                said = parse_unverified(note)
                if (said.size, said.root, said.origin) == (size, root, self._verifier.origin):
                    self._worker.check(self._verifier.at(size).vkey, note)
                    return said
            return self._verifier.verify(note)
        except AuditError as error:
            self._report.error(str(error), "checkpoint", size, "note")
            return None

    def _wrong_entries(self, size: int, said: Checkpoint, edge: Any) -> None:
        """A good signature contradicts the entries: say which entries, and go on from the signed state."""
        stored = _edge(size, edge)
        trusted = stored if stored is not None and stored.root() == said.root else None
        known = [index for index in self._wrong_leaves if self._good <= index < size] + self._ask_tile()
        if known:
            for index in known:
                self._report.error(
                    "The entry was changed: its hash is not the one in its tile.", "entry", index, "leaf"
                )
        else:
            first, last = self._narrow(size, trusted)
            what = "The entry was changed" if last == first else f"One of the entries {first} to {last} was changed"
            self._report.error(
                f"{what}: the signed checkpoint of {size} entries has another root.", "entry", first, "leaf"
            )
        self._wrong_leaves, self._wrong_tiles = [], []
        self._good = size
        if trusted is not None:
            self._tree.edge = trusted

    def _ask_tile(self) -> list[int]:
        """Compare the leaves of the tile that is not full yet with that tile as it is stored, and correct them."""
        number, start = self._tree.size // WIDTH, self._tree.size // WIDTH * WIDTH
        table = tables.tile
        query = select(table.c.hashes).where(table.c.level == 0, table.c.idx == number)
        stored = self._connection.execute(query).scalar()
        if not isinstance(stored, bytes) or len(stored) != WIDTH * HASH_BYTES:
            return []
        tail, wrong = self._tree.tail(), []
        for offset, mine in enumerate(tail):
            theirs = stored[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]
            if mine != theirs and start + offset >= self._good:
                wrong.append(start + offset)
                tail[offset] = theirs
        return wrong

    def _narrow(self, size: int, trusted: Edge | None) -> tuple[int, int]:
        """Give the first and last entry that may be wrong, by comparing full subtrees."""
        first, last = self._good, size - 1
        if trusted is None:
            return first, last
        start = 0
        for bit, mine, theirs in zip(_bits(size), self._tree.edge.roots, trusted.roots, strict=True):
            stop = start + bit
            if mine != theirs and stop > first:
                return max(first, start), min(last, stop - 1)
            start = stop
        return first, last

    def _settle(self, *, good: bool) -> None:
        """The entries are right up to here, so tiles that differ from them are wrong."""
        if good:
            for key, column in self._wrong_tiles:
                self._report.error("The tile does not follow from the entries.", "tile", key, column)
        self._wrong_leaves, self._wrong_tiles = [], []

    def _compare_outside(self) -> None:
        for outside in self._outside:
            if outside.checkpoint.size == self._tree.size and outside.checkpoint.root != self.root():
                what = f"It has another root at {self._tree.size} entries: history was rewritten before that."
                self._report.error(what, outside.source, outside.checkpoint.size)

    def _extra_tiles(self) -> None:
        """Find tiles that no entries stand behind."""
        table, size = tables.tile, self._tree.size
        query = select(table.c.level, func.count(), func.max(table.c.idx)).group_by(table.c.level)
        for level, count, largest in self._connection.execute(query):
            full = size >> (8 * (level + 1)) if isinstance(level, int) and 0 <= level < 8 else 0
            if count > full or not isinstance(largest, int) or largest >= full:
                self._report.error("A tile that no entries stand behind.", "tile", f"level {level} idx {largest}")


def _differing(stored: Any, computed: bytes, start: int) -> list[int]:
    """Give the indexes of leaves whose hash in the tile is another one; none where the tile itself is misshapen."""
    if not isinstance(stored, bytes) or len(stored) != len(computed):
        return []
    return [
        start + at // HASH_BYTES
        for at in range(0, len(computed), HASH_BYTES)
        if stored[at : at + HASH_BYTES] != computed[at : at + HASH_BYTES]
    ]


def _follows(root: Any, hashes: Any) -> bool:
    """Say whether a tile's root is that of its own hashes."""
    if not isinstance(hashes, bytes) or len(hashes) != WIDTH * HASH_BYTES:
        return False
    return bool(root == root_of([hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]))


def _edge(size: int, data: Any) -> Edge | None:
    """Read a stored edge, if it is one."""
    try:
        return Edge.from_bytes(size, data) if isinstance(data, bytes) else None
    except ValueError:
        return None


def _bits(size: int) -> list[int]:
    """Give the sizes of the full subtrees of a tree, the largest first."""
    return [1 << bit for bit in range(size.bit_length() - 1, -1, -1) if size >> bit & 1]
