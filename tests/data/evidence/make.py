"""Make the test vectors of docs/evidence-format.md anew: `python tests/data/evidence/make.py`.

Writes evidence files, images, checkpoints and `index.json` beside itself. The logs that the vectors come from are made
for the occasion, and thrown away with their keys, so every run gives other bytes and the same verdicts.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limner_provenance.checkpoint import Signer
from limner_provenance.evidence import build
from limner_provenance.log import AuditLog
from limner_provenance.merkle import inclusion_proof, leaf_hash, root_of

HERE = Path(__file__).parent
PACK = b"""policy: vectors
version: "1"
rules:
  - id: V-1
    title: Forbidden word
    when: {terms: {any_of: [forbidden], fields: [prompt]}}
    then: {verdict: deny}
"""
PACKS = [{"name": "vectors", "version": "1", "sha256": hashlib.sha256(PACK).hexdigest()}]
HIT = {"rule": "V-1", "pack": "vectors", "title": "Forbidden word", "mode": "enforce", "verdict": "deny"}
SCORE = {"detector": "nsfw", "version": "1", "digest": "ab" * 32, "category": "sexual", "score": "0.012345", "image": 0}
Doc = dict[str, Any]
INDEX: list[dict[str, Any]] = []


def image(number: int) -> bytes:
    """Give the bytes that stand for a picture: the format holds them by their hash alone."""
    return b"\x89PNG vector %d " % number + bytes(range(64))


def record(log: AuditLog, name: str, *, images: int = 1, verdict: str = "allow", wrong: str = "") -> str:
    """Write one record as the pipeline does; `wrong` names what a lying operator does."""
    rid = f"00000000-0000-7000-8000-{int(hashlib.sha256(name.encode()).hexdigest()[:11], 16):012x}"[:36]

    def add(step: str, data: Doc, **payloads: Any) -> Any:
        return log.append(step, record=rid, data=data, payloads=payloads, subject=name).wait()

    add("accepted", {"request": {"n": images, "task": "txt2img"}}, prompt="ein roter Apfel äöü", context={"user": name})
    judged = {"stage": "request", "verdict": verdict, "hits": [HIT] if verdict == "deny" else [], "packs": PACKS}
    add("judged", judged, input={"request": {"prompt": "ein roter Apfel äöü"}, "stage": "request"})
    if verdict == "deny":
        add("denied", {"verdict": "deny", "rules": ["V-1"], "where": {"stage": "request"}})
        return rid
    candidate = {"provider": "fake", "verdict": "allow", "hits": []}
    add("planned", {"candidates": [candidate], "chosen": 0, "packs": PACKS}, **{"input-0": {"stage": "candidate"}})
    add("attempted", {"attempt": 1})
    facts = [{"image": number, "mime": "image/png"} for number in range(images)]
    made = {f"image-{number}": image(number) for number in range(images)}
    produced = add("produced", {"attempt": 1, "images": facts}, **made)
    for number in range(images):
        said = "deny" if wrong == "denied" else "allow"
        data = {"stage": "image", "image": number, "verdict": said, "hits": [HIT] if said == "deny" else []}
        add("judged", data | {"packs": PACKS}, input={"stage": "image", "evidence": [SCORE | {"image": number}]})
    for number in range(images):
        names = ("other", "other") if wrong == "named" else (rid, produced.leaf_hash.hex())
        manifest = f"manifest of {names[0]}, produced {names[1]}".encode()
        digest = hashlib.sha256(b"other" if wrong == "manifest" else manifest).hexdigest()
        text = base64.b64encode(manifest).decode()
        add("sealed", {"image": number, "manifest_sha256": digest}, asset=image(number), manifest=text)
    add("delivered", {"images": list(range(images))})
    return rid


def open_log(folder: Path) -> AuditLog:
    """Open a log of the occasion."""
    return AuditLog.open(f"sqlite:///{folder / 'audit.db'}", state=folder)


def text(doc: Doc) -> bytes:
    """Give the canonical bytes."""
    return json.dumps(doc, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signed(doc: Doc) -> Doc:
    """Give the document with a digest that fits."""
    body = {name: value for name, value in doc.items() if name != "digest"}
    return body | {"digest": hashlib.sha256(text(body)).hexdigest()}


def vector(name: str, data: bytes | Doc, verdict: str, where: str | None = None, **more: Any) -> None:
    """Write one vector and note what is expected of it."""
    (HERE / f"{name}.evidence").write_bytes(data if isinstance(data, bytes) else text(data))
    row = {"name": name, "evidence": f"{name}.evidence", "files": ["image-0.png"], "log_key": None, "checkpoint": None}
    INDEX.append(row | more | {"verdict": verdict, "where": where})


def changed(base: bytes, change: Callable[[Doc], Any], *, digest: bool = True) -> Doc:
    """Change a copy of a document; with `digest` as a forger would, who makes the digest fit again."""
    doc = copy.deepcopy(json.loads(base))
    change(doc)
    return signed(doc) if digest else doc


def place(doc: Doc, step: str, name: str | None = None) -> int:
    """Give the position of the first entry of a step, or of its field `name`."""
    found = next(i for i, e in enumerate(doc["entries"]) if json.loads(e["leaf"])["step"] == step)
    if name is None:
        return found
    index = doc["entries"][found]["index"]
    return next(i for i, f in enumerate(doc["fields"]) if (f["entry"], f["name"]) == (index, name))


def drop(doc: Doc, step: str) -> None:
    """Leave the last entry of a step out, with its fields and decisions, as who hides it would."""
    found = [e for e in doc["entries"] if json.loads(e["leaf"])["step"] == step][-1]
    doc["entries"].remove(found)
    for member in ("fields", "decisions", "images"):
        doc[member] = [item for item in doc[member] if item["entry"] != found["index"]]


def flip(encoded: str) -> str:
    """Flip one bit of what base64 stands for."""
    data = bytearray(base64.b64decode(encoded))
    data[0] ^= 1
    return base64.b64encode(bytes(data)).decode()


def flip_leaf(doc: Doc) -> None:
    """Rewrite what an entry says."""
    item = doc["entries"][place(doc, "judged")]
    item["leaf"] = item["leaf"].replace('"verdict":"allow"', '"verdict":"deny"')


def good(log: AuditLog, rids: dict[str, str], old: str) -> dict[str, bytes]:
    """Write the good vectors and give their documents."""
    docs = {
        "plain": build(log, rids["plain"]),
        "disclosed": build(log, rids["plain"], disclose=["all"]),
        "denied": build(log, rids["denied"], disclose=["prompt"]),
        "two": build(log, rids["two"]),
        "second": build(log, rids["two"], images=[1]),
        "grown": build(log, rids["plain"], checkpoint=old),
        "erased": build(log, rids["erased"]),
    }
    key = json.loads(docs["plain"])["log"]["key"]
    vector("good-plain", docs["plain"], "VALID")
    vector("good-pinned", docs["plain"], "VALID", log_key=key)
    vector("good-disclosed", docs["disclosed"], "VALID")
    vector("good-denied", docs["denied"], "VALID", files=[])
    vector("good-two-images", docs["two"], "VALID", files=["image-0.png", "image-1.png"])
    vector("good-second-image", docs["second"], "VALID", files=["image-1.png"])
    vector("good-grown", docs["grown"], "VALID", checkpoint="checkpoint-old")
    vector("good-same-checkpoint", docs["plain"], "VALID", checkpoint="checkpoint-same")
    vector("good-erased", docs["erased"], "VALID-WITH-ERASURE", files=[])
    reserved = changed(docs["plain"], lambda d: d.update(witnesses=[], timestamps=[{"x": 1}], watermarks=[]))
    vector("good-reserved", reserved, "VALID")
    return docs


def broken_text(plain: bytes) -> None:
    """Write what is no canonical document of this format."""
    doc = json.loads(plain)
    vector("bad-truncated", plain[:-20], "INVALID", "document")
    vector("bad-empty", b"", "INVALID", "document")
    vector("bad-newline", plain + b"\n", "INVALID", "document")
    vector("bad-key-order", json.dumps(dict(reversed(doc.items()))).encode(), "INVALID", "document")
    vector("bad-white-space", plain.replace(b'"digest":', b'"digest": ', 1), "INVALID", "document")
    vector("bad-duplicate-key", b'{"consistency":[],' + plain[1:], "INVALID", "document")
    vector("bad-float", plain.replace(b'"version":1}', b'"version":1.0}'), "INVALID", "document")
    vector("bad-nan", plain.replace(b'"version":1}', b'"version":NaN}'), "INVALID", "document")
    vector("bad-large-integer", plain.replace(b'"version":1}', b'"version":9007199254740992}'), "INVALID", "document")
    vector("bad-surrogate", plain.replace(b'"by":"', b'"by":"\\ud800', 1), "INVALID", "document")
    vector("bad-escape", plain.replace(b'"by":"l', b'"by":"\\u006c', 1), "INVALID", "document")
    vector("bad-utf8", plain.replace(b'"by":"', b'"by":"\xff', 1), "INVALID", "document")
    vector("bad-depth", b"[" * 5000 + b"]" * 5000, "INVALID", "document")
    vector("bad-not-object", b"[]", "INVALID", "format")
    vector("bad-format", changed(plain, lambda d: d.update(format="limner.evidence.v2")), "INVALID", "format")
    vector("bad-version", changed(plain, lambda d: d.update(version=2)), "INVALID", "format")
    vector("bad-more-members", changed(plain, lambda d: d.update(note="x")), "INVALID", "document")
    vector("bad-fewer-members", changed(plain, lambda d: d.pop("page")), "INVALID", "document")
    vector("bad-version-true", changed(plain, lambda d: d.update(version=True)), "INVALID", "version")
    upper = changed(plain, lambda d: d["fields"][0].update(commitment=d["fields"][0]["commitment"].upper()))
    vector("bad-upper-hex", upper, "INVALID", "fields[0].commitment")
    vector("bad-state", changed(plain, lambda d: d["fields"][0].update(state="lost")), "INVALID", "fields[0]")
    vector("bad-base64", changed(plain, lambda d: d["packs"][0].update(source="AB==")), "INVALID", "packs[0].source")
    vector(
        "bad-proof-length",
        changed(plain, lambda d: d["entries"][1].update(proof="AAAA")),
        "INVALID",
        "entries[1].proof",
    )
    tampered = changed(plain, lambda d: d["page"].update(html=d["page"]["html"] + "x"), digest=False)
    vector("bad-digest", tampered, "INVALID", "digest")


def broken_log(plain: bytes, other: bytes, signer: Signer) -> None:
    """Write what a log did not sign."""
    doc, stranger = json.loads(plain), json.loads(other)
    size, root = doc["log"]["checkpoint"].split("\n")[1:3]
    log_key = stranger["log"]["key"]
    vector("bad-pinned-key", plain, "INVALID", "log.key", log_key=log_key)
    vector(
        "bad-key-hash", changed(plain, lambda d: d["log"].update(key=d["log"]["key"][:-2] + "AA")), "INVALID", "log.key"
    )
    vector("bad-other-key", changed(plain, lambda d: d["log"].update(key=log_key)), "INVALID", "log.origin")
    forger = Signer(signer.origin, hashlib.sha256(b"forger").digest())
    note = forger.sign(int(size), base64.b64decode(root))
    forged = changed(plain, lambda d: d["log"].update(key=forger.vkey, checkpoint=note))
    vector("bad-signed-again", forged, "INVALID", "entries[0]")
    foreign = changed(plain, lambda d: d["log"].update(checkpoint=stranger["log"]["checkpoint"]))
    vector("bad-other-log-checkpoint", foreign, "INVALID", "log.checkpoint")
    grown = changed(
        plain, lambda d: d["log"].update(checkpoint=d["log"]["checkpoint"].replace(f"\n{size}\n", "\n999\n"))
    )
    vector("bad-checkpoint-size", grown, "INVALID", "log.checkpoint")
    by_forger = changed(plain, lambda d: d["log"].update(checkpoint=note))
    vector("bad-checkpoint-signature", by_forger, "INVALID", "log.checkpoint")
    later = signer.sign(int(size), hashlib.sha256(b"another root").digest())
    vector("bad-other-root", changed(plain, lambda d: d["log"].update(checkpoint=later)), "INVALID", "entries[0]")
    vector("bad-stranger", other, "INVALID", "log.key", log_key=doc["log"]["key"])


def broken_entries(plain: bytes, disclosed: bytes, two: bytes) -> None:
    """Write documents whose parts do not belong together."""
    doc = json.loads(plain)
    at = {step: place(doc, step) for step in ("accepted", "judged", "sealed", "policy_loaded")}
    there = f"entries[{at['judged']}]"
    vector("bad-leaf", changed(plain, flip_leaf), "INVALID", there)
    item = at["judged"]
    proof = changed(plain, lambda d: d["entries"][item].update(proof=flip(d["entries"][item]["proof"])))
    vector("bad-proof", proof, "INVALID", there)
    long = changed(plain, lambda d: d["entries"][item].update(proof=base64.b64encode(bytes(128 * 32)).decode()))
    vector("bad-long-proof", long, "INVALID", there)

    def swap(d: Doc) -> None:
        one, other = d["entries"][item], d["entries"][item + 1]
        one["leaf"], other["leaf"] = other["leaf"], one["leaf"]

    vector("bad-swapped-leaves", changed(plain, swap), "INVALID", there)
    vector(
        "bad-entry-order",
        changed(plain, lambda d: d["entries"].reverse()),
        "INVALID",
        "entries[1]",
    )
    other = json.loads(two)
    vector(
        "bad-other-record",
        changed(plain, lambda d: d.update(record=other["record"])),
        "INVALID",
        f"entries[{at['accepted']}]",
    )
    alien = other["entries"][-1]
    vector(
        "bad-alien-entry",
        changed(plain, lambda d: d["entries"].append(alien)),
        "INVALID",
        f"entries[{len(doc['entries'])}]",
    )
    vector("bad-no-entry-0", changed(plain, lambda d: d["entries"].pop(0)), "INVALID", "entries[0]")
    prompt, asset = place(doc, "accepted", "prompt"), place(doc, "sealed", "asset")
    for name, change in (
        ("value", {"value": "another prompt"}),
        ("salt", {"salt": "00" * 32}),
        ("commitment", {"commitment": "00" * 32}),
    ):
        vector(
            f"bad-{name}",
            changed(disclosed, lambda d: d["fields"][prompt].update(change)),  # noqa: B023  # called at once
            "INVALID",
            f"fields[{prompt}]",
        )
    vector("bad-field-left-out", changed(plain, lambda d: d["fields"].pop()), "INVALID", "fields")
    vector("bad-field-twice", changed(plain, lambda d: d["fields"].append(d["fields"][-1])), "INVALID", "fields")
    lie = changed(plain, lambda d: d["fields"][prompt].update(state="erased", by=0))
    vector("bad-erased-by-nobody", lie, "INVALID", f"fields[{prompt}]")
    vector(
        "bad-asset",
        changed(plain, lambda d: d["fields"][asset]["value"].update(length=1)),
        "INVALID",
        f"fields[{asset}]",
    )
    pack = base64.b64encode(zlib.compress(PACK.replace(b"deny", b"allow"))).decode()
    vector("bad-pack", changed(plain, lambda d: d["packs"][0].update(source=pack)), "INVALID", "packs[0]")
    tail = base64.b64encode(zlib.compress(PACK) + b"tail").decode()
    vector("bad-pack-tail", changed(plain, lambda d: d["packs"][0].update(source=tail)), "INVALID", "packs[0]")
    vector("bad-pack-twice", changed(plain, lambda d: d["packs"].append(d["packs"][0])), "INVALID", "packs[1]")
    vector("bad-pack-entry", changed(plain, lambda d: d["packs"][0].update(entry=0)), "INVALID", "packs[0]")
    scores = changed(disclosed, lambda d: d["decisions"][2]["evidence"][0].update(score="0.000001"))
    vector("bad-score", scores, "INVALID", "decisions[2]")
    vector("bad-decision-left-out", changed(plain, lambda d: d["decisions"].pop()), "INVALID", "decisions")
    vector("bad-image-number", changed(plain, lambda d: d["images"][0].update(image=1)), "INVALID", "images[0]")
    vector("bad-image-entry", changed(plain, lambda d: d["images"][0].update(entry=0)), "INVALID", "images[0]")
    vector("bad-image-twice", changed(plain, lambda d: d["images"].append(d["images"][0])), "INVALID", "images[1]")
    vector("bad-page", changed(plain, lambda d: d["page"].update(html="another")), "INVALID", "page")
    vector("bad-file", plain, "INVALID", "files[0]", files=["image-0-flipped.png"])
    vector("bad-surplus-file", plain, "INVALID", "files[1]", files=["image-0.png", "image-1.png"])
    vector("bad-files-without-images", changed(plain, lambda d: d["images"].clear()), "INVALID", "files[0]")


def incomplete(plain: bytes, erased: bytes) -> None:
    """Write what lacks something."""
    for step in ("accepted", "produced", "judged"):
        vector(f"incomplete-{step}", changed(plain, lambda d: drop(d, step)), "INCOMPLETE")  # noqa: B023  # called at once
    manifest = place(json.loads(plain), "sealed", "manifest")

    def state(doc: Doc, name: str) -> None:
        kept = {k: v for k, v in doc["fields"][manifest].items() if k not in {"salt", "value"}}
        doc["fields"][manifest] = kept | {"state": name}

    vector("incomplete-manifest-withheld", changed(plain, lambda d: state(d, "withheld")), "INCOMPLETE")
    vector("incomplete-unavailable", changed(plain, lambda d: state(d, "unavailable")), "INCOMPLETE")
    vector("incomplete-no-pack", changed(plain, lambda d: d["packs"].clear()), "INCOMPLETE")
    vector("incomplete-no-file", plain, "INCOMPLETE", files=[])
    vector("incomplete-older-checkpoint", plain, "INCOMPLETE", checkpoint="checkpoint-old")
    vector("incomplete-newer-checkpoint", plain, "INCOMPLETE", checkpoint="checkpoint-new")
    vector("incomplete-erased-file", erased, "INCOMPLETE")


def rotated(state: Path, foreign: str) -> None:
    """Write the vectors of a log whose key was rotated after the record; `foreign` is another log's key."""
    with open_log(state) as log:
        log.append("policy_loaded", data=PACKS[0], payloads={"source": PACK}).wait()
        rid = record(log, "plain")
        before, first = log.head().note, log.vkey
        log.rotate_key()
        (HERE / "checkpoint-before-rotation").write_text(before)
        plain, grown = build(log, rid), build(log, rid, checkpoint=before)
        signer = Signer.from_skey((state / "keys" / "log.ed25519").read_text())
        leaves = [entry.leaf for entry in log.entries()]
    there = place(json.loads(plain), "key_rotated")
    vector("good-rotated", plain, "VALID")
    vector("good-rotated-pinned-old-key", plain, "VALID", log_key=first)
    vector("good-rotated-old-checkpoint", grown, "VALID", log_key=first, checkpoint="checkpoint-before-rotation")
    for which in ("old", "new"):
        broken = changed(plain, lambda d: rotation_signed_wrongly(d, leaves, signer, which))  # noqa: B023  # called at once
        vector(f"bad-rotation-signature-{which}", broken, "INVALID", f"entries[{there}]")
    vector("bad-rotation-pinned-foreign-key", plain, "INVALID", "log.key", log_key=foreign)
    vector("bad-rotation-left-out", changed(plain, lambda d: d["entries"].pop(there)), "INVALID", "entries[0]")
    by_old = changed(plain, lambda d: d["log"].update(key=first))
    vector("bad-rotation-checkpoint-of-old-key", by_old, "INVALID", "log.checkpoint")


