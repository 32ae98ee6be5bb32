"""What a ComfyUI graph makes: each node evaluated once, in the order of its links, on coloured pictures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from servers.comfyui_check import is_link
from servers.pictures import colour_of, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Latent:
    """What a latent would decode to: a size, how many, and what it came from."""

    size: tuple[int, int]
    count: int = 1
    start: tuple[Image, ...] = ()
    mask: Image | None = None
    words: tuple[Any, ...] = ()
    denoise: float = 1.0


@dataclass(slots=True)
class Run:
    """One execution of a graph; `saved` are the pictures of each output node."""

    graph: dict[str, Any]
    open_upload: Callable[[str], Image]
    saved: dict[str, list[Image]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    _values: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def value(self, name: str) -> tuple[Any, ...]:
        """Evaluate a node, and first what it needs."""
        if name not in self._values:
            node = self.graph[name]
            given = {
                key: self.value(item[0])[item[1]] if is_link(item) else item for key, item in node["inputs"].items()
            }
            self.order.append(name)
            self._values[name] = self._make(name, node["class_type"], given)
        return self._values[name]

    def _make(self, name: str, kind: str, given: dict[str, Any]) -> tuple[Any, ...]:
        if kind in {"SaveImage", "PreviewImage", "SaveVideo"}:
            self.saved[name] = list(given["images"])
            return ()
        if kind in {"LoadImage", "LoadImageMask"}:
            return _loaded(self.open_upload(given["image"]), given.get("channel"))
        for makers in (_MODELS, _LATENTS, _PICTURES):
            if kind in makers:
                made: tuple[Any, ...] = makers[kind](given)
                return made
        raise AssertionError(f"no maker for {kind}")


def _loaded(picture: Image, channel: str | None) -> tuple[Any, ...]:
    """IMAGE and MASK, or MASK alone: LoadImage's mask is the alpha turned over."""
    from PIL import Image, ImageChops

    if channel is not None:
        bands = picture.convert("RGBA").split()
        chosen = bands[["red", "green", "blue", "alpha"].index(channel)]
        return (ImageChops.invert(chosen) if channel == "alpha" else chosen,)
    if "A" in picture.getbands():
        return [picture.convert("RGB")], ImageChops.invert(picture.getchannel("A"))
    return [picture.convert("RGB")], Image.new("L", (64, 64), 0)


def _checkpoint(given: dict[str, Any]) -> tuple[Any, ...]:
    base = (("ckpt", given["ckpt_name"]),)
    return base, base, base


def _lora(given: dict[str, Any]) -> tuple[Any, ...]:
    part = (("lora", given["lora_name"], given["strength_model"], given["strength_clip"]),)
    return given["model"] + part, given["clip"] + part


def _control(given: dict[str, Any]) -> tuple[Any, ...]:
    data = given["image"][0].tobytes()
    part = (("control", given["control_net"], given["strength"], colour_of(data)),)
    return given["positive"] + part, given["negative"] + part


def _adapter(given: dict[str, Any]) -> tuple[Any, ...]:
    return (given["model"] + (("ip", given["weight"], colour_of(given["image"][0].tobytes())),),)


_MODELS: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "CheckpointLoaderSimple": _checkpoint,
    "VAELoader": lambda given: ((("vae", given["vae_name"]),),),
    "LoraLoader": _lora,
    "CLIPSetLastLayer": lambda given: (given["clip"] + (("skip", given["stop_at_clip_layer"]),),),
    "CLIPTextEncode": lambda given: ((("text", given["text"]), *given["clip"]),),
    "ControlNetLoader": lambda given: (given["control_net_name"],),
    "ControlNetApplyAdvanced": _control,
    "UpscaleModelLoader": lambda given: (given["model_name"],),
    "IPAdapterUnifiedLoader": lambda given: (given["model"], given["preset"]),
    "IPAdapter": _adapter,
}


