"""`MidjourneyProvider.generate` against raw httpx that takes the same steps, on one server in a process of its own.

    python benchmarks/midjourney_provider.py [--seconds 3] [--rounds 3] [--grid 2048]

The peer submits, polls with the same pauses, downloads and cuts the grid with Pillow: what a script of thirty lines
does, without any check. The sides take turns, and medians are shown. A real job takes 30 to 60 s at Midjourney; these
figures are what the client adds. The last line is cutting a grid of real size alone, in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from limner_providers import ImageRequest
from limner_providers._midjourney_result import Results
from limner_providers._sniff import Picture
from limner_providers.midjourney import MidjourneyProvider

ROOT = Path(__file__).resolve().parents[1]
SERVER = ROOT / "tests" / "servers" / "midjourney_server.py"
PAUSE = 0.002  # seconds between two looks, for both sides
STEPS = 0.001  # seconds that each of the server's four steps takes
Ask = Callable[[], Awaitable[Any]]


class Served:
    """The test server in a process of its own."""

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen([sys.executable, str(SERVER), *options], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[-1]

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def cut_with_pillow(data: bytes) -> list[bytes]:
    """Cut a grid as a script would."""
    grid = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = grid.width // 2, grid.height // 2
    files = []
    for left, top in ((0, 0), (width, 0), (0, height), (width, height)):
        file = io.BytesIO()
        grid.crop((left, top, left + width, top + height)).save(file, "PNG")
        files.append(file.getvalue())
    return files


def peer(client: httpx.AsyncClient) -> Ask:
    """Give a call of raw httpx."""

    async def ask() -> None:
        submitted = await client.post("/mj/submit/imagine", json={"prompt": "red apple --seed 1", "base64Array": []})
        job = submitted.json()["result"]
        while (task := (await client.get(f"/mj/task/{job}/fetch")).json())["status"] != "SUCCESS":  # noqa: ASYNC110 - a poll
            await asyncio.sleep(PAUSE)
        assert len(cut_with_pillow((await client.get(task["imageUrl"])).content)) == 4

    return ask


def ours(provider: MidjourneyProvider) -> Ask:
    """Give a call of the provider."""
    request = ImageRequest(prompt="red apple")

    async def ask() -> None:
        assert len((await provider.generate(request, seeds=[1])).images) == 4

    return ask


async def rate(ask: Ask, at_once: int, seconds: float) -> tuple[float, float]:
    """Give requests a second, and milliseconds of this process's CPU a request."""
    until, done = time.perf_counter() + seconds, 0

    async def lane() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await ask()
            done += 1

    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(lane() for _ in range(at_once)))
    return done / (time.perf_counter() - begun), (time.process_time() - cpu) / done * 1000


async def compare_calls(url: str, at_once: int, rounds: int, seconds: float) -> None:
    """Print one line: both sides by turns."""
    provider = MidjourneyProvider("bench", base_url=url, poll=(PAUSE, PAUSE))
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        sides: list[tuple[Ask, list[tuple[float, float]]]] = [(ours(provider), []), (peer(client), [])]
        for _ in range(rounds):
            for ask, found in sides:
                found.append(await rate(ask, at_once, seconds))
    await provider.close()
    (rps, cpu), (peer_rps, peer_cpu) = (
        tuple(statistics.median(column) for column in zip(*found, strict=True)) for _, found in sides
    )
    print(
        f"generate, {at_once} at once: {rps:.0f} req/s and {cpu:.1f} ms CPU a call beside httpx "
        f"{peer_rps:.0f} and {peer_cpu:.1f}: ratio {rps / peer_rps:.2f}, of CPU {cpu / peer_cpu:.2f}",
        flush=True,
    )


async def compare_cutting(side: int, rounds: int) -> None:
    """Print one line: a grid of `side` pixels cut and encoded, ours beside Pillow alone."""
    data = photo_like(side)
    results = Results("bench", "http://127.0.0.1", allowed_hosts=(), connect=5, tls=None)
    picture = Picture(data=data, mime="image/png", width=side, height=side)
    request, mine, theirs = ImageRequest(prompt="a"), [], []
    for _ in range(rounds):
        begun = time.perf_counter()
        images = await results._split(picture, request, "1")  # noqa: SLF001 - the part that is measured
        mine.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        files = cut_with_pillow(data)
        theirs.append(time.perf_counter() - begun)
        assert [len(image.data) for image in images] == [len(file) for file in files]
    own, others = statistics.median(mine), statistics.median(theirs)
    print(f"cutting a grid of {side}x{side}: {own:.2f} s beside Pillow alone {others:.2f} s: ratio {own / others:.2f}")


def photo_like(side: int) -> bytes:
    """Make a PNG that compresses about as a photograph does."""
    rows, columns = np.mgrid[0:side, 0:side]
    smooth = np.stack([np.sin(columns / 97 + rows / 61), np.cos(columns / 43), np.sin(rows / 71)], axis=-1)
    pixels = 128 + 90 * smooth + np.random.default_rng(1).normal(0, 4, smooth.shape)
    file = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def main() -> None:
    """Print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--grid", type=int, default=2048)
    options = parser.parse_args()
    with Served("--pace", str(STEPS), "--tile", "64") as served:
        for at_once in (1, 3):  # a proxy's account works on three at once
            asyncio.run(compare_calls(served.url, at_once, options.rounds, options.seconds))
    asyncio.run(compare_cutting(options.grid, options.rounds))


if __name__ == "__main__":
    main()
