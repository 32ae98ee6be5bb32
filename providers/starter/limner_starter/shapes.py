"""Twenty-four shapes of our own in the format of the two npm packages, so that ``--smoke`` needs no network.

They show that the chain works; a model of them is of no use.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from limner_starter.packages import NAMES, PICTURES, package
from limner_starter.workspace import write_json

_COLOURS = {
    "red": "#d32f2f",
    "green": "#388e3c",
    "blue": "#1976d2",
    "yellow": "#fbc02d",
    "black": "#222",
    "pink": "#f48fb1",
}
_FORMS = {
    "circle": '<circle cx="8" cy="8" r="7" fill="{}"/>',
    "square": '<rect x="2" y="2" width="12" height="12" fill="{}"/>',
    "triangle": '<path d="M8 1 15 15H1Z" fill="{}"/>',
    "cross": '<path d="M6 1h4v5h5v4h-5v5H6v-5H1V6h5Z" fill="{}"/>',
}
_ABOUT = {"name": "limner_starter/shapes.py", "version": "1", "license": "Apache-2.0", "private": True}


def write_shapes(folder: Path) -> Path:
    """Writes the shapes as if npm had installed them into ``folder``, and returns it."""
    icons, chars, rows = {}, {}, []
    for number, (colour, form, body) in enumerate(_drawn()):
        icon, code = f"{colour}-{form}", f"e{number:03x}"
        icons[icon], chars[code] = {"body": body}, icon
        row = {
            "label": f"{colour} {form}",
            "hexcode": code.upper(),
            "emoji": chr(int(code, 16)),
            "tags": [colour, form],
        }
        rows.append({**row, "group": 1, "subgroup": 1})
    pictures, names = package(folder, PICTURES), package(folder, NAMES)
    write_json(pictures / "icons.json", {"icons": icons, "height": 16})
    write_json(pictures / "chars.json", chars)
    write_json(pictures / "info.json", {"author": {"name": "The Limner founders"}})
    write_json(names / "en" / "data.json", rows)
    for manifest in (pictures, names):
        write_json(manifest / "package.json", _ABOUT)
    return folder


def _drawn() -> Iterator[tuple[str, str, str]]:
    for (colour, code), (form, body) in product(_COLOURS.items(), _FORMS.items()):
        yield colour, form, body.format(code)
