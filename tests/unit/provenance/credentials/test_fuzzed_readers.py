"""Readers of pictures, manifest stores and CBOR on hostile bytes: our errors only, no hang, bounded memory."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from fuzzing import depth, mutate
from hypothesis import given
from hypothesis import strategies as st

from limner_provenance.credentials import Signer, cbor, images, read_credentials, seal, store
from limner_provenance.errors import ImageUnreadable, ProvenanceError

FORMATS = ("PNG", "JPEG", "WEBP")
SEEDS = st.integers(0, 2**32)
MEBI = 1 << 20


@pytest.fixture(scope="session")
def sealed(picture: Callable[[str], bytes], facts: Callable[[bytes], Any], signer: Signer) -> dict[str, bytes]:
    """A small sealed picture of each format."""
    made = {}
    for kind in FORMATS:
        plain = picture(kind)
        made[kind] = seal(plain, facts(plain), signer).data
    return made


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """Put chunks into a PNG, with right checksums."""
    return images.PNG_SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """Put chunks into a WebP."""
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def look(data: bytes) -> None:
    """Read a file with every reader of ours; whatever it is, only `ImageUnreadable` may come out."""
    try:
        mime, found = images.scan(data)
    except ImageUnreadable:
        return
    held = store.manifest_store(data, mime, found)
    assert held is None or len(held) <= len(data)
    assert all(isinstance(line, str) for line in store.alterations(data, mime))
    assert len(store.without_store(data, mime)) <= len(data)


@depth(250)
@given(st.sampled_from([b"", images.PNG_SIGNATURE, b"\xff\xd8\xff", b"RIFF\x20\0\0\0WEBP"]), st.binary(max_size=200))
def test_any_bytes_behind_a_signature(head: bytes, rest: bytes) -> None:
    """Arbitrary bytes, alone or behind a format's first bytes."""
    look(head + rest)


@depth(250)
@given(kind=st.sampled_from(FORMATS), seed=SEEDS)
def test_mutated_sealed_pictures(sealed: dict[str, bytes], kind: str, seed: int) -> None:
    """Signed pictures with bytes changed, cut and doubled anywhere."""
    look(mutate(sealed[kind], seed))


PIECES = st.lists(st.tuples(st.sampled_from([b"IHDR", b"caBX", b"IDAT", b"IEND", b"tEXt"]), st.binary(max_size=60)))


@depth(150)
@given(PIECES, st.booleans())
def test_any_sequence_of_chunks(pieces: list[tuple[bytes, bytes]], whole: bool) -> None:
    """Well-formed containers with any chunks in any order, manifest stores of any bytes among them."""
    look(png((b"IHDR", b""), (b"IDAT", b""), *pieces, *([(b"IEND", b"")] if whole else [])))
    renamed = {b"caBX": b"C2PA", b"IDAT": b"VP8 "}
    look(webp((b"VP8 ", b""), *((renamed.get(kind, kind), body) for kind, body in pieces)))


BOXES = st.recursive(
    st.builds(
        lambda kind, body: (kind, body), st.sampled_from([b"jumd", b"cbor", b"json", b"bfdb"]), st.binary(max_size=40)
    ),
    lambda inner: st.lists(inner, max_size=4).map(lambda items: (b"jumb", b"".join(box(*item) for item in items))),
    max_leaves=12,
)


def box(kind: bytes, body: bytes) -> bytes:
    """Put a body into a JUMBF box."""
    return struct.pack(">I", 8 + len(body)) + kind + body


@depth(250)
@given(BOXES, SEEDS)
def test_any_boxes_in_a_manifest_store(made: tuple[bytes, bytes], seed: int) -> None:
    """Manifest stores of any boxes, whole and mutated."""
    for body in (box(*made), mutate(box(*made), seed)):
        look(png((b"IHDR", b""), (b"caBX", body), (b"IDAT", b""), (b"IEND", b"")))
        store.certificate_chain(body)


@depth(400)
@given(st.binary(max_size=120))
def test_any_bytes_as_cbor(data: bytes) -> None:
    """CBOR is read, or refused as a ValueError."""
    for read in (cbor.decode, cbor.cose_parts):
        try:
            read(data)
        except ValueError:
            continue


@depth(60)
@given(kind=st.sampled_from(FORMATS), seed=SEEDS)
def test_the_library_behind_our_wrapper(sealed: dict[str, bytes], trust: bytes, kind: str, seed: int) -> None:
    """Whatever C2PA's library makes of changed bytes, our reader gives a state or our error, and never trusts them."""
    changed = mutate(sealed[kind], seed)
    try:
        found = read_credentials(changed, trust=trust)
    except ProvenanceError:
        return
    # A change that leaves the store and every hashed byte alone is none; in the file's tail C2PA does not look.
    assert found.state != "trusted" or store.manifest_store(changed, found.mime) == store.manifest_store(
        sealed[kind], found.mime
    )


HOSTILE = {
    "a PNG chunk of 4 GiB": images.PNG_SIGNATURE + b"\xff\xff\xff\xffIHDR" + bytes(40),
    "a WebP of 4 GiB": b"RIFF\xff\xff\xff\xffWEBP" + bytes(40),
    "a hundred thousand and one chunks": webp(*[(b"VP8 ", b"")] * 100_001),
    "a million JPEG fill bytes": b"\xff\xd8" + b"\xff" * 1_000_000,
    "a million JPEG markers": b"\xff\xd8" + b"\xff\xd0" * 1_000_000,
    "ten thousand JPEG scans": b"\xff\xd8\xff\xc0\0\2" + b"\xff\xda\0\2" * 10_000 + b"\xff\xd9",
    "boxes nested a thousand times": png(
        (b"IHDR", b""), (b"caBX", b"".join(struct.pack(">I", 8 * n) + b"jumb" for n in range(1000, 0, -1))),
        (b"IDAT", b""), (b"IEND", b""),
    ),
    "twenty thousand boxes": png(
        (b"IHDR", b""), (b"caBX", box(b"jumb", box(b"jumb", b"\0\0\0\x08cbor" * 20_000))),
        (b"IDAT", b""), (b"IEND", b""),
    ),
}  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_sizes_take_little_memory(data: bytes) -> None:
    """Lengths that lie, endless repetitions and deep nesting end soon, in memory of the order of the file."""
    tracemalloc.start()
    try:
        look(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(data) + 40 * MEBI


@pytest.mark.parametrize(
    "data", [b"\x9b" + b"\xff" * 8, b"\xbb" + b"\xff" * 8 + b"\0" * 50, b"\x7b" + b"\xff" * 8, b"\x81" * 100_000]
)
def test_hostile_cbor_is_refused_at_once(data: bytes) -> None:
    """Counts without items, lengths without bytes, nesting without end."""
    with pytest.raises(ValueError, match=r"too|key"):
        cbor.decode(data)
