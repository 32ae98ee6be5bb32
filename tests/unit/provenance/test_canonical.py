"""Canonical JSON: equal to RFC 8785 by an independent implementation, and strict about what it takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from limner_provenance.canonical import MAX_INTEGER, canonical, read_canonical
from limner_provenance.errors import EntryInvalid

KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))


@given(VALUES)
def test_equals_rfc_8785(value: Any) -> None:
    """Every value gives the bytes that the rfc8785 package gives."""
    assert canonical(value).encode() == rfc8785.dumps(value)


@given(VALUES)
def test_reads_its_own_text(value: Any) -> None:
    """Canonical text is read back to a value with the same text."""
    text = canonical(value)
    assert canonical(read_canonical(text)) == text


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"data": {"score": 0.5}}, "entry.data.score"),
        ({"a": [1, {"b": float("nan")}]}, r"entry.a\[1\].b"),
        ({"n": 2**53}, "entry.n"),
        ({"n": -(2**53)}, "entry.n"),
        ({"ключ": 1}, "entry has a key outside ASCII"),
        ({"a": {1: 2}}, "entry.a has a key of type int"),
        ({"t": "x\ud800y"}, "entry.t holds a lone surrogate"),
        ({"t": b"x"}, "entry.t is of type bytes"),
        ({"t": {1, 2}}, "entry.t is of type set"),
    ],
)
def test_refuses_and_names_the_field(value: Any, path: str) -> None:
    """What has no canonical form is refused with the path of the field."""
    with pytest.raises(EntryInvalid, match=path):
        canonical(value, where="entry")


def test_refusal_does_not_quote_the_value() -> None:
    """An error message never holds the text it is about."""
    with pytest.raises(EntryInvalid) as caught:
        canonical({"prompt": "secret words \udfff"})
    assert "secret" not in str(caught.value)


def test_refuses_a_value_that_holds_itself() -> None:
    """A cycle ends in a clear refusal, not in a crash."""
    value: list[Any] = []
    value.append(value)
    with pytest.raises(EntryInvalid, match="nested deeper"):
        canonical(value)


@pytest.mark.parametrize(
    "text",
    [
        '{"b":1,"a":2}',
        '{"a": 1}',
        '{"a":1,"a":1}',
        '{"a":1.0}',
        '{"a":1e2}',
        '{"a":NaN}',
        '{"a":9007199254740992}',
        '{"a":"\\u0041"}',
        '{"a":1} ',
        ' {"a":1}',
        '{"ä":1}',
        '{"a":"\\ud800"}',
        '{"a":[{"c":1,"b":2}]}',
        '{"a":1.5}',
        '{"a":-0}',
        '{"a":"\\/"}',
        '{"a":"\\u001F"}',
        '{"a":123456789012345678901234567890}',
        "[" * 65 + "]" * 65,
        "[" * 5000 + "]" * 5000,
        "",
    ],
)
def test_refuses_text_that_is_not_canonical(text: str) -> None:
    """White space, order, repeated keys, floats, escapes and large integers are found when reading."""
    with pytest.raises(ValueError):  # noqa: PT011 - which words the JSON reader uses is its own affair
        read_canonical(text)


@given(st.text(max_size=60))
def test_reading_any_text_gives_a_value_or_value_error(text: str) -> None:
    """No text makes the reader fail in another way."""
    try:
        value = read_canonical(text)
    except ValueError:
        return
    assert json.loads(text) == value
