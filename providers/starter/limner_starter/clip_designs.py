"""The emoji designs of the starter CLIP: which it learns, and the one that is held out whole.

A design is the same emoji drawn by other hands. A model that knows several may recognise one more; only a design that
no picture was learned from can say whether it does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner_starter.packages import NAMES, PICTURES, package
from limner_starter.selection import Emoji
from limner_starter.workspace import read_json


@dataclass(frozen=True)
class Design:
    """One emoji design.

    Attributes:
        name: Its short name in lineage and figures.
        version: The npm version that the shipped weights were made with.
        licence: SPDX id; ``data`` checks it against what the package says.
        credit: Who drew it.
        held_out: True where its pictures are measured on and never learned from.
    """

    name: str
    version: str
    licence: str
    credit: str
    held_out: bool = False

    @property
    def package(self) -> str:
        """The npm package."""
        return f"@iconify-json/{self.name}"


DESIGNS = (
    Design("noto", "1.2.9", "Apache-2.0", "Google"),
    Design("noto-v1", "1.2.5", "Apache-2.0", "Google"),
    Design("fluent-emoji", "1.2.7", "MIT", "Microsoft"),
    Design("fluent-emoji-flat", "1.2.6", "MIT", "Microsoft"),
    Design("fluent-emoji-high-contrast", "1.2.6", "MIT", "Microsoft"),
    Design("fxemoji", "1.2.2", "Apache-2.0", "Mozilla"),
    Design("twemoji", "1.2.5", "CC-BY-4.0", "Twitter and contributors"),
    Design("emojione", "1.2.3", "CC-BY-4.0", "EmojiTwo (Emoji One 2)"),
    Design("emojione-monotone", "1.2.1", "CC-BY-4.0", "EmojiTwo (Emoji One 2)"),
    Design("openmoji", "1.2.29", "CC-BY-SA-4.0", "OpenMoji, HfG Schwäbisch Gmünd", held_out=True),
)
"""OpenMoji is share-alike, which is one more reason to learn nothing from it."""

ONE_COLOUR = frozenset({"fluent-emoji-high-contrast", "emojione-monotone"})
"""Designs in black alone."""

HELD_OUT = tuple(design for design in DESIGNS if design.held_out)

PINNED_DESIGNS = {design.package: design.version for design in DESIGNS} | {NAMES: "17.0.0"}
"""npm package → version."""


@dataclass(frozen=True)
class Drawing:
    """One emoji of one design.

    Attributes:
        emoji: Its place in the list of emoji.
        icon: Its name in the design's package.
        body: The body of its SVG.
        view: Side of the square view box.
    """

    emoji: int
    icon: str
    body: str
    view: int


def drawings(design: Design, folder: Path, emoji: Sequence[Emoji]) -> list[Drawing]:
    """Those of ``emoji`` that ``design`` has, in order, found by code point or else by name."""
    icons = read_json(package(folder, design.package) / "icons.json")
    view = icons.get("width") or icons.get("height") or 16
    finder = _Finder(design, folder, icons)
    found = ((place, finder.icon(one)) for place, one in enumerate(emoji))
    return [Drawing(place, icon, icons["icons"][icon]["body"], view) for place, icon in found if icon is not None]


class _Finder:
    """Finds an emoji's icon in one package."""

    def __init__(self, design: Design, folder: Path, icons: Mapping[str, Any]) -> None:
        self._by_code = _characters(design, folder, icons)
        self._by_name = {_letters(alias): row["parent"] for alias, row in icons.get("aliases", {}).items()}
        self._by_name |= {_letters(icon): icon for icon in icons["icons"]}
        self._icons = icons["icons"]

    def icon(self, emoji: Emoji) -> str | None:
        code = emoji.codepoint.lower()
        # Packages disagree on the invisible variation selector.
        spellings = (code, code.replace("-fe0f", ""), f"{code}-fe0f")
        by_code = [self._by_code[spelling] for spelling in spellings if spelling in self._by_code]
        by_name = [
            self._by_name[name] for name in (_letters(emoji.icon), _letters(emoji.name)) if name in self._by_name
        ]
        return next((icon for icon in (*by_code, *by_name) if icon in self._icons), None)


def _characters(design: Design, folder: Path, icons: Mapping[str, Any]) -> dict[str, str]:
    """Code point → icon; packages that list none borrow the names of the two that do, where they use the same."""
    own = dict(read_json(package(folder, design.package) / "chars.json"))
    if own:
        return own
    lenders = (PICTURES, "@iconify-json/fluent-emoji-flat")
    borrowed: dict[str, str] = {}
    for lender in lenders:
        path = package(folder, lender) / "chars.json"
        rows: dict[str, str] = read_json(path) if path.is_file() else {}
        borrowed |= {code: icon for code, icon in rows.items() if icon in icons["icons"]}
    return borrowed


def _letters(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
