"""Which fields of a request go together: what each task needs, and what means nothing to it.

Private to `types`. It names the first field that does not fit, why, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limner_providers.images import check_mask

if TYPE_CHECKING:
    from limner_providers.types import ImageRequest

_SEED_LIMIT = 2**32
_PROMPT_MAY_BE_EMPTY = frozenset({"outpaint", "variation", "upscale"})
_ONLY_FOR = {"mask": "inpaint", "margins": "outpaint", "scale": "upscale"}


@dataclass(frozen=True)
class Misfit:
    """A field whose value does not go with the others."""

    field: str
    value: Any
    why: str
    remedy: str


def misfit(request: ImageRequest) -> Misfit | None:
    """Give the first field that does not fit; None: all do."""
    return next(_misfits(request), None)


def _misfits(request: ImageRequest) -> Iterator[Misfit]:
    if not request.prompt and request.task not in _PROMPT_MAY_BE_EMPTY:
        yield Misfit("prompt", request.prompt, "is empty.", "Say what to draw.")
    yield from _numbers(request)
    yield from _sizes(request)
    yield from _pictures(request)
    yield from _output(request)


def _numbers(request: ImageRequest) -> Iterator[Misfit]:
    if request.seed is not None and request.seed + request.n > _SEED_LIMIT:
        last = request.seed + request.n - 1
        remedy = f"The last of {request.n} pictures would have seed {last}; keep it below {_SEED_LIMIT}."
        yield Misfit("seed", request.seed, "is too large.", remedy)
    if request.strength is not None and request.task == "txt2img":
        remedy = "Leave it out, or choose a task that starts from a picture."
        yield Misfit("strength", request.strength, "means nothing for txt2img.", remedy)


def _sizes(request: ImageRequest) -> Iterator[Misfit]:
    if request.size is not None and request.aspect_ratio is not None:
        yield Misfit("aspect_ratio", request.aspect_ratio, "stands beside a size.", "Give one of them.")
    if request.task == "outpaint" and (request.size or request.aspect_ratio):
        given = request.size or request.aspect_ratio
        yield Misfit("size", given, "means nothing for outpaint.", "margins say how much is added; leave it out.")
    if request.scale is not None and request.size is not None:
        yield Misfit("scale", request.scale, "stands beside a size.", "Give one of them.")


def _pictures(request: ImageRequest) -> Iterator[Misfit]:
    task = request.task
    for field, only in _ONLY_FOR.items():
        if getattr(request, field) is not None and task != only:
            yield Misfit(field, "(given)", f"means nothing for {task}.", f"Leave it out, or choose {only}.")
    if task == "txt2img":
        for field in ("image", "origin"):
            if getattr(request, field) is not None:
                remedy = "Leave it out, or choose a task that starts from a picture; `references` only lend their look."
                yield Misfit(field, "(given)", "means nothing for txt2img.", remedy)
    elif request.image is None and request.origin is None:
        yield Misfit("image", None, f"is needed for {task}.", "Give the picture to start from.")
    if task == "outpaint" and request.margins is None:
        yield Misfit("margins", None, "are needed for outpaint.", 'Give for example margins={"right": 64}.')
    if task == "inpaint":
        yield from _mask(request)


def _mask(request: ImageRequest) -> Iterator[Misfit]:
    mask, image = request.mask, request.image
    if mask is None:
        yield Misfit("mask", None, "is needed for inpaint.", "Give a picture that is white where it shall change.")
        return
    if image is not None and mask.size != image.size:
        yield Misfit("mask", mask.size, f"is not as large as the image, {image.size}.", "Scale it to the image's size.")
        return
    problem = check_mask(mask)
    if problem:
        yield Misfit("mask", mask.size, problem, "In a mask white changes and black stays.")


def _output(request: ImageRequest) -> Iterator[Misfit]:
    if request.output_compression is not None and request.output_format == "png":
        remedy = 'Leave it out, or choose output_format "jpeg" or "webp".'
        yield Misfit("output_compression", request.output_compression, "means nothing for PNG.", remedy)
    if request.background == "transparent" and request.output_format == "jpeg":
        remedy = 'Choose output_format "png" or "webp".'
        yield Misfit("background", request.background, "cannot be kept in JPEG.", remedy)
