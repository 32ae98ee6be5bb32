"""A log to be attacked: a filled one, a copy for each test, and the tools of somebody who owns its files."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner_provenance import schema
from limner_provenance.audit import AuditReport, verify
from limner_provenance.checkpoint import Signer
from limner_provenance.log import AuditLog

RECORDS = 44
ERASED = "user-3"


def open_at(state: Path, *, read_only: bool = False) -> AuditLog:
    """Open the log whose whole state lies in one folder."""
    return AuditLog.open(f"sqlite:///{state / 'audit.db'}", state=state, read_only=read_only)


def record_id(number: int) -> str:
    """Give the id of a record."""
    return str(uuid.UUID(int=number + 1, version=4))


def fill(state: Path) -> None:
    """Write 300 entries and more: records with payloads of both kinds, one full tile, an erased subject."""
    with open_at(state) as log:
        for number in range(RECORDS):
            record, subject = record_id(number), f"user-{number % 5}"
            log.append("accepted", record=record, payloads={"prompt": f"apple {number}"}, subject=subject)
            log.append("judged", record=record, data={"stage": "request", "verdict": "allow"})
            log.append("planned", record=record)
            log.append("attempted", record=record).wait(10)
            image = {"image": bytes([number]) * 40} if number % 9 in (0, 3) else {}
            log.append("produced", record=record, payloads=image, subject=subject)
            log.append("judged", record=record, data={"stage": "image", "verdict": "allow"})
            log.append("sealed", record=record, payloads={"manifest": f"M{number}"}, subject=subject).wait(10)
        log.erase(subject=ERASED)
        log.append("accepted", record=record_id(900)).wait(10)


@dataclass(slots=True)
class World:
    """A copy of the filled log that may be ruined.

    Attributes:
        state: its folder.
        exported: a checkpoint of the whole log that an auditor took away.
        vkey: the log's verifier key as he noted it.
        size: its entries then.
    """

    state: Path
    exported: str
    vkey: str
    size: int

    def check(self, **options: Any) -> AuditReport:
        """Verify as an auditor does."""
        with open_at(self.state, read_only=True) as log:
            return verify(log, **options)

    def sql(self, statement: str, *parameters: Any, database: str = "audit.db") -> list[Any]:
        """Run SQL as the owner of the file: triggers off, and back on afterwards."""
        with closing(sqlite3.connect(self.state / database)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for (name,) in found:
                connection.execute(f"DROP TRIGGER {name}")
            answer = connection.execute(statement, parameters).fetchall()
            for trigger in schema.TRIGGERS if found else ():
                connection.execute(trigger)
            connection.commit()
        return answer

    def leaf(self, index: int) -> str:
        """Give the text of an entry as it is stored."""
        return str(self.sql("SELECT leaf FROM entry WHERE idx = ?", index)[0][0])

    def put_leaf(self, index: int, leaf: str) -> None:
        """Write another text over an entry."""
        self.sql("UPDATE entry SET leaf = ? WHERE idx = ?", leaf, index)

    def payload_of(self, record: int, name: str) -> str:
        """Give the id of a payload of a record."""
        with open_at(self.state, read_only=True) as log:
            return next(entry.payloads[name].id for entry in log.record(record_id(record)) if name in entry.payloads)

    def append(self, count: int = 1) -> str:
        """Append entries as the program does, and give the newest checkpoint."""
        with open_at(self.state) as log:
            for number in range(count):
                log.append("opened", data={"n": number}).wait(10)
            return log.head().note

    def signer(self) -> Signer:
        """Steal the log's key."""
        return Signer.from_skey((self.state / "keys" / "log.ed25519").read_text())

    def copy(self, name: str) -> World:
        """Give another copy beside this one, as a backup."""
        target = Path(shutil.copytree(self.state, self.state.with_name(name)))
        return World(target, self.exported, self.vkey, self.size)

    def take_from(self, other: World, *names: str) -> None:
        """Put files or folders of another copy in the place of one's own."""
        for name in names:
            for path in (self.state / name, self.state / f"{name}-wal", self.state / f"{name}-shm"):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            source = other.state / name
            if source.is_dir():
                shutil.copytree(source, self.state / name)
            else:
                shutil.copy2(source, self.state / name)