def _encoded(given: dict[str, Any]) -> Latent:
    pictures = tuple(given["pixels"])
    size = pictures[0].size
    return Latent((size[0] // 8 * 8, size[1] // 8 * 8), len(pictures), pictures, given.get("mask"))


def _sampled(given: dict[str, Any]) -> tuple[Any, ...]:
    latent: Latent = given["latent_image"]
    names = ("seed", "noise_seed", "steps", "cfg", "sampler_name", "scheduler", "model", "positive", "negative")
    words = tuple((name, str(given[name])) for name in names if name in given)
    return (replace(latent, words=latent.words + words, denoise=float(given.get("denoise", 1.0))),)


def _inpaint_conditioning(given: dict[str, Any]) -> tuple[Any, ...]:
    return given["positive"], given["negative"], _encoded(given)


def _resized(given: dict[str, Any]) -> tuple[Any, ...]:
    latent: Latent = given["samples"]
    if "scale_by" in given:
        size = round(latent.size[0] * given["scale_by"]), round(latent.size[1] * given["scale_by"])
    else:
        size = given["width"], given["height"]
    return (replace(latent, size=(size[0] // 8 * 8, size[1] // 8 * 8)),)


_LATENTS: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "EmptyLatentImage": lambda given: (
        Latent((given["width"] // 8 * 8, given["height"] // 8 * 8), given["batch_size"]),
    ),
    "VAEEncode": lambda given: (_encoded(given),),
    "VAEEncodeForInpaint": lambda given: (_encoded(given),),
    "InpaintModelConditioning": _inpaint_conditioning,
    "SetLatentNoiseMask": lambda given: (replace(given["samples"], mask=given["mask"]),),
    "RepeatLatentBatch": lambda given: (replace(given["samples"], count=given["samples"].count * given["amount"]),),
    "LatentUpscale": _resized,
    "LatentUpscaleBy": _resized,
    "KSampler": _sampled,
    "KSamplerAdvanced": _sampled,
}


def _decoded(given: dict[str, Any]) -> tuple[Any, ...]:
    from PIL import Image

    latent: Latent = given["samples"]
    pictures = []
    for number in range(latent.count):
        fresh = plain(latent.size, colour_of(*latent.words, number))
        if latent.start:
            base = latent.start[number % len(latent.start)].resize(latent.size)
            fresh = Image.blend(base, fresh, latent.denoise)
            if latent.mask is not None:
                mask = latent.mask.resize(latent.size).point(lambda value: 255 if value > 127 else 0)
                fresh = Image.composite(fresh, base, mask)
        pictures.append(fresh)
    return (pictures,)


def _padded(given: dict[str, Any]) -> tuple[Any, ...]:
    from PIL import Image

    picture = given["image"][0]
    wide = picture.width + given["left"] + given["right"]
    high = picture.height + given["top"] + given["bottom"]
    canvas = Image.new("RGB", (wide, high), (128, 128, 128))
    canvas.paste(picture, (given["left"], given["top"]))
    mask = Image.new("L", (wide, high), 255)
    mask.paste(0, (given["left"], given["top"], given["left"] + picture.width, given["top"] + picture.height))
    return [canvas], mask


def _composite(given: dict[str, Any]) -> tuple[Any, ...]:
    results = []
    for source in given["source"]:
        target = given["destination"][0].copy()
        mask = given.get("mask")
        target.paste(source, (given["x"], given["y"]), mask.resize(source.size) if mask is not None else None)
        results.append(target)
    return (results,)


_PICTURES: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "VAEDecode": _decoded,
    "ImagePadForOutpaint": _padded,
    "ImageCompositeMasked": _composite,
    "ImageScale": lambda given: ([one.resize((given["width"], given["height"])) for one in given["image"]],),
    "ImageUpscaleWithModel": lambda given: ([one.resize((one.width * 4, one.height * 4)) for one in given["image"]],),
    "Canny": lambda given: ([one.convert("L").convert("RGB") for one in given["image"]],),
}
