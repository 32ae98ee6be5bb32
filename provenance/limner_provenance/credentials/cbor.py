"""Just enough CBOR (RFC 8949) to look into a COSE signature: definite lengths, no floats.

Bounded on hostile input. Must not know manifests.
"""

from __future__ import annotations

_DEEPEST = 16
Value = int | bytes | str | list["Value"] | dict["int | str", "Value"] | None | bool


def decode(data: bytes) -> Value:
    """Decode one item that fills `data` exactly.

    Raises:
        ValueError: it does not, or it uses something that COSE headers of C2PA do not.
    """
    value, end = _item(data, 0, 0)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes too many")
    return value


def cose_parts(data: bytes) -> tuple[bytes, bytes]:
    """Split a COSE_Sign1 (tag 18).

    Returns:
        The protected header's bytes and the encoded unprotected header.

    Raises:
        ValueError: it is none.
    """
    if data[:2] != b"\xd2\x84":
        raise ValueError("no COSE_Sign1")
    protected, position = _item(data, 2, 0)
    _, after = _item(data, position, 0)
    payload, signature = _item(data, after, 0)
    raw, end = _item(data, signature, 0)
    if not isinstance(protected, bytes) or not isinstance(raw, bytes) or payload is not None or end != len(data):
        raise ValueError("its four parts are not those of COSE_Sign1")
    return protected, data[position:after]


def _item(data: bytes, position: int, depth: int) -> tuple[Value, int]:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    major, number, position = _head(data, position)
    if major <= 1:
        return (number if major == 0 else -1 - number), position
    if major <= 3:
        return _string(data, position, number, text=major == 3)
    if major == 4:
        return _array(data, position, number, depth)
    if major == 5:
        return _map(data, position, number, depth)
    if major == 6:
        return _item(data, position, depth + 1)
    return _simple(number), position


def _head(data: bytes, position: int) -> tuple[int, int, int]:
    if position >= len(data):
        raise ValueError("it ends too early")
    major, short = data[position] >> 5, data[position] & 31
    position += 1
    if short < 24:
        return major, short, position
    if short > 27 or major == 7:
        raise ValueError("unexpected kind of item")
    size = 1 << (short - 24)
    if position + size > len(data):
        raise ValueError("it ends too early")
    return major, int.from_bytes(data[position : position + size], "big"), position + size


def _string(data: bytes, position: int, length: int, *, text: bool) -> tuple[Value, int]:
    end = position + length
    if end > len(data):
        raise ValueError("it ends too early")
    raw = data[position:end]
    return (raw.decode() if text else raw), end


def _array(data: bytes, position: int, count: int, depth: int) -> tuple[Value, int]:
    items: list[Value] = []
    for _ in range(count):  # ends at once where the data do: each item takes a byte
        value, position = _item(data, position, depth + 1)
        items.append(value)
    return items, position


def _map(data: bytes, position: int, count: int, depth: int) -> tuple[Value, int]:
    items: dict[int | str, Value] = {}
    for _ in range(count):
        key, position = _item(data, position, depth + 1)
        if not isinstance(key, int | str) or key in items:
            raise ValueError("unexpected or doubled map key")
        items[key], position = _item(data, position, depth + 1)
    return items, position


def _simple(number: int) -> bool | None:
    if number not in {20, 21, 22}:
        raise ValueError("unexpected simple value")
    return {20: False, 21: True, 22: None}[number]
