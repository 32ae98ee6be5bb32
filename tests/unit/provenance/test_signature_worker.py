"""The process that checks signatures beside a long verification: it only confirms, and whatever it cannot is told."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from limner_provenance import schema, signature_worker
from limner_provenance.audit import AuditReport, verify, verifying
from limner_provenance.checkpoint import Signer
from limner_provenance.log import AuditLog
from limner_provenance.signature_worker import check_stream

OpenLog = Callable[..., AuditLog]
ONE, OTHER = Signer("limner/one", bytes(32)), Signer("limner/other", bytes(range(32)))


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, sample: Path, open_log: OpenLog) -> Callable[[], AuditReport]:
    """Give the function that verifies the sample as if it were long, on a machine of several cores."""
    monkeypatch.setattr(verifying, "_LONG", 0)
    monkeypatch.setattr(signature_worker, "_cores", lambda: 2)

    def run() -> AuditReport:
        with open_log(sample, read_only=True) as log:
            return verify(log, payloads=False)

    return run


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[signature_worker.SignatureWorker | None]:
    """Give the list of workers that were started."""
    kept: list[signature_worker.SignatureWorker | None] = []
    start = signature_worker._start

    def starting() -> signature_worker.SignatureWorker | None:
        kept.append(start())
        return kept[-1]

    monkeypatch.setattr(signature_worker, "_start", starting)
    return kept


def frames(*texts: str) -> io.BytesIO:
    """Give a stream of texts as the worker reads them."""
    return io.BytesIO(b"".join(len(text.encode()).to_bytes(4, "big") + text.encode() for text in texts))


def test_the_worker_confirms_good_signatures_of_several_keys() -> None:
    """Notes are checked against the key named last."""
    notes = [signer.sign(size, bytes(32)) for signer in (ONE, OTHER) for size in (1, 2)]
    assert check_stream(frames(f"key {ONE.vkey}", *notes[:2], f"key {OTHER.vkey}", *notes[2:]))
    assert check_stream(frames())


@pytest.mark.parametrize(
    "texts",
    [
        (ONE.sign(1, bytes(32)),),
        ("key nonsense",),
        (f"key {OTHER.vkey}", ONE.sign(1, bytes(32))),
        (f"key {ONE.vkey}", ONE.sign(1, bytes(32)), ONE.sign(2, bytes(32)).replace("\n2\n", "\n3\n"), "x"),
    ],
)
def test_the_worker_confirms_nothing_else(texts: tuple[str, ...]) -> None:
    """A note without a key, under another key or with another size is not confirmed."""
    assert not check_stream(frames(*texts))


def test_a_sound_log_is_confirmed_once(
    check: Callable[[], AuditReport], started: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a worker the report is the same as without one, and the log is read once."""
    runs: list[object] = []
    once = verifying._verify

    def counted(*arguments: Any, **options: Any) -> AuditReport:
        runs.append(arguments)
        return once(*arguments, **options)

    monkeypatch.setattr(verifying, "_verify", counted)
    report = check()
    assert (report.findings, report.size, report.checkpoints > 100) == ([], 598, True)
    assert len(started) == len(runs) == 1
    assert started[0] is not None


def test_a_wrong_signature_is_located_all_the_same(sample: Path, check: Callable[[], AuditReport]) -> None:
    """A checkpoint whose text is right and whose signature is not is named, and it alone."""
    with closing(sqlite3.connect(sample / "audit.db")) as connection:
        connection.execute("DROP TRIGGER checkpoint_update")
        (size,) = connection.execute("SELECT size FROM checkpoint ORDER BY size LIMIT 1 OFFSET 50").fetchone()
        flip = "substr(note, 1, length(note) - 30) || CASE substr(note, -30, 1) WHEN 'A' THEN 'B' ELSE 'A' END"
        connection.execute(f"UPDATE checkpoint SET note = {flip} || substr(note, -29) WHERE size = {size}")
        connection.execute(next(sql for sql in schema.TRIGGERS if "checkpoint_update" in sql))
        connection.commit()
    report = check()
    assert [(finding.table, finding.key, finding.column) for finding in report.findings] == [
        ("checkpoint", str(size), "note")
    ]
    assert "signature is wrong" in report.findings[0].what


def test_a_worker_that_dies_is_no_alarm(
    check: Callable[[], AuditReport], monkeypatch: pytest.MonkeyPatch, started: list[signature_worker.SignatureWorker]
) -> None:
    """Where the worker is killed in the middle, everything is checked again without it."""
    given = signature_worker.SignatureWorker.check

    def kill_first(self: signature_worker.SignatureWorker, vkey: str, note: str) -> None:
        self._process.kill()
        given(self, vkey, note)

    monkeypatch.setattr(signature_worker.SignatureWorker, "check", kill_first)
    report = check()
    assert (report.findings, report.checkpoints > 100) == ([], True)
    assert started[0]._process.returncode is not None


@pytest.mark.parametrize("executable", ["/nonexistent/python", shutil.which("true") or "true"])
def test_without_a_worker_signatures_are_checked_here(
    executable: str, check: Callable[[], AuditReport], monkeypatch: pytest.MonkeyPatch, started: list[object]
) -> None:
    """Where no process can be started, or another program answers, the verification does it all."""
    monkeypatch.setattr("sys.executable", executable)
    assert check().ok
    assert started == [None]


def test_one_core_needs_no_worker(
    check: Callable[[], AuditReport], monkeypatch: pytest.MonkeyPatch, started: list[object]
) -> None:
    """On a single core, and for a short log, no process is started."""
    monkeypatch.setattr(signature_worker, "_cores", lambda: 1)
    assert check().ok
    monkeypatch.setattr(signature_worker, "_cores", lambda: 2)
    monkeypatch.setattr(verifying, "_LONG", 10**6)
    assert check().ok
    assert started == []
    assert os.cpu_count()
