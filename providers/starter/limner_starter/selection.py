"""Chooses which emoji the model learns, by the rules of ``selection.toml``.

It reads names and keywords, and knows nothing about pixels.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from limner_starter.errors import StarterError
from limner_starter.packages import NAMES, PICTURES, package
from limner_starter.workspace import read_json

_PEOPLE = ("person", "man", "woman")


@dataclass(frozen=True)
class Emoji:
    """One chosen emoji: its name and keywords, where they come from, and its drawing.

    Attributes:
        name: The CLDR label in plain lower case, which is the prompt that the model learns.
        tags: CLDR keywords.
        char: The emoji itself.
        codepoint: Its code points in upper-case hex, joined by ``-``.
        icon: The picture's name in the icon package.
        svg: The body of its SVG drawing.
    """

    name: str
    tags: tuple[str, ...]
    char: str
    codepoint: str
    icon: str
    svg: str


class Rules:
    """The rules of a ``selection.toml``."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._drop_pattern = re.compile("|".join(table["drop_patterns"]))
        self._drop_labels = frozenset(table["drop_labels"])
        self._drop_groups = frozenset(table["drop_groups"])
        self._drop_subgroups = frozenset(table["drop_subgroups"])
        self._keep_labels = frozenset(table["keep_labels"])
        self._flag_group = table["flag_group"]
        self._flags = frozenset(table["flags"])
        self._keep_only = {int(number): frozenset(labels) for number, labels in table["keep_only"].items()}

    def keep(self, label: str, *, group: int | None, subgroup: int | None) -> bool:
        """Whether the emoji called ``label`` in emojibase is learned."""
        if group is None or group in self._drop_groups or label in self._drop_labels:
            return False
        if group == self._flag_group:
            return label in self._flags
        return label in self._keep_labels or not self._variant(label, subgroup)

    def _variant(self, label: str, subgroup: int | None) -> bool:
        if self._drop_pattern.search(label) or subgroup in self._drop_subgroups:
            return True
        return subgroup in self._keep_only and label not in self._keep_only[subgroup]


def rules() -> Rules:
    """The shipped rules."""
    text = resources.files("limner_starter").joinpath("selection.toml").read_text(encoding="utf-8")
    return Rules(tomllib.loads(text))


def plain(label: str) -> str:
    """A label as a prompt: lower case, straight apostrophes, no marks; ``person: beard`` is ``person with beard``."""
    text = label.lower()
    text = text.replace(":", " with" if text.startswith(_PEOPLE) else "").replace("’", "'")
    return re.sub(r"\s+", " ", re.sub(r"[“”!.#]", "", text)).strip()


def select(folder: Path) -> list[Emoji]:
    """The chosen emoji of the packages in ``folder``, in emojibase's order.

    Raises:
        StarterError: None was chosen: the packages are not what the rules were written for.
    """
    noto = package(folder, PICTURES)
    icons = read_json(noto / "icons.json")["icons"]
    by_codepoint = read_json(noto / "chars.json")
    rows = read_json(package(folder, NAMES) / "en" / "data.json")
    shipped = rules()
    kept = [row for row in rows if shipped.keep(row["label"], group=row.get("group"), subgroup=row.get("subgroup"))]
    chosen = [emoji for row in kept if (emoji := _emoji(row, by_codepoint, icons)) is not None]
    if not chosen:
        raise StarterError(
            f"no emoji was chosen from {folder}: it needs the package versions that packages.PINNED names"
        )
    return chosen


def _emoji(row: Mapping[str, Any], by_codepoint: Mapping[str, str], icons: Mapping[str, Any]) -> Emoji | None:
    code = row["hexcode"].lower()
    # The two packages disagree on the invisible variation selector.
    spellings = (code, code.replace("-fe0f", ""), f"{code}-fe0f")
    icon = next((by_codepoint[spelling] for spelling in spellings if spelling in by_codepoint), None)
    if icon is None:
        return None
    return Emoji(
        name=plain(row["label"]),
        tags=tuple(plain(tag) for tag in row.get("tags", [])),
        char=row["emoji"],
        codepoint=row["hexcode"],
        icon=icon,
        svg=icons[icon]["body"],
    )
