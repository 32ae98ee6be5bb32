"""How a pack's `lists:` are written, and how their files come into the pack.

A list stands in the pack itself or in a file beside it. Read before everything else of the pack, so that conditions
hold the very lists that they name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from limner_policy import yaml_reading as nodes
from limner_policy.list_files import MAX_LENGTH, SUFFIXES, read_list_file
from limner_policy.matching import holds_word
from limner_policy.shapes import Choice, Day, Key, ListOf, Notes, Reading, Record, Text, Unreadable, suggestion
from limner_policy.wordlists import Entity, WordList

MAX_LISTS = 100
MAX_TOTAL_BYTES = 32 * 1024 * 1024
"""Most bytes of all list files of a pack together."""
NAME = Text("a name of small letters, digits, - and _", 64, re.compile(r"[a-z0-9][a-z0-9_-]*"))
LINE = Text("a text", 200)


class FileRefused(Exception):
    """A list's file cannot be had: what is wrong, and what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        """Keep both."""
        super().__init__(message)
        self.remedy = remedy


Fetch = Callable[[str], bytes]
"""The bytes of a file by its path inside the pack's folder; raises `FileRefused`."""


class Term:
    """A word or phrase that leaves something after folding."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> str:
        """Read it."""
        text = Text("a word or phrase", MAX_LENGTH).read(node, path, notes)
        if not holds_word(text):
            raise notes.fail(node, path, "holds no letter and no digit", "Use `re2` for signs")
        return text


_FEW = ListOf(Term(), "words or phrases", 1_000)


def _entity(read: Reading) -> Entity:
    values = dict(read.values)
    names = (values.pop("name"), *values.pop("aliases", ()))
    return Entity(values.pop("id"), names, ambiguous=values.pop("ambiguous", "no") == "yes", **values)


ENTITY = Record(
    "an entity",
    {
        "id": Key(
            Text("an id of letters, digits and . _ : / -", 100, re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")),
            required=True,
        ),
        "name": Key(Term(), required=True),
        "aliases": Key(_FEW),
        "kind": Key(LINE),
        "near": Key(_FEW),
        "unless_near": Key(_FEW),
        "ambiguous": Key(Choice(("yes", "no"))),
    },
    _entity,
)


class Days:
    """A number of days from 1 to 3650."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> int:
        """Read it."""
        text = Text("a number of days").read(node, path, notes)
        if not re.fullmatch(r"[1-9]\d{0,3}", text, re.ASCII) or int(text) > 3_650:
            raise notes.fail(node, path, "has to be a number of days from 1 to 3650", "Write the digits alone")
        return int(text)


@dataclass(frozen=True)
class _Raw:
    """A list before its file is read."""

    node: nodes.Node
    path: str
    values: dict[str, object]


def _raw(read: Reading) -> _Raw:
    told = [key for key in ("file", "terms", "entities") if key in read.values]
    if len(told) != 1:
        raise read.fail("needs exactly one of `file`, `terms` and `entities`", "Write {file: lists/name.csv}")
    if told != ["file"] and "sha256" in read.values:
        raise read.fail("`sha256` belongs to a file", "Delete it")
    return _Raw(read.node, read.path, read.values)


LIST = Record(
    "a list",
    {
        "file": Key(Text("a path inside the pack's folder", 200)),
        "terms": Key(ListOf(Term(), "terms", 50_000)),
        "entities": Key(ListOf(ENTITY, "entities", 10_000)),
        "owner": Key(LINE),
        "refreshed": Key(Day()),
        "max_age_days": Key(Days()),
        "sha256": Key(Text("a SHA-256 of 64 small hex digits", 64, re.compile(r"[0-9a-f]{64}"))),
    },
    _raw,
)


class Lists:
    """The lists by name. They are read by `read_lists` before; here they are only handed on."""

    def read(self, _node: nodes.Node, _path: str, notes: Notes) -> dict[str, WordList]:
        """What was read; problems have been noted already."""
        return dict(notes.lists)


