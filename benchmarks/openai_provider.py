"""`OpenAIProvider.generate` against the `openai` client and raw httpx, on one server in a process of its own.

    python benchmarks/openai_provider.py [--seconds 2] [--rounds 5] [--quick]

Each line is one figure with its peers from the same run. The sides take turns in short rounds, and medians are shown,
as the machine's speed drifts. The `openai` client does its own work only (its retries off); decoding the base64, as
every user of it must, is shown as a side of its own. Memory is the peak of a child process that asks once.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SERVER = ROOT / "tests" / "servers" / "openai_server.py"
SIZES = {"1 KB": 1_000, "1.5 MB": 1_500_000}
KEY = "sk-benchmark-0123456789"
MODEL = "gpt-image-2"
Ask = Callable[[], Awaitable[Any]]
Close = Callable[[], Awaitable[None]]


class Served:
    """The fast path of the test server in a process of its own: every POST gets one prepared answer."""

    def __init__(self, *options: str, script: Path = SERVER) -> None:
        self._process = subprocess.Popen([sys.executable, str(script), *options], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[-1]

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def provider(url: str) -> tuple[Ask, Close]:
    """Give a call of the provider."""
    from limner_providers import ImageRequest, make_provider

    made = make_provider("bench", "openai", {"api_key": KEY, "base_url": f"{url}/v1", "model": MODEL})
    request = ImageRequest(prompt="a red apple")

    async def ask() -> None:
        answer = await made.generate(request, seeds=[0])
        assert answer.images[0].data

    return ask, made.close


def client(url: str, *, decode: bool = False) -> tuple[Ask, Close]:
    """Give a call of the `openai` client."""
    import openai

    made = openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)

    async def ask() -> None:
        answer = await made.images.generate(model=MODEL, prompt="a red apple")
        assert answer.data is not None
        assert answer.data[0].b64_json is not None
        if decode:
            base64.b64decode(answer.data[0].b64_json)

    return ask, made.close


def raw(url: str) -> tuple[Ask, Close]:
    """Give a call of httpx alone."""
    import httpx

    limits = httpx.Limits(max_connections=128, max_keepalive_connections=128)
    made = httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=600, limits=limits)

    async def ask() -> None:
        body = {"model": MODEL, "prompt": "a red apple"}
        answer = await made.post(f"{url}/v1/images/generations", json=body)
        assert answer.json()["data"][0]["b64_json"]

    return ask, made.aclose


SIDES: dict[str, Callable[[str], tuple[Ask, Close]]] = {
    "provider": provider,
    "openai": client,
    "openai+b64": lambda url: client(url, decode=True),
    "httpx": raw,
}


async def hammer(ask: Ask, at_once: int, seconds: float) -> tuple[float, float]:
    """Ask for a while with `at_once` workers: calls a second, and CPU milliseconds of this process a call."""
    done = 0
    until = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await ask()
            done += 1

    cpu, begun = time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    spent = time.perf_counter() - begun
    return done / spent, (time.process_time() - cpu) / done * 1000


async def compare(url: str, at_once: int, seconds: float, rounds: int) -> dict[str, tuple[float, float]]:
    """Let the sides take turns and give the median of each."""
    made = {name: side(url) for name, side in SIDES.items()}
    for ask, _ in made.values():
        await hammer(ask, at_once, min(0.3, seconds))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in made}
    for turn in range(rounds):
        names = list(made)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(await hammer(made[name][0], at_once, seconds))
    for _, close in made.values():
        await close()
    return {
        name: (statistics.median(rate for rate, _ in runs), statistics.median(cpu for _, cpu in runs))
        for name, runs in found.items()
    }


def speeds(seconds: float, rounds: int, at_once: tuple[int, ...]) -> None:
    """Print a line for each picture size and number of calls at once."""
    for label, size in SIZES.items():
        with Served("--image-bytes", str(size)) as served:
            for workers in at_once:
                found = asyncio.run(compare(served.url, workers, seconds, rounds))
                shown = ", ".join(f"{name} {rate:.0f} ({cpu:.2f} ms)" for name, (rate, cpu) in found.items())
                ours = found["provider"][0]
                ratios = ", ".join(f"{ours / found[name][0]:.2f} x {name}" for name in found if name != "provider")
                print(f"openai {label}, {workers} at once, req/s (client CPU a call): {shown}; provider = {ratios}")


def peak(side: str, url: str) -> float:
    """Give the peak memory in MB of a child process that asks once with a side."""
    command = [sys.executable, __file__, "--child", side, url]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


async def _child(side: str, url: str) -> None:
    if side == "nothing":
        provider(url)
        client(url)
    elif side == "provider":
        from limner_providers import ImageRequest, make_provider

        made = make_provider("bench", "openai", {"api_key": KEY, "base_url": f"{url}/v1", "model": MODEL})
        answer = await made.generate(ImageRequest(prompt="a red apple", n=10), seeds=range(10))
        assert len(answer.images) == 10
        await made.close()
    else:
        import openai

        theirs = openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0)
        found = await theirs.images.generate(model=MODEL, prompt="a red apple", n=10)
        assert found.data is not None
        assert len(found.data) == 10
        if side == "openai+b64":
            kept = [base64.b64decode(row.b64_json or "") for row in found.data]
            assert len(kept) == 10
        await theirs.close()


def _peak_of_this_process() -> float:
    """Give the peak in MB; the kernel's other count (`ru_maxrss`) would begin with the parent's memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def memory() -> None:
    """Print the peaks of an answer of ten pictures of 4 MB."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "ten.py"
        script.write_text(_TEN)
        with Served(str(ROOT / "tests"), script=script) as served:
            found = {side: peak(side, served.url) for side in ("nothing", "provider", "openai", "openai+b64")}
    base = found.pop("nothing")
    shown = ", ".join(f"{side} {size:.0f} MB ({size - base:.0f} above the imports)" for side, size in found.items())
    print(f"openai peak memory of 10 x 4 MB: {shown}; provider = {found['provider'] / found['openai']:.2f} x openai")


_TEN = """
import json, sys
sys.path.insert(0, sys.argv[1])
import base64
from servers.openai_server import OpenAIApp
from servers.pictures import noise_png
from servers.serving import run_forever
row = {"b64_json": base64.b64encode(noise_png(4_000_000)).decode()}
app = OpenAIApp(image_bytes=100, keep=0)
app._prepared = json.dumps({"created": 1, "data": [row] * 10}).encode()
run_forever(app, 0)
"""


def pipeline(seconds: float) -> None:
    """Print the whole way (policy, audit, sealing) beside the provider alone, one call after the other."""
    with Served("--image-bytes", "1000") as served, tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "limner.yaml"
        os.environ["BENCHMARK_KEY"] = KEY
        settings = {"kind": "openai", "api_key": "${BENCHMARK_KEY}", "base_url": f"{served.url}/v1", "model": MODEL}
        config.write_text(json.dumps({"providers": {"bench": settings}, "policy": []}))
        whole, alone = asyncio.run(_pipeline(config, served.url, seconds))
    print(
        f"openai 1 KB, 1 at once, whole pipeline: {whole[0]:.0f} req/s ({whole[1]:.2f} ms CPU a call); "
        f"provider alone {alone[0]:.0f} ({alone[1]:.2f} ms)"
    )


async def _pipeline(config: Path, url: str, seconds: float) -> tuple[tuple[float, float], tuple[float, float]]:
    from limner import AsyncLimner

    ask, close = provider(url)
    alone = await hammer(ask, 1, seconds)
    await close()
    async with AsyncLimner.open(config) as limner:

        async def whole() -> None:
            assert (await limner.generate("a red apple")).images

        await whole()
        return await hammer(whole, 1, seconds), alone


def main() -> None:
    """Run all of it, or the child of the memory figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it runs")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        asyncio.run(_child(*options.child))
        print(_peak_of_this_process())
        return
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if options.quick:
        speeds(0.3, 1, (1, 16))
    else:
        speeds(options.seconds, options.rounds, (1, 16, 64))
    memory()
    pipeline(options.seconds)


if __name__ == "__main__":
    main()
