"""Pictures, token usage and answers of the OpenAI server, for a job that was accepted."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from servers.openai_rules import LEGACY, Job
from servers.pictures import Size, animation, colour_of, encode, on_transparent, open_picture, plain_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

CREATED = 1713833628
_PIXELS_PER_TOKEN = {"low": 4096, "auto": 1024, "medium": 1024, "high": 256, "xhigh": 128, "max": 64}


def size_of(job: Job) -> Size:
    """The size in pixels: as asked, or for `auto` the standard size nearest to the first image's shape."""
    if job.size is not None:
        return job.size
    if job.images:
        width, height = open_picture(job.images[0].data).size
        return (1536, 1024) if width > height else (1024, 1536) if height > width else (1024, 1024)
    return 1024, 1024


def draw(job: Job, index: int, stage: str = "final") -> bytes:
    """Draw picture `index`: a colour drawn from the prompt; an edit keeps the first image where its mask is opaque."""
    colour = colour_of(job.model, job.prompt, index, stage)
    size = size_of(job)
    if job.output_format == "svg":
        return _svg(size, colour)
    if job.output_format == "gif":
        return animation(size, [colour_of(job.prompt, index, frame) for frame in range(job.frames)], job.frame_ms)
    kind = job.output_format
    if job.images and job.mask:
        return encode(_painted(job, size, colour), kind, quality=job.compression)
    if job.kind == "variations" and job.images:
        colour = colour_of(job.images[0].data, index)
    transparent = job.background == "transparent"
    return plain_bytes(size, colour, kind, transparent=transparent, quality=job.compression)


def _painted(job: Job, size: Size, colour: tuple[int, int, int]) -> Image:
    assert job.mask is not None
    picture = open_picture(job.images[0].data).convert("RGB")
    alpha = open_picture(job.mask.data).convert("RGBA").getchannel("A")
    picture.paste(colour, mask=alpha.point(lambda value: 255 if value == 0 else 0))
    resized = picture.resize(size) if picture.size != size else picture
    return on_transparent(resized) if job.background == "transparent" else resized


def _svg(size: Size, colour: tuple[int, int, int]) -> bytes:
    width, height = size
    red, green, blue = colour
    text = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    return f'{text}<rect width="{width}" height="{height}" fill="rgb({red},{green},{blue})"/></svg>'.encode()


def usage_of(job: Job, style: str, images: int) -> dict[str, Any] | None:
    """Count tokens of `images` pictures: `full` has both details, `inputs` lacks the output's, `bare` any."""
    if style == "none" or job.model in LEGACY:
        return None
    text = len(job.prompt.split()) + len(job.prompt) // 8 + 1
    seen = len(job.images) * 256
    width, height = size_of(job)
    made = max(width * height // _PIXELS_PER_TOKEN[job.quality], 1) * images + job.partial_images * 100
    usage: dict[str, Any] = {
        "input_tokens": text + seen,
        "output_tokens": made,
        "total_tokens": text + seen + made,
    }
    if style in {"full", "inputs"}:
        usage["input_tokens_details"] = {"text_tokens": text, "image_tokens": seen}
    if style == "full":
        usage["output_tokens_details"] = {"image_tokens": made, "text_tokens": 0}
    return usage


def document(job: Job, pictures: list[bytes], urls: list[str] | None, usage: dict[str, Any] | None) -> dict[str, Any]:
    """The answer without streaming."""
    rows: list[dict[str, Any]] = []
    for index, picture in enumerate(pictures):
        row: dict[str, Any] = {"url": urls[index]} if urls else {"b64_json": base64.b64encode(picture).decode()}
        if job.model == "dall-e-3":
            row["revised_prompt"] = f"A detailed picture: {job.prompt}"
        rows.append(row)
    result: dict[str, Any] = {"created": CREATED, "data": rows}
    if job.model in LEGACY:
        return result
    result |= _settings(job)
    if job.safety_identifier:
        result["safety_identifier"] = job.safety_identifier
    if usage is not None:
        result["usage"] = usage
    if job.svg_model:
        result["svg_usage"] = {
            "input_tokens": 120,
            "output_tokens": 300,
            "reasoning_tokens": 40,
            "total_tokens": 420,
            "model": job.svg_model,
        }
    return result


def _settings(job: Job) -> dict[str, Any]:
    width, height = size_of(job)
    background = "opaque" if job.background == "auto" else job.background
    quality = "high" if job.quality == "auto" else job.quality
    return {
        "background": background,
        "output_format": job.output_format,
        "quality": quality,
        "size": f"{width}x{height}",
    }


def events(
    job: Job, pictures: list[bytes], usage: dict[str, Any] | None, *, final_first: bool = False
) -> Iterator[bytes]:
    """The answer as server-sent events: the partial pictures asked for, then one `completed` for each picture."""
    stem = "image_edit" if job.kind == "edits" else "image_generation"
    settings = _settings(job) | {"created_at": CREATED}
    partial = [
        event(
            f"{stem}.partial_image",
            {"b64_json": base64.b64encode(draw(job, 0, f"partial {index}")).decode(), "partial_image_index": index}
            | settings,
        )
        for index in range(job.partial_images)
    ]
    final: list[bytes] = []
    for picture in pictures:
        body: dict[str, Any] = {"b64_json": base64.b64encode(picture).decode()} | settings
        if usage is not None:
            body["usage"] = usage
        if job.safety_identifier:
            body["safety_identifier"] = job.safety_identifier
        final.append(event(f"{stem}.completed", body))
    # the final picture may be sent before the full number of partial ones
    return iter([*partial[:1], *final, *partial[1:]] if final_first else [*partial, *final])


def event(name: str, body: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps({'type': name} | body)}\n\n".encode()
