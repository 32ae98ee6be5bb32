"""An adversary who may write everything but does not hold the log's signing key: what he tries is found."""

from __future__ import annotations

import random
import shutil
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from limner_provenance import schema
from limner_provenance.audit import AuditReport, verify
from limner_provenance.errors import AuditError
from limner_provenance.log import AuditLog

OpenLog = Callable[..., AuditLog]
RECORD = str(uuid.UUID(int=1, version=4))
HIDDEN = "INSERT INTO sqlite_master VALUES ('{kind}', '{name}', 'payload', 0, '{sql}')"
EVIL = "CREATE TRIGGER {name} AFTER INSERT ON {table} BEGIN DELETE FROM {table}; END"


@pytest.fixture
def state(tmp_path: Path, open_log: OpenLog) -> Path:
    """Give a small log: a record with payloads of both kinds, and three commits."""
    folder = tmp_path / "state"
    with open_log(folder) as log:
        log.append("accepted", record=RECORD, payloads={"prompt": "apple"}, subject="ann").wait()
        log.append("judged", record=RECORD, data={"stage": "request", "verdict": "allow"}).wait()
        log.append("planned", record=RECORD)
        log.append("attempted", record=RECORD).wait()
        log.append("produced", record=RECORD, payloads={"image": b"pixels" * 20}, subject="ann").wait()
    return folder


