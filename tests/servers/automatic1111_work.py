"""What an Automatic1111 server makes of a body: pictures, the `info` text and the infotext of each picture.

A picture's colour belongs to its words, seed, sampler, model and LoRAs, so that a test sees what arrived. Parts that
the real program drops without a word (an unknown checkpoint, an unknown LoRA, unknown keys) are dropped here too.
"""

from __future__ import annotations

import base64
import io
import json
import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from servers.automatic1111_catalogue import sha256_of
from servers.pictures import colour_of, open_picture, plain

if TYPE_CHECKING:
    from PIL.Image import Image

    from servers.automatic1111_server import Automatic1111App

LORA = re.compile(r"<lora:([^:>]+)(?::([^>]*))?>")
OUTPAINTING = ("outpainting mk2", "poor man's outpainting")


class Refused(Exception):
    """The server's own refusal: a status and its body."""

    def __init__(self, status: int, detail: str, *, error: str = "HTTPException", errors: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"error": error, "detail": detail, "body": "", "errors": errors}


@dataclass(slots=True)
class Made:
    """The pictures of one call, first the grid where there is one, and what the server says of them."""

    pictures: list[Image]
    info: dict[str, Any]
    infotexts: list[str] = field(default_factory=list)

    def images(self) -> list[str]:
        """The pictures as the API sends them: base64 of a PNG that holds its infotext."""
        texts = [*self.infotexts, *[""] * len(self.pictures)]
        return [png_base64(picture, text) for picture, text in zip(self.pictures, texts, strict=False)]


def png_base64(picture: Image, infotext: str = "") -> str:
    """Encode as PNG, with the infotext under `parameters`, and as base64 without any prefix."""
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    if infotext:
        notes.add_text("parameters", infotext)
    target = io.BytesIO()
    picture.save(target, "PNG", pnginfo=notes, compress_level=1)
    return base64.b64encode(target.getvalue()).decode()


def picture_of(text: str) -> Image:
    """Decode base64 with or without a `data:` prefix; the real program's refusal where it is no picture."""
    try:
        return open_picture(base64.b64decode(text.partition(";base64,")[2] or text, validate=True))
    except ValueError as error:
        raise Refused(500, "Invalid encoded image") from error


def work(app: Automatic1111App, body: dict[str, Any], *, from_picture: bool) -> Made:
    """Do what /txt2img or /img2img does with its body."""
    sampler, scheduler = app.sampler(body.get("sampler_name") or body.get("sampler_index") or "Euler", body)
    model = app.chosen_model(body)
    prompt, negative = str(body.get("prompt", "")), str(body.get("negative_prompt", ""))
    asked = int(body.get("seed", -1))
    first = random.randrange(2**32) if asked == -1 else asked
    count = int(body.get("batch_size", 1)) * int(body.get("n_iter", 1))
    seeds = [first + number for number in range(count)]
    loras = {name: weight or "1" for name, weight in LORA.findall(prompt) if name in app.loras}
    words = LORA.sub("", prompt).strip()
    start = [_start(body) if from_picture else None] * count
    colours = [colour_of(words, negative, seed, sampler, model["model_name"], sorted(loras.items())) for seed in seeds]
    pictures = [_draw(body, colour, base) for colour, base in zip(colours, start, strict=True)]
    lines = {
        "Steps": body.get("steps", 50),
        "Sampler": sampler,
        "Schedule type": scheduler,
        "CFG scale": body.get("cfg_scale", 7.0),
    }
    texts = [_infotext(app, body, prompt, negative, {**lines, "Seed": seed}, model, loras) for seed in seeds]
    info = {
        "prompt": prompt,
        "all_prompts": [prompt] * count,
        "negative_prompt": negative,
        "seed": first,
        "all_seeds": seeds,
        "width": pictures[0].width,
        "height": pictures[0].height,
        "sampler_name": sampler,
        "cfg_scale": body.get("cfg_scale", 7.0),
        "steps": body.get("steps", 50),
        "batch_size": body.get("batch_size", 1),
        "sd_model_name": model["model_name"],
        "sd_model_hash": model["hash"],
        "sd_vae_name": app.chosen_vae(body),
        "sd_vae_hash": None,
        "denoising_strength": body.get("denoising_strength"),
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": texts,
        "job_timestamp": "20261125093000",
        "clip_skip": 1,
        "version": app.version,
    }
    made = Made(pictures, info, texts)
    if app.grid and count > 1 and body.get("save_images"):
        _add_grid(made)
    made.pictures += _detected_maps(app, body)
    return made


