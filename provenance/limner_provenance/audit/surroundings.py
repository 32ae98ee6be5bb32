"""What stands around the log: schema and triggers, the file itself, keys, the anchor, a checkpoint somebody kept.

Knows nothing of single entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from limner_provenance import postgres_checks, schema, tables
from limner_provenance.audit.report import AuditReport
from limner_provenance.audit.tree import Outside
from limner_provenance.checkpoint import Checkpoint, Signer, Verifier, is_plain, parse_unverified
from limner_provenance.errors import AuditError, ProvenanceError
from limner_provenance.files import read_private
from limner_provenance.rotation import KeyChain

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from limner_provenance.opening import Opened


def check_schema(connection: Connection, report: AuditReport, *, keys: bool = False) -> None:
    """Compare tables, columns, indexes and triggers with those of a new database."""
    found, expected = schema.described(connection), schema.expected_of(connection, keys=keys)
    place = "keys.db/schema" if keys else "schema"
    for kind, name in sorted(expected.keys() - found.keys()):
        report.error(f"The {kind} is missing.", place, name)
    for kind, name in sorted(found.keys() - expected.keys()):
        report.error(f"A {kind} that does not belong here.", place, name)
    for kind, name in sorted(expected.keys() & found.keys()):
        if expected[kind, name] != found[kind, name]:
            report.error(f"The {kind} was changed.", place, name)
    if schema.is_postgres(connection) and not keys:
        for table, role, rights in postgres_checks.rights(connection):
            what = f"The role {role} has {rights} on it: `limner audit roles` takes that away."
            report.add("warning", what, "schema", table)


def find_verifier(opened: Opened, report: AuditReport, stated: KeyChain | None, pinned: str | None) -> KeyChain | None:
    """Choose the keys that signatures are checked with, and compare all that are known.

    They are those that the log states, from entry 0 over each rotation, where the pinned key (else the local key file)
    is among them; else the pinned, or local, one alone.

    Raises:
        KeyUnavailable: the pinned key is no verifier key.
    """
    local = _local_vkey(opened, report)
    if pinned is not None:
        Verifier(pinned)
        report.trust = "pinned"
    for name, key in (("the pinned key", pinned), ("the local key file", local)):
        if key is not None and stated is not None and key.strip() not in stated.vkeys:
            report.error(f"The log's key is not {name}.", "entry", 0, "leaf")
    trusted = pinned or local
    chain = stated
    if trusted is not None and (stated is None or trusted.strip() not in stated.vkeys):
        chain = KeyChain.of(trusted)
    if chain is None:
        report.error("No signature can be checked: entry 0 states no key.", "entry", 0, "leaf")
        return None
    report.vkey, report.rotations = chain.vkey, len(chain.keys) - 1
    return chain


def _local_vkey(opened: Opened, report: AuditReport) -> str | None:
    """Give the verifier key of the local key file, if it can be read."""
    if opened.signer is not None:
        return opened.signer.vkey
    try:
        return Signer.from_skey(read_private(opened.paths.log_key)).vkey
    except (ProvenanceError, ValueError) as error:
        report.add("information", f"The local key was not compared: {error}", "keys/log.ed25519")
        return None


def read_anchor(opened: Opened, report: AuditReport) -> str | None:
    """Give the anchor's note; a missing one is a warning, since a cut tail would show there."""
    try:
        note = opened.anchor.read()
    except ProvenanceError as error:
        report.error(str(error), "anchor")
        return None
    if note is None:
        report.add(
            "warning", f"There is no anchor at {opened.paths.anchor}: a tail cut off would not be seen.", "anchor"
        )
    return note


def outside(verifier: KeyChain | None, report: AuditReport, source: str, note: str | None) -> list[Outside]:
    """Read a checkpoint from outside the database."""
    if note is None:
        return []
    try:
        said: Checkpoint = parse_unverified(note) if verifier is None else verifier.verify(note)
    except AuditError as error:
        report.error(str(error), source)
        return []
    if source == "anchor" and not is_plain(note):
        report.error("It has lines besides the log's own.", source)
    return [Outside(source, said)]


def check_keys(opened: Opened, report: AuditReport, used: set[str], erased: dict[str, int]) -> None:
    """Check the key database: schema, whose it is, every row, and that erased keys are gone."""
    for line in opened.not_opened:
        if line.startswith("payloads: "):
            report.add("information", line.removeprefix("payloads: "), "keys.db")
    if opened.key_database is None:
        if opened.kek is not None:
            # Without a key of his own an auditor may well lack the database; who has the key should have both.
            report.error("The key-encryption key is at hand, and the database of the keys it wraps is not.", "keys.db")
        return
    for line in opened.key_database.damage():
        report.error(line, "keys.db/file")
    try:
        with opened.key_database.read() as connection:
            check_schema(connection, report, keys=True)
            fingerprints = [row[0] for row in connection.execute(select(tables.kek.c.fingerprint))]
        if len(fingerprints) != 1:
            report.error(f"It has {len(fingerprints)} rows instead of one.", "keys.db/kek")
        elif opened.kek is not None and fingerprints != [opened.kek.fingerprint]:
            what = "It belongs to another key-encryption key than the one at hand, or was changed."
            report.error(what, "keys.db/kek", "", "fingerprint")
        if opened.keys is not None:
            _check_key_rows(opened, report, used, erased)
    except ProvenanceError as error:
        report.error(str(error), "keys.db")


def _check_key_rows(opened: Opened, report: AuditReport, used: set[str], erased: dict[str, int]) -> None:
    assert opened.keys is not None
    for key, wrong in opened.keys.check_rows():
        if wrong is not None:
            report.error(wrong, "keys.db/data_key", key)
        elif key in erased:
            what = f"Entry {erased[key]} says that this key was erased; opening the log for writing destroys it again."
            report.add("warning", what, "keys.db/data_key", key)
        elif key not in used:
            report.add("information", "No payload is under this key (an interrupted write).", "keys.db/data_key", key)
