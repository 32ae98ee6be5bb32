"""Reads policy files: all of them, or none with every problem of every file.

Knows paths and bytes; what a pack says is `language.py`.
"""

from __future__ import annotations

import hashlib
import logging
import stat
from collections.abc import Iterable
from pathlib import Path

from limner_policy.bundles import MAX_BUNDLE, BrokenBundle, bundle, is_bundle, unbundle
from limner_policy.errors import PolicyFileError, Problem
from limner_policy.language import PACK, finish_rules
from limner_policy.list_files import MAX_LIST_BYTES
from limner_policy.listing import Fetch, FileRefused, read_lists
from limner_policy.matching import Matcher
from limner_policy.pack import Pack
from limner_policy.safety import unsafe
from limner_policy.shapes import Notes, Unreadable
from limner_policy.yaml_reading import MAX_BYTES, read_yaml

_SUFFIXES = (".yaml", ".yml")


def load_pack_bytes(data: bytes, name: str, *, folder: str | Path | None = None) -> Pack:
    """Make a pack of a file's bytes, for instance of those kept in the log.

    Args:
        data: UTF-8 YAML 1.2, at most `MAX_BYTES`; or a bundle of that and its list files (`Pack.source`).
        name: the file name to report and to keep.
        folder: where the list files lie that the pack names; without one, and without a bundle, it may name none.

    Raises:
        PolicyFileError: with every problem found, sorted by place.
    """
    try:
        document, bundled = unbundle(data)
    except BrokenBundle as error:
        raise PolicyFileError([Problem(name, 1, 1, "", str(error), "", "Take the bytes from the log again")]) from None
    fetch = _from_folder(Path(folder)) if folder is not None and not is_bundle(data) else _from_bundle(bundled)
    root, problems = read_yaml(document, file=name)
    notes = Notes(name, problems)
    if root is None:
        raise PolicyFileError(notes.problems)
    files = read_lists(root, notes, fetch)
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
    source = bundle(document, files)
    return Pack(
        name=header.name,
        version=header.version,
        title=header.title,
        owner=header.owner,
        effective=header.effective,
        rules=rules,
        source=source,
        sha256=hashlib.sha256(source).hexdigest(),
        file=name,
        matcher=matcher,
        organisation=header.organisation,
        review_by=header.review_by,
        lists=tuple(notes.lists[one] for one in sorted(notes.lists)),
        concepts=tuple(header.concepts[one] for one in sorted(header.concepts)),
        handling=tuple(header.handling[one] for one in sorted(header.handling)),
    )


def load_packs(paths: Iterable[str | Path]) -> tuple[Pack, ...]:
    """Load policy files; a folder stands for all *.yaml and *.yml directly in it, sorted by name.

    A path that is not there stands for the file with the ending `.policy.yaml` beside it, as `policy/examples/general`.
    List files are looked for beside the pack that names them. A pack that allows everything is loaded with a warning to
    the logger `limner_policy`.

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
                packs.append(load_pack_bytes(_read(file), str(file), folder=file.parent))
            except PolicyFileError as error:
                problems.extend(error.problems)
    if problems:
        raise PolicyFileError(problems)
    for pack in packs:
        if told := unsafe(pack):
            logging.getLogger("limner_policy").warning("Policy %s (%s) is unsafe: %s", pack.name, pack.file, told)
    return tuple(packs)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        named = path.with_name(f"{path.name}.policy.yaml")
        return [named if not path.exists() and named.is_file() else path]
    files = sorted(child for child in path.iterdir() if child.suffix in _SUFFIXES and child.is_file())
    if not files:
        raise _unreadable(path, "the folder holds no *.yaml and no *.yml file", "Name a policy file, or put one there")
    inside = path.resolve()
    for file in files:
        if not file.resolve().is_relative_to(inside):
            raise _unreadable(
                file, "the policy file is a link that leads out of its folder", "Put the file itself there"
            )
    return files


def _read(file: Path) -> bytes:
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise _unreadable(file, "this is no plain file", "Name a policy file")
        with file.open("rb") as stream:
            # One byte more than allowed is enough to be refused by its size, however large the file is.
            data = stream.read(MAX_BYTES + 1)
            return data + stream.read(MAX_BUNDLE + 1 - len(data)) if is_bundle(data) else data
    except FileNotFoundError:
        raise _unreadable(file, "there is no such policy file", "Check the path") from None
    except OSError as error:
        raise _unreadable(file, f"the policy file cannot be read: {error.strerror}", "Check its permissions") from None


def _from_bundle(files: dict[str, bytes]) -> Fetch:
    def fetch(path: str) -> bytes:
        if path not in files:
            raise FileRefused("the list's file is not at hand", "Load the pack from its folder")
        return files[path]

    return fetch


def _from_folder(folder: Path) -> Fetch:
    """Files under the pack's folder; nothing outside it is ever opened, whatever links stand there."""

    def fetch(path: str) -> bytes:
        try:
            real = (folder / path).resolve(strict=True)
            if not real.is_relative_to(folder.resolve()):
                raise FileRefused("is a link that leads out of the pack's folder", "Put the file itself there")
            status = real.stat()
            if not stat.S_ISREG(status.st_mode):
                raise FileRefused("is no plain file", "Name a .csv or .txt file")
            if status.st_size > MAX_LIST_BYTES:
                told = f"has {status.st_size:,} bytes and a list may have {MAX_LIST_BYTES:,}"
                raise FileRefused(told, "Split it into several lists")
            with real.open("rb") as stream:
                return stream.read(MAX_LIST_BYTES + 1)
        except FileNotFoundError:
            raise FileRefused("there is no such file", f"Put it there: {path}") from None
        except (OSError, RuntimeError) as error:
            # A circle of links is an OSError in some versions of Python and a RuntimeError in others.
            why = getattr(error, "strerror", None) or "its links go round in a circle"
            raise FileRefused(f"cannot be read: {why}", "Check its permissions and links") from None

    return fetch


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
