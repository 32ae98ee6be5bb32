"""Attacks on the whole history: cut, rolled back, forked, signed anew; with and without stolen keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.matrix import Row, attack
from faults.world import World, open_at
from rewriting import rewrite

from limner_provenance.audit import verify
from limner_provenance.checkpoint import Signer
from limner_provenance.errors import DatabaseVersion, KeyUnavailable, LogCorrupt

WRITER = "who can write the database"
VERIFY = "`limner audit verify`"
EXPORTED = "`limner audit verify --checkpoint FILE`, with a checkpoint exported before"
THIEF = "the operator, or a thief of database and log key"


@attack(
    "cut the end off together with its checkpoints",
    who=WRITER,
    by=VERIFY + " (the anchor file), and the next opening",
    said="its end was cut off",
)
def test_a_tail_cut_with_its_checkpoints(world: World, row: Row) -> None:
    """The database alone is sound; the anchor outside it remembers, and appending is refused."""
    world.sql("DELETE FROM checkpoint WHERE size > ?", world.size - 6)
    for table in ("entry", "erasure"):
        world.sql(f"DELETE FROM {table} WHERE idx >= (SELECT MAX(size) FROM checkpoint)")
    row.confirm_finding(world.check(), "anchor", world.size)
    with pytest.raises(LogCorrupt, match="the database has"):
        open_at(world.state)


@attack(
    "roll the database back to an old copy",
    who=WRITER,
    by=VERIFY + " (the anchor file), and the next opening",
    said="its end was cut off",
)
def test_a_rolled_back_database(world: World, row: Row) -> None:
    """An older copy of the database is older than the anchor beside it."""
    old = world.copy("old")
    world.append(3)
    world.take_from(old, "audit.db")
    row.confirm_finding(world.check(), "anchor", world.size + 3)
    with pytest.raises(LogCorrupt, match="rolled back or cut"):
        open_at(world.state)


@attack(
    "roll database, anchor and keys back to an old copy",
    who="the operator, or who can write all of the machine",
    by=EXPORTED,
    said="its end was cut off",
)
def test_everything_rolled_back(world: World, row: Row) -> None:
    """Nothing on the machine shows it, which is said here too; what somebody took away does."""
    old = world.copy("old")
    exported = world.append(3)
    assert old.check().ok
    row.confirm_finding(old.check(checkpoint=exported), "checkpoint file", world.size + 3)


@attack(
    "roll everything back and append other entries, as many as before",
    who="the operator, or who can write all of the machine and use its keys",
    by=EXPORTED,
    said="It has another root at … entries: history was rewritten before that.",
)
def test_a_fork(world: World, row: Row) -> None:
    """Two histories of one length, both signed: either one's checkpoint convicts the other."""
    other = world.copy("other")
    exported, forked = world.append(3), other.append(3)
    assert (world.check().ok, other.check().ok) == (True, True)
    row.confirm_finding(other.check(checkpoint=exported), "checkpoint file", world.size + 3)
    row.confirm_finding(world.check(checkpoint=forked), "checkpoint file", world.size + 3)


@attack(
    "rewrite an entry, hash and sign everything anew with the stolen log key",
    who=THIEF,
    by=EXPORTED,
    said="It has another root at … entries: history was rewritten before that.",
)
def test_a_rewritten_and_signed_history(world: World, row: Row, tmp_path: Path) -> None:
    """A history forged with every secret of the machine is sound in itself, and not the one that was exported."""
    with open_at(world.state, read_only=True) as log:
        leaves = [entry.leaf for entry in log.entries()]
    leaves[9] = leaves[9].replace('"verdict":"allow"', '"verdict":"deny"')
    forged = world.copy("forged")
    for name in ("audit.db", "anchor"):
        (forged.state / name).unlink()
    rewrite(forged.state, world.signer(), leaves)
    with open_at(forged.state, read_only=True) as log:
        assert verify(log, payloads=False, vkey=world.vkey).ok
        row.confirm_finding(
            verify(log, payloads=False, vkey=world.vkey, checkpoint=world.exported), "checkpoint file", world.size
        )


@attack(
    "rewrite history and sign it with another key",
    who=WRITER,
    by="`limner audit verify --log-key KEY`, with the key noted before",
    said="The log's key is not the pinned key.",
)
def test_a_history_of_another_key(world: World, row: Row) -> None:
    """A log that vouches for itself with a key of its own is not the one that was pinned."""
    with open_at(world.state, read_only=True) as log:
        leaves, origin = [entry.leaf for entry in log.entries()], log.origin
    mine = Signer(origin, bytes(range(32)))
    leaves[0] = leaves[0].replace(world.vkey, mine.vkey)
    forged = world.copy("forged")
    for name in ("audit.db", "anchor", "keys"):
        forged.sql("SELECT 1")
        path = forged.state / name
        path.rename(path.with_name(f"{name}.gone"))
    rewrite(forged.state, mine, leaves)
    with open_at(forged.state, read_only=True) as log:
        assert verify(log, payloads=False).ok
        row.confirm_finding(verify(log, payloads=False, vkey=world.vkey), "entry", 0)


