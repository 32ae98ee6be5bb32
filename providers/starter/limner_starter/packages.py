"""Installs the two npm packages the pictures and names come from, at exact versions.

Pictures: ``@iconify-json/noto`` (Apache-2.0). Names and keywords: ``emojibase-data`` (MIT, CLDR).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from limner_starter.errors import BadWorkFolder, MissingTool, StarterError
from limner_starter.workspace import read_json

PICTURES = "@iconify-json/noto"
NAMES = "emojibase-data"
PINNED = {PICTURES: "1.2.9", NAMES: "17.0.0"}
"""npm package → version. Another version gives other pictures, so other weights."""

_TIMEOUT = 600.0


def package(folder: Path, name: str) -> Path:
    """The folder of the installed npm package ``name`` below ``folder``."""
    return folder / "node_modules" / name


def installed(folder: Path, pinned: Mapping[str, str] = PINNED) -> dict[str, str]:
    """The versions of the pinned packages that lie in ``folder``; absent ones are left out."""
    manifests = {name: package(folder, name) / "package.json" for name in pinned}
    return {name: str(read_json(path)["version"]) for name, path in manifests.items() if path.is_file()}


def require(folder: Path, pinned: Mapping[str, str] = PINNED) -> Path:
    """Checks that ``folder`` holds the pinned packages and returns it.

    Raises:
        BadWorkFolder: One is missing or has another version.
    """
    found = installed(folder, pinned)
    for name, version in pinned.items():
        if found.get(name) != version:
            raise BadWorkFolder(f"{folder} holds {name} {found.get(name, 'not at all')}: version {version} is needed")
    return folder


def install(folder: Path, pinned: Mapping[str, str] = PINNED) -> Path:
    """Installs the pinned packages into ``folder`` through npm unless they are there, and returns it.

    Raises:
        MissingTool: There is no npm.
        StarterError: npm failed; its last lines are in the message.
    """
    if installed(folder, pinned) == pinned:
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise MissingTool("npm was not found: install Node.js, or name a folder with the packages by --packages")
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [f"{name}@{version}" for name, version in pinned.items()]
    command = [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", *wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)  # noqa: S603 - fixed words
    except subprocess.TimeoutExpired as error:
        raise StarterError(f"npm did not finish within {_TIMEOUT:.0f} s: check the network and run again") from error
    if done.returncode != 0:
        raise StarterError(f"npm could not install {' '.join(wanted)}:\n" + "\n".join(done.stderr.splitlines()[-8:]))
    return require(folder, pinned)
