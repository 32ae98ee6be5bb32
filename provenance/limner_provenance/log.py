"""The audit log: what was asked, decided, made and paid, in a database that proves itself.

The face of this package's log; it ties writing, reading, keys and locks together and does little itself. Knows nothing
of policies, providers and images.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uuid_utils

from limner_provenance import opening
from limner_provenance.checkpoint import Signer
from limner_provenance.committing import Committed, Committer, Draft, KeyErased, make_draft
from limner_provenance.entries import Entry, PayloadRef, check_name, check_record, make_entry
from limner_provenance.envelope import Sealed, seal_payload
from limner_provenance.erasure import Asked, Erasure, discard, erase, key_name, plan, sealed_draft
from limner_provenance.errors import DatabaseUnavailable, EntryInvalid, KeyUnavailable, LogCorrupt, StorageUnavailable
from limner_provenance.files import write_private
from limner_provenance.holds import PAYLOAD, Hold, all_holds, find
from limner_provenance.keys import KeyStore
from limner_provenance.leftovers import Swept, sweep
from limner_provenance.reading import ConsistencyProof, Head, InclusionProof, PayloadFacts, Reader
from limner_provenance.rotation import STEP, KeyChain, find_signer, load_chain, rotation_data
from limner_provenance.states import RecordState
from limner_provenance.writer import Pending, Writer


class AuditLog:
    """An open audit log; make one with `AuditLog.open`. All methods may be called from any thread.

    Attributes:
        origin: the log's name, `limner/<uuid>`.
        read_only: whether it was opened for reading alone.
        commits: how many commits this process made (entries are written many at a time).
        not_opened: what could not be opened, in words (a read-only log without keys).
    """

    def __init__(self, opened: opening.Opened) -> None:
        self._opened = opened
        self._reader = Reader(opened.database, opened.assets, opened.keys)
        self._locks = opened.database.locks(opened.paths.running)
        self._writer: Writer | None = None
        self.read_only = opened.signer is None
        self.commits = 0
        if opened.signer is None:
            self.origin, self._stated = opening.identity_for_reading(opened)
        else:
            self.origin, self._stated = opened.signer.origin, opened.signer.vkey
            find_key = functools.partial(find_signer, opened.paths)
            self._committer = Committer(opened.database, opened.signer, find_key)
            self._writer = Writer(self._commit, self._store_assets)
        self.not_opened = tuple(opened.not_opened)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        state: Path,
        keys_url: str | None = None,
        kek: str | None = None,
        assets_url: str | None = None,
        read_only: bool = False,
    ) -> Self:
        """Open a log, making it where there is none.

        Args:
            url: the audit database, `sqlite:///relative/path` or `sqlite:////absolute/path`.
            state: the folder of keys, anchor and locks (`.limner`).
            keys_url: the key database; by default `keys.db` in `state`.
            kek: the key-encryption key, 32 bytes as base64 or hex; by default a file that is made in `state/keys`.
            assets_url: where encrypted pictures go, an fsspec address; by default `state/assets`.
            read_only: write nothing at all; works without write permission and without any key, and then says in
                `not_opened` what it could not open.

        Raises:
            DatabaseUnavailable: a database is locked, read-only, full, not there or on a network file system.
            DatabaseVersion: the database is older (migrate it) or newer (update Limner).
            LogCorrupt: the database contradicts itself, its anchor or its key.
            KeyUnavailable: a key is missing, of a wrong form, of another log, or too widely readable.
            StorageUnavailable: a folder cannot be made or read.
        """
        prepare = opening.open_reading if read_only else opening.open_writing
        return cls(prepare(url, Path(state), keys_url, kek, assets_url))

    @property
    def vkey(self) -> str:
        """The log's verifier key, which an auditor pins: the newest one where it was rotated."""
        return self._stated if self.read_only else self._committer.signer.vkey

    def keys(self) -> KeyChain:
        """Give all keys the log ever had, oldest first, as its entries state them.

        Raises:
            LogCorrupt, KeyUnavailable: entry 0 or a rotation is not what it has to be.
        """
        with self._opened.database.read() as connection:
            return load_chain(connection)

    # -- writing -------------------------------------------------------------------------------------------------

    def append(
        self,
        step: str,
        *,
        record: str | None = None,
        data: Mapping[str, Any] | None = None,
        payloads: Mapping[str, Any] | None = None,
        subject: str | None = None,
        after: Pending | None = None,
        apart: Collection[str] = (),
    ) -> Pending:
        """Append an entry. Makes, hashes and encrypts it here and now, and does no I/O; the writer does that.

        Entries appended one after the other by one thread stand in the log in that order.

        Args:
            step: what happened, e.g. `accepted`.
            record: the record it belongs to, or None for the log itself.
            data: what is said in clear: canonical JSON (no floats), for ever.
            payloads: what may have to be erased one day, by name: bytes (kept in the asset store) or JSON values.
            subject: whom the payloads are about; their data key is destroyed when this subject is erased. None: the
                record alone, or the house where there is no record.
            after: an entry appended before, without which this one shall not be written either.
            apart: names of payloads that get a data key of their own, so that `discard` can destroy each alone.

        Returns:
            The pending entry; `pending.durable` is a future, done once the entry is on the disk. In asyncio:
            `await asyncio.wrap_future(pending.durable)`.

        Raises:
            EntryInvalid: a value has no canonical form, or the entry is larger than 64 KiB.
            DatabaseUnavailable: the log is read-only, closed, or was opened before a fork.
        """
        writer = self._writing()
        check_name(step, "The step")
        if record is not None:
            check_record(record)
        sealed = self._seal(payloads or {}, key_name(subject, record), apart)
        return writer.append(make_draft(step, record, data or {}, sealed), after)

    def _seal(self, payloads: Mapping[str, Any], subject: str, apart: Collection[str]) -> dict[str, Sealed]:
        """Encrypt payloads under the subject's data key, or under a key of their own."""
        store = self._opened.keys
        assert store is not None
        key = {name: store.key_apart if name in apart else store.key_for for name in payloads}
        return {
            check_name(name, "The payload"): seal_payload(name, value, key[name](subject))
            for name, value in payloads.items()
        }

    def erase(self, *, subject: str | None = None, record: str | None = None, reason: str | None = None) -> Erasure:
        """Erase everything kept about a user, or of one record, and log that; blocks.

        Destroys the data keys (so that copies and backups become unreadable), the ciphertexts and with them the salts.
        Of a record that belongs to a user the ciphertexts alone go: the user's key stays for his other records, and a
        backup of the ciphertext can still be read with it. The log names ids of payloads and keys, never the user.

        Args:
            subject: the user, as `subject` of `append` named him.
            record: the record's id.
            reason: why, kept as a payload of the log itself: write no name into it.

        Returns:
            What was destroyed, and the entries that say so; none where nothing was held.

        Raises:
            EntryInvalid: neither or both of `subject` and `record` are given.
            ErasureHeld: a hold forbids it; the attempt is logged.
            RecordNotFound: there is no such record.
            RecordRunning: the record is being worked on.
        """
        self._one_of("Erasure", subject, record)
        with contextlib.nullcontext() if record is None else self.lock(record):
            return erase(self._opened, self._reader, self._writing(), Asked(subject, record, reason))

    def discard(self, record: str, refs: Sequence[PayloadRef], *, reason: str) -> Erasure:
        """Destroy some payloads of a record, and log that; blocks. What was appended `apart` loses its key too.

        Nothing is destroyed while a hold forbids it; `holds` of the answer says so. The caller holds the record's lock.

        Args:
            record: the record's id.
            refs: the payloads; those that are gone already are passed over.
            reason: why, kept as a payload of the log itself: write no name into it.
        """
        return discard(self._opened, self._reader, self._writing(), Asked(None, record, reason), refs)

    def erasure_plan(self, *, subject: str | None = None, record: str | None = None) -> Erasure:
        """Say what `erase` would take, and which holds forbid it; changes nothing; raises what `erase` raises.

        Raises:
            KeyUnavailable: the key database is not at hand, and it alone knows whose a key is.
        """
        self._one_of("Erasure", subject, record)
        self._need_keys()
        return plan(self._opened, self._reader, subject, record)

    def hold(
        self, *, subject: str | None = None, record: str | None = None, reason: str, until: str | None = None
    ) -> Hold:
        """Forbid erasure of a user's data, or of a record and whatever is under its user's key; blocks.

        Args:
            subject: the user.
            record: the record (one of the two is given).
            reason: why; kept encrypted, under the key of whom it is about.
            until: when the hold ends by itself, as entries write times; None: when it is released.

        Raises:
            EntryInvalid: neither or both of `subject` and `record` are given.
            RecordNotFound: there is no such record.
        """
        self._one_of("A hold", subject, record)
        if record is not None:
            self.record(record)
        value = {"subject": subject, "record": record, "reason": reason}
        hold_id = str(uuid_utils.uuid7())
        self._house_entry("held", {"hold": hold_id, "until": until}, {PAYLOAD: value}, subject, record)
        return find(self.holds(), hold_id)

    def release(self, hold_id: str, *, reason: str | None = None) -> Hold:
        """End a hold; blocks.

        Raises:
            EntryInvalid: there is no such hold, or it was released before.
        """
        hold = find(self.holds(), hold_id)
        payloads = {} if reason is None else {"reason": reason}
        self._house_entry("released", {"hold": hold_id}, payloads, hold.subject, hold.record)
        return next(held for held in self.holds() if held.id == hold_id)

    def holds(self) -> list[Hold]:
        """Give every hold that was ever set; `Hold.stands` says whether one forbids erasures."""
        return all_holds(self._reader)

    def rotate_key(self) -> Entry:
        """Give the log a new signing key, by an entry that the old key and the new one sign; blocks.

        The new key file takes the old one's place, and later checkpoints are signed by it. Whoever pinned the old key
        follows the entry to the new one. It does not help against a thief of the old key, who can rotate it too.

        Returns:
            The `key_rotated` entry.

        Raises:
            StorageUnavailable: the new key cannot be stored; nothing was changed.
            DatabaseUnavailable: the entry could not be written; the old key stays.
        """
        writer, paths = self._writing(), self._opened.paths
        with opening.setup_lock(paths):
            writer.flush()
            # Another process may have rotated it since this one wrote last.
            old = find_signer(paths, self.keys().vkey)
            new = Signer(old.origin, os.urandom(32))
            write_private(paths.next_log_key, new.skey() + "\n")
            entry = writer.append(Draft(make_entry(STEP, None, rotation_data(old, new), {}), signer=new)).wait()
            opening.promote_key(paths)
        return entry

    def sweep(self) -> Swept:
        """Remove what erasures that were cut short, killed writes and restored backups left in the asset store; blocks.

        Raises:
            DatabaseUnavailable: the log was opened for reading only.
        """
        self._writing().flush()
        return sweep(self._opened)

    def _house_entry(
        self, step: str, data: dict[str, Any], payloads: dict[str, Any], subject: str | None, record: str | None
    ) -> Entry:
        """Append an entry of the log itself whose payloads are under the key of a user or record, and wait for it."""
        writer = self._writing()
        return writer.append(sealed_draft(step, data, payloads, self._need_keys(), (subject, record))).wait()

    def _need_keys(self) -> KeyStore:
        if self._opened.keys is None:
            why = "; ".join(self.not_opened) or "The data keys are not at hand."
            raise KeyUnavailable(why, remedy="Give keys.url and its key-encryption key.")
        return self._opened.keys

    @staticmethod
    def _one_of(what: str, subject: str | None, record: str | None) -> None:
        if (subject is None) == (record is None):
            raise EntryInvalid(f"{what} takes either subject or record.", remedy="Give one of the two.")

    def flush(self) -> None:
        """Wait until everything appended so far is on the disk or has failed; each entry's future says which."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Write what is queued and let everything go. Closing twice is fine."""
        if self._writer is not None:
            self._writer.close()
            self._opened.anchor.sync()
        for database in (self._opened.database, self._opened.key_database):
            if database is not None:
                database.close()
        if self._opened.users is not None:
            os.close(self._opened.users)
            self._opened.users = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _writing(self) -> Writer:
        if self._writer is None:
            raise DatabaseUnavailable("The audit log was opened read-only.", remedy="Open it with read_only=False.")
        return self._writer

    def _store_assets(self, draft: Draft) -> None:
        """Store an entry's objects before the commit that refers to them, while its record is still ours to write."""
        self._locks.assure(draft.entry.record)
        for sealed in draft.sealed:
            if sealed.kind == "bytes":
                self._opened.assets.write(sealed.id, sealed.blob)

    def _commit(self, drafts: Sequence[Draft]) -> Committed:
        """Make keys durable, commit the batch, replace the anchor."""
        opened = self._opened
        assert opened.keys is not None
        opened.keys.make_durable(key for draft in drafts for key in draft.keys)
        try:
            done = self._committer.commit(drafts)
        except KeyErased as error:
            opened.keys.forget([error.key])
            raise
        self.commits += 1
        # The entries are on the disk, and their callers must hear that; the next commit writes the anchor again.
        with contextlib.suppress(StorageUnavailable):
            opened.anchor.replace(done.note, done.size)
        return done

    # -- reading -------------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """The number of entries on the disk."""
        return self._reader.head().size

    def head(self) -> Head:
        """Give the newest checkpoint."""
        return self._reader.head()

    def check_head(self, head: Head) -> None:
        """Check the signature of a head, by the key file at hand, else by the key that entry 0 states.

        Raises:
            LogCorrupt: the log's key did not sign it, or entry 0 names another log than that key.
            KeyUnavailable: there is no key to check it with.
        """
        chain = self.keys()
        if opening.trusted_vkey(self._opened, chain.vkey) not in chain.vkeys:
            raise LogCorrupt("Entry 0 names another key than the log's.", remedy="Run `limner audit verify`.")
        chain.verify(head.note)

    def checkpoint(self, size: int) -> str | None:
        """Give the signed checkpoint of exactly `size` entries, or None where no commit ended there."""
        return self._reader.checkpoint(size)

    def entry(self, index: int) -> Entry:
        """Give one entry; raises AuditError where there is none."""
        return self._reader.entry(index)

    def entries(
        self, record: str | None = None, steps: Iterable[str] | None = None, start: int = 0, stop: int | None = None
    ) -> Iterator[Entry]:
        """Give entries in the log's order: of one record, of some steps, of the indexes `start … stop - 1`."""
        return self._reader.entries(record=record, steps=steps, start=start, stop=stop)

    def record(self, record: str) -> list[Entry]:
        """Give all entries of a record; raises RecordNotFound."""
        return self._reader.record(record)

    def records(self, *, after: str | None = None, limit: int = 100, newest_first: bool = False) -> list[RecordState]:
        """Give the states of records a page at a time, ordered by id; `after` is the last id of the page before."""
        return self._reader.records(after=after, limit=limit, newest_first=newest_first)

    def payload(self, ref: PayloadRef) -> Any:
        """Give a payload: JSON or bytes.

        Raises:
            PayloadErased, PayloadMissing, PayloadCorrupt, KeyUnavailable, StorageUnavailable: see each class.
        """
        return self._reader.payload(ref)

    def payloads(self, refs: Sequence[PayloadRef]) -> Iterator[Any]:
        """Give payloads' values in the order of `refs`; one that cannot be opened as the error `payload` raises."""
        return self._reader.payloads(refs)

    def payload_facts(self, ref: PayloadRef) -> PayloadFacts:
        """Give SHA-256, length and salt of a bytes payload; raises what `payload` raises."""
        return self._reader.payload_facts(ref)

    def salt(self, ref: PayloadRef) -> bytes:
        """Give the salt that discloses a payload's commitment; raises what `payload` raises."""
        return self._reader.salt(ref)

    def inclusion(self, index: int, size: int | None = None) -> InclusionProof:
        """Prove that an entry is in the log of `size` entries (None: as of the newest checkpoint)."""
        return self._reader.inclusion(index, size=size)

    def consistency(self, old: int, new: int | None = None) -> ConsistencyProof:
        """Prove that the log only grew from `old` to `new` entries (None: the newest checkpoint)."""
        return self._reader.consistency(old, new)

    # -- running records -----------------------------------------------------------------------------------------

    def lock(self, record: str) -> AbstractContextManager[None]:
        """Hold the lock of a record while a block works on it; raises RecordRunning where somebody else does."""
        return self._locks.hold(record)

    def is_running(self, record: str) -> bool:
        """Say whether somebody works on a record now."""
        return self._locks.is_running(record)

    def unfinished(self) -> list[RecordState]:
        """Give the states of records that have not ended and that nobody works on; `waiting` ones await a person."""
        return [s for s in self._reader.unended() if s.record is not None and not self._locks.is_running(s.record)]
