"""The hash tree of RFC 6962 (and RFC 9162): leaf and node hashes, its growing edge, inclusion and consistency proofs.

Pure arithmetic over 32-byte hashes. Knows nothing of entries, databases or signatures: whoever stores the hashes hands
in a function that gives the root of a full subtree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves."""

Subtree = Callable[[int, int], bytes]
"""`subtree(height, position)` gives the root of the full subtree over the leaves
`position * 2**height … (position + 1) * 2**height - 1`."""


def leaf_hash(leaf: bytes) -> bytes:
    """Hash the bytes of one leaf (RFC 6962, 2.1: a zero byte before them)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two children into their parent (RFC 6962, 2.1: a one byte before them)."""
    return sha256(b"\x01" + left + right).digest()


class Edge:
    """The right edge of a growing tree: the roots of its full subtrees, the largest first.

    It is all that is needed to add leaves and to say the root; there is one root for each set bit of `size`.
    """

    __slots__ = ("roots", "size")

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        if len(roots) != size.bit_count():
            raise ValueError(f"an edge of {size} leaves has {size.bit_count()} roots, not {len(roots)}")
        self.size = size
        self.roots = list(roots)

    def append(self, digest: bytes) -> None:
        """Add one leaf by its hash."""
        size = self.size
        while size & 1:
            digest = sha256(b"\x01" + self.roots.pop() + digest).digest()
            size >>= 1
        self.roots.append(digest)
        self.size += 1

    def root(self) -> bytes:
        """Give the root of the whole tree."""
        if not self.roots:
            return EMPTY_ROOT
        digest = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            digest = node_hash(left, digest)
        return digest

    def to_bytes(self) -> bytes:
        """Give the roots one after the other, 32 bytes each."""
        return b"".join(self.roots)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Edge:
        """Read what `to_bytes` gave.

        Raises:
            ValueError: the number of bytes does not fit `size`.
        """
        if len(data) != size.bit_count() * HASH_BYTES:
            raise ValueError(f"an edge of {size} leaves has {size.bit_count() * HASH_BYTES} bytes, not {len(data)}")
        return cls(size, [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)])


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Give the root over leaf hashes (or over nodes of one level, which is the same arithmetic)."""
    if len(hashes).bit_count() == 1:
        # A full subtree, level by level: three times as fast, and tiles are such.
        while len(hashes) > 1:
            hashes = [
                sha256(b"\x01" + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=True)
            ]
        return hashes[0]
    edge = Edge()
    for digest in hashes:
        edge.append(digest)
    return edge.root()


def range_root(start: int, stop: int, subtree: Subtree) -> bytes:
    """Give the root over the leaves `start … stop - 1`, where `start` is a border of a full subtree that large."""
    roots: list[bytes] = []
    while start < stop:
        height = (stop - start).bit_length() - 1
        roots.append(subtree(height, start >> height))
        start += 1 << height
    digest = roots.pop() if roots else EMPTY_ROOT
    while roots:
        digest = node_hash(roots.pop(), digest)
    return digest


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Give the audit path of leaf `index` in the tree of `size` leaves (RFC 6962, 2.1.1), leaf side first.

    Raises:
        ValueError: `index` is not below `size`.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size} leaves")
    return _path(index, 0, size, subtree)


def _path(index: int, start: int, stop: int, subtree: Subtree) -> list[bytes]:
    """Collect the siblings from the leaf to the root of `start … stop - 1`."""
    path: list[bytes] = []
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(range_root(middle, stop, subtree))
            stop = middle
        else:
            path.append(range_root(start, middle, subtree))
            start = middle
    path.reverse()
    return path


def consistency_proof(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Give the proof that the tree of `new` leaves begins with the tree of `old` leaves (RFC 6962, 2.1.2).

    Raises:
        ValueError: `old` is larger than `new` or negative.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves has no older tree of {old} leaves")
    if old in (0, new):
        return []
    path: list[bytes] = []
    start, stop, whole = 0, new, True
    while start + old != stop:
        half = _split(stop - start)
        if old <= half:
            path.append(range_root(start + half, stop, subtree))
            stop = start + half
        else:
            path.append(range_root(start, start + half, subtree))
            start, old, whole = start + half, old - half, False
    if not whole:
        path.append(range_root(start, stop, subtree))
    path.reverse()
    return path


def _split(size: int) -> int:
    """Give the largest power of two below `size` (which is at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether `proof` shows that the leaf hash `leaf` is leaf `index` of the tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, digest = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            digest = node_hash(sibling, digest)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            digest = node_hash(digest, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and digest == root


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether `proof` shows that the new tree begins with the old one (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old in (0, new):
        return not proof and (old_root == new_root if old == new else old_root == EMPTY_ROOT)
    hashes = [old_root, *proof] if old.bit_count() == 1 else list(proof)
    return bool(hashes) and _climb(old - 1, new - 1, hashes) == (old_root, new_root)


def _climb(position: int, last: int, hashes: list[bytes]) -> tuple[bytes, bytes] | None:
    """Rebuild both roots from a consistency proof; None where it is too long or too short."""
    while position & 1:
        position, last = position >> 1, last >> 1
    older = newer = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        position, last = position >> 1, last >> 1
    return (older, newer) if last == 0 else None
