"""Evidence files of records: which record a file belongs to, and the document that proves it.

The provenance leaf makes the document; here a picture is traced back to its record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limner.config import Config
from limner.errors import ConfigInvalid, RecordNotFound, StorageUnavailable
from limner.reading import open_log
from limner.versions import limner_version

if TYPE_CHECKING:
    from limner_provenance import AuditLog


@dataclass(frozen=True)
class EvidenceFile:
    """An evidence file: its bytes, the record it tells of, the image that it was asked for by (None: all)."""

    document: bytes
    record_id: str
    image: int | None


def make_evidence(
    what: str | Path,
    *,
    config: str | Path | Config | None = None,
    disclose: Collection[str] = (),
    image: int | None = None,
    checkpoint: str | None = None,
) -> EvidenceFile:
    """Make the evidence file of a record, or of the record that a picture names.

    Args:
        what: A record's id, or a picture that Limner sealed.
        config: Which log to read; None: that of the working folder.
        disclose: Names of fields to disclose, or `all`.
        image: The number of the one image that it is about; None: the picture's own, else all.
        checkpoint: The text of a checkpoint that was exported before, to prove that the log only grew since.

    Raises:
        ConfigInvalid: The picture is not one of this log, or a name is not the record's.
        RecordNotFound: The log has no such record.
        ProvenanceError: The log cannot be read, or contradicts itself.
    """
    from limner_provenance.evidence import build

    data = _picture(Path(what))
    with open_log(config) as log:
        record, number = (str(what), image) if data is None else _trace(log, data, Path(what), image)
        document = build(
            log,
            record,
            disclose=disclose,
            images=None if number is None else [number],
            checkpoint=checkpoint,
            made_by=f"limner {limner_version()}",
        )
    return EvidenceFile(document, record, number)


def _picture(path: Path) -> bytes | None:
    """Read the file, or give None where there is none of that name."""
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be read: {error.strerror}.", remedy="Name an image file.") from error


def _trace(log: AuditLog, data: bytes, path: Path, image: int | None) -> tuple[str, int]:
    """Give record and number of a picture by what its credentials state, and check that it is that image.

    Raises:
        ConfigInvalid: It names no record of this log, is another image, or was changed.
    """
    from limner_provenance.credentials import read_credentials

    statement = read_credentials(data).record or {}
    record, number = str(statement.get("record")), statement.get("image")
    remedy = "Name the record instead: `limner audit evidence RECORD`."
    if statement.get("log") != log.origin or type(number) is not int:
        raise ConfigInvalid(f"{path} carries no credentials that name a record of this log.", remedy=remedy)
    if image not in {None, number}:
        raise ConfigInvalid(f"--image {image}: {path} is image {number} of its record.", remedy="Leave --image out.")
    sealed = [e for e in log.entries(record=record, steps=["sealed"]) if e.data["image"] == number]
    if not sealed:
        raise RecordNotFound(f"{path} names image {number} of record {record!r}, which this log lacks.", remedy=remedy)
    return record, _same(log, sealed[-1], data, path, number)


def _same(log: AuditLog, sealed: object, data: bytes, path: Path, number: int) -> int:
    """Give the number where the bytes are those that were sealed, or can no longer be held against them."""
    from limner_provenance.entries import Entry
    from limner_provenance.errors import KeyUnavailable, PayloadErased, PayloadMissing

    assert isinstance(sealed, Entry)
    try:
        facts = log.payload_facts(sealed.payloads["asset"])
    except (PayloadErased, PayloadMissing, KeyUnavailable):
        return number  # the evidence file says so
    if facts.sha256 != hashlib.sha256(data).hexdigest():
        raise ConfigInvalid(
            f"{path} is not, to the last byte, the image that was sealed.", remedy="Give the file as it was handed out."
        )
    return number
