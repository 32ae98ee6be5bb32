"""The SQL of the databases, frozen: a database made today must look the same to every later version of every library.

`tables.py` declares the same for SQLAlchemy (a test compares the two). A later schema adds a tuple of its own and a
revision that runs it; what stands here never changes.
"""

from __future__ import annotations

FIRST = (
    "CREATE TABLE asset ( id TEXT NOT NULL, key_id TEXT NOT NULL, PRIMARY KEY (id) )",
    (
        "CREATE TABLE checkpoint ( size INTEGER NOT NULL, previous INTEGER NOT NULL, note TEXT NOT NULL, edge "
        "BLOB NOT NULL, PRIMARY KEY (size) )"
    ),
    (
        "CREATE TABLE entry ( idx INTEGER NOT NULL, leaf TEXT NOT NULL, record TEXT GENERATED ALWAYS AS "
        "(json_extract(leaf, '$.record')) VIRTUAL, step TEXT GENERATED ALWAYS AS (json_extract(leaf, "
        "'$.step')) VIRTUAL, time TEXT GENERATED ALWAYS AS (json_extract(leaf, '$.time')) VIRTUAL, PRIMARY "
        "KEY (idx) )"
    ),
    "CREATE TABLE erasure ( id TEXT NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (id) )",
    (
        "CREATE TABLE payload ( id TEXT NOT NULL, blob BLOB NOT NULL, key_id TEXT GENERATED ALWAYS AS "
        "(lower(hex(substr(blob, 6, 16)))) VIRTUAL, PRIMARY KEY (id) )"
    ),
    (
        "CREATE TABLE tile ( level INTEGER NOT NULL, idx INTEGER NOT NULL, root BLOB NOT NULL, hashes BLOB "
        "NOT NULL, PRIMARY KEY (level, idx) )"
    ),
    "CREATE INDEX asset_key_id ON asset (key_id)",
    "CREATE INDEX entry_record ON entry (record, idx)",
    "CREATE INDEX entry_step ON entry (step, idx)",
    "CREATE INDEX entry_time ON entry (time, idx)",
    "CREATE INDEX payload_key_id ON payload (key_id)",
    (
        "CREATE TRIGGER asset_delete BEFORE DELETE ON asset WHEN NOT EXISTS (SELECT 1 FROM erasure WHERE "
        "erasure.id = OLD.id) BEGIN SELECT RAISE(ABORT, 'limner: assets go only by erasure'); END"
    ),
    (
        "CREATE TRIGGER asset_insert BEFORE INSERT ON asset WHEN EXISTS (SELECT 1 FROM asset WHERE asset.id = "
        "NEW.id) BEGIN SELECT RAISE(ABORT, 'limner: assets never change'); END"
    ),
    (
        "CREATE TRIGGER asset_update BEFORE UPDATE ON asset WHEN 1 BEGIN SELECT RAISE(ABORT, 'limner: assets "
        "never change'); END"
    ),
    (
        "CREATE TRIGGER checkpoint_delete BEFORE DELETE ON checkpoint WHEN 1 BEGIN SELECT RAISE(ABORT, "
        "'limner: checkpoints are never deleted'); END"
    ),
    (
        "CREATE TRIGGER checkpoint_insert BEFORE INSERT ON checkpoint WHEN NEW.size <= (SELECT "
        "COALESCE(MAX(size), 0) FROM checkpoint) BEGIN SELECT RAISE(ABORT, 'limner: checkpoints only grow'); "
        "END"
    ),
    (
        "CREATE TRIGGER checkpoint_update BEFORE UPDATE ON checkpoint WHEN 1 BEGIN SELECT RAISE(ABORT, "
        "'limner: checkpoints never change'); END"
    ),
    (
        "CREATE TRIGGER entry_delete BEFORE DELETE ON entry WHEN 1 BEGIN SELECT RAISE(ABORT, 'limner: entries "
        "are never deleted'); END"
    ),
    (
        "CREATE TRIGGER entry_insert BEFORE INSERT ON entry WHEN NEW.idx IS NOT (SELECT COALESCE(MAX(idx) + "
        "1, 0) FROM entry) BEGIN SELECT RAISE(ABORT, 'limner: entries follow in order'); END"
    ),
    (
        "CREATE TRIGGER entry_update BEFORE UPDATE ON entry WHEN 1 BEGIN SELECT RAISE(ABORT, 'limner: entries "
        "never change'); END"
    ),
    (
        "CREATE TRIGGER erasure_delete BEFORE DELETE ON erasure WHEN 1 BEGIN SELECT RAISE(ABORT, 'limner: "
        "erasures are never deleted'); END"
    ),
    (
        "CREATE TRIGGER erasure_insert BEFORE INSERT ON erasure WHEN NOT EXISTS (SELECT 1 FROM entry WHERE "
        "entry.idx = NEW.idx AND entry.step = 'erased' AND instr(entry.leaf, '\"' || NEW.id || '\"') > 0) OR "
        "EXISTS (SELECT 1 FROM erasure WHERE erasure.id = NEW.id) BEGIN SELECT RAISE(ABORT, 'limner: an "
        "erasure needs its entry'); END"
    ),
    (
        "CREATE TRIGGER erasure_update BEFORE UPDATE ON erasure WHEN 1 BEGIN SELECT RAISE(ABORT, 'limner: "
        "erasures never change'); END"
    ),
    (
        "CREATE TRIGGER payload_delete BEFORE DELETE ON payload WHEN NOT EXISTS (SELECT 1 FROM erasure WHERE "
        "erasure.id = OLD.id) BEGIN SELECT RAISE(ABORT, 'limner: payloads go only by erasure'); END"
    ),
    (
        "CREATE TRIGGER payload_insert BEFORE INSERT ON payload WHEN EXISTS (SELECT 1 FROM payload WHERE "
        "payload.id = NEW.id) BEGIN SELECT RAISE(ABORT, 'limner: payloads never change'); END"
    ),
    (
        "CREATE TRIGGER payload_update BEFORE UPDATE ON payload WHEN 1 BEGIN SELECT RAISE(ABORT, 'limner: "
        "payloads never change'); END"
    ),
    (
        "CREATE TRIGGER tile_delete BEFORE DELETE ON tile WHEN 1 BEGIN SELECT RAISE(ABORT, 'limner: tiles are "
        "never deleted'); END"
    ),
    (
        "CREATE TRIGGER tile_insert BEFORE INSERT ON tile WHEN EXISTS (SELECT 1 FROM tile WHERE tile.level = "
        "NEW.level AND tile.idx = NEW.idx) BEGIN SELECT RAISE(ABORT, 'limner: tiles never change'); END"
    ),
    (
        "CREATE TRIGGER tile_update BEFORE UPDATE ON tile WHEN 1 BEGIN SELECT RAISE(ABORT, 'limner: tiles "
        "never change'); END"
    ),
)
"""The audit database of revision 0001: tables, indexes, and the triggers by which the database itself refuses changes,
whoever is connected. INSERT OR REPLACE deletes without firing a delete trigger, hence the conditions on inserts.
Somebody who owns the file can drop triggers: `audit verify` says so, and the tree says what was changed."""

VERSION = (
    "CREATE TABLE alembic_version ( version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num) )"
)
"""alembic's own table, in alembic's words."""

KEYS = (
    "CREATE TABLE data_key ( id TEXT NOT NULL, subject TEXT NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (id) )",
    "CREATE TABLE kek ( fingerprint TEXT NOT NULL, PRIMARY KEY (fingerprint) )",
    "CREATE INDEX data_key_subject ON data_key (subject)",
)
"""The key database."""
