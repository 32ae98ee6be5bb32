"""Everything that can go wrong with credentials, keys, the audit log and stored pictures.

    ProvenanceError
    ├── AuditError                 the audit log
    │   ├── EntryInvalid           an entry is no canonical JSON, or larger than 64 KiB: the caller is wrong
    │   ├── DatabaseUnavailable    the database cannot be opened, read or written: locked, read-only, full, not there
    │   ├── DatabaseVersion        the database is older (migrate it) or newer (update Limner) than this version
    │   ├── LogCorrupt             what is stored contradicts itself; nothing is appended to such a log
    │   ├── RecordNotFound         no entry of that record
    │   ├── RecordRunning          another process works on that record
    │   └── ErasureHeld            a hold forbids the erasure
    ├── PayloadError               an encrypted payload or picture
    │   ├── PayloadMissing         it is not there, and no erasure explains that
    │   ├── PayloadErased          it was erased, and the log says so
    │   └── PayloadCorrupt         its bytes or its commitment do not fit
    ├── KeyUnavailable             a key is missing, unreadable, of a wrong size or too widely readable
    ├── StorageUnavailable         a folder or object store cannot be read or written
    └── CredentialError            Content Credentials (C2PA)
        ├── CertificateError       the signing certificate or key is expired, wrong or does not fit
        ├── SealFailed             an image could not be signed
        └── ImageUnreadable        the bytes are no whole PNG, JPEG or WebP

Each message names what was wrong and what to do; `remedy` repeats the latter alone.
"""

from __future__ import annotations


class ProvenanceError(Exception):
    """Base of this package's errors; `record_id` names the record it happened in, where a request had begun."""

    record_id: str | None = None

    def __init__(self, message: str, *, remedy: str = "") -> None:
        """Keep `message` (what is wrong) and `remedy` (what to do) apart, and show both."""
        super().__init__(f"{message} {remedy}".strip())
        self.remedy = remedy


class AuditError(ProvenanceError):
    """The audit log cannot do what was asked."""


class EntryInvalid(AuditError):
    """An entry is no canonical JSON or is larger than 64 KiB."""


class DatabaseUnavailable(AuditError):
    """The audit or key database cannot be opened, read or written."""


class DatabaseVersion(AuditError):
    """The database was made by an older or a newer version."""


class LogCorrupt(AuditError):
    """Stored entries, tree and checkpoint contradict each other."""


class RecordNotFound(AuditError):
    """No entry of that record is in the log."""


class RecordRunning(AuditError):
    """Another process (or task) works on that record."""


class ErasureHeld(AuditError):
    """A hold forbids the erasure; `holds` are the ids of the holds."""

    def __init__(self, message: str, *, remedy: str = "", holds: tuple[str, ...] = ()) -> None:
        """Keep the ids of the holds beside the message."""
        super().__init__(message, remedy=remedy)
        self.holds = holds


class PayloadError(ProvenanceError):
    """An encrypted payload or picture cannot be given."""


class PayloadMissing(PayloadError):
    """A payload is not there and no erasure explains that."""


class PayloadErased(PayloadError):
    """A payload was erased, and the log says so."""


class PayloadCorrupt(PayloadError):
    """A payload's bytes or its commitment do not fit."""


class KeyUnavailable(ProvenanceError):
    """A key is missing, unreadable or of a wrong size."""


class StorageUnavailable(ProvenanceError):
    """A folder or object store cannot be read or written."""


class CredentialError(ProvenanceError):
    """Content Credentials cannot be written or read."""


class CertificateError(CredentialError):
    """The signing certificate or key is expired, wrong or does not fit."""


class SealFailed(CredentialError):
    """An image could not be signed."""


class ImageUnreadable(CredentialError):
    """The bytes are no whole PNG, JPEG or WebP."""
