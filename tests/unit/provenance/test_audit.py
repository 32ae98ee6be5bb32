"""Verification: a sound log is VALID, and whatever is changed in any column of any row is found and located."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from rewriting import rewrite
from sqlalchemy import Table

from limner_provenance import schema, tables
from limner_provenance.audit import AuditReport, verify
from limner_provenance.checkpoint import Signer
from limner_provenance.errors import DatabaseVersion, KeyUnavailable
from limner_provenance.log import AuditLog

OpenLog = Callable[..., AuditLog]
AUDIT = [table for table in tables.AuditBase.metadata.sorted_tables if table.name != "alembic_version"]
KEYS = tables.KeyBase.metadata.sorted_tables


def columns(found: list[Table]) -> list[tuple[str, str]]:
    """Give every stored column of the tables; computed ones cannot be written."""
    return [(table.name, column.name) for table in found for column in table.columns if column.computed is None]


@pytest.fixture
def check(open_log: OpenLog, sample: Path) -> Callable[..., AuditReport]:
    """Give the function that verifies the sample."""

    def run(**options: str | bool) -> AuditReport:
        with open_log(sample, read_only=True) as log:
            return verify(log, **options)  # type: ignore[arg-type]

    return run


@pytest.fixture
def attack(sample: Path) -> Callable[..., None]:
    """Give the function that runs SQL as somebody who owns the file: triggers off, and back on afterwards."""

    def run(*statements: str, database: str = "audit.db") -> None:
        with closing(sqlite3.connect(sample / database)) as connection:
            triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for (name,) in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                connection.execute(statement)
            for trigger in schema.TRIGGERS if triggers else ():
                connection.execute(trigger)
            connection.commit()

    return run


def rowids(sample: Path, table: str, database: str = "audit.db") -> list[int]:
    """Give the first, a middle and the last row of a table."""
    with closing(sqlite3.connect(sample / database)) as connection:
        found = [row[0] for row in connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]
    return sorted({found[0], found[len(found) // 2], found[-1]})


def change(column: str) -> str:
    """Give SQL that changes a value a little, whatever its type."""
    head, last = f"substr({column}, 1, length({column}) - 2)", f"substr({column}, -1)"
    text = f"{head} || char(unicode(substr({column}, -2, 1)) + 1) || {last}"
    blob = f"CAST(x'00' || substr({column}, 2) AS BLOB)"
    other = f"CAST(x'ff' || substr({column}, 2) AS BLOB)"
    first_is_zero = f"substr({column}, 1, 1) = x'00'"
    return (
        f"CASE typeof({column}) WHEN 'integer' THEN {column} + 100000 WHEN 'text' THEN {text} "
        f"ELSE CASE WHEN {first_is_zero} THEN {other} ELSE {blob} END END"
    )


def located(report: AuditReport, place: str) -> None:
    """Assert that an error names the place."""
    assert not report.ok
    assert any(place in finding.table for finding in report.findings if finding.severity == "error"), report.findings


def test_a_sound_log_is_valid(check: Callable[..., AuditReport], sample: Path, open_log: OpenLog) -> None:
    """Nothing is found in an untouched log, every payload was opened, and what was erased is counted."""
    report = check()
    assert report.findings == []
    assert report.verdict == "VALID-WITH-ERASURE"
    assert (report.payloads_opened, report.payloads_not_opened, report.payloads_erased) == (141, 0, 39)
    assert report.trust == "unpinned"
    with open_log(sample) as log:
        assert (log.size, log.head().root.hex(), log.vkey) == (report.size, report.root, report.vkey)
        assert verify(log, vkey=log.vkey, checkpoint=log.head().note).trust == "pinned"


def test_the_sample_has_something_everywhere(sample: Path) -> None:
    """No table is empty, so that each one's columns are really attacked."""
    for database, found in (("audit.db", AUDIT), ("keys.db", KEYS)):
        for table in found:
            assert rowids(sample, table.name, database)


