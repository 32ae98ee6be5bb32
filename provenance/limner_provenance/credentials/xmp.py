"""XMP in a picture's file: how it came to be and the IPTC fields for pictures that a model made.

Fields in, an XMP packet out, put where PNG, JPEG and WebP keep theirs. Works on the container alone: no pixel is
decoded. Must not know policy: whether a prompt may stand in a file is decided before.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from xml.etree import ElementTree

from limner_provenance.credentials.images import PNG_SIGNATURE, Part, scan
from limner_provenance.errors import CredentialError

IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
"""The namespace of the IPTC Extension schema; the AI fields are of the Photo Metadata Standard 2025.1."""
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMP = "http://ns.adobe.com/xap/1.0/"
_META = "adobe:ns:meta/"
_PREFIXES = {"Iptc4xmpExt": IPTC, "rdf": RDF, "xmp": XMP, "x": _META}
# `end="r"`: to be changed by nobody, since the signature covers it.
_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_END = '<?xpacket end="r"?>'
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry in any form."""

_PNG_KEYWORD = b"XML:com.adobe.xmp\0\0\0\0\0"  # neither compressed nor translated
_JPEG_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_MOST = 65_533 - len(_JPEG_HEADER)
_VP8X_XMP, _VP8X_ALPHA = 0x04, 0x10

for _prefix, _uri in _PREFIXES.items():
    ElementTree.register_namespace(_prefix, _uri)


@dataclass(frozen=True, kw_only=True)
class PictureFields:
    """What a picture's XMP says.

    Attributes:
        digital_source_type: IPTC address of how it came to be.
        system: Name of the model or engine; None where no model made it.
        system_version: Its version, if known.
        prompt: What was asked for; None: not disclosed.
        prompt_writer: Who wrote the prompt; None: not disclosed.
        creator_tool: Name and version of the software that wrote the file.
    """

    digital_source_type: str
    system: str | None = None
    system_version: str | None = None
    prompt: str | None = None
    prompt_writer: str | None = None
    creator_tool: str | None = None

    def properties(self) -> dict[str, str]:
        """Give the stated properties by their qualified names, `{namespace}name`."""
        stated = {
            f"{{{IPTC}}}DigitalSourceType": self.digital_source_type,
            f"{{{IPTC}}}AISystemUsed": self.system,
            f"{{{IPTC}}}AISystemVersionUsed": self.system_version,
            f"{{{IPTC}}}AIPromptInformation": self.prompt,
            f"{{{IPTC}}}AIPromptWriterName": self.prompt_writer,
            f"{{{XMP}}}CreatorTool": self.creator_tool,
        }
        return {name: value for name, value in stated.items() if value}


def packet(fields: PictureFields) -> bytes:
    """Write an XMP packet, UTF-8.

    Characters that XML cannot carry become U+FFFD, and a line ends with a line feed.
    """
    meta = ElementTree.Element(f"{{{_META}}}xmpmeta")
    about = {f"{{{RDF}}}about": ""}
    described = ElementTree.SubElement(ElementTree.SubElement(meta, f"{{{RDF}}}RDF"), f"{{{RDF}}}Description", about)
    for name, value in fields.properties().items():
        text = _NO_XML.sub("\ufffd", value).replace("\r\n", "\n").replace("\r", "\n")
        ElementTree.SubElement(described, name).text = text
    return "\n".join([_BEGIN, ElementTree.tostring(meta, encoding="unicode"), _END]).encode()


def with_xmp(data: bytes, fields: PictureFields) -> bytes:
    """Put an XMP packet into a file that has none; no other byte of it changes but a WebP's header.

    Args:
        data: A whole PNG, JPEG or WebP without XMP and without credentials, as `without_texts` gives it.
        fields: What to say.

    Raises:
        ImageUnreadable: it is none of the three, or not whole.
        CredentialError: the packet is larger than a JPEG can carry (64 KB).
    """
    mime, parts = scan(data)
    body = packet(fields)
    if mime == "image/png":
        return _in_png(data, parts, body)
    return _in_jpeg(data, parts, body) if mime == "image/jpeg" else _in_webp(data, parts, body)


def _in_png(data: bytes, parts: list[Part], body: bytes) -> bytes:
    """Put it right behind the header chunk, where readers find it before the image data."""
    at = len(PNG_SIGNATURE) + 12 + parts[0].length
    content = b"iTXt" + _PNG_KEYWORD + body
    chunk = (len(content) - 4).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")
    return b"".join([data[:at], chunk, data[at:]])


def _in_jpeg(data: bytes, parts: list[Part], body: bytes) -> bytes:
    """Put it behind the JFIF segment, which has to be the first."""
    if len(body) > _JPEG_MOST:
        raise CredentialError(
            f"The picture's metadata have {len(body):,} bytes; a JPEG carries {_JPEG_MOST:,}.",
            remedy="Disclose a shorter prompt, or ask for PNG or WebP.",
        )
    first = parts[0]
    at = first.body + first.length if first.kind == b"\xff\xe0" else 2
    content = _JPEG_HEADER + body
    return b"".join([data[:at], b"\xff\xe1", (len(content) + 2).to_bytes(2, "big"), content, data[at:]])


def _in_webp(data: bytes, parts: list[Part], body: bytes) -> bytes:
    """Put it at the end, and promise it in the extended header, which is made where there is none."""
    chunk = b"XMP " + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)
    data = data[: 8 + int.from_bytes(data[4:8], "little")]
    data += b"\0" * (len(data) % 2)
    frame = next(part for part in parts if part.kind in {b"VP8X", b"VP8L", b"VP8 "})
    head, rest = (data[12:30], data[30:]) if frame.kind == b"VP8X" else (_extended(data, frame), data[12:])
    flags = bytes([head[8] | _VP8X_XMP])
    content = b"".join([b"WEBP", head[:8], flags, head[9:], rest, chunk])
    return b"RIFF" + len(content).to_bytes(4, "little") + content


def _extended(data: bytes, part: Part) -> bytes:
    """Make a WebP's extended header (VP8X) of what its one frame says of itself."""
    alpha = False
    if part.kind == b"VP8L":
        packed = int.from_bytes(data[part.body + 1 : part.body + 5], "little")
        width, height, alpha = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1, bool(packed >> 28 & 1)
    else:
        width = int.from_bytes(data[part.body + 6 : part.body + 8], "little") & 0x3FFF
        height = int.from_bytes(data[part.body + 8 : part.body + 10], "little") & 0x3FFF
    flags = bytes([_VP8X_ALPHA if alpha else 0, 0, 0, 0])
    return b"VP8X\x0a\0\0\0" + flags + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
