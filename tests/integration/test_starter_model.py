"""The shipped starter model at work: it loads, draws what the prompt names, and carries the tasks of later features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytestmark = [pytest.mark.torch, pytest.mark.slow]

Pixels = npt.NDArray[np.uint8]

_ROOT = Path(__file__).resolve().parents[2]
SHIPPED = _ROOT / "providers" / "limner_providers" / "starter"
PROMPTS = (
    *("red apple", "banana", "pizza", "cat face", "panda", "penguin"),
    *("rocket", "police car", "castle", "rose", "crown", "red heart"),
)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    """The folder as a user of diffusers loads it, with nothing but its path."""
    diffusers = pytest.importorskip("diffusers")
    loaded = diffusers.StableDiffusionPipeline.from_pretrained(str(SHIPPED), local_files_only=True)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    """Names, latents and 16x16 thumbnails of all training pictures."""
    names = (SHIPPED / "names.txt").read_text(encoding="utf-8").splitlines()
    with np.load(Path(__file__).parent / "data" / "starter_reference.npz", allow_pickle=False) as file:
        latents, pixels = file["latents"].astype(np.float32) / 32, file["pixels"].astype(np.float32)
    return {"names": names, "latents": latents, "pixels": pixels}


def seeded(seed: int) -> Any:
    import torch

    return torch.Generator().manual_seed(seed)


def settings(**more: Any) -> dict[str, Any]:
    return {"num_inference_steps": 20, "guidance_scale": 3.0, "output_type": "np", **more}


def pixels(result: Any) -> Pixels:
    return np.asarray((result.images * 255).round(), dtype=np.uint8)


@pytest.fixture(scope="module")
def drawn(pipeline: Any) -> Pixels:
    """One picture of each prompt, each with its own seed."""
    generators = [seeded(seed) for seed in range(len(PROMPTS))]
    return pixels(pipeline(list(PROMPTS), generator=generators, **settings()))


def distances(points: npt.NDArray[np.float32], references: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(((points[:, None] - references[None]) ** 2).sum(2))


def latents_of(pipeline: Any, pictures: Pixels) -> npt.NDArray[np.float32]:
    import torch

    tensor = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        return np.asarray(pipeline.vae.encode(tensor).latent_dist.mean.flatten(1).numpy())


def small(pictures: Pixels) -> npt.NDArray[np.float32]:
    means = pictures.reshape(len(pictures), 16, 4, 16, 4, 3).mean((2, 4))
    return np.asarray(means.reshape(len(pictures), -1), dtype=np.float32)


def test_the_native_size_is_64(drawn: Pixels) -> None:
    """Without a size the model draws 64x64, in colour, one picture a prompt."""
    assert drawn.shape == (len(PROMPTS), 64, 64, 3)


def test_pictures_are_what_their_prompts_name(pipeline: Any, drawn: Pixels, reference: dict[str, Any]) -> None:
    """Of twelve prompts at least eleven pictures lie nearest to their own training picture among 1,087, in latents."""
    found = distances(latents_of(pipeline, drawn), reference["latents"]).argmin(1)
    right = [reference["names"][index] == prompt for index, prompt in zip(found, PROMPTS, strict=True)]
    assert sum(right) >= 11


def test_plain_pixels_agree(drawn: Pixels, reference: dict[str, Any]) -> None:
    """The same holds for 16x16 thumbnails, a space that no network of ours has made."""
    found = distances(small(drawn), reference["pixels"]).argmin(1)
    right = [reference["names"][index] == prompt for index, prompt in zip(found, PROMPTS, strict=True)]
    assert sum(right) >= 11


def test_another_prompt_gives_another_picture(pipeline: Any) -> None:
    """With one and the same seed, two prompts give clearly different pictures."""
    pair = pixels(pipeline(["red apple", "penguin"], generator=[seeded(1), seeded(1)], **settings()))
    assert np.abs(pair[0].astype(int) - pair[1]).mean() > 20


def test_a_picture_can_be_made_again(pipeline: Any) -> None:
    """The same prompt and seed give the same bytes; another seed gives others."""
    first, again, other = (pixels(pipeline("owl", generator=seeded(seed), **settings())) for seed in (3, 3, 4))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_guidance_and_negative_prompt_matter(pipeline: Any) -> None:
    """A negative prompt changes the picture, so it is not dropped on the way."""
    plain = pixels(pipeline("red apple", generator=seeded(5), **settings()))
    without = pixels(pipeline("red apple", negative_prompt="green apple", generator=seeded(5), **settings()))
    assert np.abs(plain.astype(int) - without).max() > 0


def test_the_autoencoder_is_faithful(pipeline: Any, reference: dict[str, Any]) -> None:
    """Decoding the stored latents of the training pictures gives their thumbnails back, to a few grey levels."""
    import torch

    latents = torch.from_numpy(reference["latents"][:64]).view(64, 4, 16, 16)
    with torch.no_grad():
        decoded = ((pipeline.vae.decode(latents).sample.clamp(-1, 1) + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    assert np.abs(small(decoded.round().astype(np.uint8)) - reference["pixels"][:64]).mean() < 6


def picture(array: Pixels) -> Any:
    from PIL import Image

    return Image.fromarray(array)


def test_img2img_changes_more_with_more_strength(pipeline: Any, drawn: Pixels) -> None:
    """A red apple turned into a green one changes little at strength 0.3 and becomes green at 0.9."""
    from diffusers import StableDiffusionImg2ImgPipeline

    task = StableDiffusionImg2ImgPipeline.from_pipe(pipeline)
    task.set_progress_bar_config(disable=True)
    apple = drawn[PROMPTS.index("red apple")]
    weak, strong = (
        pixels(task("green apple", image=picture(apple), strength=strength, generator=seeded(0), **settings()))[
            0
        ].astype(int)
        for strength in (0.3, 0.9)
    )
    assert np.abs(weak - apple).mean() < np.abs(strong - apple).mean()
    middle = strong[20:50, 16:48].mean((0, 1))
    assert middle[1] > middle[0], "the middle of a green apple is more green than red"


def test_inpainting_changes_the_masked_half(pipeline: Any, drawn: Pixels) -> None:
    """Under a mask on the right half, that half becomes another animal and the left one stays almost as it was."""
    from diffusers import StableDiffusionInpaintPipeline

    task = StableDiffusionInpaintPipeline.from_pipe(pipeline)
    task.set_progress_bar_config(disable=True)
    cat = drawn[PROMPTS.index("cat face")]
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 255
    result = pixels(
        task(
            "panda",
            image=picture(cat),
            mask_image=picture(mask),
            strength=1.0,
            height=64,
            width=64,
            generator=seeded(0),
            **settings(),
        )
    )[0]
    change = np.abs(result.astype(int) - cat).mean((0, 2))
    assert change[:28].mean() < 12
    assert change[36:].mean() > 3 * change[:28].mean()


def test_a_lora_teaches_a_new_word(tmp_path: Path) -> None:
    """Forty steps of a rank-4 LoRA lower the loss; loaded from its file it changes the picture, unloaded it is gone."""
    pytest.importorskip("peft")
    import torch
    from diffusers import StableDiffusionPipeline

    from_disk = StableDiffusionPipeline.from_pretrained(str(SHIPPED), local_files_only=True)
    from_disk.set_progress_bar_config(disable=True)
    losses = train_lora(from_disk, tmp_path)
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])

    fresh = StableDiffusionPipeline.from_pretrained(str(SHIPPED), local_files_only=True)
    fresh.set_progress_bar_config(disable=True)
    before = pixels(fresh("sks thing", generator=seeded(0), **settings()))
    fresh.load_lora_weights(str(tmp_path), local_files_only=True)
    taught = pixels(fresh("sks thing", generator=seeded(0), **settings()))
    fresh.unload_lora_weights()
    after = pixels(fresh("sks thing", generator=seeded(0), **settings()))
    assert np.abs(taught.astype(int) - before).mean() > 5
    assert before.tobytes() == after.tobytes()
    assert torch.is_grad_enabled()


def train_lora(pipeline: Any, folder: Path) -> list[float]:
    """Teaches "sks thing" to be the pipeline's own blue heart and saves the LoRA to ``folder``; returns the losses."""
    import torch
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(0)
    heart = pixels(pipeline("blue heart", generator=seeded(0), **settings()))
    clean = torch.from_numpy(latents_of(pipeline, heart)).view(1, 4, 16, 16).expand(8, -1, -1, -1)
    tokens = pipeline.tokenizer(["sks thing"] * 8, padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        hidden = pipeline.text_encoder(tokens)[0]
    pipeline.unet.requires_grad_(False)
    pipeline.unet.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    weights = [weight for weight in pipeline.unet.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=5e-3)
    losses = []
    for _ in range(40):
        times = ((torch.arange(8) + torch.rand(8)) / 8 * 1000).long()
        noise = torch.randn(8, 4, 16, 16)
        noisy = pipeline.scheduler.add_noise(clean, noise, times)
        predicted = pipeline.unet(noisy, times, hidden).sample
        loss = (predicted - pipeline.scheduler.get_velocity(clean, noise, times)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(pipeline.unet))
    type(pipeline).save_lora_weights(str(folder), unet_lora_layers=layers, safe_serialization=True)
    return losses
