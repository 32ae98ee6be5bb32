"""The diffusers provider on the shipped starter model: real pictures on the CPU, few steps."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import anyio
import numpy as np
import pytest

from limner_providers import ImageRequest, Progress, ProviderAnswer
from limner_providers import diffusers as provider_module
from limner_providers._model_source import STARTER
from limner_providers._schedulers import scheduler_choice, scheduler_names
from limner_providers.base import Event
from limner_providers.diffusers import DiffusersProvider
from limner_providers.errors import EngineUnavailable, GenerationFailed, ModelUnavailable, UnsupportedRequest

pytestmark = pytest.mark.torch
T = TypeVar("T")
STEPS = 2
LONG = "red apple, " * 12  # 36 tokens; the starter's text encoder reads 30 at a time


def run(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run one asynchronous call to its end."""
    return anyio.run(call)


def make(provider: DiffusersProvider, seeds: list[int] | None = None, **fields: Any) -> ProviderAnswer:
    """Make pictures of a red apple in two steps, or of what `fields` say."""
    chosen = [7] if seeds is None else seeds
    request = ImageRequest.build(**{"prompt": "red apple", "num_inference_steps": STEPS, "n": len(chosen)} | fields)
    return run(lambda: provider.generate(request, seeds=chosen))


def data(answer: ProviderAnswer) -> list[bytes]:
    """Give the files of an answer."""
    return [image.data for image in answer.images]