def read_lists(root: nodes.Node, notes: Notes, fetch: Fetch) -> dict[str, bytes]:
    """Read the pack's lists into `notes.lists`, and give the bytes of the files that were used, by path."""
    files: dict[str, bytes] = {}
    node = next((v for k, v in root.pairs if k.text == "lists"), None) if isinstance(root, nodes.Mapping) else None
    if node is None:
        return files
    if not isinstance(node, nodes.Mapping):
        notes.add(node, "lists", "has to be lists by name: a mapping")
        return files
    for key, child in node.pairs[:MAX_LISTS]:
        # The name stays known even where the list is broken, so that whoever refers to it is not blamed too.
        notes.lists[key.text] = WordList(key.text)
        try:
            name = NAME.read(key, "lists", notes)
            notes.lists[name] = _finished(name, LIST.read(child, f"lists.{name}", notes), notes, fetch, files)
        except Unreadable:
            continue
    if len(node.pairs) > MAX_LISTS:
        notes.add(node, "lists", f"has {len(node.pairs)} lists and may have {MAX_LISTS}", "Join some", show=False)
    return files


def _finished(name: str, raw: _Raw, notes: Notes, fetch: Fetch, files: dict[str, bytes]) -> WordList:
    values = dict(raw.values)
    file, wanted = values.pop("file", None), values.pop("sha256", None)
    if not isinstance(file, str):
        return WordList(name, **values)  # type: ignore[arg-type]
    where = next(child for key, child in _pairs(raw.node) if key.text == "file")
    if problem := path_problem(file):
        raise notes.fail(where, f"{raw.path}.file", problem, f"Write a path such as lists/{name}.csv")
    try:
        data = files[file] if file in files else _fetched(file, fetch, files)
    except FileRefused as refused:
        raise notes.fail(where, f"{raw.path}.file", str(refused), refused.remedy) from None
    sha256 = hashlib.sha256(data).hexdigest()
    if wanted is not None and wanted != sha256:
        told = f"the file's SHA-256 is {sha256}, not the one that stands here"
        raise notes.fail(where, f"{raw.path}.file", told, "Review the file, then write its digest")
    found = read_list_file(data, _beside(notes.file, file))
    if found.problems:
        notes.problems.extend(found.problems)
        raise Unreadable
    files[file] = data
    terms, entities = tuple(found.terms), tuple(found.entities)
    return WordList(name, terms, entities, file, sha256, **values)  # type: ignore[arg-type]


def _fetched(file: str, fetch: Fetch, files: dict[str, bytes]) -> bytes:
    data = fetch(file)
    total = sum(map(len, files.values())) + len(data)
    if total > MAX_TOTAL_BYTES:
        told = f"brings the pack's lists to {total:,} bytes, and together they may have {MAX_TOTAL_BYTES:,}"
        raise FileRefused(told, "Split the pack")
    return data


def _pairs(node: nodes.Node) -> tuple[tuple[nodes.Scalar, nodes.Node], ...]:
    return node.pairs if isinstance(node, nodes.Mapping) else ()


def _beside(pack: str, file: str) -> str:
    folder, slash, _ = pack.rpartition("/")
    return f"{folder}{slash}{file}"


def path_problem(file: str) -> str:
    """Why a path may not stand in a pack; empty where it may. Only its text is looked at."""
    parts = file.split("/")
    if "\\" in file or ":" in file or file.startswith(("/", "~")) or any(ord(sign) < 32 for sign in file):
        return "is no path inside the pack's folder: only letters, digits, signs of names and / may stand in it"
    if ".." in parts:
        return "leads out of the pack's folder with .."
    if "." in parts or "" in parts:
        return "is not the shortest way to write this path"
    if not file.endswith(SUFFIXES):
        return f"does not end in {' or '.join(SUFFIXES)}"
    return ""


class ListName:
    """The name of one of the pack's lists, read as that list."""

    def __init__(self, what: str) -> None:
        """Say whether lists of `terms` or of `entities` are meant."""
        self.what = what

    def read(self, node: nodes.Node, path: str, notes: Notes) -> WordList:
        """Read it."""
        name = Text("a list's name", 64).read(node, path, notes)
        if name not in notes.lists:
            remedy = f"Add it under `lists`. {suggestion(name, notes.lists)}"
            raise notes.fail(node, path, "names no list of this pack", remedy.strip())
        found = notes.lists[name]
        other = found.entities if self.what == "terms" else found.terms
        if other:
            told = f"is a list of {'entities' if self.what == 'terms' else 'terms'}, not of {self.what}"
            remedy = "Use `entity`" if self.what == "terms" else "Use `terms`"
            raise notes.fail(node, path, told, remedy)
        return found
