"""The order of a verification. Each step's number stands above its code.

Everything of the audit database is read from one snapshot, in one pass over the entries, in bounded memory.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from limner_provenance import tables
from limner_provenance.audit.entries import EntryCheck, compare_erasures, stored_entries
from limner_provenance.audit.payloads import PayloadCheck
from limner_provenance.audit.report import AuditReport, Progress
from limner_provenance.audit.surroundings import (
    check_keys,
    check_schema,
    find_verifier,
    outside,
    read_anchor,
)
from limner_provenance.audit.tree import TreeCheck
from limner_provenance.committing import newest_checkpoint
from limner_provenance.errors import AuditError, KeyUnavailable, LogCorrupt
from limner_provenance.merkle import leaf_hash
from limner_provenance.opening import log_identity
from limner_provenance.rotation import KeyChain, rotations
from limner_provenance.signature_worker import SignatureWorker, signature_worker

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from limner_provenance.log import AuditLog
    from limner_provenance.opening import Opened

_LONG = 20_000


def verify(
    log: AuditLog,
    *,
    checkpoint: str | None = None,
    vkey: str | None = None,
    payloads: bool = True,
    on_progress: Progress | None = None,
) -> AuditReport:
    """Check the whole log, its payloads, keys and surroundings, and say what does not fit and where.

    1. Read the anchor (and take the checkpoint that was handed in) before looking at the database, so that entries
       appended meanwhile raise no false alarm.
    2. Schema: tables, columns, indexes and triggers are those of this version; the database's pages and indexes are
       whole. It reads everything for that, so it does so beside the pass over the entries.
    3. Key: each rotation is signed by both keys; the local key file and the pinned key are among the log's; signatures
       are checked with the most trusted, each with the key that its checkpoint's size asks for.
    4. Entries, in one pass: without a gap from 0, stored as text, canonical, of a known shape; each record's steps in a
       sane order; time going backwards is information.
    5. Tree, in the same pass: tiles, edges and every stored checkpoint follow from the entries; every checkpoint is
       signed and of this origin; the anchor and the handed-in checkpoint are states this log went through.
    6. Payloads, in the same pass: each reference has its row or object (or an erasure), whose SHA-256 is its id and
       which, where keys are at hand, opens and fits its commitment.
    7. Left over: rows, tiles and objects that no entry refers to; the table of erasures is what the entries say.
    8. Keys: the key database belongs to this key-encryption key, every row opens, erased keys are gone.

    Args:
        log: an open log; a read-only one will do.
        checkpoint: a checkpoint exported earlier, as text; only this shows a roll-back of database and anchor together.
        vkey: the log's verifier key as you noted it; without one the log vouches for itself (`unpinned`).
        payloads: check payloads too (step 6); without them entries, tree and signatures alone.
        on_progress: called now and then with what is done.

    Returns:
        The report. Nothing that is wrong with the log raises.

    Raises:
        DatabaseUnavailable: the database cannot be read at all.
        KeyUnavailable: `vkey` is no verifier key.
    """
    began = time.perf_counter()
    opened = log._opened  # noqa: SLF001 - the verification is part of the log, in a folder of its own
    with signature_worker(wanted=_is_long(opened)) as worker:
        report = _verify(opened, checkpoint, vkey, on_progress, worker, payloads=payloads)
        confirmed = worker is None or worker.all_good()
    if not confirmed:
        # A signature is wrong, or the worker is: everything again, one after the other, tells which and where.
        report = _verify(opened, checkpoint, vkey, on_progress, None, payloads=payloads)
    report.seconds = time.perf_counter() - began
    return report


def _is_long(opened: Opened) -> bool:
    """Say whether a log has so many entries that starting another process pays."""
    try:
        with opened.database.read() as connection:
            size = connection.execute(select(func.max(tables.checkpoint.c.size))).scalar()
    except LogCorrupt:
        return False  # the verification says what is wrong
    return size is not None and size >= _LONG


def _verify(
    opened: Opened,
    checkpoint: str | None,
    vkey: str | None,
    on_progress: Progress | None,
    worker: SignatureWorker | None,
    *,
    payloads: bool,
) -> AuditReport:
    """Take the steps of `verify` once; signatures that a worker was given are not yet checked when this returns."""
    report = AuditReport()
    # 1. The anchor before the database.
    anchor = read_anchor(opened, report)
    try:
        used, erased = _inside(
            opened, report, (anchor, checkpoint), vkey, on_progress, worker=worker, payloads=payloads
        )
    except AuditError as error:
        # Where a table is missing or is another one, that was found before, and nothing further can be read.
        if report.ok:
            raise
        report.error(f"The verification ended here: {error}", "database")
        return report
    # 8. Keys.
    if payloads:
        check_keys(opened, report, used, erased)
    return report


def _inside(
    opened: Opened,
    report: AuditReport,
    notes: tuple[str | None, str | None],
    vkey: str | None,
    on_progress: Progress | None,
    *,
    worker: SignatureWorker | None,
    payloads: bool,
) -> tuple[set[str], dict[str, int]]:
    """Take the steps that read the audit database; `notes` are the anchor and the checkpoint that was handed in."""
    with (
        ThreadPoolExecutor(1, "limner-verify") as beside,
        opened.database.read() as connection,
        opened.database.lenient(connection),
    ):
        # 2. Schema and file.
        damage = beside.submit(opened.database.damage)
        check_schema(connection, report)
        # 3. The key.
        report.origin, stated = _identity(connection, report)
        verifier = find_verifier(opened, report, stated, vkey)
        kept = outside(verifier, report, "anchor", notes[0]) + outside(verifier, report, "checkpoint file", notes[1])
        # 4. to 7. Entries, tree, payloads, what is left over.
        tree = TreeCheck(connection, report, verifier, kept, worker)
        used, erased = _follow(connection, opened, report, tree, on_progress, payloads=payloads)
        # 2. What the database says of its own files.
        for line in damage.result():
            report.error(line, "file")
    return used, erased


def _identity(connection: Connection, report: AuditReport) -> tuple[str, KeyChain | None]:
    """Give origin and keys as entry 0 and the rotations after it state them; a wrong rotation ends the chain."""
    try:
        origin, key = log_identity(connection)
        chain = KeyChain.of(key)
    except (LogCorrupt, KeyUnavailable) as error:
        report.error(str(error), "entry", 0, "leaf")
        return "", None
    index = 0
    try:
        for entry in rotations(connection):
            index = entry.index or 0
            chain.add(index, entry.data)
    except LogCorrupt as error:
        report.error(str(error), "entry", index, "leaf")
    return origin, chain


def _follow(
    connection: Connection,
    opened: Opened,
    report: AuditReport,
    tree: TreeCheck,
    on_progress: Progress | None,
    *,
    payloads: bool,
) -> tuple[set[str], dict[str, int]]:
    """Go once through all entries; give the data keys in use and what was erased."""
    entries = EntryCheck(report)
    contents = PayloadCheck(connection, opened, report) if payloads else None
    newest = newest_checkpoint(connection)
    total = newest[0] if newest else 0
    for rows in stored_entries(connection, report):
        references = []
        for index, leaf, kind in rows:
            # 4. The entry itself.
            if found := entries.entry(index, leaf, kind):
                references += [(index, ref) for ref in found]
            # 5. The tree.
            tree.leaf(leaf_hash(leaf))
        # 6. Payloads.
        if contents is not None:
            contents.references(references)
        if on_progress is not None:
            on_progress("entries", tree.size, total)
    # 7. What is left over.
    entries.finish()
    tree.finish()
    compare_erasures(connection, report, entries.erased)
    if contents is not None:
        contents.finish()
    report.size, report.root = tree.size, tree.root().hex()
    return (contents.keys_used if contents else set()), entries.erased