@pytest.mark.parametrize(("table", "column"), columns(AUDIT))
def test_any_changed_column_is_found_and_located(
    table: str,
    column: str,
    sample: Path,
    sample_template: Path,
    attack: Callable[..., None],
    check: Callable[..., AuditReport],
) -> None:
    """A change of any column in the first, a middle or the last row of any table is an error that names the table."""
    for row in rowids(sample, table):
        attack(f"UPDATE {table} SET {column} = {change(column)} WHERE rowid = {row}")
        located(check(), table)
        restore(sample, sample_template)


@pytest.mark.parametrize(("table", "column"), columns(AUDIT))
def test_a_changed_type_is_found(
    table: str, column: str, sample: Path, attack: Callable[..., None], check: Callable[..., AuditReport]
) -> None:
    """The same bytes stored as another SQL type do not pass for the same value."""
    (row, *_) = rowids(sample, table)
    text_or_blob = f"WHEN 'text' THEN CAST({column} AS BLOB) WHEN 'blob' THEN hex({column})"
    cast = f"CASE typeof({column}) {text_or_blob} ELSE {column} + 7000 END"
    attack(f"UPDATE {table} SET {column} = {cast} WHERE rowid = {row}")
    located(check(), table)


@pytest.mark.parametrize("table", [table.name for table in AUDIT])
def test_any_deleted_row_is_found(
    table: str, sample: Path, sample_template: Path, attack: Callable[..., None], check: Callable[..., AuditReport]
) -> None:
    """Deleting the first, a middle or the last row of any table is an error."""
    for row in rowids(sample, table):
        attack(f"DELETE FROM {table} WHERE rowid = {row}")
        assert not check().ok, (table, row)
        restore(sample, sample_template)


@pytest.mark.parametrize("table", [table.name for table in AUDIT])
def test_any_inserted_row_is_found(table: str, attack: Callable[..., None], check: Callable[..., AuditReport]) -> None:
    """A row that was not written by Limner is an error that names the table."""
    names = [column.name for column in tables.AuditBase.metadata.tables[table].columns if column.computed is None]
    keys = [column.name for column in tables.AuditBase.metadata.tables[table].primary_key]
    values = ", ".join(change(name) if name == keys[-1] else name for name in names)
    attack(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} ORDER BY rowid DESC LIMIT 1")
    located(check(), table)


@pytest.mark.parametrize(
    ("table", "column"),
    [(t, c) for t, c in columns(AUDIT) if not tables.AuditBase.metadata.tables[t].columns[c].primary_key],
)
def test_swapped_values_are_found(
    table: str, column: str, sample: Path, attack: Callable[..., None], check: Callable[..., AuditReport]
) -> None:
    """Two rows that trade a value are found."""
    first, *_, last = rowids(sample, table)
    with closing(sqlite3.connect(sample / "audit.db")) as connection:
        pair = [
            connection.execute(f"SELECT {column} FROM {table} WHERE rowid = {row}").fetchone() for row in (first, last)
        ]
    if pair[0] == pair[1]:
        pytest.skip("the two rows hold the same value, so there is nothing to trade")
    attack(
        f"CREATE TEMP TABLE held AS SELECT rowid AS place, {column} AS value FROM {table}",
        f"UPDATE {table} SET {column} = (SELECT value FROM held WHERE place = {last}) WHERE rowid = {first}",
        f"UPDATE {table} SET {column} = (SELECT value FROM held WHERE place = {first}) WHERE rowid = {last}",
    )
    located(check(), table)


def test_the_version_row_is_guarded_by_opening(sample: Path, attack: Callable[..., None], open_log: OpenLog) -> None:
    """A changed, deleted or doubled version is refused by name before anything else is read."""
    attack("UPDATE alembic_version SET version_num = '0007'")
    with pytest.raises(DatabaseVersion, match="'0007'"):
        open_log(sample, read_only=True)


