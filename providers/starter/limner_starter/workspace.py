"""The work folder of a training run: which file lies where, and how files are replaced whole.

It knows names and bytes, not what they mean.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Workspace:
    """Paths below one folder that the user named with ``--output``."""

    root: Path

    @property
    def packages(self) -> Path:
        """The folder in which npm installs the picture and name packages."""
        return self.root / "npm"

    @property
    def pictures(self) -> Path:
        """``pictures.npz``: the rendered training pictures."""
        return self.root / "pictures.npz"

    @property
    def emoji(self) -> Path:
        """``emoji.json``: name, keywords and origin of each picture, in the order of the pictures."""
        return self.root / "emoji.json"

    @property
    def lineage(self) -> Path:
        """``lineage.jsonl``: one line for each picture with its SHA-256, source and licence."""
        return self.root / "lineage.jsonl"

    @property
    def log(self) -> Path:
        """``log.jsonl``: losses of all stages, one line every fifty steps."""
        return self.root / "log.jsonl"

    @property
    def model(self) -> Path:
        """The exported model folder."""
        return self.root / "starter"

    def checkpoint(self, stage: str) -> Path:
        """The checkpoint file of ``stage``."""
        return self.root / "checkpoints" / f"{stage}.pt"

    def started(self) -> bool:
        """Whether a training run has left a checkpoint here."""
        return any((self.root / "checkpoints").glob("*.pt"))


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yields a temporary path whose file takes the place of ``path`` when the block ends well.

    The file is flushed to the disk before the rename, so a kill or a power cut leaves the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder that takes the place of ``path`` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    old = path.with_name(f".{path.name}.old")
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    yield temporary
    if path.exists():
        path.rename(old)
    temporary.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Replaces ``path`` with ``text`` in UTF-8."""
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Replaces ``path`` with ``value`` as indented JSON."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """The value of the JSON file ``path``."""
    return json.loads(path.read_text(encoding="utf-8"))
