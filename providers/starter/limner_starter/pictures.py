"""Renders the chosen emoji, drops near duplicates, and writes pictures and lineage.

The result is the same byte for byte on every machine with the same versions; ``lineage.jsonl`` is the proof.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from limner_starter.errors import BadWorkFolder, MissingTool
from limner_starter.packages import NAMES, PICTURES, package
from limner_starter.recipe import PICTURE
from limner_starter.selection import Emoji, select
from limner_starter.workspace import Workspace, read_json, replaced, write_json, write_text

Pixels = npt.NDArray[np.uint8]

_DRAWN = 256
_LARGE = 128
_NEAR = 18.5
"""Root mean square difference (0…255, at 32x32) under which two pictures count as the same."""

_GROUNDS = ((255, 255, 255), (70, 90, 130))
"""White things vanish on white, so pictures are compared on a dark ground too."""


@dataclass(frozen=True)
class TrainingSet:
    """The training pictures with their names.

    Attributes:
        names: The N names.
        tags: The keywords of each.
        rgb: ``uint8 [N, 64, 64, 3]``, on white: what the model learns.
        rgba: ``uint8 [N, 128, 128, 4]``, with alpha: what the autoencoder's augmentation starts from.
    """

    names: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    rgb: Pixels
    rgba: Pixels

    def digest(self) -> str:
        """SHA-256 over names, keywords and pixels."""
        digest = hashlib.sha256(json.dumps([self.names, self.tags]).encode())
        digest.update(self.rgb.tobytes())
        digest.update(self.rgba.tobytes())
        return digest.hexdigest()


def prepare(workspace: Workspace, packages: Path) -> TrainingSet:
    """Renders everything from the installed packages and writes it to the work folder (about 15 s)."""
    icons = read_json(package(packages, PICTURES) / "icons.json")
    view = icons.get("width") or icons.get("height") or _LARGE
    chosen = select(packages)
    drawn = [render(emoji.svg, view) for emoji in chosen]
    rgba = np.stack([np.asarray(image.resize((_LARGE, _LARGE), Image.Resampling.LANCZOS)) for image in drawn])
    rgb = np.stack([on_white(image) for image in drawn])
    kept = distinct(rgba)
    emoji = [chosen[index] for index in kept]
    source = origin(packages)
    lines = [lineage_line(one, rgb[index], source) for one, index in zip(emoji, kept, strict=True)]
    _write(workspace, emoji, lines, rgb[kept], rgba[kept])
    return load(workspace)


def load(workspace: Workspace) -> TrainingSet:
    """The training set that ``prepare`` wrote.

    Raises:
        BadWorkFolder: There is none, or pictures and names do not belong together.
    """
    if not (workspace.pictures.is_file() and workspace.emoji.is_file()):
        raise BadWorkFolder(f"{workspace.root} holds no pictures: run `python -m limner_starter data` on it first")
    rows = read_json(workspace.emoji)
    with np.load(workspace.pictures, allow_pickle=False) as arrays:
        rgb, rgba = arrays["rgb"], arrays["rgba"]
    if len(rows) != len(rgb):
        raise BadWorkFolder(
            f"{workspace.root} holds {len(rgb)} pictures and {len(rows)} names: run the data step again"
        )
    names = tuple(row["name"] for row in rows)
    return TrainingSet(names, tuple(tuple(row["tags"]) for row in rows), rgb, rgba)


def render(body: str, view: int) -> Image.Image:
    """An SVG body with a square view box as a 256x256 RGBA picture.

    Raises:
        MissingTool: resvg is not installed.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise MissingTool("resvg-py is not installed: pip install 'limner[dev]'") from error
    head = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    svg = f'<svg {head} width="{_DRAWN}" height="{_DRAWN}" viewBox="0 0 {view} {view}">{body}</svg>'
    return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg)))).convert("RGBA")


def on_white(image: Image.Image) -> Pixels:
    """An RGBA picture laid on white and shrunk to 64x64: ``uint8 [64, 64, 3]``."""
    ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
    ground.alpha_composite(image)
    return np.asarray(ground.convert("RGB").resize((PICTURE, PICTURE), Image.Resampling.LANCZOS))


def distinct(rgba: Pixels, near: float = _NEAR) -> list[int]:
    """The indices of ``rgba`` (``[N, 128, 128, 4]``) without those that look like an earlier one on every ground."""
    distance = np.maximum.reduce([_distances(rgba, ground) for ground in _GROUNDS])
    kept: list[int] = []
    for index in range(len(rgba)):
        if not kept or distance[index, kept].min() >= near:
            kept.append(index)
    return kept


def _distances(rgba: Pixels, ground: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """Root mean square differences ``[N, N]`` of the pictures laid on a colour and shrunk to 32x32."""
    pixels = rgba.astype(np.float32)
    alpha = pixels[..., 3:] / 255
    flat = pixels[..., :3] * alpha + np.array(ground, dtype=np.float32) * (1 - alpha)
    small = flat.reshape(len(rgba), 32, 4, 32, 4, 3).mean((2, 4)).reshape(len(rgba), -1)
    square = (small * small).sum(1)
    squares = np.add.outer(square, square) - 2 * small @ small.T
    return np.asarray(np.sqrt(np.maximum(squares, 0) / small.shape[1]), dtype=np.float32)


def origin(packages: Path) -> dict[str, str]:
    """The part of a lineage line that all pictures share: sources and licences, as the packages state them."""
    drawings = read_json(package(packages, PICTURES) / "package.json")
    names = read_json(package(packages, NAMES) / "package.json")
    info = read_json(package(packages, PICTURES) / "info.json")
    return {
        "source": _address(drawings),
        "licence": drawings["license"],
        "licence_url": info.get("license", {}).get("url", ""),
        "rights_holder": info["author"]["name"],
        "names_source": _address(names),
        "names_licence": names["license"],
    }


def lineage_line(emoji: Emoji, rgb: Pixels, source: Mapping[str, str]) -> dict[str, str]:
    """Where a picture comes from and what it is: the object of its line in ``lineage.jsonl``."""
    return {
        "name": emoji.name,
        "char": emoji.char,
        "codepoint": emoji.codepoint,
        "icon": emoji.icon,
        "sha256_svg": hashlib.sha256(emoji.svg.encode()).hexdigest(),
        "sha256_rgb64": hashlib.sha256(rgb.tobytes()).hexdigest(),
        **source,
    }


def _address(manifest: Mapping[str, Any]) -> str:
    name, version = manifest["name"], manifest["version"]
    return f"{name}@{version}" if manifest.get("private") else f"npm:{name}@{version}"


def _write(
    workspace: Workspace, emoji: Sequence[Emoji], lines: Sequence[dict[str, str]], rgb: Pixels, rgba: Pixels
) -> None:
    write_text(workspace.lineage, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    rows: list[dict[str, Any]] = [{k: v for k, v in asdict(one).items() if k != "svg"} for one in emoji]
    write_json(workspace.emoji, rows)
    with replaced(workspace.pictures) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, rgb=rgb, rgba=rgba)
