"""Take the manifest store (JUMBF) out of a file, and find changes to it that no signature covers.

The C2PA data hash leaves the store itself out, and the signature covers claim and assertions but not the boxes'
frames nor COSE's padding. So flipped bytes there leave c2pa content. This module holds those bytes to the form that
the specification gives them. Must not know what a manifest says.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator

from limner_provenance.credentials import cbor
from limner_provenance.credentials.images import Mime, Part, parts
from limner_provenance.errors import ImageUnreadable

_LABELS = {
    b"c2pa": {b"c2pa"},
    b"c2as": {b"c2pa.assertions"},
    b"c2cl": {b"c2pa.claim", b"c2pa.claim.v2"},
    b"c2cs": {b"c2pa.signature"},
}
_UNPROTECTED = {"pad", "pad2", "sigTst", "sigTst2", "rVals", "x5chain", 33}
_SIGNATURE_BOX = b"c2cs"
_DEEPEST = 16
_RESERVED = 0b1110_0000  # of a description's toggles (ISO 19566-5); unsigned, so that they would be free to change


def manifest_store(data: bytes, mime: Mime, found: Iterable[Part] | None = None) -> bytes | None:
    """Return the manifest store as it stands in a file, or None where there is none.

    Args:
        data: A whole file.
        mime: Its format, from `sniff`.
        found: Its parts, where a scan has found them already.

    Returns:
        The bytes whose SHA-256 is the manifest's digest.
    """
    pieces = _pieces(data, mime, found)
    if not pieces:
        return None
    if mime != "image/jpeg":
        return pieces[0]
    # Each further segment repeats the 8 bytes of the outer box's header.
    return pieces[0][8:] + b"".join(piece[16:] for piece in pieces[1:])


def without_store(data: bytes, mime: Mime) -> bytes:
    """Return a whole file without its manifest store; every other byte stays."""
    kept, position = [], 0
    for part in parts(data, mime):
        end = part.body + part.length + {"image/png": 4, "image/jpeg": 0, "image/webp": part.length % 2}[mime]
        if holds_store(data, mime, part):
            kept.append(data[position : part.start])
            position = end
    rest = b"".join([*kept, data[position:]])
    if mime != "image/webp" or not kept:
        return rest
    shorter = int.from_bytes(data[4:8], "little") - (len(data) - len(rest))
    return rest[:4] + shorter.to_bytes(4, "little") + rest[8:]


def holds_store(data: bytes, mime: Mime, part: Part) -> bool:
    """Say whether a part of a file holds the manifest store, or a segment of it."""
    if mime == "image/jpeg":
        return part.kind == b"\xff\xeb" and data[part.body : part.body + 2] == b"JP"
    return part.kind == (b"caBX" if mime == "image/png" else b"C2PA")


def alterations(data: bytes, mime: Mime) -> list[str]:
    """Say what in a manifest store was changed outside of what its signature covers.

    Args:
        data: A whole file that carries a store.
        mime: Its format.

    Returns:
        One sentence for each finding; empty where the store is as it was written, but for what no form fixes.
    """
    store = manifest_store(data, mime)
    if store is None:
        return ["the manifest store's wrapping in the file is malformed"]
    return [*_wrapping(data, mime), *_frames(store)]


def certificate_chain(store: bytes) -> tuple[bytes, ...]:
    """Return the DER certificates that signed the active (last) manifest, leaf first; empty where it is unreadable."""
    try:
        body = [content for kind, content in _boxes(_active(store)) if kind == _SIGNATURE_BOX][-1]
        protected, unprotected = (cbor.decode(part) for part in cbor.cose_parts(body))
    except (ValueError, IndexError):
        return ()
    headers = [header for header in (protected, unprotected) if isinstance(header, dict)]
    found = next((h[key] for h in headers for key in (33, "x5chain") if h.get(key)), None)
    chain = found if isinstance(found, list) else [found]
    return tuple(item for item in chain if isinstance(item, bytes))


def _pieces(data: bytes, mime: Mime, found: Iterable[Part] | None = None) -> list[bytes]:
    wanted = {"image/png": b"caBX", "image/jpeg": b"\xff\xeb", "image/webp": b"C2PA"}[mime]
    # JPEG's segments stand before the image data; what follows need not be walked.
    front = itertools.takewhile(lambda part: part.kind != b"\xff\xda", found or parts(data, mime))
    try:
        bodies = [data[part.body : part.body + part.length] for part in front if part.kind == wanted]
    except ImageUnreadable:
        return []
    if mime != "image/jpeg":
        return bodies
    return [body for body in bodies if body[:2] == b"JP" and body[12:16] == b"jumb"]


def _wrapping(data: bytes, mime: Mime) -> list[str]:
    if mime == "image/png":
        return _png_wrapping(data)
    if mime == "image/jpeg":
        return _jpeg_wrapping(_pieces(data, mime))
    return [] if len(_pieces(data, mime)) == 1 else ["there is more than one manifest store"]


def _png_wrapping(data: bytes) -> list[str]:
    chunks = [part for part in parts(data, "image/png") if part.kind == b"caBX"]
    if len(chunks) != 1:
        return ["there is more than one manifest store"]
    end = chunks[0].body + chunks[0].length
    if zlib.crc32(data[chunks[0].start + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
        return ["the checksum of the PNG chunk caBX is wrong"]
    return []


def _jpeg_wrapping(pieces: list[bytes]) -> list[str]:
    same = len({piece[2:4] + piece[8:16] for piece in pieces}) == 1
    counted = [int.from_bytes(piece[4:8], "big") for piece in pieces] == list(range(1, len(pieces) + 1))
    return [] if same and counted else ["the JPEG segments of the manifest store do not follow each other"]


def _frames(store: bytes) -> list[str]:
    try:
        boxes = list(_boxes(_active(store)))
    except ValueError as error:
        return [str(error)]
    return [finding for kind, body in boxes if kind == _SIGNATURE_BOX for finding in _signature(body)]


def _active(store: bytes) -> bytes:
    """Return the active manifest's content: the last one's; those before it are held by our ingredient hashes."""
    outer = list(_children(store))
    if len(outer) != 1 or outer[0][0] != b"jumb":
        raise ValueError("the manifest store is not one box")
    manifests = list(_children(outer[0][1]))
    if not manifests or manifests[0][0] != b"jumd" or manifests[-1][0] != b"jumb":
        raise ValueError("the manifest store holds no manifest")
    _check_description(manifests[0][1][:4], manifests[0][1])
    return manifests[-1][1]


def _children(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position < len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        if length < 8 or position + length > len(content):
            raise ValueError(f"a box length in the manifest store is wrong at byte {position} of its parent")
        yield content[position + 4 : position + 8], content[position + 8 : position + length]
        position += length


def _boxes(content: bytes, depth: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type of the superbox, content) of every content box; lengths must fit exactly.

    Raises:
        ValueError: they do not, a reserved bit is set, or a label is not the one its type has.
    """
    if depth > _DEEPEST:
        raise ValueError("the manifest store is nested too deeply")
    kind = b""
    for name, body in _children(content):
        if name == b"jumb":
            yield from _boxes(body, depth + 1)
        elif name == b"jumd":
            kind = body[:4]
            _check_description(kind, body)
        else:
            yield kind, body


def _check_description(kind: bytes, description: bytes) -> None:
    if any(toggles & _RESERVED for toggles in description[16:17]):
        raise ValueError("a box of the manifest store sets a reserved bit in its description")
    label = description[17:].split(b"\0", 1)[0]
    if kind in _LABELS and label not in _LABELS[kind]:
        raise ValueError(f"a box of the manifest store has the wrong label {label[:40]!r}")


def _signature(body: bytes) -> list[str]:
    try:
        header = cbor.decode(cbor.cose_parts(body)[1])
    except ValueError as error:
        return [f"the signature box is malformed: {error}"]
    if not isinstance(header, dict):
        return ["the signature's unprotected header is no map"]
    strange = [str(key)[:20] for key in header if key not in _UNPROTECTED]
    padding = [header[key] for key in ("pad", "pad2") if key in header]
    findings = [f"the signature has an unknown unprotected header {key!r}" for key in strange]
    if any(not isinstance(pad, bytes) or pad.strip(b"\0") for pad in padding):
        findings.append("the signature's padding is not zero")
    return findings
