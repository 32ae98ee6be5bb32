"""The database's border: network file systems, migrations, the anchor file, what importing costs."""

from __future__ import annotations

import fcntl
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

import limner_provenance
from limner_provenance import schema, tables
from limner_provenance.anchor import Anchor
from limner_provenance.checkpoint import Signer
from limner_provenance.errors import DatabaseUnavailable, DatabaseVersion, LogCorrupt
from limner_provenance.log import AuditLog
from limner_provenance.migrate import migrate, upgrade
from limner_provenance.sqlite import refuse_network

OpenLog = Callable[..., AuditLog]
SIGNER = Signer("limner/test", bytes(32))


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ("1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:5 / {} rw - nfs4 host:/x rw", "nfs4"),
        ("1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:5 / {} rw shared:1 - fuse.sshfs host:/x rw", "fuse.sshfs"),
        ("1 0 8:1 / / rw - cifs //host/x rw", "cifs"),
    ],
)
def test_network_file_systems_are_refused(tmp_path: Path, lines: str, kind: str) -> None:
    """A database on NFS, SMB or SSHFS is refused by name; the innermost mount counts."""
    table = tmp_path / "mountinfo"
    table.write_text(lines.format(tmp_path))
    with pytest.raises(DatabaseUnavailable, match=f"network file system \\({kind}\\)") as caught:
        refuse_network(tmp_path / "audit.db", table)
    assert "PostgreSQL" in caught.value.remedy


@pytest.mark.parametrize("lines", ["", "1 0 8:1 / / rw - nfs h:/ rw\n2 1 0:5 / {} rw - ext4 /dev/sda rw", "nonsense"])
def test_local_file_systems_are_fine(tmp_path: Path, lines: str) -> None:
    """A local disk passes, also below a network mount, and so does a system that does not tell."""
    table = tmp_path / "mountinfo"
    table.write_text(lines.format(tmp_path))
    refuse_network(tmp_path / "audit.db", table)
    refuse_network(tmp_path / "audit.db", tmp_path / "nowhere")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/db", "audit.db", ""])
def test_wrong_addresses_are_refused_without_showing_secrets(tmp_path: Path, url: str) -> None:
    """An address that is no SQLite file is refused, and its password is not shown."""
    with pytest.raises(DatabaseUnavailable, match="names no SQLite file") as caught:
        AuditLog.open(url, state=tmp_path)
    assert "secret" not in str(caught.value)


