"""The nodes that a ComfyUI server of the tests knows: their inputs as /object_info tells them, and what they make.

An input is a type's name (`MODEL`, a link), a list of choices, or `INT`, `FLOAT`, `STRING` with its bounds. Pictures
are Pillow's; a model is a dictionary of what was put into it; a latent says what it would become.
"""

from __future__ import annotations

from typing import Any

LIMIT = 16384
SAMPLERS = ["euler", "euler_ancestral", "dpmpp_2m", "dpmpp_sde", "ddim", "uni_pc"]
SCHEDULERS = ["simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal"]
RESIZE = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
LATENT_RESIZE = ["nearest-exact", "bilinear", "area", "bicubic", "bislerp"]
PRESETS = ["LIGHT - SD1.5 only (low strength)", "STANDARD (medium strength)", "PLUS (high strength)"]

Input = tuple[Any, ...]
TEXT: Input = ("STRING", {"multiline": True, "dynamicPrompts": True})
NAME: Input = ("STRING", {"default": "ComfyUI"})


def whole(default: int, low: int, high: int) -> Input:
    """An INT input."""
    return ("INT", {"default": default, "min": low, "max": high})


def number(default: float, low: float, high: float) -> Input:
    """A FLOAT input."""
    return ("FLOAT", {"default": default, "min": low, "max": high, "step": 0.01})


SIZE = whole(512, 16, LIMIT)
MARGIN = whole(0, 0, LIMIT)
SEED = whole(0, 0, 0xFFFFFFFFFFFFFFFF)


class Files:
    """What lies in the server's folders."""

    def __init__(self) -> None:
        self.checkpoints = ["sd15-house.safetensors", "sdxl/sd_xl_base_1.0.safetensors", "sdxl/refiner.safetensors"]
        self.loras = ["ink.safetensors", "pixel-art.safetensors"]
        self.controlnets = ["control_canny.safetensors"]
        self.vaes = ["vae-ft-mse.safetensors"]
        self.upscalers = ["RealESRGAN_x4plus.pth"]