def _start(body: dict[str, Any]) -> Image:
    pictures = body.get("init_images")
    if not pictures:
        raise Refused(404, "Init image not found")
    return picture_of(pictures[0])


def _draw(body: dict[str, Any], colour: tuple[int, int, int], start: Image | None) -> Image:
    from PIL import Image as Pillow

    size = int(body.get("width", 512)), int(body.get("height", 512))
    if start is None:
        if body.get("enable_hr"):
            size = _second_size(body, size)
        return plain(size, colour)
    if str(body.get("script_name") or "").lower() in OUTPAINTING:
        return _outpaint(body, colour, start.convert("RGB"))
    base = start.convert("RGB").resize(size)
    fresh = Pillow.blend(base, plain(size, colour), float(body.get("denoising_strength", 0.75)))
    if not body.get("mask"):
        return fresh
    mask = picture_of(body["mask"]).convert("L").resize(size)
    if int(body.get("inpainting_mask_invert", 0)):
        mask = mask.point(lambda value: 255 - value)
    return Pillow.composite(fresh, base, mask.point(lambda value: 255 if value > 127 else 0))


def _second_size(body: dict[str, Any], size: tuple[int, int]) -> tuple[int, int]:
    wide, high = int(body.get("hr_resize_x", 0)), int(body.get("hr_resize_y", 0))
    if wide and high:
        return wide, high
    scale = float(body.get("hr_scale", 2.0))
    return int(size[0] * scale), int(size[1] * scale)


def _outpaint(body: dict[str, Any], colour: tuple[int, int, int], start: Image) -> Image:
    """Expand as both scripts do: the same number of pixels on each named side, the whole rounded up to 64."""
    args = list(body.get("script_args") or [])
    mk2 = body["script_name"].lower() == OUTPAINTING[0]
    pixels, sides = (int(args[1]), args[3]) if mk2 else (int(args[0]), args[3])
    left, up = (pixels if side in sides else 0 for side in ("left", "up"))
    right, down = (pixels if side in sides else 0 for side in ("right", "down"))
    wide, high = (
        -(-(edge + before + after) // 64) * 64
        for edge, before, after in ((start.width, left, right), (start.height, up, down))
    )
    canvas = plain((wide, high), colour)
    canvas.paste(start, (left, up))
    return canvas


def _infotext(
    app: Automatic1111App,
    body: dict[str, Any],
    prompt: str,
    negative: str,
    lines: dict[str, Any],
    model: dict[str, Any],
    loras: dict[str, str],
) -> str:
    facts = {
        **lines,
        "Size": f"{body.get('width', 512)}x{body.get('height', 512)}",
        "Model hash": model["hash"],
        "Model": model["model_name"],
        "Denoising strength": body.get("denoising_strength") if "init_images" in body else None,
    }
    if loras:
        facts["Lora hashes"] = json.dumps(", ".join(f"{name}: {sha256_of(name)[:12]}" for name in loras))
    facts["Version"] = app.version
    tail = ", ".join(f"{name}: {value}" for name, value in facts.items() if value is not None)
    return "\n".join([prompt, *([f"Negative prompt: {negative}"] if negative else []), tail])


def _add_grid(made: Made) -> None:
    from PIL import Image as Pillow

    first = made.pictures[0]
    grid = Pillow.new("RGB", (first.width * len(made.pictures), first.height))
    for number, picture in enumerate(made.pictures):
        grid.paste(picture, (number * first.width, 0))
    made.pictures.insert(0, grid)
    made.infotexts.insert(0, made.infotexts[0])
    made.info["infotexts"] = made.infotexts
    made.info["index_of_first_image"] = 1


def control_units(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The ControlNet units that work: `enabled` is false unless it is said."""
    scripts = {name.lower(): part for name, part in (body.get("alwayson_scripts") or {}).items()}
    return [unit for unit in scripts.get("controlnet", {}).get("args", []) if unit.get("enabled", False)]


def _detected_maps(app: Automatic1111App, body: dict[str, Any]) -> list[Image]:
    if app.control_models is None:
        return []
    maps = []
    for unit in control_units(body):
        if unit.get("model", "None") not in {*app.control_models, "None"}:
            raise Refused(500, "", error="Exception", errors=f"ControlNet model not found: {unit.get('model')}")
        given = unit.get("image") or unit.get("input_image")
        picture = picture_of(str(given["image"] if isinstance(given, dict) else given))
        if unit.get("save_detected_map", True) and unit.get("module", "none").lower() != "none":
            maps.append(picture.convert("L").convert("RGB"))
    return maps
