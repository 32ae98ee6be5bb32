"""The hash tree as it is kept in the database: full tiles of 256 hashes, and the edge of the newest checkpoint.

Writing grows a tree and says which tiles became full; reading gives the root of any full subtree in a few rows. Knows
nothing of signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from limner_provenance import tables
from limner_provenance.errors import LogCorrupt
from limner_provenance.merkle import HASH_BYTES, Edge, leaf_hash, root_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

WIDTH = 256
"""Hashes in a full tile (C2SP tlog-tiles)."""

_BITS = 8
_TILE = select(tables.tile.c.hashes).where(
    tables.tile.c.level == bindparam("level"), tables.tile.c.idx == bindparam("idx")
)


class GrowingTree:
    """A tree that leaves are added to: its edge, and of each level the hashes that fill no tile yet."""

    def __init__(self, edge: Edge | None = None, tails: list[list[bytes]] | None = None) -> None:
        self.edge = edge or Edge()
        self._tails = tails or []
        self.new_tiles: list[dict[str, Any]] = []

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self.edge.size

    def append(self, digest: bytes) -> None:
        """Add a leaf by its hash; tiles that become full are put into `new_tiles`."""
        self.edge.append(digest)
        level = 0
        while True:
            if level == len(self._tails):
                self._tails.append([])
            tail = self._tails[level]
            tail.append(digest)
            if len(tail) < WIDTH:
                return
            digest = root_of(tail)
            number = (self.size >> (_BITS * (level + 1))) - 1
            self.new_tiles.append({"level": level, "idx": number, "root": digest, "hashes": b"".join(tail)})
            tail.clear()
            level += 1

    def tail(self) -> list[bytes]:
        """Give the leaf hashes that fill no tile yet; a verification may correct them in place."""
        return self._tails[0] if self._tails else []


def load_tree(connection: Connection, size: int, edge: bytes) -> GrowingTree:
    """Give the tree of the first `size` entries, ready to grow.

    Raises:
        LogCorrupt: rows are missing, or the edge does not fit them.
    """
    tails: list[list[bytes]] = []
    count = size
    while count:
        start = count - count % WIDTH
        tails.append(_nodes(connection, len(tails), start, count))
        count >>= _BITS
    try:
        return GrowingTree(Edge.from_bytes(size, edge), tails)
    except ValueError as error:
        raise LogCorrupt(f"The checkpoint of size {size} has a wrong edge: {error}.") from None


def extend_tree(connection: Connection, tree: GrowingTree, size: int) -> GrowingTree:
    """Grow a tree that was the log's to `size` by what others wrote since, which is less than loading it anew.

    Raises:
        LogCorrupt: rows are missing.
    """
    for digest in _nodes(connection, 0, tree.size, size):
        tree.append(digest)
    tree.new_tiles = []  # who wrote the entries wrote these too
    return tree


def _nodes(connection: Connection, level: int, start: int, stop: int) -> list[bytes]:
    """Give the nodes `start … stop - 1` of a tile level: leaf hashes at level 0, roots of the tiles below otherwise."""
    if level == 0:
        table = tables.entry
        query = select(table.c.leaf).where(table.c.idx >= start, table.c.idx < stop).order_by(table.c.idx)
        found = [leaf_hash(row[0].encode()) for row in connection.execute(query)]
    else:
        tile = tables.tile
        query = select(tile.c.root).where(tile.c.level == level - 1, tile.c.idx >= start, tile.c.idx < stop)
        found = [bytes(row[0]) for row in connection.execute(query.order_by(tile.c.idx))]
    if len(found) != stop - start:
        what = "entries" if level == 0 else f"tiles of level {level - 1}"
        message = f"{stop - start - len(found)} {what} between {start} and {stop} are missing."
        raise LogCorrupt(message, remedy="Run `limner audit verify`.")
    return found


def subtrees(connection: Connection, size: int, edge: Edge | None = None) -> Callable[[int, int], bytes]:
    """Give the function that proofs are made with: the root of a full subtree below `size`, from few rows.

    Where the edge of the tree of `size` leaves is at hand, its own roots cost no row.
    """
    tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    def tile(level: int, number: int) -> Sequence[bytes]:
        key = (level, number)
        if key not in tiles:
            stop = min((number + 1) * WIDTH, size >> (_BITS * level))
            tiles[key] = _tile(connection, level, number, stop)
        return tiles[key]

    def subtree(height: int, position: int) -> bytes:
        if edge is not None and size >> height == position + 1 and not position & 1:
            return edge.roots[(size >> height + 1).bit_count()]
        level, bits = divmod(height, _BITS)
        start = position << bits
        offset = start % WIDTH
        return root_of(tile(level, start // WIDTH)[offset : offset + (1 << bits)])

    return subtree


def _tile(connection: Connection, level: int, number: int, stop: int) -> Sequence[bytes]:
    """Give the hashes of one tile up to node `stop`; a tile that is not full is put together from below."""
    if stop == (number + 1) * WIDTH:
        row = connection.execute(_TILE, {"level": level, "idx": number}).first()
        if row is not None and len(row[0]) == WIDTH * HASH_BYTES:
            return [bytes(row[0][at : at + HASH_BYTES]) for at in range(0, WIDTH * HASH_BYTES, HASH_BYTES)]
    return _nodes(connection, level, number * WIDTH, stop)