def node_table(files: Files, uploads: list[str], *, ip_adapter: bool) -> dict[str, dict[str, Any]]:
    """Give class → {required, optional, output, output_node} for what is installed and lies there now."""

    def row(
        required: dict[str, Input], output: tuple[str, ...], *, ends: bool = False, **optional: Input
    ) -> dict[str, Any]:
        return {"required": required, "optional": optional, "output": output, "output_node": ends}

    sampling: dict[str, Input] = {
        "steps": whole(20, 1, 10000),
        "cfg": number(8.0, 0.0, 100.0),
        "sampler_name": (SAMPLERS, {}),
        "scheduler": (SCHEDULERS, {}),
        "positive": ("CONDITIONING", {}),
        "negative": ("CONDITIONING", {}),
        "latent_image": ("LATENT", {}),
    }
    model: dict[str, Input] = {"model": ("MODEL", {})}
    pair: dict[str, Input] = {"positive": ("CONDITIONING", {}), "negative": ("CONDITIONING", {})}
    size: dict[str, Input] = {"width": SIZE, "height": SIZE}
    margins = dict.fromkeys(("left", "top", "right", "bottom"), MARGIN)
    table = {
        "CheckpointLoaderSimple": row({"ckpt_name": (files.checkpoints, {})}, ("MODEL", "CLIP", "VAE")),
        "VAELoader": row({"vae_name": (files.vaes, {})}, ("VAE",)),
        "LoraLoader": row(
            {
                **model,
                "clip": ("CLIP", {}),
                "lora_name": (files.loras, {}),
                "strength_model": number(1.0, -100.0, 100.0),
                "strength_clip": number(1.0, -100.0, 100.0),
            },
            ("MODEL", "CLIP"),
        ),
        "CLIPTextEncode": row({"text": TEXT, "clip": ("CLIP", {})}, ("CONDITIONING",)),
        "CLIPSetLastLayer": row({"clip": ("CLIP", {}), "stop_at_clip_layer": whole(-1, -24, -1)}, ("CLIP",)),
        "EmptyLatentImage": row({**size, "batch_size": whole(1, 1, 4096)}, ("LATENT",)),
        "KSampler": row({**model, "seed": SEED, **sampling, "denoise": number(1.0, 0.0, 1.0)}, ("LATENT",)),
        "KSamplerAdvanced": row(
            {
                **model,
                "add_noise": (["enable", "disable"], {}),
                "noise_seed": SEED,
                **sampling,
                "start_at_step": whole(0, 0, 10000),
                "end_at_step": whole(10000, 0, 10000),
                "return_with_leftover_noise": (["disable", "enable"], {}),
            },
            ("LATENT",),
        ),
        "VAEDecode": row({"samples": ("LATENT", {}), "vae": ("VAE", {})}, ("IMAGE",)),
        "VAEEncode": row({"pixels": ("IMAGE", {}), "vae": ("VAE", {})}, ("LATENT",)),
        "VAEEncodeForInpaint": row(
            {"pixels": ("IMAGE", {}), "vae": ("VAE", {}), "mask": ("MASK", {}), "grow_mask_by": whole(6, 0, 64)},
            ("LATENT",),
        ),
        "InpaintModelConditioning": row(
            {**pair, "vae": ("VAE", {}), "pixels": ("IMAGE", {}), "mask": ("MASK", {}), "noise_mask": ("BOOLEAN", {})},
            ("CONDITIONING", "CONDITIONING", "LATENT"),
        ),
        "SetLatentNoiseMask": row({"samples": ("LATENT", {}), "mask": ("MASK", {})}, ("LATENT",)),
        "RepeatLatentBatch": row({"samples": ("LATENT", {}), "amount": whole(1, 1, 64)}, ("LATENT",)),
        "LatentUpscale": row(
            {
                "samples": ("LATENT", {}),
                "upscale_method": (LATENT_RESIZE, {}),
                "width": whole(512, 0, LIMIT),
                "height": whole(512, 0, LIMIT),
                "crop": (["disabled", "center"], {}),
            },
            ("LATENT",),
        ),
        "LatentUpscaleBy": row(
            {"samples": ("LATENT", {}), "upscale_method": (LATENT_RESIZE, {}), "scale_by": number(1.5, 0.01, 8.0)},
            ("LATENT",),
        ),
        "LoadImage": row({"image": (uploads, {"image_upload": True})}, ("IMAGE", "MASK")),
        "LoadImageMask": row(
            {"image": (uploads, {"image_upload": True}), "channel": (["alpha", "red", "green", "blue"], {})}, ("MASK",)
        ),
        "ImageScale": row(
            {
                "image": ("IMAGE", {}),
                "upscale_method": (RESIZE, {}),
                "width": whole(512, 0, LIMIT),
                "height": whole(512, 0, LIMIT),
                "crop": (["disabled", "center"], {}),
            },
            ("IMAGE",),
        ),
        "ImagePadForOutpaint": row(
            {"image": ("IMAGE", {}), **margins, "feathering": whole(40, 0, LIMIT)}, ("IMAGE", "MASK")
        ),
        "ImageCompositeMasked": row(
            {
                "destination": ("IMAGE", {}),
                "source": ("IMAGE", {}),
                "x": MARGIN,
                "y": MARGIN,
                "resize_source": ("BOOLEAN", {}),
            },
            ("IMAGE",),
            mask=("MASK", {}),
        ),
        "UpscaleModelLoader": row({"model_name": (files.upscalers, {})}, ("UPSCALE_MODEL",)),
        "ImageUpscaleWithModel": row({"upscale_model": ("UPSCALE_MODEL", {}), "image": ("IMAGE", {})}, ("IMAGE",)),
        "ControlNetLoader": row({"control_net_name": (files.controlnets, {})}, ("CONTROL_NET",)),
        "ControlNetApplyAdvanced": row(
            {
                **pair,
                "control_net": ("CONTROL_NET", {}),
                "image": ("IMAGE", {}),
                "strength": number(1.0, 0.0, 10.0),
                "start_percent": number(0.0, 0.0, 1.0),
                "end_percent": number(1.0, 0.0, 1.0),
            },
            ("CONDITIONING", "CONDITIONING"),
            vae=("VAE", {}),
        ),
        "Canny": row(
            {
                "image": ("IMAGE", {}),
                "low_threshold": number(0.4, 0.01, 0.99),
                "high_threshold": number(0.8, 0.01, 0.99),
            },
            ("IMAGE",),
        ),
        "SaveImage": row({"images": ("IMAGE", {}), "filename_prefix": NAME}, (), ends=True),
        "PreviewImage": row({"images": ("IMAGE", {})}, (), ends=True),
        "SaveVideo": row({"images": ("IMAGE", {})}, (), ends=True),
    }
    if ip_adapter:
        table["IPAdapterUnifiedLoader"] = row({**model, "preset": (PRESETS, {})}, ("MODEL", "IPADAPTER"))
        table["IPAdapter"] = row(
            {
                **model,
                "ipadapter": ("IPADAPTER", {}),
                "image": ("IMAGE", {}),
                "weight": number(1.0, -1.0, 3.0),
                "start_at": number(0.0, 0.0, 1.0),
                "end_at": number(1.0, 0.0, 1.0),
                "weight_type": (["standard", "prompt is more important", "style transfer"], {}),
            },
            ("MODEL",),
        )
    return table


def object_info(table: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """One class as /object_info shows it."""
    row = table[name]
    return {
        "input": {"required": {key: list(kind) for key, kind in row["required"].items()}, "optional": row["optional"]},
        "input_order": {"required": list(row["required"]), "optional": list(row["optional"])},
        "output": list(row["output"]),
        "output_is_list": [False] * len(row["output"]),
        "output_name": list(row["output"]),
        "name": name,
        "display_name": name,
        "description": "",
        "python_module": "nodes",
        "category": "test",
        "output_node": row["output_node"],
    }
