"""What the diffusers provider does before any library is loaded: find, describe, refuse."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from limner_providers import ImageRequest, Provider
from limner_providers._schedulers import scheduler_aliases, scheduler_choice, scheduler_names
from limner_providers.diffusers import DiffusersProvider
from limner_providers.errors import ModelUnavailable, UnsupportedRequest
from limner_providers.types import TASKS

Make = Callable[..., ImageRequest]


@pytest.mark.anyio
async def test_capabilities_come_from_the_configuration_files(pipeline_folder: Path) -> None:
    """Sizes, native size and schedulers are told without loading weights."""
    provider = DiffusersProvider("local", model=str(pipeline_folder))
    capabilities = await provider.capabilities()
    assert isinstance(provider, Provider)
    assert capabilities.tasks == TASKS
    assert capabilities.size.native == "512x512"
    assert capabilities.size.multiple_of == 8
    assert capabilities.scheduler_named("DDIMScheduler") == "ddim"
    assert capabilities.default_guidance_scale is not None
    assert str(capabilities.default_guidance_scale) == "7.5"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("field", "fields", "told"),
    [
        ("size", {"size": "70x64"}, "72x64 or 64x64"),
        ("size", {"size": "4096x64"}, "2048x64"),
        ("scheduler", {"scheduler": "magic"}, "euler_a"),
        ("origin", {"task": "variation", "origin": {"provider": "mj", "job": "1"}}, "the image itself"),
        ("negative_prompt", {"negative_prompt": "blur", "guidance_scale": 0.5}, "above 1"),
    ],
)
async def test_a_request_that_cannot_be_honoured_is_refused_before_loading(
    pipeline_folder: Path, request_of: Make, field: str, fields: dict[str, object], told: str
) -> None:
    """The error names field, provider and what could be asked; these weights could not even be loaded."""
    provider = DiffusersProvider("local", model=str(pipeline_folder))
    with pytest.raises(UnsupportedRequest, match=told) as caught:
        await provider.generate(request_of(**fields), seeds=[1])
    assert (caught.value.field, caught.value.provider) == (field, "local")


@pytest.mark.anyio
async def test_a_missing_model_is_told_by_every_method(tmp_path: Path, request_of: Make) -> None:
    """The path and the provider's name are in the error."""
    provider = DiffusersProvider("local", model="gone", base_folder=tmp_path)
    for call in (provider.models, provider.capabilities, lambda: provider.generate(request_of(), seeds=[1])):
        with pytest.raises(ModelUnavailable, match=str(tmp_path / "gone")) as caught:
            await call()
        assert caught.value.provider == "local"


@pytest.mark.anyio
async def test_another_model_than_the_configured_one_is_refused(pipeline_folder: Path) -> None:
    """A request that pins a model gets that one or an error."""
    provider = DiffusersProvider("local", model=str(pipeline_folder))
    assert await provider.capabilities("model") == await provider.capabilities()
    with pytest.raises(ModelUnavailable, match="'sdxl'"):
        await provider.capabilities("sdxl")


def test_the_model_is_looked_for_again_after_it_was_missing(pipeline_folder: Path) -> None:
    """An error is not remembered: copying the model helps."""
    moved = pipeline_folder.rename(pipeline_folder.with_name("elsewhere"))
    provider = DiffusersProvider("local", model=str(pipeline_folder))
    with pytest.raises(ModelUnavailable):
        anyio.run(provider.models)
    moved.rename(pipeline_folder)
    assert len(anyio.run(provider.models)) == 1


def test_every_scheduler_name_and_alias_leads_to_a_class() -> None:
    """The data file is consistent."""
    names = scheduler_names()
    assert list(names) == sorted(names)
    assert set(scheduler_aliases().values()) <= set(names)
    assert all(scheduler_choice(name).class_name.endswith("Scheduler") for name in names)


HEAVY = ("torch", "diffusers", "transformers", "numpy", "PIL", "httpx", "huggingface_hub", "safetensors")


@pytest.mark.parametrize(
    "statement",
    [
        "from limner_providers import ImageRequest",
        "import limner_providers.errors, limner_providers.base, limner_providers.capabilities",
        "from limner_providers import make_provider as make; make('a', 'diffusers', {}); make('b', 'test', {})",
        "import anyio; from limner_providers.diffusers import DiffusersProvider as D; anyio.run(D().capabilities)",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(statement: str) -> None:
    """Requests, configuration and capabilities need neither torch nor an image library."""
    code = f"{statement}; import sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    child = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert child.stdout.strip() == "[]"


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    """Lazy loading does not hide a misspelt name."""
    import limner_providers

    with pytest.raises(AttributeError, match="make_providr"):
        limner_providers.make_providr  # noqa: B018  # the access is the test