@pytest.fixture(scope="module")
def starter() -> DiffusersProvider:
    """Give one loaded starter model for all tests; one thread, as other programs may share the machine."""
    return DiffusersProvider("local", threads=1)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Give a copy of the starter that a test may damage."""
    return Path(shutil.copytree(STARTER, tmp_path / "copy"))


def test_a_red_apple_is_red(starter: DiffusersProvider) -> None:
    """The defaults of the starter make a picture of its prompt: red in the middle, white in the corners."""
    answer = make(starter, num_inference_steps=None)
    (image,) = answer.images
    assert image.pixels is not None
    red, green, blue = image.pixels[24:48, 24:40].reshape(-1, 3).mean(axis=0)
    assert red > 1.5 * green
    assert red > 2 * blue
    assert image.pixels[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 200
    assert (image.width, image.height, image.seed, image.mime) == (64, 64, 7, "image/png")
    assert (answer.parameters["num_inference_steps"], answer.parameters["guidance_scale"]) == ("20", "3")
    assert answer.cost is None


def test_a_picture_of_a_batch_is_byte_by_byte_the_picture_made_alone(starter: DiffusersProvider) -> None:
    """Seeds 7, 8, 9 at once and 8 alone give the same file for 8."""
    together = make(starter, [7, 8, 9])
    assert [image.seed for image in together.images] == [7, 8, 9]
    assert data(make(starter, [8])) == [data(together)[1]]
    assert len(set(data(together))) == 3


def test_the_pictures_are_those_of_bare_diffusers(starter: DiffusersProvider) -> None:
    """Nothing is added or lost: pixel for pixel what the library makes with the same generator and memory layout."""
    import torch
    from diffusers import StableDiffusionPipeline

    (ours,) = make(starter, negative_prompt="leaf", guidance_scale=4.5, size="64x72").images
    bare = StableDiffusionPipeline.from_pretrained(STARTER, dtype=torch.float32, local_files_only=True)
    bare.set_progress_bar_config(disable=True)
    bare.unet.to(memory_format=torch.channels_last)
    bare.vae.to(memory_format=torch.channels_last)
    (theirs,) = bare(
        "red apple",
        negative_prompt="leaf",
        width=64,
        height=72,
        num_inference_steps=STEPS,
        guidance_scale=4.5,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images
    assert ours.pixels is not None
    assert np.array_equal(ours.pixels, np.asarray(theirs))


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "cat face"},
        {"negative_prompt": "leaf"},
        {"guidance_scale": 5},
        {"num_inference_steps": 3},
        {"scheduler": "euler"},
        {"size": "72x64"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_every_field_changes_the_picture(
    starter: DiffusersProvider, apple: list[bytes], fields: dict[str, Any]
) -> None:
    """What is asked for has an effect."""
    assert data(make(starter, **fields)) != apple


@pytest.fixture(scope="module")
def apple(starter: DiffusersProvider) -> list[bytes]:
    """Give the red apple of seed 7 in two steps."""
    return data(make(starter))


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")  # numpy, of diffusers' KDPM2
@pytest.mark.parametrize("name", scheduler_names())
@pytest.mark.parametrize("steps", [1, 4])
def test_every_scheduler_draws_and_leaves_no_trace(
    starter: DiffusersProvider, apple: list[bytes], name: str, steps: int
) -> None:
    """Each works from one step on, is recorded by its class, and the next picture does not know of it."""
    answer = make(starter, scheduler=name, num_inference_steps=steps)
    assert answer.parameters["scheduler"].startswith(scheduler_choice(name).class_name)
    assert answer.images[0].pixels is not None
    assert data(make(starter)) == apple


def test_names_of_other_programs_are_understood(starter: DiffusersProvider) -> None:
    """A class name and a friendly name mean the same scheduler."""
    friendly = make(starter, scheduler="DPM++ 2M")
    assert friendly.parameters["scheduler"] == "DPMSolverMultistepScheduler"
    assert data(friendly) == data(make(starter, scheduler="DPMSolverMultistepScheduler"))


def test_progress_counts_steps_even_for_schedulers_of_second_order(starter: DiffusersProvider) -> None:
    """Heun looks twice a step; the listener hears steps, never more than there are, and the last one last."""
    for scheduler in ("ddim", "heun"):
        heard: list[Event] = []
        request = ImageRequest(prompt="red apple", n=2, num_inference_steps=3, scheduler=scheduler)

        async def call(request: ImageRequest = request, heard: list[Event] = heard) -> ProviderAnswer:
            return await starter.generate(request, seeds=[1, 2], on_event=heard.append)

        run(call)
        steps = [(one.image, one.step) for one in heard if isinstance(one, Progress)]
        assert steps == sorted(steps)
        assert {(1, 3), (2, 3)} <= set(steps)
        assert {one.steps for one in heard if isinstance(one, Progress)} == {3}


def test_words_behind_the_text_encoders_window_still_steer(starter: DiffusersProvider) -> None:
    """A long prompt is read to its end, with a warning, and never cut off silently."""
    plain, longer = make(starter, prompt=LONG), make(starter, prompt=LONG + "blue car")
    assert data(plain) != data(longer)
    assert longer.parameters["prompt_windows"] == "2"
    assert "read in windows" in longer.warnings[0]
    assert "apple" not in longer.warnings[0]
    negative = make(starter, negative_prompt=LONG)
    assert data(negative) != data(make(starter, negative_prompt=LONG + "blue car"))


def test_a_prompt_that_fills_the_window_needs_no_other(starter: DiffusersProvider) -> None:
    """30 tokens are one window, 31 are two."""
    assert make(starter, prompt="apple " * 30).parameters["prompt_windows"] == "1"
    assert make(starter, prompt="apple " * 30).warnings == ()
    assert make(starter, prompt="apple " * 31).parameters["prompt_windows"] == "2"


def test_a_prompt_of_endless_length_is_refused(starter: DiffusersProvider) -> None:
    """Tokens are counted and the limit is named; the text is not repeated."""
    with pytest.raises(UnsupportedRequest, match="480 tokens") as caught:
        make(starter, prompt="apple " * 5000)
    assert caught.value.field == "prompt"
    assert caught.value.value == "(5,000 tokens)"
    assert "apple" not in str(caught.value)
    assert caught.value.provider == "local"


def test_what_was_really_used_is_told_as_text(starter: DiffusersProvider) -> None:
    """Parameters are canonical texts, timings whole microseconds, the model is named with its digest."""
    answer = make(starter, guidance_scale=0.5, output_format="webp")
    assert {
        "size": "64x64",
        "num_inference_steps": str(STEPS),
        "guidance_scale": "0.5",
        "scheduler": "DDIMScheduler",
        "device": "cpu",
        "dtype": "float32",
        "threads": "1",
        "output_compression": "95",
    }.items() <= answer.parameters.items()
    assert answer.parameters["version.torch"]
    assert all(isinstance(value, str) for value in answer.parameters.values())
    assert set(answer.timings) == {"wait", "load", "generate", "encode"}
    assert all(isinstance(value, int) for value in answer.timings.values())
    assert answer.warnings == ("guidance_scale 0.5 works as 1: no guidance",)
    (model,) = run(starter.models)
    assert answer.model == model
    assert (model.name, model.licence) == ("limner-starter", "Apache-2.0")


def test_a_size_far_from_the_native_one_is_made_with_a_warning(starter: DiffusersProvider) -> None:
    """The engine can, the model cannot well: it is made and said."""
    answer = make(starter, size="136x136", num_inference_steps=1)
    assert answer.images[0].width == 136
    assert "far from the 64x64" in answer.warnings[0]


def test_nothing_is_printed_and_the_libraries_settings_are_restored(capfd: pytest.CaptureFixture[str]) -> None:
    """No progress bar and no log line of the libraries, and afterwards they are as noisy as before."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    before = [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]
    make(DiffusersProvider(threads=1), prompt=LONG * 3, scheduler="dpmpp_2s", num_inference_steps=3)
    assert capfd.readouterr() == ("", "")
    assert [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries] == before


def test_no_connection_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading and drawing work where every connection fails, without any variable being set."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    def refuse(*_arguments: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert make(DiffusersProvider(threads=1)).images