@pytest.mark.parametrize(("table", "column"), columns(KEYS))
def test_the_key_database_is_checked_too(
    table: str,
    column: str,
    sample: Path,
    sample_template: Path,
    attack: Callable[..., None],
    check: Callable[..., AuditReport],
) -> None:
    """A change of any column, and a deleted row, in the key database is an error that names it."""
    for row in rowids(sample, table, "keys.db"):
        for statement in (f"UPDATE {table} SET {column} = {change(column)}", f"DELETE FROM {table}"):
            attack(f"{statement} WHERE rowid = {row}", database="keys.db")
            located(check(), "keys.db")
            restore(sample, sample_template)


@pytest.mark.parametrize("index", [0, 1, 100, 256, 511, 520, 596])
def test_a_changed_entry_is_located_exactly_or_to_its_commit(
    index: int, attack: Callable[..., None], check: Callable[..., AuditReport]
) -> None:
    """The error names the very entry where a full tile covers it, and its commit otherwise."""
    attack(f"UPDATE entry SET leaf = replace(leaf, '\"v\":1', '\"v\":1 ') WHERE idx = {index}")
    report = check()
    keys = {int(finding.key) for finding in report.findings if finding.table == "entry" and finding.severity == "error"}
    assert index in keys
    assert all(abs(key - index) <= 4 for key in keys)


def test_a_well_formed_lie_is_located(attack: Callable[..., None], check: Callable[..., AuditReport]) -> None:
    """A canonical entry with another content is found by the tree alone."""
    attack('UPDATE entry SET leaf = replace(leaf, \'"verdict":"allow"\', \'"verdict":"deny"\') WHERE idx = 2')
    report = check()
    errors = [finding for finding in report.findings if finding.severity == "error"]
    assert [(finding.table, finding.key, finding.column) for finding in errors] == [("entry", "2", "leaf")]


def test_a_cut_tail_is_caught_by_the_anchor(attack: Callable[..., None], check: Callable[..., AuditReport]) -> None:
    """Entries cut off together with their checkpoints leave a sound database, and an anchor that knows better."""
    attack(
        "DELETE FROM checkpoint WHERE size > 590",
        "DELETE FROM entry WHERE idx >= (SELECT MAX(size) FROM checkpoint)",
        "DELETE FROM erasure WHERE idx >= (SELECT MAX(size) FROM checkpoint)",
    )
    report = check()
    located(report, "anchor")
    assert "its end was cut off" in "".join(str(finding) for finding in report.findings)


def test_a_rolled_back_anchor_needs_an_exported_checkpoint(
    sample: Path, open_log: OpenLog, check: Callable[..., AuditReport]
) -> None:
    """Database and anchor rolled back together look sound; only a checkpoint kept elsewhere shows it."""
    old = sample.with_name("old")
    shutil.copytree(sample, old)
    with open_log(sample) as log:
        log.append("opened", data={"n": 1}).wait(10)
        exported = log.head().note
    shutil.rmtree(sample)
    shutil.move(old, sample)
    assert check().ok
    located(check(checkpoint=exported), "checkpoint file")


def test_a_rewritten_history_needs_an_exported_checkpoint(sample: Path, tmp_path: Path, open_log: OpenLog) -> None:
    """Somebody with the log's key who writes another history under the same name is found by an older checkpoint."""
    with open_log(sample, read_only=True) as log:
        exported = log.head().note
        entries = list(log.entries())
    forged = tmp_path / "forged"
    shutil.copytree(sample / "keys", forged / "keys")
    signer = Signer.from_skey((forged / "keys" / "log.ed25519").read_text())
    rewrite(forged, signer, [entry.leaf.replace("planned", "cleaned") for entry in entries])
    with open_log(forged, read_only=True) as log:
        without, against = verify(log, payloads=False), verify(log, payloads=False, checkpoint=exported)
    assert [finding.table for finding in without.findings if finding.severity == "error"] == []
    located(against, "checkpoint file")
    assert "history was rewritten" in str(against.first_error)


