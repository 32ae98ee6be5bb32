"""Readers of checkpoints, entries, payloads and evidence on hostile input: our errors only, and no disagreement."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from fuzzing import depth, mutate
from hypothesis import example, given
from hypothesis import strategies as st

from limner_provenance import verify_evidence
from limner_provenance.anchor import Anchor
from limner_provenance.canonical import read_canonical
from limner_provenance.checkpoint import Checkpoint, Signer, Verifier, parse_unverified
from limner_provenance.entries import make_entry, read_entry
from limner_provenance.envelope import DataKey, _encrypt, open_payload, seal_payload
from limner_provenance.errors import LogCorrupt, PayloadCorrupt, ProvenanceError

SEEDS = st.integers(0, 2**32)
SIGNER = Signer("limner/test", bytes(range(32)))
VERIFIER, KEY = Verifier(SIGNER.vkey), verify_evidence.read_key(SIGNER.vkey, "key")
NOTE = SIGNER.sign(1234, bytes(range(32))).encode()
DATA_KEY = DataKey("ab" * 16, bytes(32))
ENTRY = make_entry("judged", "r-1", {"verdict": "allow", "n": [1, {"a": None}]}, {}).leaf.encode()
ROOT = "A" * 43 + "="
LINES = st.sampled_from(["limner/test", "limner/other", "0", "12", "01", "-1", "1" * 17, "", "é", ROOT, ROOT[1:]])
PLAIN = (Path(__file__).parents[2] / "data" / "evidence" / "good-plain.evidence").read_bytes()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def ours(note: str) -> tuple[int, bytes] | None:
    """Give what the log's reader takes from a checkpoint."""
    try:
        said = VERIFIER.verify(note)
    except LogCorrupt:
        return None
    return said.size, said.root


def theirs(note: str) -> tuple[int, bytes] | None:
    """Give what the stand-alone verifier's reader takes from it."""
    try:
        return verify_evidence.read_note(note, [(0, KEY)], "note")
    except verify_evidence.Invalid:
        return None


@depth(400)
@given(SEEDS)
def test_mutated_checkpoints(seed: int) -> None:
    """A changed checkpoint is refused by both readers with their own errors; what is accepted says the signed thing."""
    note = mutate(NOTE, seed).decode("utf-8", "replace")
    for said in (ours(note), theirs(note)):
        assert said in (None, (1234, bytes(range(32))))
    with contextlib.suppress(LogCorrupt):
        assert isinstance(parse_unverified(note), Checkpoint)


@depth(200)
@example(["limner/test", "-1", ROOT])
@example(["limner/test", "0", ROOT])
@example(["limner/test", "1" * 17, ROOT])
@given(st.lists(LINES, max_size=5))
def test_any_lines_as_a_checkpoint(lines: list[str]) -> None:
    """Lines in any order, rightly signed as they stand: both readers take the same of them, or neither takes any."""
    text = "".join(f"{line}\n" for line in lines)
    signature = base64.b64encode(SIGNER._hash + SIGNER._key.sign(text.encode())).decode()
    note = f"{text}\n— {SIGNER.origin} {signature}\n"
    # The log's own reader allows further lines below the three, as C2SP does; a log of ours writes none.
    assert theirs(note) in (None, ours(note))
    assert ours(note) in (None, theirs(note)) or len(lines) > 3


@depth(120)
@given(SEEDS)
def test_a_mutated_anchor(tmp_path: Path, seed: int) -> None:
    """Whatever stands in the anchor file is read as text or refused, and a commit replaces it."""
    path = tmp_path / "anchor"
    path.write_bytes(mutate(NOTE, seed))
    anchor = Anchor(path)
    with contextlib.suppress(ProvenanceError):
        anchor.read()
    anchor.replace(SIGNER.sign(10**15, bytes(32)), 10**15)
    assert parse_unverified(anchor.read() or "").size >= 1


@depth(300)
@given(SEEDS)
def test_mutated_entries(seed: int) -> None:
    """A changed entry is read as an entry or refused as LogCorrupt; what is read is canonical."""
    changed = mutate(ENTRY, seed).decode("utf-8", "replace")
    try:
        entry = read_entry(5, changed)
    except LogCorrupt:
        return
    assert entry.leaf == changed


