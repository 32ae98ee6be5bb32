"""Reads policy files: all of them, or none with every problem of every file.

Knows paths and bytes; what a pack says is `language.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from limner_policy.errors import PolicyFileError, Problem
from limner_policy.language import PACK, finish_rules
from limner_policy.matching import Matcher
from limner_policy.pack import Pack
from limner_policy.shapes import Notes, Unreadable
from limner_policy.yaml_reading import MAX_BYTES, read_yaml

_SUFFIXES = (".yaml", ".yml")


def load_pack_bytes(data: bytes, name: str) -> Pack:
    """Make a pack of a file's bytes, for instance of those kept in the log.

    Args:
        data: UTF-8 YAML 1.2, at most `MAX_BYTES`.
        name: the file name to report and to keep.

    Raises:
        PolicyFileError: with every problem found, sorted by place.
    """
    root, problems = read_yaml(data, file=name)
    notes = Notes(name, problems)
    if root is None:
        raise PolicyFileError(notes.problems)
    try:
        header = PACK.read(root, "", notes)
        rules = finish_rules(header, notes)
    except Unreadable:
        raise PolicyFileError(notes.problems) from None
    if notes.problems:
        raise PolicyFileError(notes.problems)
    try:
        matcher = Matcher(rule.when for rule in rules)
    except ValueError as error:
        raise PolicyFileError([Problem(name, 1, 1, "rules", str(error), "", "Split the file")]) from None
    return Pack(
        name=header.name,
        version=header.version,
        title=header.title,
        owner=header.owner,
        effective=header.effective,
        rules=rules,
        source=data,
        sha256=hashlib.sha256(data).hexdigest(),
        file=name,
        matcher=matcher,
        organisation=header.organisation,
        review_by=header.review_by,
    )


def load_packs(paths: Iterable[str | Path]) -> tuple[Pack, ...]:
    """Load policy files; a folder stands for all *.yaml and *.yml directly in it, sorted by name.

    Raises:
        PolicyFileError: with the problems of all files; then no pack is loaded.
    """
    packs: list[Pack] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            files = _files(Path(path))
        except PolicyFileError as error:
            problems.extend(error.problems)
            continue
        for file in files:
            try:
                packs.append(load_pack_bytes(_read(file), str(file)))
            except PolicyFileError as error:
                problems.extend(error.problems)
    if problems:
        raise PolicyFileError(problems)
    return tuple(packs)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(child for child in path.iterdir() if child.suffix in _SUFFIXES and child.is_file())
    if not files:
        raise _unreadable(path, "the folder holds no *.yaml and no *.yml file", "Name a policy file, or put one there")
    return files


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            # One byte more than allowed is enough to be refused by its size, however large the file is.
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unreadable(file, "there is no such policy file", "Check the path") from None
    except OSError as error:
        raise _unreadable(file, f"the policy file cannot be read: {error.strerror}", "Check its permissions") from None


def _unreadable(path: Path, message: str, remedy: str) -> PolicyFileError:
    return PolicyFileError([Problem(str(path), 1, 1, "", message, "", remedy)])


def embedded_pack() -> Path:
    """The file of the pack that applies where none is configured: the same in a wheel and in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "examples", package.parent / "examples"):
        file = folder / "general.policy.yaml"
        if file.is_file():
            return file
    raise _unreadable(package / "examples", "the embedded pack general.policy.yaml is missing", "Reinstall limner")