def test_the_model_is_loaded_once_for_all_that_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrent first requests share one load, and get the pictures that they would get alone."""
    from limner_providers import _pipeline

    loads, real = [], _pipeline.load

    def counted(*args: Any, **options: Any) -> Any:
        loads.append(1)
        return real(*args, **options)

    monkeypatch.setattr(_pipeline, "load", counted)
    provider, answers = DiffusersProvider(threads=1), {}

    async def one(seed: int) -> None:
        request = ImageRequest(prompt="red apple", num_inference_steps=STEPS)
        answers[seed] = await provider.generate(request, seeds=[seed])

    async def all_at_once() -> None:
        async with anyio.create_task_group() as group:
            for seed in range(4):
                group.start_soon(one, seed)

    run(all_at_once)
    assert len(loads) == 1
    assert [data(answers[seed]) for seed in range(4)] == [data(make(provider, [seed])) for seed in range(4)]
    run(provider.close)
    assert data(make(provider, [1])) == data(answers[1])
    assert len(loads) == 2


def test_work_that_is_given_up_stops_soon_and_spoils_nothing(starter: DiffusersProvider) -> None:
    """Cancelled in the middle, a long request ends at its next step; the next one is as if it had not been."""
    before = data(make(starter))
    heard: list[Event] = []

    async def given_up() -> bool:
        with anyio.CancelScope() as scope:

            def listen(event: Event) -> None:
                heard.append(event)
                if isinstance(event, Progress) and event.step == 2:
                    scope.cancel()

            await starter.generate(
                ImageRequest(prompt="red apple", num_inference_steps=1000), seeds=[1], on_event=listen
            )
        return scope.cancelled_caught

    assert run(given_up)
    assert data(make(starter)) == before
    assert len(heard) < 50


def test_truncated_weights_are_named_before_anything_else(copied: Path) -> None:
    """The file that is cut off stands in the error."""
    path = copied / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelUnavailable, match=r"unet/diffusion_pytorch_model\.safetensors is damaged"):
        make(DiffusersProvider("local", model=str(copied), threads=1))


def test_weights_of_another_model_are_no_crash(copied: Path) -> None:
    """Files that are whole and do not fit are an error that names the model."""
    shutil.copy(copied / "vae" / "diffusion_pytorch_model.safetensors", copied / "unet")
    with pytest.raises(ModelUnavailable, match="model copy") as caught:
        make(DiffusersProvider("local", model=str(copied), threads=1))
    assert caught.value.__cause__ is not None
    assert caught.value.provider == "local"


def test_weights_that_change_while_they_are_read_are_refused(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest that is recorded is that of the weights that were used."""
    from limner_providers import _pipeline

    real = _pipeline._read

    def read_and_touch(*args: Any) -> Any:
        pipe = real(*args)
        path = copied / "model_index.json"
        path.write_text(json.dumps(json.loads(path.read_text())))
        return pipe

    monkeypatch.setattr(_pipeline, "_read", read_and_touch)
    with pytest.raises(ModelUnavailable, match="changed while they were read"):
        make(DiffusersProvider(model=str(copied), threads=1))


def test_numbers_that_overflow_are_no_black_picture(copied: Path) -> None:
    """A computation that ends in not-a-number fails aloud."""
    from safetensors.torch import load_file, save_file

    path = copied / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights["conv_out.bias"].fill_(float("nan"))
    save_file(weights, path)
    with pytest.raises(GenerationFailed, match="overflowed"):
        make(DiffusersProvider(model=str(copied), threads=1))


def test_lack_of_memory_is_an_unavailable_engine() -> None:
    """Both the device's and the machine's; nothing was made, so it may be tried again."""
    import torch

    from limner_providers._pipeline import engine_errors

    on_the_cpu = RuntimeError("DefaultCPUAllocator: not enough memory")
    for error in (torch.OutOfMemoryError("CUDA"), MemoryError(), on_the_cpu):
        with pytest.raises(EngineUnavailable, match="not enough memory") as caught, engine_errors():
            raise error
        assert caught.value.retry_safe


@pytest.mark.parametrize("device", ["cuda:99", "warp"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    """The remedy is to let it be chosen."""
    with pytest.raises(EngineUnavailable, match=f"'{device}'"):
        make(DiffusersProvider(device=device))


def test_a_folder_elsewhere_gives_the_starters_pictures_and_digest(starter: DiffusersProvider, copied: Path) -> None:
    """Where a model lies does not matter, only what it is."""
    elsewhere = make(DiffusersProvider(model=copied.name, base_folder=copied.parent, threads=1), guidance_scale=3)
    assert data(elsewhere) == data(make(starter))
    assert elsewhere.model.sha256 == run(starter.models)[0].sha256
    assert elsewhere.model.licence is None


def test_a_library_that_is_missing_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch the error says what to install."""
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EngineUnavailable, match=r"limner\[diffusers\]"):
        make(DiffusersProvider())


def test_the_module_itself_needs_no_library() -> None:
    """The provider's module keeps torch out of its names."""
    assert not {"torch", "np", "diffusers"} & set(vars(provider_module))
