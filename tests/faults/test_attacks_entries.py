"""Attacks on entries, the tree and payloads by somebody who may write the database but holds no key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from faults.matrix import ANYTHING, Row, attack
from faults.world import World, record_id

from limner_provenance import tables

WRITER = "who can write the database"
VERIFY = "`limner audit verify`"
COLUMNS = [
    (table.name, column.name)
    for table in tables.AuditBase.metadata.sorted_tables
    for column in table.columns
    if column.computed is None and table.name != "alembic_version"
]


def flipped(value: int | str | bytes, *, key: bool) -> int | str | bytes:
    """Flip one bit of a stored value: of the byte in the middle, or of an integer (a high one where it is a key)."""
    if isinstance(value, int):
        return value ^ 1 << (20 if key else 0)
    at = len(value) // 2
    if isinstance(value, str):
        while not value[at].isalnum():
            at += 1
        return value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[".".join(pair) for pair in COLUMNS])
@attack("flip one bit in any column of any table", who=WRITER, by=VERIFY, said=ANYTHING)
def test_a_flipped_bit_in_any_column(table: str, column: str, world: World, row: Row) -> None:
    """One bit of the middle row of any column is an error that names the table, and the row where it keeps its name."""
    keys = [held.name for held in tables.AuditBase.metadata.tables[table].primary_key]
    (rowid, value, *key) = world.sql(
        f"SELECT rowid, {column}, {', '.join(keys)} FROM {table} ORDER BY rowid "
        f"LIMIT 1 OFFSET (SELECT COUNT(*) / 2 FROM {table})"
    )[0]
    world.sql(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", flipped(value, key=column in keys), rowid)
    report = world.check()
    if column in keys:
        # Under another name the row is missing where it belongs, or is one too many where it stands now.
        row.confirm_finding(report, table)
    elif table == "tile":
        row.confirm_finding(report, table, f"level {key[0]} idx {key[1]}")
    else:
        row.confirm_finding(report, table, key[0])


@attack(
    "change an entry (its verdict, cost, model …) into another well-formed one",
    who=WRITER,
    by=VERIFY,
    said="The entry was changed: its hash is not the one in its tile.",
)
def test_a_changed_entry(world: World, row: Row) -> None:
    """The very entry is named, and nothing else is called wrong."""
    world.put_leaf(9, world.leaf(9).replace('"verdict":"allow"', '"verdict":"deny"'))
    report = world.check()
    row.confirm_finding(report, "entry", 9, "leaf")
    assert [item.key for item in report.findings if item.severity == "error"] == ["9"]


@attack(
    "change an entry in the newest, not yet full tile",
    who=WRITER,
    by=VERIFY,
    said="the signed checkpoint of … entries has another root",
)
def test_a_changed_entry_near_the_end(world: World, row: Row) -> None:
    """Without a full tile above it the entry is located to its commit."""
    assert world.size > 300
    world.put_leaf(300, world.leaf(300).replace('"time":"2', '"time":"3'))
    report = world.check()
    (error,) = [item for item in report.findings if item.severity == "error"]
    assert abs(int(error.key) - 300) <= 4
    row.confirm_finding(report, "entry", error.key, "leaf")


@attack("date an entry back", who=WRITER, by=VERIFY, said="The entry was changed: its hash is not the one in its tile.")
def test_a_changed_time(world: World, row: Row) -> None:
    """A time is part of what is hashed."""
    time = json.loads(world.leaf(50))["time"]
    world.put_leaf(50, world.leaf(50).replace(time, "2020" + time[4:]))
    row.confirm_finding(world.check(), "entry", 50, "leaf")


@attack("delete an entry in the middle", who=WRITER, by=VERIFY, said="Entries are missing: after 119 comes 121.")
def test_a_deleted_entry(world: World, row: Row) -> None:
    """The gap is named."""
    world.sql("DELETE FROM entry WHERE idx = 120")
    row.confirm_finding(world.check(), "entry", 120, "idx")


@attack(
    "delete an entry in the middle and move the later ones up",
    who=WRITER,
    by=VERIFY,
    said="The entry was changed: its hash is not the one in its tile.",
)
def test_a_deleted_entry_closed_up(world: World, row: Row) -> None:
    """Every entry that moved is named, the first of them first."""
    world.sql("DELETE FROM entry WHERE idx = 120")
    world.sql("UPDATE entry SET idx = -idx WHERE idx > 120")
    world.sql("UPDATE entry SET idx = -idx - 1 WHERE idx < 0")
    report = world.check()
    assert report.first_error is not None
    row.confirm_finding(report, "entry", 120, "leaf")


@attack(
    "insert an entry in the middle and move the later ones down",
    who=WRITER,
    by=VERIFY,
    said="The entry was changed: its hash is not the one in its tile.",
)
def test_an_inserted_entry(world: World, row: Row) -> None:
    """The inserted entry is named."""
    world.sql("UPDATE entry SET idx = -idx - 1 WHERE idx >= 120")
    world.sql("UPDATE entry SET idx = -idx WHERE idx < 0")
    world.sql("INSERT INTO entry (idx, leaf) VALUES (120, ?)", world.leaf(20))
    row.confirm_finding(world.check(), "entry", 120, "leaf")


@attack("add an entry at the end", who=WRITER, by=VERIFY, said="are covered by no checkpoint")
def test_an_entry_added_at_the_end(world: World, row: Row) -> None:
    """An entry without a signature above it is named."""
    world.sql("INSERT INTO entry (idx, leaf) VALUES (?, ?)", world.size, world.leaf(20))
    row.confirm_finding(world.check(), "entry", world.size)


@attack("swap two entries", who=WRITER, by=VERIFY, said="The entry was changed: its hash is not the one in its tile.")
def test_two_swapped_entries(world: World, row: Row) -> None:
    """Both are named, and nothing else is called wrong."""
    one, other = world.leaf(30), world.leaf(31)
    world.put_leaf(30, other)
    world.put_leaf(31, one)
    report = world.check()
    for index in (30, 31):
        row.confirm_finding(report, "entry", index, "leaf")
    assert {item.key for item in report.findings if item.severity == "error"} == {"30", "31"}


@attack(
    "cut entries off at the end", who=WRITER, by=VERIFY, said="This checkpoint is of a larger log: entries are missing"
)
def test_a_cut_tail(world: World, row: Row) -> None:
    """The checkpoints that are left over tell of the missing entries."""
    world.sql("DELETE FROM entry WHERE idx >= ?", world.size - 1)
    row.confirm_finding(world.check(), "checkpoint", world.size)


@attack("delete a checkpoint", who=WRITER, by=VERIFY, said="One is missing, or the column was changed.")
def test_a_deleted_checkpoint(world: World, row: Row) -> None:
    """The next checkpoint names the one before it."""
    sizes = [item[0] for item in world.sql("SELECT size FROM checkpoint ORDER BY size")]
    world.sql("DELETE FROM checkpoint WHERE size = ?", sizes[40])
    row.confirm_finding(world.check(), "checkpoint", sizes[41], "previous")


@attack(
    "change an entry, and recompute tiles, edges and checkpoint texts above it",
    who="who can write the database, without the log's key",
    by=VERIFY,
    said="The checkpoint's signature is wrong.",
)
def test_a_history_hashed_anew_without_the_key(world: World, row: Row) -> None:
    """Whatever is recomputed, the signatures are missing, and the first wrong one is named."""
    from limner_provenance.checkpoint import Checkpoint
    from limner_provenance.merkle import leaf_hash
    from limner_provenance.tiles import GrowingTree

    world.put_leaf(9, world.leaf(9).replace('"verdict":"allow"', '"verdict":"deny"'))
    notes = dict(world.sql("SELECT size, note FROM checkpoint"))
    origin, tree = world.vkey.split("+")[0], GrowingTree()
    forged = []
    for (leaf,) in world.sql("SELECT leaf FROM entry ORDER BY idx"):
        tree.append(leaf_hash(leaf.encode()))
        if tree.size in notes and tree.size > 9:
            text = Checkpoint(origin, tree.size, tree.edge.root()).text()
            note = text + notes[tree.size][notes[tree.size].index("\n\n") + 1 :]
            forged.append((note, tree.edge.to_bytes(), tree.size))
    for line in forged:
        world.sql("UPDATE checkpoint SET note = ?, edge = ? WHERE size = ?", *line)
    for tile in tree.new_tiles:
        world.sql("UPDATE tile SET hashes = ?, root = ? WHERE level = ? AND idx = ?", *(
            tile["hashes"], tile["root"], tile["level"], tile["idx"],
        ))  # fmt: skip
    report = world.check()
    row.confirm_finding(report, "checkpoint", forged[0][2], "note")
    assert report.first_error is not None
    assert report.first_error.key == str(forged[0][2])


@attack(
    "change what is encrypted (a prompt, a manifest, a policy input)",
    who=WRITER,
    by=VERIFY + ", without any key too",
    said="its SHA-256 is not its id",
)
def test_a_changed_payload(world: World, row: Row) -> None:
    """A ciphertext is named by its own hash, so no key is needed to find that it was changed."""
    name = world.payload_of(7, "prompt")
    blob = world.sql("SELECT blob FROM payload WHERE id = ?", name)[0][0]
    world.sql("UPDATE payload SET blob = ? WHERE id = ?", blob[:-1] + bytes([blob[-1] ^ 1]), name)
    row.confirm_finding(world.check(), "payload", name, "blob")
    shutil.rmtree(world.state / "keys")
    row.confirm_finding(world.check(), "payload", name, "blob")


@attack("delete a payload without an erasure", who=WRITER, by=VERIFY, said="is missing, and no erasure explains that.")
def test_a_deleted_payload(world: World, row: Row) -> None:
    """The payload, its name and its entry are named."""
    name = world.payload_of(7, "prompt")
    world.sql("DELETE FROM payload WHERE id = ?", name)
    row.confirm_finding(world.check(), "payload", name)


@attack(
    "delete a payload and forge the erasure's row", who=WRITER, by=VERIFY, said="No entry says that this was erased."
)
def test_a_forged_erasure(world: World, row: Row) -> None:
    """The table of erasures holds what `erased` entries say, and nothing else."""
    name = world.payload_of(7, "prompt")
    world.sql("DELETE FROM payload WHERE id = ?", name)
    world.sql("INSERT INTO erasure (id, idx) SELECT ?, MIN(idx) FROM erasure", name)
    row.confirm_finding(world.check(), "erasure", name, "id")


@attack("hide an erasure's row", who=WRITER, by=VERIFY, said="erased this, but the row is missing.")
def test_a_hidden_erasure(world: World, row: Row) -> None:
    """What the log says was erased stands in the table of erasures."""
    ((name,),) = world.sql("SELECT id FROM erasure ORDER BY id LIMIT 1")
    world.sql("DELETE FROM erasure WHERE id = ?", name)
    row.confirm_finding(world.check(), "erasure", name)


@attack("add a payload that no entry names", who=WRITER, by=VERIFY, said="No entry refers to this row.")
def test_an_added_payload(world: World, row: Row) -> None:
    """A row too many is named."""
    world.sql("INSERT INTO payload (id, blob) VALUES (?, ?)", "ab" * 32, b"lmnr\x01" + bytes(60))
    row.confirm_finding(world.check(), "payload", "ab" * 32, "id")


def _picture(world: World) -> Path:
    """Give a stored picture's file."""
    return next(path for path in sorted((world.state / "assets").rglob("*")) if path.is_file())


