"""Read multipart/form-data exactly as it was sent: names, file names and types kept, nothing guessed."""

from __future__ import annotations

from email.message import Message
from typing import Any

from servers.ledger import Upload


class BadForm(ValueError):
    """The body is no multipart form."""


def parse_form(content_type: str, body: bytes) -> tuple[dict[str, Any], list[Upload]]:
    """Split a form into its texts (a list where a name comes twice) and its files, in order."""
    boundary = _parameters("content-type", content_type).get("boundary")
    if not boundary:
        raise BadForm("the content type has no boundary")
    mark = b"--" + boundary.encode("latin-1")
    # every part is framed by CRLF and the mark; the first line has no CRLF before it
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise BadForm("the last boundary is missing: the body ends too early")
    texts: dict[str, Any] = {}
    files: list[Upload] = []
    for piece in pieces[1:-1]:
        head, gap, data = piece.partition(b"\r\n\r\n")
        if not gap:
            raise BadForm("a part has no end of its headers")
        _take(head.decode("utf-8", "replace"), data, texts, files)
    return texts, files


def _take(head: str, data: bytes, texts: dict[str, Any], files: list[Upload]) -> None:
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head.split("\r\n"))}
    disposition = _parameters("content-disposition", headers.get("content-disposition", ""))
    name = disposition.get("name")
    if name is None:
        raise BadForm("a part has no name")
    if "filename" in disposition:
        kind = headers.get("content-type", "application/octet-stream")
        files.append(Upload(name, disposition["filename"], kind, data))
        return
    text = data.decode("utf-8", "replace")
    if name in texts:
        before = texts[name]
        texts[name] = [*(before if isinstance(before, list) else [before]), text]
    else:
        texts[name] = text


def _parameters(header: str, value: str) -> dict[str, str]:
    message = Message()
    message[header] = value
    found = message.get_params(header=header) or []
    return {key.lower(): text for key, text in found[1:]}
