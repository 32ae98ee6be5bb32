"""What an Automatic1111 server of the tests has on its disk: models, LoRAs, samplers, upscalers, ControlNet."""

from __future__ import annotations

import hashlib
from typing import Any

SAMPLERS = {
    "Euler": "euler",
    "Euler a": "euler_ancestral",
    "DPM++ 2M": "dpmpp_2m",
    "DPM++ SDE": "dpmpp_sde",
    "DDIM": "ddim",
}
OLD_SAMPLERS = {**SAMPLERS, "DPM++ 2M Karras": "dpmpp_2m_ka", "DPM++ SDE Karras": "dpmpp_sde_ka"}
"""Before 1.9 the schedule was part of the sampler's name, and there were no schedulers."""
SCHEDULERS = {"automatic": "Automatic", "karras": "Karras", "exponential": "Exponential", "uniform": "Uniform"}
UPSCALERS = {"None": 1, "Lanczos": 4, "Nearest": 4, "R-ESRGAN 4x+": 4}
LATENT_MODES = ("Latent", "Latent (antialiased)", "Latent (bicubic)", "Latent (nearest)", "Latent (nearest-exact)")
CONTROL_MODULES = ("none", "canny", "depth_midas", "openpose")


def sha256_of(name: str) -> str:
    """The digest of a file that is not there: as long as a real one, and the same each time."""
    return hashlib.sha256(name.encode()).hexdigest()


def model_row(stem: str, *, hashed: bool = True) -> dict[str, Any]:
    """A row of /sd-models; `hashed=False`: the server has not read the file yet, as at its first start."""
    digest = sha256_of(stem) if hashed else None
    short = digest[:10] if digest else None
    return {
        "title": f"{stem}.safetensors [{short}]" if short else f"{stem}.safetensors",
        "model_name": stem,
        "hash": short,
        "sha256": digest,
        "filename": f"/srv/webui/models/Stable-diffusion/{stem}.safetensors",
        "config": None,
    }


def lora_row(name: str) -> dict[str, Any]:
    """A row of /loras, with the metadata that kohya's trainer writes."""
    return {
        "name": name,
        "alias": name,
        "path": f"/srv/webui/models/Lora/{name}.safetensors",
        "metadata": {"ss_network_dim": "16", "sshs_model_hash": sha256_of(name)},
    }


def sampler_rows(names: dict[str, str]) -> list[dict[str, Any]]:
    """The rows of /samplers."""
    return [{"name": name, "aliases": [f"k_{alias}"], "options": {}} for name, alias in names.items()]


def scheduler_rows() -> list[dict[str, Any]]:
    """The rows of /schedulers."""
    return [
        {"name": name, "label": label, "aliases": None, "default_rho": -1.0, "need_inner_model": False}
        for name, label in SCHEDULERS.items()
    ]


def upscaler_rows() -> list[dict[str, Any]]:
    """The rows of /upscalers."""
    return [
        {"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": scale}
        for name, scale in UPSCALERS.items()
    ]
