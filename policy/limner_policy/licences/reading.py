"""How facts files are written: the same strict readers as for policy packs.

Knows the shape of one file; which files there are is `book.py`.
"""

from __future__ import annotations

import hashlib
from datetime import time
from typing import Any

from limner_policy import yaml_reading as nodes
from limner_policy.clauses import EFFECTIVE, LINE, NAME, PROSE
from limner_policy.errors import PolicyFileError
from limner_policy.licences.rows import FactsFile, Licence, SignOff, Subject
from limner_policy.licences.terms import TERMS, Term
from limner_policy.licences.values import HELD, LICENCE_ID, SHA256, SUBJECT_ID, YES_NO, Code, Quote, Whole
from limner_policy.pack import ALWAYS, Source
from limner_policy.shapes import Choice, Day, Key, ListOf, Notes, Reading, Record, Text, Unreadable
from limner_policy.types import LicenceFacts, TermFact
from limner_policy.yaml_reading import read_yaml

MAX_ROWS = 5_000
ROLES = ("model", "lora", "control", "adapter", "provider", "detector")


_ABOUT: dict[str, Key[Any]] = {
    "quote": Key(Quote()),
    "section": Key(LINE),
    "note": Key(PROSE),
    "read": Key(Day()),
    "via": Key(PROSE),
    "unless_held": Key(HELD),
}
_SAYS = Key(Choice(("yes", "no", "unknown")), required=True)


def _term(term: Term) -> Record[TermFact]:
    def build(read: Reading) -> TermFact:
        values = dict(read.values)
        amounts = [values.pop(name) for name in ("usd", "users") if name in values]
        limit, regions = (amounts[0] if amounts else None), values.pop("excluded", ())
        if not ({"quote", "note"} & values.keys()):
            raise read.fail("has neither a quote nor a note", "Quote the source, or say in `note` what it rests on")
        said = {"says": "yes", **{name: _flat(value) for name, value in values.items()}}
        return TermFact(term=term.name, limit=limit, regions=regions, **said)

    keys: dict[str, Key[Any]] = {"says": _SAYS}
    if term.kind == "ceiling":
        amount = "usd" if term.name == "revenue_ceiling" else "users"
        keys = {amount: Key(Whole(), required=True), "border": Key(Choice(("exclusive", "inclusive")), required=True)}
    elif term.kind == "territory":
        keys = {"excluded": Key(ListOf(Code(), "codes", 250), required=True)}
    return Record(f"the term {term.name}", {**keys, **_ABOUT}, build)