def rotation_signed_wrongly(doc: Doc, leaves: list[str], signer: Signer, which: str) -> None:
    """Flip a bit of one signature of the rotation, then prove and sign the tree anew as a thief of the new key can."""
    item = doc["entries"][place(doc, "key_rotated")]
    leaf = json.loads(item["leaf"])
    leaf["data"]["signatures"][which] = flip(leaf["data"]["signatures"][which])
    item["leaf"] = text(leaf).decode()
    hashes = [leaf_hash(kept.encode()) for kept in leaves]
    hashes[item["index"]] = leaf_hash(item["leaf"].encode())

    def subtree(height: int, number: int) -> bytes:
        return root_of(hashes[number << height : number + 1 << height])

    for entry in doc["entries"]:
        path = inclusion_proof(entry["index"], len(hashes), subtree)
        entry["proof"] = base64.b64encode(b"".join(path)).decode()
    doc["log"]["checkpoint"] = signer.sign(len(hashes), root_of(hashes))


def main() -> None:
    """Make everything."""
    for path in HERE.glob("*.evidence"):
        path.unlink()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "one"
        with open_log(state) as log, open_log(Path(folder) / "two") as second:
            for one in (log, second):
                one.append("policy_loaded", data=PACKS[0], payloads={"source": PACK}).wait()
                one.append("opened", data={"version": "0.1.0", "packs": [PACKS[0]["sha256"]]}).wait()
            rids = {"erased": record(log, "erased"), "plain": record(log, "plain")}
            old = log.head()
            rids |= {"denied": record(log, "denied", verdict="deny"), "two": record(log, "two", images=2)}
            lies = {wrong: record(log, wrong, wrong=wrong) for wrong in ("denied-image", "manifest", "named")}
            lies["denied-image"] = record(log, "lie", wrong="denied")
            log.erase(subject="erased")
            same = log.head()
            docs = good(log, rids, old.note)
            signer = Signer.from_skey((state / "keys" / "log.ed25519").read_text())
            other = build(second, record(second, "plain"))
            broken_text(docs["plain"])
            broken_log(docs["plain"], other, signer)
            broken_entries(docs["plain"], docs["disclosed"], docs["two"])
            incomplete(docs["plain"], docs["erased"])
            for name, rid in lies.items():
                vector(f"bad-lie-{name}", build(log, rid), "INVALID", "images[0]")
            flipped = changed(
                docs["grown"], lambda d: d["consistency"][0].update(proof=flip(d["consistency"][0]["proof"]))
            )
            vector("bad-consistency", flipped, "INVALID", "consistency[0]")
            fork, foreign = signer.sign(same.size, hashlib.sha256(b"fork").digest()), second.vkey
            record(log, "later")
            notes = {
                "old": old.note,
                "same": same.note,
                "new": log.head().note,
                "fork": fork,
                "other": second.head().note,
            }
        rotated(Path(folder) / "three", foreign)
    for name, note in notes.items():
        (HERE / f"checkpoint-{name}").write_text(note)
    vector("bad-fork", docs["plain"], "INVALID", "checkpoint", checkpoint="checkpoint-fork")
    vector("bad-checkpoint-of-another-log", docs["plain"], "INVALID", "checkpoint", checkpoint="checkpoint-other")
    for number in (0, 1):
        (HERE / f"image-{number}.png").write_bytes(image(number))
    (HERE / "image-0-flipped.png").write_bytes(image(0)[:-1] + b"\x00")
    (HERE / "index.json").write_text(json.dumps({"format": "limner.evidence.v1", "vectors": INDEX}, indent=1) + "\n")


if __name__ == "__main__":
    main()
