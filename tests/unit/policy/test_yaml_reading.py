"""Reading YAML: places, refusals, and bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner_policy.errors import PolicyFileError
from limner_policy.yaml_reading import MAX_BYTES, Mapping, Node, Scalar, Sequence, read_yaml, read_yaml_strictly


def told(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    _, problems = read_yaml(data, file="f.yaml")
    return "\n".join(map(str, problems))


def plain(node: Node) -> object:
    if isinstance(node, Mapping):
        return {key.text: plain(value) for key, value in node.pairs}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    assert isinstance(node, Scalar)
    return node.text


def test_scalars_stay_the_text_that_was_written() -> None:
    """Norway, octal-looking numbers, versions, dates and sexagesimals are texts."""
    text = "a: [NO, no, off, 010, 1.10, 2026-12-02, 12:30, ~, 0x1F, 1e3, '']"
    assert plain(read_yaml_strictly(text.encode(), file="f")) == {
        "a": ["NO", "no", "off", "010", "1.10", "2026-12-02", "12:30", "~", "0x1F", "1e3", ""]
    }


def test_a_byte_order_mark_and_crlf_are_accepted() -> None:
    """A file saved by a Windows editor reads like any other, with the right places."""
    root = read_yaml_strictly(b"\xef\xbb\xbfa: 1\r\nb: |\r\n  x\r\n  y\r\nc: 2\r\n", file="f")
    assert plain(root) == {"a": "1", "b": "x\ny\n", "c": "2"}
    assert isinstance(root, Mapping)
    assert [(key.line, key.column, value.last_line) for key, value in root.pairs] == [(1, 1, 1), (2, 1, 4), (5, 1, 5)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1\n", "f.yaml:1:4: anchors (&name) are not accepted (found &x)"),
        ("a: &x 1\nb: *x\n", "f.yaml:2:4: aliases (*name) are not accepted (found *x)"),
        ("a: !!str 1\n", "f.yaml:1:4: tags (!name) are not accepted"),
        ("%YAML 1.1\n---\na: no\n", "f.yaml:1:1: YAML directives (%…) are not accepted"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here"),
        ("a:\n\t- b\n", "f.yaml:2:1: a tab stands where only spaces may. Indent with spaces"),
        ("a: 1\na: 2\n", "f.yaml:2:1: the key stands twice in one mapping (found a)"),
        ("<<: {a: 1}\n", "f.yaml:1:1: merge keys (<<) are not accepted"),
        ("? [a]\n: b\n", "f.yaml:1:3: a key has to be a plain word"),
        ("a: b: c\n", "f.yaml:1:5: a colon stands where no key can be"),
        ("a: [b\n", "f.yaml:2:1: this is not YAML: while parsing a flow sequence"),
        ("a: b\u2028c\n", "f.yaml:1:5: line ends like U+2028 are not accepted"),
        ("ab: \x01\n", "f.yaml:1:5: a character that YAML does not allow"),
        ("a: sw\u202eord\n", "f.yaml:1:6: the sign U+202E is not shown and turns the text behind it round. Delete it"),
        ('a: "\\ud83d\\ude00"\n', "f.yaml:1:4: \\ud83d is half a character, which no text can hold"),
        ("", "f.yaml:1:1: the file is empty"),
        ("# nothing\n", "f.yaml:1:1: the file is empty"),
        (b"a: 1\nb: \xff\n", "f.yaml:2:4: the file is not UTF-8 here. Save it as UTF-8"),
        (b"\xff\xfea\x00", "f.yaml:1:1: the file is UTF-16"),
    ],
)
def test_what_is_refused_is_told_with_its_place(text: str | bytes, expected: str) -> None:
    """Each refusal names file, line, column and what to do."""
    assert expected in told(text)


def test_several_refusals_are_told_together() -> None:
    """Reading goes on after an anchor, a tag or a doubled key."""
    assert told("a: &x 1\nb: !t 2\na: 3\n").count("f.yaml:") == 3


def test_laughs_depth_and_size_are_bounded() -> None:
    """Aliases cannot expand, nesting and size have limits that are told."""
    laughs = "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [{', '.join(['*a'] * 9)}]\n" for i in range(30))
    assert "aliases (*name) are not accepted" in told(laughs)
    assert "24 levels" in told("[" * 5_000)
    assert "24 levels" in told("- " * 5_000 + "a")
    assert f"may have {MAX_BYTES:,}" in told(b"a" * (MAX_BYTES + 1))


def test_last_lines_end_with_content() -> None:
    """Blank lines and comments behind a value or a block belong to nobody."""
    root = read_yaml_strictly(b"- a: |\n    x\n    # in\n\n  # out\n- b:\n\n- c: d\n\n# end\n", file="f")
    assert isinstance(root, Sequence)
    assert [(item.line, item.last_line) for item in root.items] == [(1, 3), (6, 6), (8, 8)]


@given(st.text(max_size=200))
def test_any_text_gives_a_tree_or_problems(text: str) -> None:
    """No text makes the reader raise anything else, and a missing root is always explained."""
    root, problems = read_yaml(text.encode(), file="f")
    assert root is not None or problems


@given(st.binary(max_size=80))
def test_any_bytes_give_a_tree_or_problems(data: bytes) -> None:
    """Nor do any bytes."""
    root, problems = read_yaml(data, file="f")
    assert root is not None or problems


def test_the_strict_form_raises_with_all_problems() -> None:
    """`read_yaml_strictly` raises one error that holds every problem, sorted by place."""
    with pytest.raises(PolicyFileError) as caught:
        read_yaml_strictly(b"b: !t 1\na: &x 1\n", file="f")
    assert [problem.line for problem in caught.value.problems] == [1, 2]
