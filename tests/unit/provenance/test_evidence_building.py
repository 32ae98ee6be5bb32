"""Evidence files made from logs: what is shown, withheld, erased or missing, and what a maker refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from limner_provenance.canonical import read_canonical
from limner_provenance.entries import Entry
from limner_provenance.errors import EntryInvalid, LogCorrupt, PayloadCorrupt, RecordNotFound
from limner_provenance.evidence import build
from limner_provenance.evidence.page import rule_text
from limner_provenance.log import AuditLog
from limner_provenance.verify_evidence import Verification

OpenLog = Callable[..., AuditLog]
RECORD = "01980000-0000-7000-8000-000000000001"
PACK = (
    b'policy: p\nrules:\n  - id: R-1\n    title: "<b>no</b>"\n\n    then: {verdict: deny}\n  - id: R-2\n    title: x\n'
)
PACKS = [{"name": "p", "version": "1", "sha256": sha256(PACK).hexdigest()}]
PICTURE = b"picture"


@pytest.fixture
def made(log: AuditLog) -> AuditLog:
    """Give a log with one whole record of the subject ann, and its house entries."""
    log.append("policy_loaded", data=PACKS[0], payloads={"source": PACK}).wait()

    def add(step: str, data: dict[str, Any] | None = None, **payloads: Any) -> Entry:
        return log.append(step, record=RECORD, data=data, payloads=payloads, subject="ann").wait()

    add("accepted", {}, prompt="<script>geheim</script>", **{"reference-0": b"other picture"})
    hit = {"rule": "R-1", "pack": "p", "verdict": "allow", "title": "t"}
    add("judged", {"stage": "request", "verdict": "allow", "hits": [hit], "packs": PACKS}, input={"prompt": "geheim"})
    produced = add("produced", {"images": [{"image": 0}]}, **{"image-0": PICTURE})
    score = {"detector": "nsfw", "category": "sexual", "score": "0.012345", "digest": "ab"}
    judged = {"stage": "image", "image": 0, "verdict": "allow", "hits": [], "packs": PACKS}
    add("judged", judged, input={"evidence": [score], "prompt": "geheim"})
    manifest = f"{RECORD} {produced.leaf_hash.hex()}".encode()
    data = {"image": 0, "manifest_sha256": sha256(manifest).hexdigest()}
    add("sealed", data, asset=PICTURE, manifest=base64.b64encode(manifest).decode())
    return log


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """Give the path of the sealed picture."""
    path = tmp_path / "a.png"
    path.write_bytes(PICTURE)
    return str(path)


def states(document: bytes) -> dict[str, str]:
    """Give the states of the record's fields by name."""
    return {field["name"]: field["state"] for field in json.loads(document)["fields"]}


