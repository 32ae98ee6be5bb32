#!/usr/bin/env python3
"""Verify a Limner evidence file: alone, offline, with the standard library and `cryptography`, trusting nobody.

    python -I verify_evidence.py FILE.evidence [IMAGE ...] [--log-key KEY] [--checkpoint FILE] [--json]

This one file may be copied anywhere; docs/evidence-format.md is what it implements. The steps, in order:
     1. The file is canonical JSON: its bytes equal their own re-serialisation.
     2. Every member has the name and the type that the format gives it.
     3. The document's digest fits.
     4. The checkpoint is signed by the log's key.
     5. Every entry is included under it.
     6. They are those of one record, and of the log: from entry 0's key, rotations lead to its own, past the pinned.
     7. Every field is disclosed and fits its commitment, or withheld, or erased by an entry that says so.
     8. The policy packs are the ones that the log loaded, byte for byte.
     9. The decisions are those of the entries; detectors' scores are those of the inputs that are disclosed.
    10. Each image was produced, allowed and then sealed, and its manifest is the one that was sealed.
    11. The page for people has the stated hash (what it says is not proven: the fields are).
    12. The log only grew from the checkpoints named here; the one given with --checkpoint is among them.
    13. Each given image file is, to the last byte, one that was sealed.

Verdicts: VALID and VALID-WITH-ERASURE (exit code 0), INCOMPLETE (what is missing) and INVALID (where: the first step
that fails) (1); 2 is wrong usage or an unreadable file. What one file alone cannot prove the specification lists.
"""