def run(state: Path, *statements: str | tuple[str, tuple[Any, ...]], database: str = "audit.db") -> None:
    """Run SQL as the owner of the file: triggers off and back on, the schema itself writable."""
    with closing(sqlite3.connect(state / database)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            connection.execute(*((statement,) if isinstance(statement, str) else statement))
        for trigger in schema.TRIGGERS if triggers else ():
            connection.execute(trigger)
        connection.commit()


def check(state: Path, open_log: OpenLog) -> AuditReport:
    """Verify the log as an auditor does."""
    with open_log(state, read_only=True) as log:
        return verify(log)


def errors(report: AuditReport, table: str) -> list[str]:
    """Give the errors of one place."""
    return [f.what for f in report.findings if f.severity == "error" and f.table == table]


@pytest.mark.parametrize("name", ["sqlite_stat_x", "sqlite_stat1", "sqlite_autoindex_x"])
@pytest.mark.parametrize(("database", "table"), [("audit.db", "payload"), ("keys.db", "data_key")])
def test_a_trigger_cannot_hide_behind_a_name_of_sqlites(
    name: str, database: str, table: str, state: Path, open_log: OpenLog
) -> None:
    """A trigger whose name looks like SQLite's own objects is an error of the schema."""
    sql = EVIL.format(name=name, table=table)
    run(state, HIDDEN.format(kind="trigger", name=name, sql=sql).replace("'payload'", f"'{table}'"), database=database)
    report = check(state, open_log)
    assert errors(report, "schema" if database == "audit.db" else "keys.db/schema")


def test_statistics_of_sqlites_own_are_no_alarm(state: Path, open_log: OpenLog) -> None:
    """ANALYZE changes nothing that an answer depends on."""
    run(state, "ANALYZE", "UPDATE sqlite_stat1 SET stat = '1 1 1'")
    assert check(state, open_log).findings == []


@pytest.mark.parametrize(
    "line", ["'— evil AAAAAAAAAA==' || char(10)", "substr(note, instr(note, '— '))", "'— ' || char(10)"]
)
def test_a_line_added_to_a_checkpoint_is_found(line: str, state: Path, open_log: OpenLog) -> None:
    """A stored checkpoint holds the log's own signature and nothing besides."""
    run(state, f"UPDATE checkpoint SET note = note || {line} WHERE size = 3")
    assert errors(check(state, open_log), "checkpoint")


def test_a_line_added_to_the_anchor_is_found(state: Path, open_log: OpenLog) -> None:
    """The anchor holds the log's own signature and nothing besides."""
    with (state / "anchor").open("a", encoding="utf-8") as anchor:
        anchor.write("— evil AAAAAAAAAA==\n")
    assert errors(check(state, open_log), "anchor")


@pytest.mark.parametrize("table", ["payload", "asset"])
def test_an_erased_row_that_came_back_is_an_error(table: str, state: Path, open_log: OpenLog) -> None:
    """Erased ciphertext that somebody put back is named with the entry that erased it."""
    with closing(sqlite3.connect(state / "audit.db")) as connection:
        kept = "blob" if table == "payload" else "key_id"
        row = connection.execute(f"SELECT id, {kept} FROM {table}").fetchone()
    before = {path: path.read_bytes() for path in (state / "assets").rglob("*") if path.is_file()}
    with open_log(state) as log:
        log.erase(subject="ann")
    assert check(state, open_log).ok
    run(state, (f"INSERT INTO {table} (id, {kept}) VALUES (?, ?)", row))
    for path, data in before.items():
        path.write_bytes(data)
    assert any("it is back" in what for what in errors(check(state, open_log), table))


def test_a_key_database_that_is_gone_is_an_error_for_who_holds_its_key(state: Path, open_log: OpenLog) -> None:
    """All payloads lost is no mere information, but an auditor without any key is not alarmed."""
    (state / "keys.db").unlink()
    assert errors(check(state, open_log), "keys.db")
    (state / "keys" / "kek").unlink()
    assert check(state, open_log).ok


def _cells(state: Path, database: str) -> list[tuple[str, int, str]]:
    """Give every stored cell: table, row and column."""
    with closing(sqlite3.connect(state / database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return [
            (table, row, column[1])
            for (table,) in tables
            for column in connection.execute(f"PRAGMA table_info({table})").fetchall()
            for (row,) in connection.execute(f"SELECT rowid FROM {table}").fetchall()
        ]


def _mutated(value: Any, random: random.Random) -> Any:
    """Change a value a little: a bit, a byte more or less, another type, another case, a zero byte, nothing left."""
    if isinstance(value, int):
        return random.choice([value + 1, -value - 1, value + 2**40, f"{value}x", str(value).encode(), value + 0.5])
    raw = value.encode() if isinstance(value, str) else bytes(value)
    at = random.randrange(len(raw)) if raw else 0
    flipped = raw[:at] + bytes([raw[at] ^ 1 << random.randrange(7)]) + raw[at + 1 :] if raw else b"x"
    changed = random.choice([flipped, raw[:at], raw[:at] + raw[at + 1 :], raw + b"\0", raw + b"\n", b" " + raw, b""])
    if isinstance(value, bytes):
        return random.choice([changed, value.decode("latin-1"), value.hex()])
    text = changed.decode("utf-8", "replace")
    return random.choice([text, text, value.encode(), value.swapcase(), value + "\u0301"])


def _one_change(state: Path, database: str, random: random.Random) -> str:
    """Apply one change to one cell or row, and say what was done; empty where it comes out the same."""
    table, row, column = random.choice(_cells(state, database))
    with closing(sqlite3.connect(state / database)) as connection:
        before = connection.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (row,)).fetchone()[0]
    if random.randrange(6) == 0:
        run(state, (f"DELETE FROM {table} WHERE rowid = ?", (row,)), database=database)
        return f"{database} {table} row {row} deleted"
    value = _mutated(before, random)
    try:
        run(state, (f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row)), database=database)
    except sqlite3.Error:
        return ""
    with closing(sqlite3.connect(state / database)) as connection:
        connection.text_factory = bytes
        query = f"SELECT {column}, typeof({column}) FROM {table} WHERE {column} = CAST(? AS BLOB) OR {column} = ?"
        raw = before.encode() if isinstance(before, str) else before
        same = connection.execute(query, (raw, before)).fetchall()
        kind = {int: b"integer", str: b"text", bytes: b"blob"}[type(before)]
        stayed = any(found[1] == kind and found[0] == raw for found in same)
    return "" if stayed and value == before else f"{database} {table}.{column} row {row}: {before!r} -> {value!r}"


@pytest.mark.parametrize("seed", range(6))
def test_any_single_change_is_found(seed: int, state: Path, tmp_path: Path, open_log: OpenLog) -> None:
    """Random changes of any cell or row of both databases, a byte of any object or of the anchor: each is a finding."""
    chance = random.Random(seed)
    for number in range(25):
        copy = Path(shutil.copytree(state, tmp_path / f"copy-{number}"))
        files = [copy / "anchor", *(path for path in (copy / "assets").rglob("*") if path.is_file())]
        if number % 5 == 0:
            file = chance.choice(files)
            data = bytearray(file.read_bytes())
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            file.write_bytes(data)
            done = f"{file.name} changed"
        else:
            done = _one_change(copy, chance.choice(["audit.db", "audit.db", "keys.db"]), chance)
        if done:
            try:
                found = not check(copy, open_log).ok
            except AuditError:
                found = True  # it does not even open
            assert found, done
        shutil.rmtree(copy)