def test_what_is_no_database_is_refused(tmp_path: Path, open_log: OpenLog) -> None:
    """A file that is no SQLite database is damaged, in plain words."""
    (tmp_path / "audit.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(LogCorrupt, match="is no SQLite database"):
        open_log(tmp_path)
    with pytest.raises(DatabaseUnavailable, match="There is no audit database"):
        open_log(tmp_path / "nowhere", read_only=True)


def test_migrations_lead_to_what_new_databases_have() -> None:
    """Running every revision on nothing gives tables, indexes and triggers of a new database, to the letter."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection)
        migrated = schema.described(connection)
    engine.dispose()
    new = schema.expected()
    assert migrated == new


@pytest.mark.parametrize("keys", [False, True])
def test_the_frozen_schema_is_the_declared_one(keys: bool) -> None:
    """The tables that SQLAlchemy works with have exactly the columns and indexes that databases are made with."""
    base = tables.KeyBase if keys else tables.AuditBase
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        base.metadata.create_all(connection)
        declared = schema.described(connection)
    engine.dispose()
    frozen = {key: sql for key, sql in schema.expected(keys=keys).items() if key[0] != "trigger"}
    for found in (declared, frozen):
        found.pop(("table", "alembic_version"), None)
    assert declared == frozen


def test_migrating_at_head_does_nothing(tmp_path: Path, open_log: OpenLog) -> None:
    """A database of this version is left alone; another's is refused."""
    open_log(tmp_path).close()
    url = f"sqlite:///{tmp_path / 'audit.db'}"
    assert migrate(url).copy is None
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(DatabaseVersion, match="newer"):
        migrate(url)
    with pytest.raises(DatabaseUnavailable, match="There is no audit database"):
        migrate(f"sqlite:///{tmp_path / 'nowhere.db'}")


def test_an_older_database_is_refused_and_migrated(
    tmp_path: Path, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older database is opened by nobody, is copied before it is migrated, and is named by its revision."""
    open_log(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
        connection.commit()
    monkeypatch.setattr(schema, "REVISIONS", ("0000", "0001"))
    with pytest.raises(DatabaseVersion, match="limner audit migrate"):
        open_log(tmp_path)
    ran: list[str] = []
    monkeypatch.setattr("limner_provenance.migrate.upgrade", lambda _: ran.append("upgrade"))
    done = migrate(f"sqlite:///{tmp_path / 'audit.db'}")
    assert (done.old, done.new, ran) == ("0000", "0001", ["upgrade"])
    assert done.copy is not None
    with closing(sqlite3.connect(done.copy)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM entry").fetchone() == (1,)


def test_the_anchor_never_goes_back(tmp_path: Path) -> None:
    """A newer checkpoint replaces an older one, never the other way round, and nonsense is replaced."""
    anchor = Anchor(tmp_path / "anchor")
    assert anchor.read() is None
    small, large = SIGNER.sign(9, bytes(32)), SIGNER.sign(10, bytes(32))
    anchor.replace(small, 9)
    assert anchor.read() == small
    Anchor(tmp_path / "anchor").replace(large, 10)
    anchor.replace(small, 9)
    assert anchor.read() == large
    (tmp_path / "anchor").write_text("nonsense " * 100)
    anchor.replace(small, 9)
    assert anchor.read() == small


def test_every_commit_moves_the_anchor(log: AuditLog, tmp_path: Path) -> None:
    """After an acknowledged append the anchor is the newest checkpoint."""
    for _ in range(3):
        log.append("planned", record="r-1").wait(10)
        assert (tmp_path / "state" / "anchor").read_text() == log.head().note


def test_public_names_are_few_and_there() -> None:
    """The package exports exactly these names, and each can be loaded."""
    assert limner_provenance.__all__ == ["AuditLog", "read_credentials", "seal", "verify_log"]
    assert limner_provenance.AuditLog is AuditLog
    assert callable(limner_provenance.verify_log)
    with pytest.raises(AttributeError, match="nonsense"):
        limner_provenance.nonsense  # noqa: B018 - the access itself is what is tested


def test_importing_is_light() -> None:
    """Importing the package, its errors, entries and states loads no database, no cryptography, no image library."""
    code = (
        "import sys, limner_provenance, limner_provenance.errors, limner_provenance.entries, limner_provenance.states\n"
        "heavy = {'sqlalchemy', 'sqlmodel', 'alembic', 'c2pa', 'PIL', 'numpy', 'fsspec', 'httpx', 'cryptography'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_opening_does_not_load_alembic(tmp_path: Path) -> None:
    """Opening a log is quick: alembic is for migrations alone."""
    code = (
        "import sys; from pathlib import Path; from limner_provenance import AuditLog\n"
        f"AuditLog.open('sqlite:///{tmp_path}/audit.db', state=Path({str(tmp_path)!r})).close()\n"
        "print([name for name in ('alembic', 'c2pa', 'PIL', 'numpy', 'fsspec') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_somebody_who_locks_the_anchor_does_not_stop_the_log(log: AuditLog, tmp_path: Path) -> None:
    """Whoever may read the anchor can lock it; entries are written all the same, and the anchor follows later."""
    with (tmp_path / "state" / "anchor").open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert log.append("planned", record="r-1").wait(10).index == 1
        assert (tmp_path / "state" / "anchor").read_text() != log.head().note
    log.append("planned", record="r-1").wait(10)
    assert (tmp_path / "state" / "anchor").read_text() == log.head().note
