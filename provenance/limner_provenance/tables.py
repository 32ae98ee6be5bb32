"""The tables of the audit database and of the key database: declarations only, in registries of their own.

Every column is the log, a payload, or something `audit verify` recomputes; the SQL that makes the tables, and the
triggers that forbid changes, are frozen in `ddl.py`. An entry's index is the column `idx`: INDEX is SQL.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

from sqlalchemy import BigInteger, Column, Computed, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class AuditBase(SQLModel, registry=registry()):
    """The audit database's own registry, so that a user's SQLModel tables and ours never mix."""

    metadata: ClassVar[MetaData]


class KeyBase(SQLModel, registry=registry()):
    """The key database's own registry."""

    metadata: ClassVar[MetaData]


def _text(name: str, **options: Any) -> Any:
    return Field(sa_column=Column(name, Text, nullable=False, **options))


def _integer(name: str, **options: Any) -> Any:
    # SQLite's one kind of number; PostgreSQL's INTEGER would end at two thousand millions.
    kind = BigInteger().with_variant(Integer(), "sqlite")
    return Field(sa_column=Column(name, kind, nullable=False, autoincrement=False, **options))


def _blob(name: str) -> Any:
    return Field(sa_column=Column(name, LargeBinary, nullable=False))


def _from_leaf(name: str) -> Any:
    """A column the database computes from the leaf, so that it cannot say anything else."""
    return Field(default=None, sa_column=Column(name, Text, Computed(f"json_extract(leaf, '$.{name}')", False)))


class EntryRow(AuditBase, table=True):
    """The log: one row an entry."""

    __tablename__ = "entry"
    __table_args__ = (
        Index("entry_record", "record", "idx"),
        Index("entry_step", "step", "idx"),
        Index("entry_time", "time", "idx"),
    )
    idx: int = _integer("idx", primary_key=True)
    leaf: str = _text("leaf")
    record: str | None = _from_leaf("record")
    step: str | None = _from_leaf("step")
    time: str | None = _from_leaf("time")


class PayloadRow(AuditBase, table=True):
    """Encrypted JSON payloads, named by the SHA-256 of their ciphertext."""

    __tablename__ = "payload"
    __table_args__ = (Index("payload_key_id", "key_id"),)
    id: str = _text("id", primary_key=True)
    blob: bytes = _blob("blob")
    key_id: str | None = Field(
        default=None, sa_column=Column("key_id", Text, Computed("lower(hex(substr(blob, 6, 16)))", persisted=False))
    )


class AssetRow(AuditBase, table=True):
    """Which data key a stored object is sealed under (as its own header says), so that erasure finds it."""

    __tablename__ = "asset"
    __table_args__ = (Index("asset_key_id", "key_id"),)
    id: str = _text("id", primary_key=True)
    key_id: str = _text("key_id")


class TileRow(AuditBase, table=True):
    """Full tiles of the hash tree (256 hashes of one level each), recomputable from the entries."""

    __tablename__ = "tile"
    level: int = _integer("level", primary_key=True)
    idx: int = _integer("idx", primary_key=True)
    root: bytes = _blob("root")
    hashes: bytes = _blob("hashes")


class CheckpointRow(AuditBase, table=True):
    """One signed checkpoint a commit, with the size before it and the tree's right edge (recomputable)."""

    __tablename__ = "checkpoint"
    size: int = _integer("size", primary_key=True)
    previous: int = _integer("previous")
    note: str = _text("note")
    edge: bytes = _blob("edge")


class ErasureRow(AuditBase, table=True):
    """Projection of the `erased` entries: ids of payloads and keys that were erased, and by which entry."""

    __tablename__ = "erasure"
    id: str = _text("id", primary_key=True)
    idx: int = _integer("idx")


class VersionRow(AuditBase, table=True):
    """alembic's own table, so that a new database is made at head without importing alembic."""

    __tablename__ = "alembic_version"
    version_num: str = Field(sa_column=Column("version_num", Text, primary_key=True, nullable=False))


class DataKeyRow(KeyBase, table=True):
    """Data keys, wrapped; `subject` is a keyed hash from which nobody reads the subject."""

    __tablename__ = "data_key"
    __table_args__ = (Index("data_key_subject", "subject"),)
    id: str = _text("id", primary_key=True)
    subject: str = _text("subject")
    wrapped: bytes = _blob("wrapped")


class KekRow(KeyBase, table=True):
    """Fingerprint of the key-encryption key that this database belongs to."""

    __tablename__ = "kek"
    fingerprint: str = _text("fingerprint", primary_key=True)


def _table(model: type[SQLModel]) -> Table:
    return cast("Table", model.__table__)  # type: ignore[attr-defined]  # SQLModel does not declare it


entry = _table(EntryRow)
payload = _table(PayloadRow)
asset = _table(AssetRow)
tile = _table(TileRow)
checkpoint = _table(CheckpointRow)
erasure = _table(ErasureRow)
version = _table(VersionRow)
data_key = _table(DataKeyRow)
kek = _table(KekRow)