# ruff: noqa: PTH123, T201
import argparse
import base64
import json
import re
import zlib
from hashlib import file_digest, sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_DOCUMENT, MAX_BRACKETS, MAX_LEAF, MAX_NOTE, MAX_ITEMS = 16 << 20, 1_000_000, 65_535, 65_536, 10_000
MAX_PACKS, MAX_DEPTH, MAX_LEAF_DEPTH, MAX_INTEGER = 64 << 20, 72, 64, 2**53 - 1
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
KEY = re.compile(r"([\x21-\x2a\x2c-\x7e]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
HOUSE = {"log_created", "opened", "policy_loaded", "erased", "key_rotated"}
RESERVED = ("timestamps", "watermarks", "witnesses")
# What each member is: an object, a list of one kind of thing, or a word; `?` says that it may be null.
DOCUMENT: dict[str, Any] = {
    "format": "text", "version": "count", "digest": "hex", "record": "text", "made": {"by": "text", "time": "text"},
    "log": {"origin": "text", "key": "text", "checkpoint": "text"}, "fields": ["field"],
    "entries": [{"index": "count", "leaf": "text", "proof": "hashes"}],
    "packs": [{"entry": "count", "source": "base64"}], "images": [{"image": "count", "entry": "count"}],
    "decisions": [{"entry": "count", "input": "text", "evidence": "any"}],
    "consistency": [{"note": "text", "proof": "hashes"}], "page": {"html": "text", "sha256": "hex"},
}  # fmt: skip
FIELD: dict[str, Any] = {"entry": "count", "name": "text", "commitment": "hex", "state": "text"}
STATES = {"disclosed": {"salt": "hex", "value": "any"}, "erased": {"by": "count"}, "withheld": {}, "unavailable": {}}
LEAF = {"v": "count", "record": "text?", "step": "text", "time": "text", "data": "object", "payloads": "object"}
NONE: Any = {"step": None, "data": {}, "state": "absent"}


class Invalid(Exception):
    """Something is wrong: where, and what."""


def need(condition: Any, where: str, says: str) -> None:
    """Go on only where `condition` holds."""
    if not condition:
        raise Invalid(where, says)


def canonical(value: Any) -> bytes:
    """Give the canonical JSON of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plain(value: Any, left: int) -> bool:
    """Say whether a value holds no float, no large integer, no key outside ASCII, and at most `left` levels."""
    if isinstance(value, dict):
        return left > 0 and all(key.isascii() and plain(item, left - 1) for key, item in value.items())
    if isinstance(value, list):
        return left > 0 and all(plain(item, left - 1) for item in value)
    return not isinstance(value, float) and not (isinstance(value, int) and abs(value) > MAX_INTEGER)


def parse(data: bytes, where: str, depth: int) -> Any:
    """Read bytes as JSON and refuse them unless they are the canonical text of what they say."""
    try:
        need(data.count(b"{") + data.count(b"[") <= MAX_BRACKETS, where, "holds too many objects or lists")
        value = json.loads(data.decode())
        need(plain(value, depth), where, f"holds a float, a large integer, a key outside ASCII, or over {depth} levels")
        need(canonical(value) == data, where, "is not canonical: order of keys, repeated keys, white space or escapes")
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a lone surrogate, or nested without end
        raise Invalid(where, f"is no canonical JSON: {error}") from None
    return value


def strict(text: str, where: str) -> bytes:
    """Decode base64, which has to be the one way to write its bytes."""
    need(len(text) % 4 == 0 and re.fullmatch("[A-Za-z0-9+/]*={0,2}", text), where, "is no base64")
    data = base64.b64decode(text)
    need(base64.b64encode(data).decode() == text, where, "is not the canonical base64 of its bytes")
    return data


def shape(value: Any, spec: Any, where: str) -> None:
    """Check a value against a table as `DOCUMENT`."""
    if spec == "field":
        state = str(value.get("state")) if isinstance(value, dict) else ""
        need(state in STATES, where, "its state is none of " + ", ".join(STATES))
        spec = FIELD | STATES[state]
    if isinstance(spec, dict):
        right = isinstance(value, dict) and value.keys() == spec.keys()
        need(right, where or "document", "needs exactly the members " + ", ".join(sorted(spec)))
        for name, item in spec.items():
            shape(value[name], item, f"{where}.{name}" if where else name)
    elif isinstance(spec, list):
        need(isinstance(value, list) and len(value) <= MAX_ITEMS, where, f"is no list of at most {MAX_ITEMS}")
        for number, item in enumerate(value):
            shape(item, spec[0], f"{where}[{number}]")
    elif spec != "any" and not (value is None and spec.endswith("?")):
        kind, digits = str(spec).rstrip("?"), str(value).isdigit()
        right = type(value) is {"count": int, "object": dict}.get(kind, str) and (kind != "count" or digits)
        need(right and (kind != "hex" or re.fullmatch("[0-9a-f]{64}", value)), where, f"is no {kind}")
        data = strict(value, where) if kind in {"base64", "hashes"} else b""
        need(kind != "hashes" or (len(data) % 32 == 0 and len(data) <= 128 * 32), where, "is no list of hashes")


def read_key(text: str, where: str) -> tuple[str, bytes, Ed25519PublicKey, str]:
    """Read a verifier key NAME+HASH+KEY (C2SP, Ed25519): name, its four hash bytes, key, text."""
    match: Any = KEY.fullmatch(text)
    data = strict(match[3], where) if match else b""
    need(len(data) == 33 and data[0] == 1, where, "is no Ed25519 key of the form NAME+HASH+KEY")
    need(sha256(match[1].encode() + b"\n" + data).hexdigest()[:8] == match[2], where, "key and hash differ")
    return match[1], bytes.fromhex(match[2]), Ed25519PublicKey.from_public_bytes(data[1:]), text


def signed_by(key: Any, signature: bytes, data: bytes, where: str) -> bool:
    """Check one signature."""
    try:
        key[2].verify(signature, data)
    except InvalidSignature:
        raise Invalid(where, "its signature is wrong") from None
    return True


def read_note(note: str, keys: list[Any], where: str) -> tuple[int, bytes]:
    """Check a checkpoint by the key of its size, among (index of the entry it came with, key); give size and root."""
    head, blank, tail = note.partition("\n\n")
    lines, signed = head.split("\n"), False
    right = len(note) <= MAX_NOTE and blank and len(lines) == 3 and tail.endswith("\n")
    need(right and re.fullmatch(r"0|[1-9][0-9]{0,15}", lines[1]), where, "is no signed checkpoint of three lines")
    key = [key for index, key in keys if index < max(int(lines[1]), 1)][-1]
    need(lines[0] == key[0], where, "is of another log")
    root = strict(lines[2], where)
    for line in tail[:-1].split("\n"):
        parts = line.split(" ")
        need(len(parts) == 3 and parts[0] == "—" and parts[1], where, "has a malformed signature line")
        data = strict(parts[2], where)
        if not signed and parts[1] == key[0] and data[:4] == key[1]:
            signed = signed_by(key, data[4:], (head + "\n").encode(), where)
    need(signed and len(root) == 32, where, "is not signed by the log's key, or its root is no hash")
    return int(lines[1]), root


def climb(position: int, last: int, proof: bytes, start: bytes) -> tuple[bytes, bytes] | None:
    """Climb to the root, and to that of the tree that ends here (RFC 9162, 2.1.3.2 and 2.1.4.2)."""
    whole = part = start
    for sibling in (proof[at : at + 32] for at in range(0, len(proof), 32)):
        if last == 0:
            return None
        if position & 1 or position == last:
            whole, part = (sha256(b"\x01" + sibling + digest).digest() for digest in (whole, part))
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            whole = sha256(b"\x01" + whole + sibling).digest()
        position, last = position >> 1, last >> 1
    return (whole, part) if last == 0 else None


def grew(old: tuple[int, bytes], new: tuple[int, bytes], proof: bytes) -> bool:
    """Say whether the tree `new` (size, root) begins with the tree `old` (RFC 9162, 2.1.4.2)."""
    if not 0 < old[0] < new[0]:
        return old == new and not proof
    start = old[1] + proof if old[0] & (old[0] - 1) == 0 else proof
    position, last = old[0] - 1, new[0] - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    return len(start) >= 32 and climb(position, last, start[32:], start[:32]) == (new[1], old[1])


class Verification:
    """One document on its way through the steps; what is found stands in `report`."""

    def run(self, data: bytes, files: list[str], log_key: str | None = None, note: str | None = None) -> dict[str, Any]:
        """Take the steps for the evidence's bytes, paths of images, a pinned key, a checkpoint; give the report."""
        self.pinned = None if log_key is None else read_key(log_key, "--log-key")[3]
        self.external, self.missing = note, list[str]()
        self.report: dict[str, Any] = {"verdict": "INVALID", "trust": "pinned" if log_key else "unpinned"}
        self.report |= {"log_key": None, "credentials": "not validated here", "missing": self.missing}
        steps = (self.checkpoint, self.entries, self.fields, self.packs, self.decisions, self.images, self.growth)
        try:
            self.document(data)  # 1, 2, 3
            for step in steps:
                step()  # 4 … 12
            self.files(files)  # 13
        except Invalid as error:
            return self.report | dict(zip(("where", "says"), error.args, strict=True))
        except (TypeError, AttributeError, KeyError, ValueError, zlib.error) as error:  # from what entries hold
            return self.report | {"where": "entries", "says": f"one has an unexpected form: {error!r}"}
        self.report["erased"] = [[f["entry"], f["name"]] for f in self.doc["fields"] if f["state"] == "erased"]
        self.report["not_checked"] = [name for name in RESERVED if name in self.doc]
        good = "VALID-WITH-ERASURE" if self.report["erased"] else "VALID"
        return self.report | {"verdict": "INCOMPLETE" if self.missing else good}

    def lack(self, condition: Any, what: str) -> None:
        """Note what is missing where `condition` holds."""
        self.missing.extend([what] if condition else ())

    def document(self, data: bytes) -> None:
        """Steps 1, 2 and 3."""
        need(len(data) <= MAX_DOCUMENT, "document", "is larger than 16 MiB")
        self.doc = doc = parse(data, "document", MAX_DEPTH)
        right = isinstance(doc, dict) and [doc.get("format"), doc.get("version")] == ["limner.evidence.v1", 1]
        need(right, "format", "is not limner.evidence.v1, version 1")
        shape(doc, DOCUMENT | {name: ["any"] for name in RESERVED if name in doc}, "")
        fits = sha256(canonical({name: doc[name] for name in doc if name != "digest"})).hexdigest() == doc["digest"]
        need(fits, "digest", "is not that of this document: it was changed")

    def checkpoint(self) -> None:
        """Step 4."""
        log = self.doc["log"]
        key, self.report["log_key"] = read_key(log["key"], "log.key"), log["key"]
        need(key[0] == log["origin"], "log.origin", "is not the name in the log's key")
        self.tree = read_note(log["checkpoint"], [(-1, key)], "log.checkpoint")
        self.report["checkpoint"] = {"size": self.tree[0], "root": self.tree[1].hex()}

    def entries(self) -> None:
        """Steps 5 and 6."""
        self.at, self.own, last, log = dict[int, Any](), dict[int, Any](), -1, self.doc["log"]
        for number, item in enumerate(self.doc["entries"]):
            where, index, leaf = f"entries[{number}]", item["index"], item["leaf"].encode()
            need(last < index < self.tree[0] and len(leaf) <= MAX_LEAF, where, "is out of order or too large")
            last, digest = index, sha256(b"\0" + leaf).digest()
            top = climb(index, self.tree[0] - 1, base64.b64decode(item["proof"]), digest)
            need(top and top[0] == self.tree[1], where, f"entry {index} is not under the checkpoint")
            entry = self.at[index] = parse(leaf, where, MAX_LEAF_DEPTH)
            shape(entry, LEAF, where)
            need(entry["v"] == 1 and re.fullmatch(TIME, entry["time"]), where, "its version or time is none")
            for name, reference in entry["payloads"].items():
                shape(reference, {"commitment": "hex", "id": "hex", "kind": "text"}, f"{where}.payloads.{name}")
            entry["hash"] = digest.hex()
            if entry["record"] is not None or entry["step"] not in HOUSE:
                need(entry["record"] == self.doc["record"], where, "is of another record")
                self.own[index] = entry
        first = self.at.get(0, NONE)
        right = [first["step"], first["data"].get("format")] == ["log_created", "limner.audit.v1"]
        need(right and first["data"].get("origin") == log["origin"], "entries[0]", "does not create this log")
        self.rotations(str(first["data"].get("key")))
        self.report |= {"record": self.doc["record"], "steps": (steps := [e["step"] for e in self.own.values()])}
        need("accepted" not in steps[1:], "record", "was accepted later than its first entry")
        self.lack(steps[:1] != ["accepted"], "record: its first entry, accepted")

    def rotations(self, key: str) -> None:
        """Step 6, the keys: from entry 0's to the log's."""
        self.keys = [(-1, read_key(key, "entries[0]"))]
        for number, (index, entry) in enumerate(self.at.items()):
            if entry["step"] == "key_rotated":
                where, data, old = f"entries[{number}]", entry["data"], self.keys[-1][1]
                self.keys.append((index, new := read_key(str(data["new"]), where)))
                need([data["old"], new[0]] == [old[3], old[0]], where, "does not follow the key before it")
                for name, signer in (("old", old), ("new", new)):
                    signature, text = strict(str(data["signatures"][name]), where), f"{old[3]}\n{new[3]}\n"
                    signed_by(signer, signature, f"limner.key_rotated.v1\n{text}".encode(), where)
        need(self.keys[-1][1][3] == self.doc["log"]["key"], "entries[0]", "does not lead to the log's key")
        need(self.pinned in {None, *(key[3] for _, key in self.keys)}, "log.key", "the pinned key is none of the log's")

    def fields(self) -> None:
        """Step 7."""
        fields, self.field = self.doc["fields"], {(f["entry"], f["name"]): f for f in self.doc["fields"]}
        there = [(index, name) for index, entry in self.at.items() for name in sorted(entry["payloads"])]
        need([(f["entry"], f["name"]) for f in fields] == there, "fields", "are not the entries' payloads, in order")
        gone = {i: set(map(str, e["data"]["payloads"])) for i, e in self.at.items() if e["step"] == "erased"}
        for number, field in enumerate(fields):
            where, reference = f"fields[{number}]", self.at[field["entry"]]["payloads"][field["name"]]
            right = field["commitment"] == reference["commitment"]
            if field["state"] == "disclosed":
                salted = field["name"].encode() + b"\n" + bytes.fromhex(field["salt"]) + canonical(field["value"])
                right = right and sha256(b"limner.commit.v1\n" + salted).hexdigest() == field["commitment"]
            need(right, where, "name, salt and value do not fit the entry's commitment")
            right = field["state"] != "erased" or reference["id"] in gone.get(field["by"], ())
            need(right, where, "no entry here says that it was erased")
            self.lack(field["state"] == "unavailable", f"{where}: {field['name']} of entry {field['entry']}")
        shown = [f for f in fields if "value" in f and f["name"] not in {"manifest", "source"}]
        self.report["disclosed"] = [[f["entry"], f["name"], f["value"]] for f in shown]

    def packs(self) -> None:
        """Step 8."""
        self.sources = dict[Any, bytes]()
        for number, pack in enumerate(self.doc["packs"]):
            where, entry = f"packs[{number}]", self.at.get(pack["entry"], NONE)
            left, stream = MAX_PACKS - sum(map(len, self.sources.values())), zlib.decompressobj()
            source = stream.decompress(base64.b64decode(pack["source"]), left + 1)
            need(stream.eof and not stream.unused_data and len(source) <= left, where, "is cut, too long or too large")
            digest, committed = sha256(source).hexdigest(), self.field.get((pack["entry"], "source"), NONE).get("value")
            right = committed == {"length": len(source), "sha256": digest} and digest not in self.sources
            right = right and [entry["step"], entry["data"].get("sha256")] == ["policy_loaded", digest]
            need(right, where, "is not what its entry loaded, or stands twice")
            self.sources[digest] = source

    def decisions(self) -> None:
        """Step 9."""
        judged = {index: entry for index, entry in self.own.items() if entry["step"] in {"judged", "planned"}}
        inputs = [key for key in self.field if key[0] in judged and re.fullmatch(r"input(-[0-9]+)?", key[1])]
        need([(d["entry"], d["input"]) for d in self.doc["decisions"]] == inputs, "decisions", "are not the entries'")
        for number, decision in enumerate(self.doc["decisions"]):
            facts = self.field[decision["entry"], decision["input"]].get("value", {"evidence": decision["evidence"]})
            right = canonical(facts.get("evidence", [])) == canonical(decision["evidence"])
            need(right, f"decisions[{number}]", "its evidence is not that of its input")
        erased = {self.at[i]["data"].get("sha256") for (i, _), f in self.field.items() if f["state"] == "erased"}
        names = ("stage", "image", "verdict", "hits", "candidates")
        self.report["decisions"] = [{n: e["data"].get(n) for n in names} | {"entry": i} for i, e in judged.items()]
        for index, entry in judged.items():
            packs = {str(pack["sha256"]) for pack in entry["data"]["packs"]}
            self.lack(packs - self.sources.keys() - erased, f"decisions: a policy pack of entry {index}")

    def images(self) -> None:
        """Step 10."""
        self.report["images"], last, steps = [], -1, dict[tuple[str, str], list[tuple[int, Any]]]()
        for index, entry in self.own.items():
            told = entry["data"]["images"] if entry["step"] == "produced" else [entry["data"]]
            for one in told if entry["step"] in {"produced", "judged"} else ():
                steps.setdefault((entry["step"], str(one.get("image"))), []).append((index, entry))
        approved = min((index for index, entry in self.own.items() if entry["step"] == "approved"), default=1 << 60)
        for number, (n, index) in enumerate((image["image"], image["entry"]) for image in self.doc["images"]):
            where, sealed = f"images[{number}]", self.own.get(index, NONE)
            right = last < n and [sealed["step"], str(sealed["data"].get("image"))] == ["sealed", str(n)]
            need(right, where, "is not what its entry sealed, or out of order")
            last, made = n, [entry for at, entry in steps.get(("produced", str(n)), ()) if at < index]
            judged = [entry for at, entry in steps.get(("judged", str(n)), ()) if at < index]
            verdict = judged[-1]["data"].get("verdict") if judged else "allow"
            right = verdict in {"allow", "allow_with_duties"} or (verdict == "review" and approved < index)
            need(right, where, "was sealed although policy did not allow it")
            self.lack(not made or not judged, f"{where}: the entry that produced it, or the one that judged it")
            asset, manifest = (self.field.get((index, name), NONE) for name in ("asset", "manifest"))
            self.lack({asset["state"], manifest["state"]} - {"disclosed", "erased"}, f"{where}: its manifest or hash")
            if manifest["state"] == "disclosed":
                data = strict(str(manifest["value"]), where)
                right = all(n.encode() in data for n in (self.doc["record"], *(entry["hash"] for entry in made[-1:])))
                right = right and sha256(data).hexdigest() == sealed["data"].get("manifest_sha256")
                need(right, where, "its manifest is not the sealed one, or names another record or production")
            self.report["images"].append({"image": n, "sha256": asset.get("value", {}).get("sha256"), "file": None})

    def growth(self) -> None:
        """Steps 11 and 12."""
        page, trees = self.doc["page"], [self.tree]
        need(sha256(page["html"].encode()).hexdigest() == page["sha256"], "page", "is not what its hash says")
        for number, item in enumerate(self.doc["consistency"]):
            trees.append(read_note(item["note"], self.keys, f"consistency[{number}]"))
            grown = grew(trees[-1], self.tree, base64.b64decode(item["proof"]))
            need(grown, f"consistency[{number}]", "the log did not only grow from there")
        if self.external is not None:
            given = read_note(self.external, self.keys, "checkpoint")
            known = {tree for tree in trees if tree[0] == given[0]}
            need(not known or given in known, "checkpoint", f"there are two histories of {given[0]} entries")
            self.lack(not known, f"checkpoint: a proof between {given[0]} and {self.tree[0]} entries")

    def files(self, files: list[str]) -> None:
        """Step 13."""
        hidden = [image for image in self.report["images"] if image["sha256"] is None]
        for number, path in enumerate(files):
            with open(path, "rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
            found = [image for image in self.report["images"] if image["sha256"] == digest]
            need(found or hidden, f"files[{number}]", "is none of the sealed images")
            self.lack(not found, f"files[{number}]: the hash of the sealed bytes to hold it against")
            for image in found:
                image["file"] = path
        self.lack(not files and len(hidden) < len(self.report["images"]), "files: an image file to hold against this")


def main(arguments: list[str] | None = None) -> int:
    """Run the command and give its exit code."""
    parser = argparse.ArgumentParser(prog="verify_evidence.py", description="Verify a Limner evidence file, offline.")
    parser.add_argument("evidence", help="the evidence file")
    parser.add_argument("images", nargs="*", help="image files to hold against it")
    parser.add_argument("--log-key", metavar="KEY", help="the log's key as you got it elsewhere: NAME+HASH+KEY")
    parser.add_argument("--checkpoint", metavar="FILE", help="a checkpoint of this log that was exported before")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    try:
        with open(options.evidence, "rb") as file, open(options.checkpoint or options.evidence, "rb") as other:
            data, note = file.read(MAX_DOCUMENT + 1), other.read(MAX_NOTE + 1).decode() if options.checkpoint else None
        said = Verification().run(data, options.images, options.log_key, note)
    except (OSError, UnicodeDecodeError, Invalid) as error:
        parser.exit(2, f"verify_evidence.py: {error}\n")
    print(json.dumps(said, indent=2) if options.json else "\n".join(f"{k}: {json.dumps(v)}" for k, v in said.items()))
    return 0 if said["verdict"] in {"VALID", "VALID-WITH-ERASURE"} else 1


if __name__ == "__main__":
    raise SystemExit(main())
