"""The audit log, opened without policy, model and signer: for reading, and for looking after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.config import Config, load_config
from limner_provenance.errors import ProvenanceError

if TYPE_CHECKING:
    from limner_provenance import AuditLog


def open_log(config: str | Path | Config | None = None) -> AuditLog:
    """Open the configured log for reading; close it after use (it is a context manager).

    Raises:
        ConfigInvalid: The configuration is wrong.
        DatabaseUnavailable: There is no log, or it cannot be read.
    """
    return _open(config, read_only=True)


def open_log_for_writing(config: str | Path | Config | None = None) -> AuditLog:
    """Open the configured log for writing where there is one; close it after use. It never makes a new log.

    Raises:
        ConfigInvalid: The configuration is wrong.
        ProvenanceError: There is no log, it cannot be written, or a key is missing.
    """
    _open(config, read_only=True).close()
    return _open(config, read_only=False)


def _open(config: str | Path | Config | None, *, read_only: bool) -> AuditLog:
    from limner_provenance import AuditLog

    found = config if isinstance(config, Config) else load_config(config, engines=False)
    return AuditLog.open(
        found.audit_url,
        state=found.state,
        keys_url=found.keys_url,
        kek=found.keys.kek,
        assets_url=found.assets_url,
        read_only=read_only,
    )


def summaries(log: AuditLog, limit: int) -> list[dict[str, Any]]:
    """Sum up the newest records, newest first; the prompt only where its payload can be opened."""
    from limner.records import Record

    return [_summary(Record.load(log, state.record or "")) for state in log.records(limit=limit, newest_first=True)]


def _summary(record: Any) -> dict[str, Any]:
    produced = record.find("produced")
    return {
        "record": record.id,
        "time": record.entries[0].time,
        "state": record.standing,
        "model": produced.data["model"]["name"] if produced else None,
        "images": len(record.all("sealed")),
        "prompt": _prompt(record),
    }


def _prompt(record: Any) -> str:
    try:
        text = str(record.payload("accepted", "prompt") or "")
    except ProvenanceError as error:
        return f"({type(error).__name__})"
    return text if len(text) <= 60 else f"{text[:59]}…"
