"""Draws every design's pictures, and writes them with one line of lineage each.

The names are those the starter diffusion model knows, so both models speak of the same things.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from limner_starter.clip_designs import DESIGNS, HELD_OUT, PINNED_DESIGNS, Design, Drawing, drawings
from limner_starter.errors import BadWorkFolder
from limner_starter.packages import package
from limner_starter.pictures import Pixels, distinct, on_white, render
from limner_starter.selection import Emoji, select
from limner_starter.workspace import read_json, replaced, write_json, write_text

STORED = 80
"""Side of a stored picture: a little more than the model's 64, so that it can be turned and enlarged."""

_LARGE = 128


@dataclass(frozen=True)
class ClipData:
    """Pictures of all designs.

    Attributes:
        names: The N names.
        tags: The keywords of each.
        rgba: ``uint8 [M, 80, 80, 4]``, colour already multiplied by alpha.
        name: ``int64 [M]``: which name a picture is of.
        design: ``int64 [M]``: which of ``designs``.
        designs: The short names of the designs.
    """

    names: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    rgba: Pixels
    name: npt.NDArray[np.int64]
    design: npt.NDArray[np.int64]
    designs: tuple[str, ...]

    def rows(self, *, held_out: bool) -> npt.NDArray[np.int64]:
        """The pictures to learn from, or those of the held-out design."""
        apart = {design.name for design in HELD_OUT}
        wanted = [place for place, design in enumerate(self.designs) if (design in apart) == held_out]
        return np.flatnonzero(np.isin(self.design, wanted))

    def digest(self) -> str:
        """SHA-256 over names, keywords and the pictures that are learned from."""
        rows = self.rows(held_out=False)
        digest = hashlib.sha256(json.dumps([self.names, self.tags, self.designs]).encode())
        for part in (self.rgba[rows], self.name[rows], self.design[rows]):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


def prepare(work: Path, packages: Path, designs: Sequence[Design] = DESIGNS) -> ClipData:
    """Draws the pictures of ``designs`` from the installed packages into ``work`` (about a minute).

    Raises:
        BadWorkFolder: A package states another licence than ``DESIGNS`` does.
    """
    emoji = named(packages)
    found = [(place, drawing) for place, design in enumerate(designs) for drawing in drawings(design, packages, emoji)]
    origins = [origin(design, packages) for design in designs]
    pictures, lines = [], []
    for place, drawing in found:
        image = render(drawing.body, drawing.view)
        pictures.append(premultiplied(image))
        lines.append(lineage_line(emoji[drawing.emoji], drawing, origins[place], on_white(image)))
    write_text(work / "lineage.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    write_json(work / "names.json", _about(emoji, designs))
    _write_pictures(work / "pictures.npz", np.stack(pictures), found)
    return load(work)


def named(packages: Path) -> list[Emoji]:
    """The emoji with the starter model's names: chosen by rule, near duplicates of the first design left out."""
    chosen = select(packages)
    first = drawings(DESIGNS[0], packages, chosen)
    large = [render(one.body, one.view).resize((_LARGE, _LARGE), Image.Resampling.LANCZOS) for one in first]
    return [chosen[first[place].emoji] for place in distinct(np.stack([np.asarray(image) for image in large]))]


def load(work: Path) -> ClipData:
    """What ``prepare`` wrote.

    Raises:
        BadWorkFolder: There is nothing, or its parts do not belong together.
    """
    if not (work / "pictures.npz").is_file() or not (work / "names.json").is_file():
        raise BadWorkFolder(f"{work} holds no pictures: run `python -m limner_starter clip data` on it first")
    about = read_json(work / "names.json")
    with np.load(work / "pictures.npz", allow_pickle=False) as arrays:
        rgba, name, design = arrays["rgba"], arrays["name"], arrays["design"]
    if not len(rgba) == len(name) == len(design) or name.max(initial=0) >= len(about["names"]):
        raise BadWorkFolder(f"{work} holds pictures and names that do not belong together: run the data step again")
    tags = tuple(tuple(row) for row in about["tags"])
    return ClipData(tuple(about["names"]), tags, rgba, name, design, tuple(about["designs"]))


def premultiplied(image: Image.Image) -> Pixels:
    """An RGBA picture shrunk to 80x80, its colour multiplied by alpha so that it can be moved without fringes."""
    pixels = np.asarray(image.resize((STORED * 2, STORED * 2), Image.Resampling.LANCZOS)).astype(np.float32)
    pixels[..., :3] *= pixels[..., 3:] / 255
    small = pixels.reshape(STORED, 2, STORED, 2, 4).mean((1, 3))
    return np.asarray(small.round(), dtype=np.uint8)


def origin(design: Design, packages: Path) -> dict[str, str]:
    """What all lines of a design share.

    Raises:
        BadWorkFolder: The package states another licence.
    """
    manifest = read_json(package(packages, design.package) / "package.json")
    if manifest["license"] != design.licence:
        raise BadWorkFolder(
            f"{design.package} says its licence is {manifest['license']}, this program expects {design.licence}: "
            "look at the package before anything is learned from it"
        )
    use = "evaluation only" if design.held_out else "learned"
    return {"design": design.name, "source": f"npm:{design.package}@{manifest['version']}",
            "licence": design.licence, "credit": design.credit, "use": use}  # fmt: skip


def lineage_line(emoji: Emoji, drawing: Drawing, source: dict[str, str], rgb: Pixels) -> dict[str, str]:
    """The object of a picture's line in ``lineage.jsonl``."""
    return {
        "name": emoji.name,
        "codepoint": emoji.codepoint,
        "icon": drawing.icon,
        "sha256_svg": hashlib.sha256(drawing.body.encode()).hexdigest(),
        "sha256_rgb64": hashlib.sha256(rgb.tobytes()).hexdigest(),
        **source,
    }


def compact_lineage(lines: Sequence[dict[str, str]]) -> str:
    """The lineage as it is shipped: one header line for each design, then one short line for each learned picture.

    A picture of a design that is only measured on has no line: nothing of it is in the weights.
    """
    learned = [line for line in lines if line["use"] == "learned"]
    heads = {line["design"]: {key: line[key] for key in ("design", "source", "licence", "credit")} for line in learned}
    counts = Counter(line["design"] for line in learned)
    head = [json.dumps({**row, "pictures": counts[name]}, ensure_ascii=False) for name, row in heads.items()]
    keys = ("design", "name", "icon", "sha256_svg")
    return "\n".join([*head, *(json.dumps([line[key] for key in keys], ensure_ascii=False) for line in learned)]) + "\n"


def _about(emoji: Sequence[Emoji], designs: Sequence[Design]) -> dict[str, object]:
    return {
        "names": [one.name for one in emoji],
        "tags": [one.tags for one in emoji],
        "designs": [one.name for one in designs],
        "packages": PINNED_DESIGNS,
    }


def _write_pictures(file: Path, rgba: Pixels, found: Sequence[tuple[int, Drawing]]) -> None:
    with replaced(file) as temporary, temporary.open("wb") as handle:
        design = np.array([place for place, _ in found])
        name = np.array([drawing.emoji for _, drawing in found])
        np.savez(handle, rgba=rgba, name=name, design=design)


def write_compact_lineage(work: Path, file: Path) -> None:
    """Writes ``compact_lineage`` of a work folder."""
    lines = [json.loads(line) for line in (work / "lineage.jsonl").read_text(encoding="utf-8").splitlines()]
    write_text(file, compact_lineage(lines))