def test_another_key_than_the_pinned_one_is_invalid(check: Callable[..., AuditReport]) -> None:
    """A pinned key that is not the log's makes it invalid; something that is no key is a wrong input."""
    report = check(vkey=Signer("limner/other", bytes(32)).vkey)
    assert report.trust == "pinned"
    assert "not the pinned key" in str(report.first_error)
    with pytest.raises(KeyUnavailable):
        check(vkey="nonsense")


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("DROP TRIGGER entry_update", "entry_update"),
        ("DROP INDEX entry_record", "entry_record"),
        ("CREATE TABLE extra (x)", "extra"),
        ("ALTER TABLE payload ADD COLUMN note TEXT", "payload"),
        ("CREATE TRIGGER sly AFTER INSERT ON entry BEGIN DELETE FROM payload; END", "sly"),
    ],
)
def test_a_changed_schema_is_found(statement: str, name: str, sample: Path, check: Callable[..., AuditReport]) -> None:
    """Missing, changed and additional triggers, indexes, tables and columns are errors."""
    with closing(sqlite3.connect(sample / "audit.db")) as connection:
        connection.execute(statement)
        connection.commit()
    report = check()
    assert ("schema", name) in {(finding.table, finding.key) for finding in report.findings}
    assert not report.ok


REFUSED = """
UPDATE entry SET leaf = '{}' WHERE idx = 1
DELETE FROM entry WHERE idx = 1
INSERT OR REPLACE INTO entry (idx, leaf) VALUES (1, '{}')
INSERT INTO entry (idx, leaf) VALUES (5000, '{}')
UPDATE payload SET blob = x'00'
DELETE FROM payload
INSERT OR REPLACE INTO payload (id, blob) SELECT id, x'00' FROM payload LIMIT 1
UPDATE checkpoint SET note = ''
DELETE FROM checkpoint
INSERT OR REPLACE INTO checkpoint SELECT * FROM checkpoint LIMIT 1
UPDATE tile SET root = x'00'
DELETE FROM tile
INSERT OR REPLACE INTO tile SELECT * FROM tile LIMIT 1
INSERT INTO erasure (id, idx) VALUES ('x', 1)
UPDATE erasure SET idx = 1
DELETE FROM erasure
UPDATE asset SET key_id = ''
DELETE FROM asset
"""


@pytest.mark.parametrize("statement", REFUSED.strip().splitlines())
def test_the_database_itself_refuses(statement: str, sample: Path) -> None:
    """Somebody who is merely connected cannot change, delete or replace anything."""
    with (
        closing(sqlite3.connect(sample / "audit.db")) as connection,
        pytest.raises(sqlite3.IntegrityError, match="limner:"),
    ):
        connection.execute(statement)


@pytest.mark.parametrize("position", [0, 4, 20, 30, 40, -1])
def test_a_changed_object_is_found(position: int, sample: Path, check: Callable[..., AuditReport]) -> None:
    """Any changed byte of a stored picture is an error that names the object."""
    path = next(path for path in sorted((sample / "assets").rglob("*")) if path.is_file())
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    report = check()
    assert ("objects", path.name) in {(finding.table, finding.key) for finding in report.findings}
    assert not report.ok


def test_a_missing_and_an_additional_object(sample: Path, check: Callable[..., AuditReport]) -> None:
    """A picture that is gone is an error; one that nobody refers to is said, since a killed write may leave it."""
    (sample / "assets" / "ab").mkdir(exist_ok=True)
    (sample / "assets" / "ab" / ("ab" + "0" * 62)).write_bytes(b"x")
    assert [str(finding.severity) for finding in check().findings] == ["information"]
    next(path for path in sorted((sample / "assets").rglob("*")) if path.stat().st_size > 1 and path.is_file()).unlink()
    located(check(), "objects")


@pytest.mark.parametrize("text", ["", "nonsense", "limner/x\n5\nAAAA\n\n— limner/x AAAA\n"])
def test_a_spoilt_anchor_is_an_error(text: str, sample: Path, check: Callable[..., AuditReport]) -> None:
    """An anchor that is no checkpoint of this log is an error."""
    (sample / "anchor").write_text(text)
    located(check(), "anchor")


