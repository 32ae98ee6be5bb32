"""The protocol servers as pytest fixtures; `tests/conftest.py` makes them known to every test.

* `openai_server`: a running `Server[OpenAIApp]`; `@pytest.mark.parametrize("openai_server", ["dall-e"], indirect=True)`
  picks its dialect.
* `midjourney_server`: a running `Server[MidjourneyApp]`, once for each dialect (`novicezk`, `trueai`) unless picked.
* `automatic1111_server`, `comfyui_server`, `runpod_server`: one each; the first and last take a dialect as above.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if (
    TYPE_CHECKING
):  # the servers are imported by the tests that ask for one, so that the other tests start as fast as ever
    from servers.automatic1111_server import Automatic1111App
    from servers.comfyui_server import ComfyUIApp
    from servers.midjourney_server import MidjourneyApp
    from servers.openai_server import OpenAIApp
    from servers.runpod_server import RunPodApp
    from servers.serving import Server


@pytest.fixture
def openai_server(request: pytest.FixtureRequest) -> Iterator[Server[OpenAIApp]]:
    """Run an OpenAI Images server for one test."""
    from servers.openai_server import OpenAIApp
    from servers.serving import Server

    with Server(OpenAIApp(dialect=getattr(request, "param", "gpt-image"))) as server:
        yield server


@pytest.fixture(params=["novicezk", "trueai"])
def midjourney_server(request: pytest.FixtureRequest) -> Iterator[Server[MidjourneyApp]]:
    """Run a Midjourney proxy for one test, in each dialect."""
    from servers.midjourney_server import MidjourneyApp
    from servers.serving import Server

    with Server(MidjourneyApp(dialect=request.param)) as server:
        yield server


@pytest.fixture
def automatic1111_server(request: pytest.FixtureRequest) -> Iterator[Server[Automatic1111App]]:
    """Run an Automatic1111 server for one test."""
    from servers.automatic1111_server import Automatic1111App
    from servers.serving import Server

    with Server(Automatic1111App(dialect=getattr(request, "param", "a1111"))) as server:
        yield server


@pytest.fixture
def comfyui_server() -> Iterator[Server[ComfyUIApp]]:
    """Run a ComfyUI server for one test."""
    from servers.comfyui_server import ComfyUIApp
    from servers.serving import Server

    with Server(ComfyUIApp()) as server:
        yield server


@pytest.fixture
def runpod_server(request: pytest.FixtureRequest) -> Iterator[Server[RunPodApp]]:
    """Run RunPod's API with one endpoint for one test."""
    from servers.runpod_server import RunPodApp
    from servers.serving import Server

    with Server(RunPodApp(dialect=getattr(request, "param", "hosted"))) as server:
        yield server
