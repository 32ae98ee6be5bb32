"""Databases as earlier releases wrote them: read, verified, appended to, proven from their old checkpoint."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from limner_provenance import schema
from limner_provenance.audit import verify
from limner_provenance.checkpoint import Signer
from limner_provenance.errors import DatabaseVersion, PayloadErased
from limner_provenance.log import AuditLog
from limner_provenance.merkle import check_consistency
from limner_provenance.migrate import migrate

FOLDER = Path(__file__).parents[2] / "data" / "databases"
RELEASES = sorted(path.parent.name for path in FOLDER.glob("*/index.json"))
SEED = sha256(b"a test log of Limner; this key is public").digest()
KEK = sha256(b"a test key-encryption key of Limner; this key is public").hexdigest()


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """Give a copy of a release's log with its keys, migrated where it is older, and what was noted of it then."""
    state = Path(shutil.copytree(FOLDER / request.param, tmp_path / "state"))
    told: dict[str, Any] = json.loads((state / "index.json").read_text(encoding="utf-8"))
    (state / "keys").mkdir(mode=0o700)
    key = state / "keys" / "log.ed25519"
    key.write_text(Signer(told["key"].split("+")[0], SEED).skey() + "\n", encoding="utf-8")
    for path in (key, state / "keys.db"):
        path.chmod(0o600)
    if told["revision"] != schema.HEAD:
        with pytest.raises(DatabaseVersion, match="limner audit migrate"):
            opened(state)
        assert migrate(f"sqlite:///{state / 'audit.db'}").new == schema.HEAD
    return state, told


def opened(state: Path, *, read_only: bool = False) -> AuditLog:
    """Open the log with its key-encryption key."""
    return AuditLog.open(f"sqlite:///{state / 'audit.db'}", state=state, kek=KEK, read_only=read_only)


def test_there_is_one_of_this_version() -> None:
    """The newest fixture is of the revision that this version works with: a new revision needs a new fixture."""
    newest = json.loads((FOLDER / RELEASES[-1] / "index.json").read_text(encoding="utf-8"))
    assert newest["revision"] == schema.HEAD


def test_it_is_what_it_was(release: tuple[Path, dict[str, Any]]) -> None:
    """Every release's log verifies to the same root, against its old checkpoint and key, and its payloads open."""
    state, told = release
    with opened(state, read_only=True) as log:
        report = verify(log, vkey=told["key"], checkpoint=told["checkpoint"])
        assert [item for item in report.findings if item.severity == "error"] == []
        assert (report.size, report.root) == (told["size"], told["root"])
        assert (report.payloads_opened, report.payloads_erased) == (told["opened"], told["erased"])
        entry = log.record(f"0198f000-0000-7000-8000-{0:012d}")[0]
        assert log.payload(entry.payloads["prompt"]) == "äpple 0"
        with pytest.raises(PayloadErased):
            log.payload(log.record(f"0198f000-0000-7000-8000-{3:012d}")[0].payloads["prompt"])


def test_it_goes_on(release: tuple[Path, dict[str, Any]]) -> None:
    """Entries of this version go behind the old ones, and the log provably only grew."""
    state, told = release
    with opened(state) as log:
        log.append("accepted", record="r-new", payloads={"prompt": "new"}, subject="user-1").wait(10)
        assert log.erase(subject="user-2").payloads
        head = log.head()
        proof = log.consistency(told["size"])
        assert check_consistency(told["size"], head.size, bytes.fromhex(told["root"]), head.root, proof.hashes)
        report = verify(log, vkey=told["key"], checkpoint=told["checkpoint"])
    assert [item for item in report.findings if item.severity == "error"] == []
    assert report.verdict == "VALID-WITH-ERASURE"


def test_a_newer_one_is_refused(release: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that does not know the database's revision opens it neither for reading nor for writing."""
    state, _ = release
    monkeypatch.setattr(schema, "HEAD", "0000")
    monkeypatch.setattr(schema, "REVISIONS", ("0000",))
    for read_only in (True, False):
        with pytest.raises(DatabaseVersion, match="does not know"):
            opened(state, read_only=read_only)
