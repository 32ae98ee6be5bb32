"""The tree against RFC 6962's known answers, the RFC's own recursive definition, and pymerkle."""

from __future__ import annotations

from collections.abc import Sequence

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_provenance import merkle, verify_evidence

# The test vectors published with the certificate-transparency reference implementation.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def tree(hashes: Sequence[bytes]) -> merkle.Subtree:
    """Give the subtree function over a list of leaf hashes."""
    return lambda height, position: merkle.root_of(hashes[position << height : (position + 1) << height])


def definition(hashes: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, to the letter."""
    if not hashes:
        return merkle.EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    half = 1
    while half * 2 < len(hashes):
        half *= 2
    return merkle.node_hash(definition(hashes[:half]), definition(hashes[half:]))


def test_rfc_6962_vectors() -> None:
    """The published roots of the first eight trees come out."""
    hashes = [merkle.leaf_hash(leaf) for leaf in LEAVES]
    assert [merkle.root_of(hashes[: size + 1]).hex() for size in range(8)] == ROOTS
    assert merkle.root_of([]) == merkle.EMPTY_ROOT


# The published hashes of all full subtrees of the eight leaves, level by level.
NODES = [
    [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7",
        "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "46f6ffadd3d06a09ff3c5860d2755c8b9819db7df44251788c7d8e3180de8eb1",
    ],
    [
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    ],
    [
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    ["5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"],
]
# The published audit paths: leaf, size, and the path as (level, position) in `NODES`.
PATHS = [
    (0, 1, []),
    (0, 2, [(0, 1)]),
    (1, 2, [(0, 0)]),
    (2, 3, [(1, 0)]),
    (1, 5, [(0, 0), (1, 1), (0, 4)]),
    (0, 8, [(0, 1), (1, 1), (2, 1)]),
    (5, 8, [(0, 4), (1, 3), (2, 0)]),
]


def test_rfc_6962_node_vectors() -> None:
    """Leaf and node hashes are the published ones, and a tile's root follows from its hashes."""
    level = [merkle.leaf_hash(leaf) for leaf in LEAVES]
    for published in NODES:
        assert [digest.hex() for digest in level] == published
        level = [merkle.node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]


@pytest.mark.parametrize(("index", "size", "places"), PATHS)
def test_rfc_6962_inclusion_vectors(index: int, size: int, places: list[tuple[int, int]]) -> None:
    """The published audit paths come out, and both our verifiers accept them and no other root."""
    hashes = [merkle.leaf_hash(leaf) for leaf in LEAVES]
    published = [bytes.fromhex(NODES[level][position]) for level, position in places]
    assert merkle.inclusion_proof(index, size, tree(hashes)) == published
    root = bytes.fromhex(ROOTS[size - 1])
    assert merkle.check_inclusion(hashes[index], index, size, published, root)
    assert not merkle.check_inclusion(hashes[index], index, size, published, hashes[index - 1])
    climbed = verify_evidence.climb(index, size - 1, b"".join(published), hashes[index])
    assert climbed is not None
    assert climbed[0] == root


def subproof(old: int, hashes: Sequence[bytes], whole: bool) -> list[bytes]:
    """RFC 6962, 2.1.2, to the letter."""
    if old == len(hashes):
        return [] if whole else [definition(hashes)]
    half = 1
    while half * 2 < len(hashes):
        half *= 2
    if old <= half:
        return [*subproof(old, hashes[:half], whole), definition(hashes[half:])]
    return [*subproof(old - half, hashes[half:], False), definition(hashes[:half])]


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (1, 1, []),
        (
            1,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ],
)
def test_rfc_6962_consistency_vectors(old: int, new: int, path: list[str]) -> None:
    """The published consistency proofs come out, and both our verifiers accept them and no other root."""
    hashes = [merkle.leaf_hash(leaf) for leaf in LEAVES]
    proof = merkle.consistency_proof(old, new, tree(hashes))
    assert [digest.hex() for digest in proof] == path
    before, after = (bytes.fromhex(ROOTS[size - 1]) for size in (old, new))
    assert merkle.check_consistency(old, new, before, after, proof)
    assert verify_evidence.grew((old, before), (new, after), b"".join(proof))
    assert not merkle.check_consistency(old, new, hashes[5], after, proof)
    assert not verify_evidence.grew((old, hashes[5]), (new, after), b"".join(proof))


@given(st.integers(1, 60).flatmap(lambda new: st.tuples(st.integers(1, new), st.just(new))))
def test_consistency_agrees_with_the_definition(pair: tuple[int, int]) -> None:
    """Consistency proofs are those of the RFC's recursive definition."""
    old, new = pair
    hashes = [merkle.leaf_hash(bytes([number])) for number in range(new)]
    assert merkle.consistency_proof(old, new, tree(hashes)) == subproof(old, hashes, True)


