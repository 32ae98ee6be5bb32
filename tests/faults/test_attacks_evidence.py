"""Attacks on an evidence file and its picture: the stand-alone verifier, offline, in an empty folder, finds each."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from faults.matrix import Row, attack
from fuzzing import SOAK
from offline import verify_alone

from limner.cli import run
from limner_provenance.verify_evidence import Verification, canonical

VERIFIER = "`verify_evidence.py`, offline"
ANYBODY = "anybody who hands the file on"
SAMPLES, POSITIONS = (40, 10**6) if SOAK else (4, 800)


@dataclass(slots=True)
class Proof:
    """A picture and its evidence in an empty folder, and what an auditor kept before."""

    folder: Path
    picture: bytes
    document: bytes
    key: str
    checkpoint: Path

    def says(self, document: Any, *, picture: bytes | None = None, **options: str | None) -> dict[str, Any]:
        """Run the verifier in this process on a changed document (its digest made to fit), and give the report."""
        path = self.folder / "picture"
        path.write_bytes(self.picture if picture is None else picture)
        if not isinstance(document, bytes):
            body = {name: value for name, value in document.items() if name != "digest"}
            document = canonical(body | {"digest": hashlib.sha256(canonical(body)).hexdigest()})
        return Verification().run(document, [str(path)], options.get("key"), options.get("note"))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a picture, two checkpoints and the evidence with the command line, once."""
    folder = tmp_path_factory.mktemp("house")
    config = folder / "limner.yaml"
    config.write_text("providers: {fake: {kind: test}}\n", encoding="utf-8")

    def command(*arguments: str) -> None:
        assert run([*arguments, "--config", str(config)]) == 0

    command("generate", "red apple", "--seed", "7", "--size", "64x64", "--output", str(folder / "a.png"))
    command("audit", "checkpoint", "--output", str(folder / "old.checkpoint"))
    command("generate", "green apple", "--size", "64x64", "--output", str(folder / "b.png"))
    files = ["--output", str(folder / "a.evidence"), "--checkpoint", str(folder / "old.checkpoint")]
    command("audit", "evidence", str(folder / "a.png"), *files)
    return folder


@pytest.fixture
def proof(house: Path, tmp_path: Path) -> Proof:
    """Copy picture and evidence away."""
    for name in ("a.png", "a.evidence", "old.checkpoint"):
        shutil.copy(house / name, tmp_path / name)
    document = (tmp_path / "a.evidence").read_bytes()
    key = json.loads(document)["log"]["key"]
    return Proof(tmp_path, (tmp_path / "a.png").read_bytes(), document, key, tmp_path / "old.checkpoint")


def test_untouched_it_is_valid_alone_and_offline(proof: Proof) -> None:
    """In an empty folder, isolated and offline: VALID and exit code 0, and so with key and checkpoint pinned."""
    code, report = verify_alone(proof.folder, "a.evidence", "a.png")
    assert (code, report["verdict"], report["trust"]) == (0, "VALID", "unpinned")
    code, report = verify_alone(
        proof.folder, "a.evidence", "a.png", "--log-key", proof.key, "--checkpoint", "old.checkpoint"
    )
    assert (code, report["verdict"], report["trust"]) == (0, "VALID", "pinned")