def test_a_missing_anchor_is_a_warning(sample: Path, check: Callable[..., AuditReport]) -> None:
    """Without the anchor the log can be sound, and the report says what cannot be seen."""
    (sample / "anchor").unlink()
    assert [(finding.severity, finding.table) for finding in check().findings] == [("warning", "anchor")]


def test_an_erased_key_that_came_back_is_a_warning(
    sample: Path, tmp_path: Path, open_log: OpenLog, check: Callable[..., AuditReport]
) -> None:
    """Keys restored from a backup after an erasure are said, and gone after the next opening."""
    backup = (sample / "keys.db").read_bytes()
    with open_log(sample) as log:
        log.erase(subject="user-1")
    (sample / "keys.db").write_bytes(backup)
    report = check()
    assert report.ok
    assert {finding.severity for finding in report.findings} == {"warning"}
    open_log(sample).close()
    assert check().findings == []


def test_without_keys_payloads_are_checked_by_their_ids(
    sample: Path, check: Callable[..., AuditReport], attack: Callable[..., None]
) -> None:
    """An auditor without keys still finds a flipped ciphertext, and is told how much stayed closed."""
    (sample / "keys.db").unlink()
    shutil.rmtree(sample / "keys")
    report = check()
    assert report.ok
    assert (report.payloads_opened, report.payloads_not_opened, report.payloads_erased) == (0, 141, 39)
    attack("UPDATE payload SET blob = substr(blob, 1, 40) || x'00' || substr(blob, 42) WHERE rowid = 3")
    located(check(), "payload")


def test_progress_and_pure_path(sample: Path, open_log: OpenLog) -> None:
    """Progress is told in entries, and the tree can be checked without payloads."""
    seen: list[tuple[str, int, int]] = []
    with open_log(sample, read_only=True) as log:
        report = verify(log, payloads=False, on_progress=lambda *what: seen.append(what))
    assert seen[-1] == ("entries", report.size, report.size)
    assert report.payloads_opened == 0


def test_odd_records_and_clocks_are_said(log: AuditLog) -> None:
    """A record out of order is a warning with its index; the log itself is sound."""
    log.append("accepted", record="r-1")
    log.append("delivered", record="r-1").wait(10)
    report = verify(log)
    assert report.ok
    assert [(finding.severity, finding.key) for finding in report.findings] == [("warning", "2")]
    assert "delivered cannot follow accepted" in report.findings[0].what


def test_an_erasure_during_a_verification_is_no_alarm(tmp_path: Path, open_log: OpenLog) -> None:
    """Objects and keys that are erased while a verification runs are counted as erased, and nothing else is."""
    with open_log(tmp_path) as log, open_log(tmp_path, read_only=True) as reading:
        for number in range(1100):
            log.append("opened", data={"n": number})
        log.append("accepted", record="r-1", payloads={"p": 1, "image": b"x"}, subject="alice").wait(10)
        log.append("accepted", record="r-2", payloads={"p": 2}, subject="bob").wait(10)
        erased: list[object] = []

        def erase(_step: str, _done: int, _total: int) -> None:
            if not erased:
                erased.append(log.erase(subject="alice"))

        report = verify(reading, on_progress=erase)
    assert report.ok, report.findings
    assert (report.payloads_opened, report.payloads_erased) == (1, 2)


def restore(sample: Path, template: Path) -> None:
    """Put the databases back as they were."""
    for name in ("audit.db", "keys.db"):
        for path in sample.glob(f"{name}*"):
            path.unlink()
        for path in template.glob(f"{name}*"):
            shutil.copy(path, sample)


@pytest.fixture(autouse=True)
def _close_template(sample_template: Path) -> Iterator[None]:
    """Check after each test that nobody wrote into the template."""
    yield
    assert not list(sample_template.glob("*-wal"))