@attack("change a stored picture", who="who can write the asset store", by=VERIFY, said="its SHA-256 is not its id")
def test_a_changed_picture(world: World, row: Row) -> None:
    """Any changed byte of a stored object is found, and the object is named."""
    path = _picture(world)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    row.confirm_finding(world.check(), "objects", path.name)


@attack("delete a stored picture", who="who can write the asset store", by=VERIFY, said="is missing")
def test_a_deleted_picture(world: World, row: Row) -> None:
    """The missing object is named."""
    path = _picture(world)
    path.unlink()
    row.confirm_finding(world.check(), "objects", path.name)


@attack(
    "destroy a data key without an erasure",
    who="who can write the key database",
    by=VERIFY + ", with the key-encryption key",
    said="The data key … is not in … Restore the key database",
)
def test_a_destroyed_data_key(world: World, row: Row) -> None:
    """What no longer opens is an error that names the key, unless the log says that it was erased."""
    key = world.sql("SELECT key_id FROM payload WHERE id = ?", world.payload_of(7, "prompt"))[0][0]
    world.sql("DELETE FROM data_key WHERE id = ?", key, database="keys.db")
    row.confirm_finding(world.check(), "keys.db/data_key", key)


@attack(
    "hide a trigger, table or view in the database, or drop one of ours",
    who=WRITER,
    by=VERIFY,
    said="A trigger that does not belong here.",
)
def test_a_hidden_trigger(world: World, row: Row) -> None:
    """The schema is compared with the one that Limner makes."""
    world.sql("CREATE TRIGGER sly AFTER INSERT ON entry BEGIN DELETE FROM payload; END")
    world.sql("CREATE TRIGGER sly AFTER INSERT ON entry BEGIN DELETE FROM payload; END")
    row.confirm_finding(world.check(), "schema", "sly")


def test_the_untouched_world_is_valid(world: World) -> None:
    """Without an attack there is no finding, so that whatever the others find is the attack."""
    report = world.check(vkey=world.vkey, checkpoint=world.exported)
    assert (report.findings, report.verdict, report.trust) == ([], "VALID-WITH-ERASURE", "pinned")
    assert report.payloads_erased > 10
    assert record_id(0) != record_id(1)