def test_the_bytes_are_canonical_and_valid(made: AuditLog, picture: str) -> None:
    """The bytes equal their own re-serialisation by two writers, and the verifier finds them valid."""
    document = build(made, RECORD)
    assert (
        json.dumps(read_canonical(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        == document
    )
    report = Verification().run(document, [picture], made.vkey)
    assert (report["verdict"], report["trust"], report["log_key"]) == ("VALID", "pinned", made.vkey)
    assert report["images"] == [{"image": 0, "sha256": sha256(PICTURE).hexdigest(), "file": picture}]


def test_nothing_is_disclosed_that_was_not_asked_for(made: AuditLog) -> None:
    """Without --disclose the prompt is in no byte of the file, its page included; only commitments are."""
    document = build(made, RECORD)
    assert b"geheim" not in document
    expected = {"prompt": "withheld", "input": "withheld", "reference-0": "withheld", "image-0": "withheld"}
    assert states(document) == {**expected, "source": "disclosed", "asset": "disclosed", "manifest": "disclosed"}


def test_a_field_is_disclosed_with_its_salt(made: AuditLog, picture: str) -> None:
    """A disclosed prompt is shown and proven, escaped in the page; the judgement's input stays closed."""
    document = build(made, RECORD, disclose=["prompt"])
    assert states(document)["prompt"] == "disclosed"
    assert states(document)["input"] == "withheld"
    assert "<script>" not in json.loads(document)["page"]["html"]
    report = Verification().run(document, [picture])
    assert [name for _, name, _ in report["disclosed"]] == ["prompt", "asset"]
    everything = build(made, RECORD, disclose=["all"])
    assert set(states(everything).values()) == {"disclosed"}
    assert Verification().run(everything, [picture])["verdict"] == "VALID"


def test_numbered_fields_are_named_by_their_base(made: AuditLog) -> None:
    """`reference` discloses reference-0: length and hash of its bytes, never the bytes."""
    document = build(made, RECORD, disclose=["reference"])
    shown = next(f for f in json.loads(document)["fields"] if f["name"] == "reference-0")
    assert shown["value"] == {"length": 13, "sha256": sha256(b"other picture").hexdigest()}


def test_the_page_has_the_rules_text_and_the_scores(made: AuditLog) -> None:
    """The page holds the exact text of each rule that held, and every detector's score."""
    page = json.loads(build(made, RECORD))["page"]["html"]
    assert "- id: R-1\n    title: &quot;&lt;b&gt;no&lt;/b&gt;&quot;\n\n    then: {verdict: deny}\n</pre>" in page
    assert "0.012345" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_rule_ends_where_the_next_begins() -> None:
    """The text of a rule is its item of the list: blank lines included, the next rule and other packs not."""
    text = PACK.decode()
    assert rule_text(text, "R-1").startswith("  - id: R-1\n")
    assert "R-2" not in rule_text(text, "R-1")
    assert rule_text(text, "R-2") == "  - id: R-2\n    title: x\n"
    assert rule_text(text, "R-3") == ""
    assert rule_text("- id: 'A.1' # note\n  x: 1\n\nother: 2\n", "A.1") == "- id: 'A.1' # note\n  x: 1\n"


def test_an_erased_record_is_valid_with_erasure(made: AuditLog, picture: str) -> None:
    """After an erasure every field of the subject is erased by an entry that is proven, and no salt is left."""
    before = build(made, RECORD, disclose=["prompt"])
    made.erase(subject="ann")
    document = build(made, RECORD, disclose=["all"])
    found = states(document)
    assert found.pop("source") == "disclosed"
    assert set(found.values()) == {"erased"}
    report = Verification().run(document, [])
    assert report["verdict"] == "VALID-WITH-ERASURE"
    assert len(report["erased"]) == len(found) + 1  # two inputs
    # The file that was made before still shows what it showed: what left the house cannot be called back.
    assert Verification().run(before, [picture])["verdict"] == "VALID"
    assert Verification().run(document, [picture])["verdict"] == "INCOMPLETE"


def test_a_lost_payload_is_incomplete_and_a_changed_one_refused(made: AuditLog, picture: str) -> None:
    """A picture that is lost makes the file incomplete; one whose ciphertext was changed makes no file at all."""
    entry = next(made.entries(steps=["sealed"]))
    store = made._opened.assets
    kept = store.read(entry.payloads["asset"].id)
    store.remove(entry.payloads["asset"].id)
    document = build(made, RECORD)
    assert states(document)["asset"] == "unavailable"
    assert Verification().run(document, [])["verdict"] == "INCOMPLETE"
    store.write(entry.payloads["asset"].id, kept)
    for file in Path(made._opened.paths.state).rglob("*"):
        if file.is_file() and file.read_bytes() == kept:
            file.chmod(0o600)
            file.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    with pytest.raises(PayloadCorrupt):
        build(made, RECORD)


def test_without_keys_the_log_is_proven_and_the_rest_is_missing(made: AuditLog, open_log: OpenLog) -> None:
    """Who has the database and no data keys can prove the entries, and the file says what it lacks."""
    state = made._opened.paths.state
    made.close()
    (state / "keys.db").rename(state / "away.db")
    with open_log(state, read_only=True) as log:
        document = build(log, RECORD)
    report = Verification().run(document, [])
    assert report["verdict"] == "INCOMPLETE"
    assert states(document)["prompt"] == "withheld"
    assert states(document)["asset"] == "unavailable"


def test_wrong_names_images_and_records_are_refused(made: AuditLog) -> None:
    """A field, an image or a record that is not there is named, with what there is."""
    with pytest.raises(EntryInvalid, match=r"no field 'promt'.*asset, image, input, manifest, prompt, reference"):
        build(made, RECORD, disclose=["promt"])
    with pytest.raises(EntryInvalid, match=r"no sealed image 3.*It has: 0"):
        build(made, RECORD, images=[3])
    with pytest.raises(RecordNotFound):
        build(made, "none")


def test_a_checkpoint_kept_elsewhere_is_proven_to_be_a_beginning(made: AuditLog, picture: str) -> None:
    """With a checkpoint given the file holds the proof, also after the log grew; forks and roll-backs are refused."""
    old = made.head().note
    for number in range(300):
        made.append("opened", data={"n": number})
    made.flush()
    document = build(made, RECORD, checkpoint=old)
    assert Verification().run(document, [picture], None, old)["verdict"] == "VALID"
    assert Verification().run(build(made, RECORD), [picture], None, old)["verdict"] == "INCOMPLETE"
    signer = made._opened.signer
    assert signer is not None
    with pytest.raises(LogCorrupt, match="history was rewritten"):
        build(made, RECORD, checkpoint=signer.sign(5, b"x" * 32))
    with pytest.raises(LogCorrupt, match="rolled back"):
        build(made, RECORD, checkpoint=signer.sign(made.size + 1, b"x" * 32))


@pytest.mark.parametrize("more", [0, 1, 2, 3, 55, 250, 251])
def test_every_size_of_log_is_proven(made: AuditLog, picture: str, more: int) -> None:
    """Inclusion and consistency hold for logs below, at and above full tiles."""
    old = made.head().note
    for number in range(more):
        made.append("opened", data={"n": number})
    made.flush()
    assert Verification().run(build(made, RECORD, checkpoint=old), [picture], None, old)["verdict"] == "VALID"
