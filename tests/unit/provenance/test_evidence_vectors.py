"""The published test vectors: our verifier, and a second one written from docs/evidence-format.md alone, on each."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner_provenance.verify_evidence import Verification, main

FOLDER = Path(__file__).parents[2] / "data" / "evidence"
VECTORS: list[dict[str, Any]] = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))["vectors"]
PLAIN = (FOLDER / "good-plain.evidence").read_bytes()
IMAGE = str(FOLDER / "image-0.png")


class Wrong(Exception):
    """The second verifier's INVALID; its argument is the place."""


def check(right: object, where: str) -> None:
    if not right:
        raise Wrong(where)


def h(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def dumps(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def no_float(_: str) -> Any:
    raise ValueError("float")


def loads(data: bytes, where: str) -> Any:
    """Section 2."""
    try:
        value = json.loads(data, parse_float=no_float, parse_constant=no_float)
        check(dumps(value) == data and b"9007199254740992" not in data, where)
    except (ValueError, RecursionError):
        raise Wrong(where) from None
    return value


def b64(text: str, where: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Wrong(where) from None
    check(base64.b64encode(data).decode() == text, where)
    return data


def included(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes | None:
    """Section 4, by recursion over the tree's shape instead of the loop that the page shows."""
    if size == 1:
        return leaf if not proof else None
    if not proof:
        return None
    half = 1 << (size - 1).bit_length() - 1
    *rest, last = proof
    if index < half:
        left = included(leaf, index, half, rest)
        return left and h(b"\x01", left, last)
    right = included(leaf, index - half, size - half, rest)
    return right and h(b"\x01", last, right)


def roots(old: int, new: int, proof: list[bytes], root: bytes, whole: bool = True) -> tuple[bytes, bytes]:
    """RFC 6962, 2.1.2, turned round: the old and the new root that a consistency proof stands for."""
    if old == new:
        both = root if whole else proof.pop()
        return both, both
    half = 1 << (new - 1).bit_length() - 1
    last = proof.pop()
    if old <= half:
        before, after = roots(old, half, proof, root, whole)
        return before, h(b"\x01", after, last)
    before, after = roots(old - half, new - half, proof, root, False)
    return h(b"\x01", last, before), h(b"\x01", last, after)


Key = tuple[str, bytes, bytes]


def key_of(written: str, where: str) -> Key:
    """Section 5, first part: name, hash and public key."""
    name, hint, raw = written.split("+", 2)
    data = b64(raw, where)
    check(h(name.encode(), b"\n", data)[:4].hex() == hint, where)
    return name, bytes.fromhex(hint), data[1:]


def signed(key: Key, signature: bytes, data: bytes, where: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key[2]).verify(signature, data)
    except InvalidSignature:
        raise Wrong(where) from None


def note_of(note: str, key: Key, where: str) -> tuple[int, bytes]:
    """Section 5."""
    match = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]{0,15})\n([^\n]+)\n\n((?:— [^ \n]+ [^ \n]+\n)+)", note)
    check(match and match[1] == key[0], where)
    assert match
    for line in match[4].splitlines():
        _, name, text = line.split(" ")
        data = b64(text, where)
        if (name, data[:4]) == (key[0], key[1]):
            signed(key, data[4:], note.partition("\n\n")[0].encode() + b"\n", where)
            return int(match[2]), b64(match[3], where)
    raise Wrong(where)


def chain_of(at: dict[int, Any]) -> dict[int, str]:
    """Section 10: each key of the log, by the smallest size of the checkpoints that it signs."""
    newest = at[0]["data"]["key"]
    chain = {0: newest}
    for i, (index, entry) in enumerate(at.items()):
        if entry["step"] != "key_rotated":
            continue
        where, said = f"entries[{i}]", entry["data"]
        check(said["old"] == newest and said["new"].split("+")[0] == newest.split("+")[0], where)
        data = f"limner.key_rotated.v1\n{said['old']}\n{said['new']}\n".encode()
        for name in ("old", "new"):
            signed(key_of(said[name], where), b64(said["signatures"][name], where), data, where)
        newest = chain[index + 1] = said["new"]
    return chain


HEX = re.compile("[0-9a-f]{64}")
MEMBERS = {
    *("format", "version", "digest", "made", "record", "log", "entries", "fields"),
    *("packs", "decisions", "images", "page", "consistency"),
}
MORE = {"disclosed": {"salt", "value"}, "erased": {"by"}, "withheld": set(), "unavailable": set()}


def types(doc: Any) -> None:
    """Steps 1 to 3, as far as the vectors go."""
    check(isinstance(doc, dict) and (doc.get("format"), doc.get("version")) == ("limner.evidence.v1", 1), "format")
    check(doc.keys() - {"timestamps", "watermarks", "witnesses"} == MEMBERS, "document")
    check(type(doc["version"]) is int, "version")
    for i, field in enumerate(doc["fields"]):
        check(field["state"] in MORE, f"fields[{i}]")
        names = {"entry", "name", "commitment", "state"} | MORE[field["state"]]
        check(field.keys() == names, f"fields[{i}]")
        check(HEX.fullmatch(field["commitment"]), f"fields[{i}].commitment")
    for i, item in enumerate(doc["entries"]):
        check(len(b64(item["proof"], f"entries[{i}].proof")) % 32 == 0, f"entries[{i}].proof")
    for i, pack in enumerate(doc["packs"]):
        b64(pack["source"], f"packs[{i}].source")
    check(h(dumps({k: v for k, v in doc.items() if k != "digest"})).hex() == doc["digest"], "digest")


def halves(data: bytes) -> list[bytes]:
    return [data[i : i + 32] for i in range(0, len(data), 32)]


def second(data: bytes, files: list[bytes], log_key: str | None, checkpoint: str | None) -> tuple[str, str | None]:
    """Verdict and place, by sections 4 to 8."""
    try:
        return follow(data, files, log_key, checkpoint), None
    except Wrong as wrong:
        return "INVALID", str(wrong)


def follow(data: bytes, files: list[bytes], log_key: str | None, checkpoint: str | None) -> str:  # noqa: C901
    doc, lacks = loads(data, "document"), False
    types(doc)
    log = doc["log"]
    key = key_of(log["key"], "log.key")
    check(key[0] == log["origin"], "log.origin")
    size, root = note_of(log["checkpoint"], key, "log.checkpoint")
    at: dict[int, Any] = {}
    own: dict[int, Any] = {}
    leaves: dict[int, str] = {}
    for i, item in enumerate(doc["entries"]):
        where, index, leaf = f"entries[{i}]", item["index"], h(b"\x00", item["leaf"].encode())
        check(max(at, default=-1) < index < size, where)
        check(included(leaf, index, size, halves(b64(item["proof"], where))) == root, where)
        entry = at[index] = loads(item["leaf"].encode(), where)
        leaves[index] = leaf.hex()
        if entry["record"] is not None:
            check(entry["record"] == doc["record"], where)
            own[index] = entry
        else:
            check(entry["step"] in ("log_created", "opened", "policy_loaded", "erased", "key_rotated"), where)
    check(0 in at and at[0]["step"] == "log_created", "entries[0]")
    created = {"format": "limner.audit.v1", "origin": log["origin"]}
    check({name: at[0]["data"].get(name) for name in created} == created, "entries[0]")
    chain = chain_of(at)
    check(list(chain.values())[-1] == log["key"], "entries[0]")
    check(log_key in (None, *chain.values()), "log.key")

    def older(note: str, where: str) -> tuple[int, bytes]:
        lines = note.split("\n")
        check(len(lines) > 1 and lines[1].isdigit(), where)
        newest = max(start for start in chain if start <= int(lines[1]))
        return note_of(note, key_of(chain[newest], where), where)

    steps = [entry["step"] for entry in own.values()]
    check("accepted" not in steps[1:], "record")
    lacks |= steps[:1] != ["accepted"]
    places = [(index, name) for index, entry in at.items() for name in sorted(entry["payloads"])]
    check([(f["entry"], f["name"]) for f in doc["fields"]] == places, "fields")
    fields = dict(zip(places, doc["fields"], strict=True))
    for i, (place, field) in enumerate(fields.items()):
        ref = at[place[0]]["payloads"][place[1]]
        if field["state"] == "disclosed":
            parts = b"limner.commit.v1\n", place[1].encode(), b"\n", bytes.fromhex(field["salt"]), dumps(field["value"])
            check(h(*parts).hex() == ref["commitment"], f"fields[{i}]")
        if field["state"] == "erased":
            by = at.get(field["by"], {"step": ""})
            check(by["step"] == "erased" and ref["id"] in by["data"]["payloads"], f"fields[{i}]")
        check(field["commitment"] == ref["commitment"], f"fields[{i}]")
        lacks |= field["state"] == "unavailable"
    known = set()
    for i, pack in enumerate(doc["packs"]):
        engine = zlib.decompressobj()
        source = engine.decompress(b64(pack["source"], ""))
        digest = h(source).hex()
        loaded = at[pack["entry"]]
        check(engine.eof and not engine.unused_data and loaded["step"] == "policy_loaded", f"packs[{i}]")
        check(loaded["data"]["sha256"] == digest and digest not in known, f"packs[{i}]")
        shown = fields[pack["entry"], "source"].get("value")
        check(shown == {"length": len(source), "sha256": digest}, f"packs[{i}]")
        known.add(digest)
    judging = {i: e for i, e in own.items() if e["step"] in ("judged", "planned")}
    inputs = [p for p in places if p[0] in judging and p[1].partition("-")[0] == "input"]
    check([(d["entry"], d["input"]) for d in doc["decisions"]] == inputs, "decisions")
    for i, decision in enumerate(doc["decisions"]):
        field = fields[decision["entry"], decision["input"]]
        if field["state"] == "disclosed":
            check(field["value"].get("evidence", []) == decision["evidence"], f"decisions[{i}]")
    lacks |= any(pack["sha256"] not in known for e in judging.values() for pack in e["data"]["packs"])
    assets: list[str | None] = []
    last = -1
    for i, image in enumerate(doc["images"]):
        where, index, n = f"images[{i}]", image["entry"], image["image"]
        sealed = own.get(index)
        check(n > last and sealed and sealed["step"] == "sealed" and sealed["data"]["image"] == n, where)
        last = n
        before = {j: e for j, e in own.items() if j < index}
        made = [j for j, e in before.items() if e["step"] == "produced"]
        made = [j for j in made if any(o["image"] == n for o in own[j]["data"]["images"])]
        judged = [e for e in before.values() if e["step"] == "judged" and e["data"].get("image") == n]
        check(not judged or judged[-1]["data"]["verdict"] in ("allow", "allow_with_duties"), where)
        asset, manifest = fields[index, "asset"], fields[index, "manifest"]
        lacks |= not made or not judged or not {asset["state"], manifest["state"]} <= {"disclosed", "erased"}
        if manifest["state"] == "disclosed":
            store = b64(manifest["value"], where)
            assert sealed
            check(h(store).hex() == sealed["data"]["manifest_sha256"] and doc["record"].encode() in store, where)
            check(not made or leaves[made[-1]].encode() in store, where)
        assets.append(asset["value"]["sha256"] if asset["state"] == "disclosed" else None)
    check(h(doc["page"]["html"].encode()).hex() == doc["page"]["sha256"], "page")
    trees = {size: root}
    for i, item in enumerate(doc["consistency"]):
        old = older(item["note"], f"consistency[{i}]")
        check(roots(old[0], size, halves(b64(item["proof"], "")), old[1]) == (old[1], root), f"consistency[{i}]")
        trees[old[0]] = old[1]
    if checkpoint is not None:
        given_size, given_root = older(checkpoint, "checkpoint")
        check(trees.get(given_size, given_root) == given_root, "checkpoint")
        lacks |= given_size not in trees
    for i, file in enumerate(files):
        check(h(file).hex() in assets or None in assets, f"files[{i}]")
        lacks |= h(file).hex() not in assets
    lacks |= not files and any(assets)
    if lacks:
        return "INCOMPLETE"
    return "VALID-WITH-ERASURE" if any(f["state"] == "erased" for f in doc["fields"]) else "VALID"


@pytest.mark.parametrize("vector", VECTORS, ids=[v["name"] for v in VECTORS])
def test_both_verifiers_say_what_the_index_says(vector: dict[str, Any]) -> None:
    """Each vector has the verdict and the place of the index, by our verifier and by one written from the page."""
    data = (FOLDER / vector["evidence"]).read_bytes()
    note = (FOLDER / vector["checkpoint"]).read_text(encoding="utf-8") if vector["checkpoint"] else None
    paths = [FOLDER / name for name in vector["files"]]
    report = Verification().run(data, [str(path) for path in paths], vector["log_key"], note)
    expected = vector["verdict"], vector["where"]
    assert (report["verdict"], report.get("where")) == expected
    assert second(data, [path.read_bytes() for path in paths], vector["log_key"], note) == expected
    assert report["trust"] == ("pinned" if vector["log_key"] else "unpinned")
    assert report["credentials"] == "not validated here"
    assert bool(report["missing"]) >= (vector["verdict"] == "INCOMPLETE")


def test_there_are_vectors_of_every_kind() -> None:
    """The index has good vectors of both kinds, and more than 25 broken ones at many places."""
    verdicts = [v["verdict"] for v in VECTORS]
    assert {"VALID", "VALID-WITH-ERASURE", "INCOMPLETE", "INVALID"} == set(verdicts)
    assert verdicts.count("INVALID") > 25
    assert len({str(v["where"]).split("[")[0] for v in VECTORS}) > 12


def test_every_flipped_byte_is_found() -> None:
    """No byte of an evidence file can be flipped, in its lowest bit, without the file becoming invalid."""
    data = bytearray(PLAIN)
    for at in range(len(data)):
        data[at] ^= 1
        assert Verification().run(bytes(data), [IMAGE])["verdict"] == "INVALID", at
        data[at] ^= 1
    assert Verification().run(bytes(data), [IMAGE])["verdict"] == "VALID"


def test_random_changes_are_found() -> None:
    """A byte set to any other value, a cut, a repeated or removed stretch: never valid."""
    draw = random.Random(7)
    for _ in range(2000):
        at, size = draw.randrange(len(PLAIN)), draw.randrange(1, 40)
        piece = PLAIN[at : at + size]
        kind = draw.randrange(4)
        middle = (bytes([PLAIN[at] ^ draw.randrange(1, 256)]) + piece[1:], piece * 2, b"", piece[::-1])[kind]
        changed = PLAIN[:at] + middle + PLAIN[at + size :]
        assert changed == PLAIN or Verification().run(changed, [IMAGE])["verdict"] == "INVALID"


def test_every_flipped_byte_of_the_image_is_found(tmp_path: Path) -> None:
    """No byte of the picture can be flipped either."""
    path, data = tmp_path / "a.png", bytearray(Path(IMAGE).read_bytes())
    for at in range(len(data)):
        data[at] ^= 128
        path.write_bytes(data)
        report = Verification().run(PLAIN, [str(path)])
        assert (report["verdict"], report["where"]) == ("INVALID", "files[0]")
        data[at] ^= 128


NESTED = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(max_size=8), x),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=300) | NESTED.map(lambda value: json.dumps(value).encode()))
def test_anything_is_read_without_a_crash(data: bytes) -> None:
    """Whatever the bytes, the verifier answers, and never with a good verdict."""
    assert Verification().run(data, [])["verdict"] == "INVALID"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_value_anywhere_is_read_without_a_crash(data: st.DataObject) -> None:
    """A document with any value put anywhere, and a digest that fits, is answered, and is not the valid one."""
    doc = json.loads(PLAIN)
    path: list[Any] = []
    inside = doc
    while isinstance(inside, dict | list) and inside and not (len(path) > 1 and data.draw(st.booleans())):
        keys = sorted(inside) if isinstance(inside, dict) else list(range(len(inside)))
        holder, key = inside, data.draw(st.sampled_from(keys))
        path.append(key)
        inside = inside[key]
    holder[key] = data.draw(JSON)
    doc["digest"] = hashlib.sha256(dumps({k: v for k, v in doc.items() if k != "digest"})).hexdigest()
    verdict = Verification().run(dumps(doc), [IMAGE])["verdict"]
    # What nothing proves: who made the file, and the scores of inputs that are not disclosed.
    free = path[0] == "made" or (path[0] == "decisions" and "evidence" in path)
    assert verdict != "VALID" or free or dumps(holder[key]) == dumps(inside)


def test_hostile_sizes_are_refused_early() -> None:
    """Deep nesting, a million brackets, a digit without end, a file too large: refused."""
    for data in (b"[" * 10_000_000, b"[" + b"[]," * 2_000_000 + b"[]]", b"9" * 5_000_000, b" " * (16 << 20) + b"{}"):
        report = Verification().run(data, [])
        assert (report["verdict"], report["where"]) == ("INVALID", "document")


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 for a valid file, 1 for one that is not, 2 for wrong usage and files that are not there."""
    evidence = str(FOLDER / "good-plain.evidence")
    assert main([evidence, IMAGE, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "VALID"
    assert main([evidence]) == 1
    assert "INCOMPLETE" in capsys.readouterr().out
    for wrong in ([str(tmp_path / "none")], [evidence, str(tmp_path / "none")], [evidence, "--log-key", "nonsense"]):
        with pytest.raises(SystemExit) as left:
            main(wrong)
        assert left.value.code == 2
        assert "verify_evidence.py" in capsys.readouterr().err