@attack("flip any byte of an evidence file", who=ANYBODY, by=VERIFIER, said="INVALID")
def test_any_flipped_byte_of_the_evidence(proof: Proof, row: Row) -> None:
    """Every byte in this process, some of them through the command: INVALID and exit code 1."""
    data = bytearray(proof.document)
    step = max(1, len(data) // POSITIONS)
    for at in range(0, len(data), step):
        data[at] ^= 1 << at % 8
        assert proof.says(bytes(data))["verdict"] == "INVALID", at
        data[at] ^= 1 << at % 8
    for at in range(0, len(data), len(data) // SAMPLES):
        data[at] ^= 4
        (proof.folder / "changed.evidence").write_bytes(data)
        code, report = verify_alone(proof.folder, "changed.evidence", "a.png")
        assert code == 1, at
        row.confirm(report["verdict"])
        data[at] ^= 4


@attack("flip any byte of the picture", who=ANYBODY, by=VERIFIER, said="is none of the sealed images")
def test_any_flipped_byte_of_the_picture(proof: Proof, row: Row) -> None:
    """Each changed byte is a picture that was not sealed."""
    data = bytearray(proof.picture)
    for at in range(0, len(data), max(1, len(data) // 500)):
        data[at] ^= 1 << at % 8
        report = proof.says(proof.document, picture=bytes(data))
        assert (report["verdict"], report["where"]) == ("INVALID", "files[0]")
        row.confirm(report["says"])
        data[at] ^= 1 << at % 8
    (proof.folder / "b.png").write_bytes(proof.picture[:-1])
    assert verify_alone(proof.folder, "a.evidence", "b.png")[0] == 1


def refused_at(proof: Proof, row: Row, document: dict[str, Any], where: str) -> None:
    """Hold that the verifier refuses a changed document at this place, with the words of the attack's row."""
    report = proof.says(document)
    assert report["where"] == where
    row.confirm(report["says"])


@attack(
    "change the decision in an evidence file and make its digest fit",
    who=ANYBODY,
    by=VERIFIER,
    said="is not under the checkpoint",
)
def test_a_changed_decision(proof: Proof, row: Row) -> None:
    """An entry with another verdict is not in the log's tree, and is named."""
    document = json.loads(proof.document)
    number = next(n for n, item in enumerate(document["entries"]) if '"step":"judged"' in item["leaf"])
    leaf = document["entries"][number]["leaf"]
    document["entries"][number]["leaf"] = leaf.replace('"verdict":"allow', '"verdict":"deny')
    refused_at(proof, row, document, f"entries[{number}]")


@attack(
    "disclose another prompt than the recorded one",
    who="the operator",
    by=VERIFIER,
    said="name, salt and value do not fit the entry's commitment",
)
def test_another_prompt(proof: Proof, row: Row) -> None:
    """A value that was not committed to then cannot be shown now."""
    document = json.loads(proof.document)
    number = next(n for n, field in enumerate(document["fields"]) if field["name"] == "prompt")
    field = document["fields"][number]
    field |= {"state": "disclosed", "salt": "0" * 64, "value": "green pear"}
    refused_at(proof, row, document, f"fields[{number}]")


@attack(
    "call a field erased that no entry erased",
    who="the operator",
    by=VERIFIER,
    said="no entry … erased",
)
def test_a_pretended_erasure(proof: Proof, row: Row) -> None:
    """An erasure is believed only from the entry that did it."""
    document = json.loads(proof.document)
    number = next(n for n, field in enumerate(document["fields"]) if field["state"] == "withheld")
    document["fields"][number] |= {"state": "erased", "by": document["entries"][-1]["index"]}
    refused_at(proof, row, document, f"fields[{number}]")


@attack(
    "make a whole evidence file with a log and key of one's own",
    who="a stranger",
    by="`verify_evidence.py --log-key KEY`",
    said="the pinned key",
)
def test_another_log(proof: Proof, row: Row) -> None:
    """A file of another log is INVALID to whoever pinned this one's key; unpinned, the report says `unpinned`."""
    from limner_provenance.checkpoint import Signer

    report = proof.says(proof.document, key=Signer("limner/other", bytes(32)).vkey)
    assert (report["verdict"], report["where"]) == ("INVALID", "log.key")
    row.confirm(report["says"])
    assert proof.says(proof.document)["trust"] == "unpinned"


@attack(
    "show an auditor another history than the one whose checkpoint he kept",
    who="the operator, or a thief of the log's key",
    by="`verify_evidence.py --checkpoint FILE`",
    said="there are two histories of … entries",
)
def test_a_fork_in_an_evidence_file(proof: Proof, house: Path, row: Row) -> None:
    """A checkpoint of the same size with another root, signed by the log's own key, convicts the file."""
    from limner_provenance.checkpoint import Signer, parse_unverified

    thief = Signer.from_skey((house / ".limner" / "keys" / "log.ed25519").read_text())
    kept = parse_unverified(proof.checkpoint.read_text(encoding="utf-8"))
    report = proof.says(proof.document, note=thief.sign(kept.size, bytes(32)))
    assert (report["verdict"], report["where"]) == ("INVALID", "checkpoint")
    row.confirm(report["says"])