@given(st.integers(0, 70))
def test_edge_agrees_with_the_definition(size: int) -> None:
    """Growing leaf by leaf gives the recursive definition's root, and the edge survives its bytes."""
    hashes = [merkle.leaf_hash(bytes([number])) for number in range(size)]
    edge = merkle.Edge()
    for digest in hashes:
        edge.append(digest)
    assert edge.root() == definition(hashes) == merkle.range_root(0, size, tree(hashes)) == merkle.root_of(hashes)
    assert merkle.Edge.from_bytes(size, edge.to_bytes()).root() == edge.root()


@given(st.integers(1, 70).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_inclusion_holds_and_nothing_else_does(pair: tuple[int, int]) -> None:
    """A proof holds for its leaf, place and size, and for no other leaf, place, size, root or length."""
    size, index = pair
    hashes = [merkle.leaf_hash(bytes([number])) for number in range(size)]
    root = definition(hashes)
    proof = merkle.inclusion_proof(index, size, tree(hashes))
    assert merkle.check_inclusion(hashes[index], index, size, proof, root)
    assert not merkle.check_inclusion(merkle.leaf_hash(b"other"), index, size, proof, root)
    assert not merkle.check_inclusion(hashes[index], index, size, [*proof, root], root)
    assert not merkle.check_inclusion(hashes[index], index, size, proof, hashes[index][::-1])
    assert not any(
        merkle.check_inclusion(hashes[index], other, size, proof, root) for other in range(size) if other != index
    )
    if proof:
        assert not merkle.check_inclusion(hashes[index], index, size, proof[:-1], root)


@given(st.integers(1, 60).flatmap(lambda new: st.tuples(st.integers(0, new), st.just(new))))
def test_consistency_holds_and_finds_a_rewritten_past(pair: tuple[int, int]) -> None:
    """A proof holds between two states of one log, and not from a state that the log never had."""
    old, new = pair
    hashes = [merkle.leaf_hash(bytes([number])) for number in range(new)]
    old_root, new_root = definition(hashes[:old]), definition(hashes)
    proof = merkle.consistency_proof(old, new, tree(hashes))
    assert merkle.check_consistency(old, new, old_root, new_root, proof)
    assert not merkle.check_consistency(old, new, merkle.leaf_hash(b"forged"), new_root, proof)
    if old < new:
        assert not merkle.check_consistency(old, new, old_root, new_root, [*proof, new_root])
    if 0 < old < new:
        assert not merkle.check_consistency(old, new, old_root, merkle.leaf_hash(b"forged"), proof)
        assert not merkle.check_consistency(old, new, old_root, new_root, proof[:-1])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 13, 16, 31, 33])
def test_agrees_with_pymerkle(size: int) -> None:
    """Roots and proofs are those of an independent implementation, which accepts ours."""
    other = pymerkle.InmemoryTree(algorithm="sha256")
    leaves = [f"leaf {number}".encode() for number in range(size)]
    for leaf in leaves:
        other.append_entry(leaf)
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    root = merkle.root_of(hashes)
    assert other.get_root() == root
    for index in range(size):
        theirs = other.prove_inclusion(index + 1)
        theirs.verify(hashes[index], root)
        # Their path also holds the leaf itself, and is ordered from left to right at the bottom.
        ours = merkle.inclusion_proof(index, size, tree(hashes))
        assert sorted([hashes[index], *ours]) == sorted(theirs.path)
    for old in range(1, size):
        theirs = other.prove_consistency(old, size)
        theirs.verify(merkle.root_of(hashes[:old]), root)


@given(
    st.integers(1, 80).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))),
    st.integers(1, 80),
)
def test_the_stand_alone_verifier_agrees(pair: tuple[int, int], old: int) -> None:
    """verify_evidence.py's own arithmetic accepts the log's proofs, and refuses them cut, longer or reversed."""
    size, index = pair
    old = min(old, size)
    hashes = [merkle.leaf_hash(bytes([number])) for number in range(size)]
    root, before = definition(hashes), definition(hashes[:old])
    path = merkle.inclusion_proof(index, size, tree(hashes))
    grown = merkle.consistency_proof(old, size, tree(hashes))
    for proof in (path, path[:-1], path[::-1], [*path, root]):
        climbed = verify_evidence.climb(index, size - 1, b"".join(proof), hashes[index])
        says = climbed is not None and climbed[0] == root
        assert says == merkle.check_inclusion(hashes[index], index, size, proof, root)
    for proof in (grown, grown[:-1], grown[::-1], [*grown, root]):
        says = verify_evidence.grew((old, before), (size, root), b"".join(proof))
        assert says == merkle.check_consistency(old, size, before, root, proof)


@given(st.integers(-2, 9), st.integers(-2, 9), st.lists(st.binary(min_size=32, max_size=32), max_size=5))
def test_checks_never_fail_on_odd_input(first: int, second: int, proof: list[bytes]) -> None:
    """Made-up proofs are refused, never a crash."""
    root = merkle.leaf_hash(b"root")
    assert not merkle.check_inclusion(root, first, second, proof, merkle.EMPTY_ROOT)
    assert not merkle.check_consistency(first, second, root, merkle.leaf_hash(b"x"), proof)