def _flat(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _terms(read: Reading) -> tuple[TermFact, ...]:
    return tuple(read.values[name] for name in TERMS if name in read.values)


LICENCE_TERMS = Record("the terms", {name: Key(_term(term)) for name, term in TERMS.items()}, _terms, tolerant=True)

_SOURCE_KEYS: dict[str, Key[Any]] = {
    "cite": Key(PROSE, required=True),
    "url": Key(PROSE),
    "read": Key(Day(), required=True),
    "via": Key(PROSE),
}


def _source(values: dict[str, Any]) -> Source:
    return Source(**{name: _flat(value) for name, value in values.items()})


SOURCE = Record("a source", _SOURCE_KEYS, lambda read: _source(read.values))
TEXT = Record(
    "the text",
    {**_SOURCE_KEYS, "sha256": Key(SHA256)},
    lambda read: (_source({k: v for k, v in read.values.items() if k != "sha256"}), read.values.get("sha256", "")),
)
SIGNED = Record(
    "a sign-off", {"by": Key(LINE, required=True), "on": Key(Day(), required=True)}, lambda read: SignOff(**read.values)
)


def _licence(read: Reading) -> Licence:
    values = read.values
    (text, digest), signed = values["text"], values.get("signed_off")
    silent = values.get("silent", ())
    for fact in values.get("terms", ()):
        if fact.term in silent:
            raise read.fail(f"says something of `{fact.term}` and calls its text silent on it", "Keep one of the two")
    terms = tuple(
        fact.model_copy(update={"read": fact.read or text.read or "", "via": fact.via or text.via or ""})
        for fact in values.get("terms", ())
    )
    return Licence(
        facts=LicenceFacts(id=values["id"], terms=terms, silent=silent, signed=signed is not None),
        aliases=values.get("aliases", ()),
        title=values["title"],
        text=text,
        text_sha256=digest,
        note=_flat(values.get("note", "")),
        signed=signed,
        line=read.node.line,
    )


LICENCE = Record(
    "a licence",
    {
        "id": Key(LICENCE_ID, required=True),
        "aliases": Key(ListOf(LICENCE_ID, "aliases", 50)),
        "title": Key(LINE, required=True),
        "text": Key(TEXT, required=True),
        "terms": Key(LICENCE_TERMS),
        "silent": Key(ListOf(Choice(tuple(TERMS)), "terms", len(TERMS))),
        "note": Key(PROSE),
        "signed_off": Key(SIGNED),
    },
    _licence,
)


def _subject(read: Reading) -> Subject:
    values = read.values
    provider_only = [name for name in ("hosts_all", "only_stated", "own_machine") if name in values]
    if provider_only and values["role"] != "provider":
        raise read.fail(f"`{provider_only[0]}` is for the role provider", "Delete it")
    dates = values.get("effective", ALWAYS)
    if any(moment and moment.time() != time() for moment in (dates.start, dates.until)):
        raise read.fail("has dates with a time of day", "Write days: a row applies from the first instant of one, UTC")
    if "hosted_by" in values and "licences" in values:
        raise read.fail("has both `licences` and `hosted_by`", "Keep one: a hosted model is under its provider's terms")
    return Subject(
        id=values["id"],
        aliases=values.get("aliases", ()),
        role=values["role"],
        licences=values.get("licences", ()),
        source=values["source"],
        conflict=_flat(values.get("conflict", "")),
        hosted_by=values.get("hosted_by", ""),
        hosts_all=values.get("hosts_all") == "yes",
        only_stated=values.get("only_stated") == "yes",
        own_machine=values.get("own_machine") == "yes",
        note=_flat(values.get("note", "")),
        signed=values.get("signed_off"),
        line=read.node.line,
        effective=dates,
    )


SUBJECT = Record(
    "a subject",
    {
        "id": Key(SUBJECT_ID, required=True),
        "aliases": Key(ListOf(SUBJECT_ID, "aliases", 100)),
        "role": Key(Choice(ROLES), required=True),
        "licences": Key(ListOf(LICENCE_ID, "licences", 20)),
        "source": Key(SOURCE, required=True),
        "conflict": Key(PROSE),
        "hosted_by": Key(SUBJECT_ID),
        "hosts_all": Key(YES_NO),
        "only_stated": Key(YES_NO),
        "own_machine": Key(YES_NO),
        "note": Key(PROSE),
        "signed_off": Key(SIGNED),
        "effective": Key(EFFECTIVE),
    },
    _subject,
)

FACTS = Record(
    "a facts file",
    {
        "facts": Key(NAME, required=True),
        "version": Key(Text("a version", 40), required=True),
        "title": Key(LINE, required=True),
        "owner": Key(LINE, required=True),
        "licences": Key(ListOf(LICENCE, "licences", MAX_ROWS)),
        "subjects": Key(ListOf(SUBJECT, "subjects", MAX_ROWS)),
    },
    lambda read: read.values,
)


def read_facts(data: bytes, file: str) -> FactsFile:
    """Make a facts file of its bytes.

    Args:
        data: UTF-8 YAML 1.2, at most `yaml_reading.MAX_BYTES`.
        file: the name to report.

    Raises:
        PolicyFileError: with every problem found, sorted by place.
    """
    root, problems = read_yaml(data, file=file)
    notes = Notes(file, problems)
    if root is None:
        raise PolicyFileError(notes.problems)
    try:
        values = FACTS.read(root, "", notes)
        _unique(root, notes)
    except Unreadable:
        raise PolicyFileError(notes.problems) from None
    if notes.problems:
        raise PolicyFileError(notes.problems)
    return FactsFile(
        name=values["facts"],
        version=values["version"],
        title=values["title"],
        owner=values["owner"],
        licences=values.get("licences", ()),
        subjects=values.get("subjects", ()),
        file=file,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _unique(root: nodes.Node, notes: Notes) -> None:
    """Each licence once; subjects once too, unless they carry dates."""
    for section, dates_tell_apart in (("licences", False), ("subjects", True)):
        first: dict[str, int] = {}
        for row in _rows(root, section):
            key = next((value for key, value in row.pairs if key.text == "id"), None)
            if isinstance(key, nodes.Scalar):
                if key.text.casefold() in first and not (dates_tell_apart and _dated(row)):
                    told = f"stands in line {first[key.text.casefold()]} too"
                    notes.add(key, f"{section}.id", told, "Keep one of them, or give both their dates (`effective`)")
                first.setdefault(key.text.casefold(), key.line)


def _rows(root: nodes.Node, section: str) -> list[nodes.Mapping]:
    for key, value in root.pairs if isinstance(root, nodes.Mapping) else ():
        if key.text == section and isinstance(value, nodes.Sequence):
            return [row for row in value.items if isinstance(row, nodes.Mapping)]
    return []


def _dated(row: nodes.Mapping) -> bool:
    return any(key.text == "effective" for key, _ in row.pairs)
