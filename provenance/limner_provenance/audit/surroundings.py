"""What stands around the log: schema and triggers, the file itself, keys, the anchor, a checkpoint somebody kept.

Knows nothing of single entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from limner_provenance import schema, tables
from limner_provenance.audit.report import AuditReport
from limner_provenance.audit.tree import Outside
from limner_provenance.checkpoint import Checkpoint, Signer, Verifier, is_plain, parse_unverified
from limner_provenance.errors import AuditError, KeyUnavailable, ProvenanceError
from limner_provenance.files import read_private
from limner_provenance.sqlite import rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from limner_provenance.opening import Opened
    from limner_provenance.sqlite import Database


def check_schema(connection: Connection, report: AuditReport, *, keys: bool = False) -> None:
    """Compare tables, columns, indexes and triggers with those of a new database."""
    found, expected = schema.described(connection), schema.expected(keys=keys)
    place = "keys.db/schema" if keys else "schema"
    for kind, name in sorted(expected.keys() - found.keys()):
        report.error(f"The {kind} is missing.", place, name)
    for kind, name in sorted(found.keys() - expected.keys()):
        report.error(f"A {kind} that does not belong here.", place, name)
    for kind, name in sorted(expected.keys() & found.keys()):
        if expected[kind, name] != found[kind, name]:
            report.error(f"The {kind} was changed.", place, name)


def file_damage(database: Database) -> list[str]:
    """Have SQLite compare its pages and indexes (an index may lie although its table is right), and give what it says.

    Works on a connection of its own, outside Python's lock, so that it can run beside the pass over the entries.
    """
    try:
        with database.read() as connection:
            said = [str(row[0]) for row in rows(connection, "PRAGMA integrity_check(20)")]
    except Exception as error:  # noqa: BLE001 - a damaged file has many ways to fail, each of them a finding
        said = [f"{type(error).__name__} during the integrity check"]
    return [f"SQLite says: {line}" for line in said if line != "ok"]


def find_verifier(opened: Opened, report: AuditReport, stated: str, pinned: str | None) -> Verifier | None:
    """Choose the key that signatures are checked with (pinned, else the local key file, else entry 0) and compare all.

    Raises:
        KeyUnavailable: the pinned key is no verifier key.
    """
    local = _local_vkey(opened, report)
    if pinned is not None:
        Verifier(pinned)
        report.trust = "pinned"
    for name, key in (("the pinned key", pinned), ("the local key file", local)):
        if key is not None and stated and key.strip() != stated:
            report.error(f"The log's key is not {name}.", "entry", 0, "leaf")
    chosen = pinned or local or stated
    try:
        verifier = Verifier(chosen)
    except KeyUnavailable as error:
        report.error(f"No signature can be checked: {error}", "entry", 0, "leaf")
        return None
    report.vkey = verifier.vkey
    return verifier


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


def outside(verifier: Verifier | None, report: AuditReport, source: str, note: str | None) -> list[Outside]:
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
    for line in file_damage(opened.key_database):
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