@depth(300)
@given(JSON)
def test_any_json_as_an_entry(value: Any) -> None:
    """Any JSON value in the place of any field of an entry: an entry, or LogCorrupt."""
    whole = json.loads(ENTRY)
    for name in (*whole, None):
        made = value if name is None else whole | {name: value}
        text = json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        with contextlib.suppress(LogCorrupt):
            assert read_entry(5, text).leaf == text


@depth(300)
@given(JSON, st.booleans(), SEEDS)
def test_both_readers_of_canonical_json_agree(value: Any, sort: bool, seed: int) -> None:
    """The log's reader and the stand-alone verifier's call the same bytes canonical."""
    text = json.dumps(value, sort_keys=sort, separators=(",", ":"), ensure_ascii=False)
    for data in (text.encode("utf-8", "surrogatepass"), mutate(text.encode("utf-8", "surrogatepass"), seed)):
        accepted = []
        for read in (read_canonical, lambda data: verify_evidence.parse(data, "document", 64)):
            try:
                accepted.append([read(data)])
            except (ValueError, RecursionError, verify_evidence.Invalid):
                accepted.append([])
        assert accepted[0] == accepted[1], data


@depth(300)
@given(SEEDS, st.binary(max_size=100))
def test_hostile_payloads(seed: int, inner: bytes) -> None:
    """Changed ciphertexts, and whatever an insider seals under the right key, are refused as PayloadCorrupt."""
    for value in ("a prompt", b"a picture"):
        blob = seal_payload("p", value, DATA_KEY).blob
        changed = mutate(blob, seed)
        if changed != blob:
            with pytest.raises(PayloadCorrupt):
                open_payload(changed, DATA_KEY)
    length = len(inner).to_bytes(4, "big")
    for made in (inner, length + inner, (2**32 - 1).to_bytes(4, "big") + inner):
        with contextlib.suppress(PayloadCorrupt):
            open_payload(_encrypt(made, DATA_KEY), DATA_KEY).value()


HEADS = st.fixed_dictionaries(
    {}, optional={name: JSON | st.sampled_from(["bytes", "json", "00"]) for name in ("kind", "name", "salt", "length")}
)


@depth(200)
@given(HEADS, st.binary(max_size=20))
def test_any_head_inside_a_payload(head: dict[str, Any], body: bytes) -> None:
    """A well-sealed payload whose head says anything at all is opened, or refused as PayloadCorrupt."""
    text = json.dumps(head, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    try:
        opened = open_payload(_encrypt(len(text).to_bytes(4, "big") + text + body, DATA_KEY), DATA_KEY)
    except PayloadCorrupt:
        return
    assert (opened.kind, opened.body) == (head["kind"], body)
    with contextlib.suppress(PayloadCorrupt):
        opened.value()
    assert len(opened.commitment) == 64


@depth(150)
@given(SEEDS)
def test_mutated_evidence(seed: int) -> None:
    """A changed evidence file is answered, and never with a good verdict."""
    changed = mutate(PLAIN, seed)
    report = verify_evidence.Verification().run(changed, [])
    assert changed == PLAIN or report["verdict"] == "INVALID"


def test_a_bomb_in_a_pack_takes_little_memory() -> None:
    """A pack that unpacks to gigabytes is refused after 64 MiB."""
    document = json.loads(PLAIN)
    engine = zlib.compressobj(9)
    bomb = b"".join(engine.compress(bytes(1 << 20)) for _ in range(300)) + engine.flush()
    document["packs"][0]["source"] = base64.b64encode(bomb).decode()
    body = {name: value for name, value in document.items() if name != "digest"}
    document["digest"] = hashlib.sha256(verify_evidence.canonical(body)).hexdigest()
    tracemalloc.start()
    try:
        report = verify_evidence.Verification().run(verify_evidence.canonical(document), [])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (report["verdict"], report["where"]) == ("INVALID", "packs[0]")
    assert peak < 200 << 20