@attack(
    "sign new checkpoints with a key that is not the log's",
    who=WRITER,
    by=VERIFY,
    said="The checkpoint is not signed by the log's key.",
)
def test_a_checkpoint_of_another_key(world: World, row: Row) -> None:
    """A checkpoint by a stranger's key under the log's name is named."""
    stranger = Signer(world.vkey.split("+")[0], bytes(32))
    with open_at(world.state, read_only=True) as log:
        head = log.head()
    world.sql("UPDATE checkpoint SET note = ? WHERE size = ?", stranger.sign(head.size, head.root), head.size)
    row.confirm_finding(world.check(), "checkpoint", head.size, "note")


@attack(
    "replace the log's key file", who="who can write the key folder", by="the next opening", said="is of another log"
)
def test_a_replaced_key_file(world: World, row: Row) -> None:
    """Nothing is appended under a key that is not the log's."""
    path = world.state / "keys" / "log.ed25519"
    path.write_text(Signer("limner/stranger", bytes(32)).skey() + "\n")
    with pytest.raises(KeyUnavailable) as caught:
        open_at(world.state)
    row.confirm(str(caught.value))


@attack("change the anchor", who="who can write the state folder", by=VERIFY, said="signature is wrong")
def test_a_changed_anchor(world: World, row: Row) -> None:
    """The anchor is signed as every checkpoint is."""
    path = world.state / "anchor"
    text = path.read_text()
    path.write_text(text.replace(f"\n{world.size}\n", f"\n{world.size + 1}\n"))
    row.confirm_finding(world.check(), "anchor")


@attack(
    "delete the anchor",
    who="who can write the state folder",
    by=VERIFY + " (a warning: the log itself may be sound)",
    said="a tail cut off would not be seen",
)
def test_a_deleted_anchor(world: World, row: Row) -> None:
    """Its absence is said, since it hides a cut tail."""
    (world.state / "anchor").unlink()
    report = world.check()
    assert report.ok
    row.confirm(str(report.findings[0]))


@attack(
    "open a database of a newer Limner",
    who="an old installation",
    by="opening",
    said="which this Limner does not know",
)
def test_a_newer_database(world: World, row: Row) -> None:
    """A newer database is refused before anything else is read."""
    world.sql("UPDATE alembic_version SET version_num = '9999'")
    for read_only in (True, False):
        with pytest.raises(DatabaseVersion) as caught:
            open_at(world.state, read_only=read_only)
        row.confirm(str(caught.value))


@attack(
    "rotate the log's key",
    who="the operator, as he should now and then",
    by="nothing to find: old keys and old checkpoints stay good, `limner audit verify` follows the rotation",
    said="VALID",
)
def test_a_rotated_key(world: World, row: Row) -> None:
    """Who pinned the first key and kept an old checkpoint still finds the log VALID after a rotation."""
    with open_at(world.state) as log:
        log.rotate_key()
        log.append("opened", data={"n": 1}).wait(10)
    report = world.check(vkey=world.vkey, checkpoint=world.exported)
    assert ([item for item in report.findings if item.severity == "error"], report.rotations) == ([], 1)
    row.confirm(report.verdict)


@attack(
    "sign a new checkpoint with an old, rotated-out key",
    who="a thief of the old key who can write the database",
    by=VERIFY,
    said="The checkpoint is not signed by the log's key.",
)
def test_a_checkpoint_of_a_key_that_was_rotated_out(world: World, row: Row) -> None:
    """From the rotation on only the new key signs."""
    old = world.signer()
    with open_at(world.state) as log:
        log.rotate_key()
        log.append("opened", data={"n": 1}).wait(10)
        head = log.head()
    world.sql("UPDATE checkpoint SET note = ? WHERE size = ?", old.sign(head.size, head.root), head.size)
    row.confirm_finding(world.check(), "checkpoint", head.size, "note")


@attack(
    "go back to before a rotation and continue with the stolen old key",
    who="a thief of the old key and of the whole machine's old backup",
    by=EXPORTED,
    said="The checkpoint is not signed by the log's key.",
)
def test_a_history_continued_with_the_old_key(world: World, row: Row) -> None:
    """A checkpoint by the new key convicts whoever continues the log as if the rotation had never been."""
    old = world.copy("old")
    with open_at(world.state) as log:
        log.rotate_key()
        log.append("opened", data={"n": 1}).wait(10)
        exported = log.head().note
    old.append(1)
    row.confirm_finding(old.check(checkpoint=exported), "checkpoint file")
