"""Plain values out of a strictly read YAML file, with the place of each, so that errors can name line and column.

The YAML 1.2 core schema on unquoted scalars: null, true, false, integers and decimals; all else is text (`no` is "no").
"""

from __future__ import annotations

import re
from typing import Any

from limner_policy.yaml_reading import Mapping, Node, Scalar, Sequence, read_yaml_strictly

Path = tuple[str | int, ...]
_INTEGER = re.compile(r"[-+]?[0-9]+")
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}


def read_values(data: bytes, *, file: str) -> tuple[Any, dict[Path, tuple[int, int]]]:
    """Read one YAML document.

    Returns:
        Its value (dict, list, str, int, float, bool or None) and, by path, the line and column of each key or item.

    Raises:
        PolicyFileError: It is no YAML 1.2 that we accept; every problem with line and column.
    """
    places: dict[Path, tuple[int, int]] = {}
    return _value(read_yaml_strictly(data, file=file), (), places), places


def _value(node: Node, path: Path, places: dict[Path, tuple[int, int]]) -> Any:
    places.setdefault(path, (node.line, node.column))
    if isinstance(node, Mapping):
        for key, _ in node.pairs:
            places[(*path, key.text)] = (key.line, key.column)
        return {key.text: _value(item, (*path, key.text), places) for key, item in node.pairs}
    if isinstance(node, Sequence):
        return [_value(item, (*path, i), places) for i, item in enumerate(node.items)]
    assert isinstance(node, Scalar)  # the reader makes no other node
    return node.text if node.quoted else _scalar(node.text)


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
