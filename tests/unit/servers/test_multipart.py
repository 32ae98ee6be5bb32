"""Forms are read as they were sent."""

from __future__ import annotations

import pytest
from servers.ledger import Upload
from servers.multipart import BadForm, parse_form

TYPE = "multipart/form-data; boundary=xyz"


def form(*parts: bytes, end: bytes = b"--xyz--\r\n") -> bytes:
    """Frame parts with the boundary."""
    return b"".join(b"--xyz\r\n" + part + b"\r\n" for part in parts) + end


def test_texts_and_files_keep_names_types_and_bytes() -> None:
    """A file's bytes may hold line ends and even the boundary's letters; a name that comes twice gives a list."""
    data = b"\r\n\r\n--xy\x00\xff--xyz\r\n"
    body = form(
        b'Content-Disposition: form-data; name="n"\r\n\r\n2',
        b'Content-Disposition: form-data; name="n"\r\n\r\n3',
        b'Content-Disposition: form-data; name="image[]"; filename="blob"\r\nContent-Type: image/png\r\n\r\n'
        + data[:-9],
        b'content-disposition: form-data; name="prompt"\r\n\r\n\xe7\x8c\xab',
    )
    texts, files = parse_form(TYPE, body)
    assert texts == {"n": ["2", "3"], "prompt": "猫"}
    assert files == [Upload("image[]", "blob", "image/png", data[:-9])]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", form()),
        (TYPE, form(b'Content-Disposition: form-data; name="n"\r\n\r\n2', end=b"")),
        (TYPE, form(b"Content-Disposition: form-data\r\n\r\n2")),
        (TYPE, form(b'Content-Disposition: form-data; name="n"')),
        (TYPE, b""),
    ],
    ids=["no boundary", "cut", "no name", "no gap", "empty"],
)
def test_a_broken_form_is_told(content_type: str, body: bytes) -> None:
    """A form without boundary, end, name or gap is a BadForm."""
    with pytest.raises(BadForm):
        parse_form(content_type, body)
