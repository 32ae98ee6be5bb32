"""What a file proves.

    1. The file is a whole PNG, JPEG or WebP.
    2. Its Content Credentials: trusted, valid, invalid or absent, by whom, and until when.
    3. Its record: the credentials name one, and this log holds it.
    4. The bytes are the record's, to the last one.
    5. The log includes the record's `sealed` entry under its newest signed checkpoint.

Steps 3 to 5 need the log; without one they are skipped and said to be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from limner.config import Config, load_config
from limner.errors import ConfigInvalid, StorageUnavailable
from limner.reading import open_log
from limner_provenance.errors import (
    DatabaseUnavailable,
    ImageUnreadable,
    KeyUnavailable,
    PayloadErased,
    ProvenanceError,
)

if TYPE_CHECKING:
    from limner_provenance import AuditLog
    from limner_provenance.credentials import Credentials
    from limner_provenance.credentials.report import IngredientNode
    from limner_provenance.entries import Entry

Outcome = Literal["good", "bad", "skipped"]


@dataclass(frozen=True)
class Step:
    """One numbered step: what was looked at, how it came out, and what that says."""

    title: str
    result: Outcome
    says: str


@dataclass(frozen=True)
class Verification:
    """What a file proves.

    Attributes:
        file: The file.
        sha256: Of its bytes.
        steps: The five steps, in order.
        credentials: What its Content Credentials say.
        record_id: The record that they name, if any.
        warnings: What the reader should know, e.g. until when the credentials validate.
    """

    file: Path
    sha256: str
    steps: tuple[Step, ...]
    credentials: Credentials
    record_id: str | None
    warnings: tuple[str, ...]

    @property
    def good(self) -> bool:
        """True where every step that could be taken came out good."""
        return all(step.result != "bad" for step in self.steps)

    @property
    def verdict(self) -> str:
        """The credentials' state where all is good; else `invalid`, or `absent` where there are no credentials."""
        return self.credentials.state if self.good or self.credentials.state == "absent" else "invalid"

    @property
    def states(self) -> dict[str, str]:
        """What whole credentials state of the picture; those of a forgery are not repeated."""
        found = self.credentials
        if found.state in {"absent", "invalid"}:
            return {}
        record = found.record or {}
        model = record.get("model") or {}
        said = {
            "made by": found.software_agent,
            "weights": f"sha256 {model['sha256']}" if model.get("sha256") else None,
            "source type": (found.digital_source_type or "").rpartition("/")[2],
            "seed": record.get("seed"),
            "prompt": f"commitment {record['commitments']['prompt']}" if "commitments" in record else None,
            "written by": found.claim_generator,
        }
        return {name: value for name, value in said.items() if value}

    @property
    def made_from(self) -> tuple[IngredientNode, ...]:
        """The pictures that went into this one, each with those that went into it; none of a forgery."""
        return self.credentials.ingredients if self.states else ()

    def to_json(self) -> dict[str, Any]:
        """Everything as one JSON document."""
        stops = self.credentials.stops_validating
        return {
            "file": str(self.file),
            "sha256": self.sha256,
            "verdict": self.verdict,
            "good": self.good,
            "credentials": {
                "state": self.credentials.state,
                "codes": [f.code for f in self.credentials.failures],
                "signed_by": self.credentials.common_name,
                "organisation": self.credentials.organisation,
                "issuer": self.credentials.issuer,
                "development": self.credentials.development,
                "stops_validating": stops.isoformat() if stops else None,
            },
            "states": self.states,
            "made_from": [_ingredient_json(node) for node in self.made_from],
            "record_id": self.record_id,
            "steps": [vars(s) for s in self.steps],
            "warnings": list(self.warnings),
        }


def _ingredient_json(node: IngredientNode) -> dict[str, Any]:
    return {
        "title": node.title,
        "relationship": node.relationship,
        "state": node.state,
        "signed_by": node.signed_by,
        "source_type": (node.digital_source_type or "").rpartition("/")[2] or None,
        "record_id": (node.record or {}).get("record"),
        "made_from": [_ingredient_json(child) for child in node.ingredients],
    }


def verify_file(
    file: str | Path, *, config: str | Path | Config | None = None, trust: str | Path | None = None
) -> Verification:
    """Say what a file proves, in the five steps of this module's docstring.

    Args:
        file: An image.
        config: Which log to look in; None: that of the working folder.
        trust: Further trust anchors, a PEM file.

    Raises:
        StorageUnavailable: The file cannot be read.
        ImageUnreadable: It is no whole PNG, JPEG or WebP.
        ConfigInvalid: There is no such file, or the configuration or the trust file is wrong.
    """
    from limner_provenance.credentials import read_credentials

    settings = config if isinstance(config, Config) else load_config(config, engines=False)
    path = Path(file)
    data = _read(path)
    anchors = _anchors(settings, trust)
    try:
        credentials = read_credentials(data, trust=anchors)
    except ImageUnreadable as error:  # 1
        raise ImageUnreadable(f"{path}: {error}") from error
    steps = [
        Step("file", "good", f"a whole {credentials.mime} of {len(data):,} bytes"),
        _credentials_step(credentials),  # 2
        *_record_steps(settings, credentials, data),  # 3, 4, 5
    ]
    return Verification(
        file=path,
        sha256=hashlib.sha256(data).hexdigest(),
        steps=tuple(steps),
        credentials=credentials,
        record_id=(credentials.record or {}).get("record"),
        warnings=_warnings(credentials),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ConfigInvalid(f"{path} cannot be read: {error.strerror}.", remedy="Name an image file.") from error
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be read: {error.strerror}.", remedy="Name an image file.") from error


def _anchors(config: Config, trust: str | Path | None) -> bytes | None:
    """Collect the trust anchors: those of the call, of the configuration, and every own one ever used here."""
    from limner_provenance.credentials import trust_anchors

    files = [Path(trust)] if trust else []
    files += [config.path(config.signing.trust)] if config.signing.trust else []
    try:
        found = [file.read_bytes() for file in files]
    except OSError as error:
        raise ConfigInvalid(
            f"The trust anchors {error.filename} cannot be read: {error.strerror}.", remedy="Name a PEM file."
        ) from error
    for file, data in zip(files, found, strict=True):
        if b"-----BEGIN CERTIFICATE-----" not in data:
            raise ConfigInvalid(f"The trust anchors {file} hold no certificate.", remedy="Name a PEM file.")
    try:
        own = trust_anchors(config.state / "keys")
    except PermissionError:  # they are their owner's; for everybody else the credentials are valid and not trusted
        own = None
    return b"\n".join([*found, *([own] if own else [])]) or None


def _credentials_step(found: Credentials) -> Step:
    """Step 2."""
    if found.state == "absent":
        return Step("credentials", "bad", "absent: this file carries no Content Credentials")
    if found.state == "invalid":
        codes = ", ".join(dict.fromkeys(f.code for f in found.failures))
        return Step("credentials", "bad", f"invalid: {codes}")
    where = " on this machine only" if found.development else ""
    signer = ", ".join(name for name in (found.common_name, found.organisation) if name)
    return Step("credentials", "good", f"{found.state}{where}, signed by {signer or found.issuer}")


def _record_steps(config: Config, credentials: Credentials, data: bytes) -> Iterator[Step]:
    """Steps 3 to 5: each can only be taken where the one before came out good."""
    names = ("record", "bytes", "inclusion")
    statement = credentials.record
    if statement is None:
        yield from (Step(n, "skipped", "the credentials name no record of Limner's") for n in names)
        return
    try:
        log = open_log(config)
    except DatabaseUnavailable:
        yield from (Step(n, "skipped", f"no audit log here ({config.state})") for n in names)
        return
    with log:
        yield from _in_log(log, statement, data)


def _in_log(log: AuditLog, statement: dict[str, Any], data: bytes) -> Iterator[Step]:
    try:
        log.check_head(log.head())
    except ProvenanceError as error:
        # A log that cannot say which one it is must not pass for another log.
        yield Step("record", "bad", f"the log proves nothing: {error}")
        yield from (Step(n, "skipped", "no trustworthy log") for n in ("bytes", "inclusion"))
        return
    if statement.get("log") != log.origin:
        says = f"the credentials name the log {statement.get('log')}, this one is {log.origin}"
        yield from (Step(n, "skipped", says) for n in ("record", "bytes", "inclusion"))
        return
    sealed = _sealed_entry(log, statement)
    if sealed is None:
        image, record = statement.get("image"), statement.get("record")
        says = f"this log holds no sealed image {image} of record {record} as the credentials state it"
        yield Step("record", "bad", says)
        yield from (Step(n, "skipped", "no record") for n in ("bytes", "inclusion"))
        return
    yield Step("record", "good", f"{statement['record']}, image {statement['image']}, entry {sealed.index}")  # 3
    yield _bytes_step(log, sealed, data)  # 4
    yield _inclusion_step(log, sealed)  # 5


def _sealed_entry(log: AuditLog, statement: dict[str, Any]) -> Entry | None:
    """Find the `sealed` entry of the stated image, if the stated `produced` leaf is the record's own."""
    entries = list(log.entries(record=str(statement.get("record"))))
    produced = {e.leaf_hash.hex() for e in entries if e.step == "produced"}
    if statement.get("produced") not in produced:
        return None
    return next((e for e in entries if e.step == "sealed" and e.data["image"] == statement.get("image")), None)


def _bytes_step(log: AuditLog, sealed: Entry, data: bytes) -> Step:
    """Step 4: the commitment fixes the digest, so equal bytes are the very ones that were handed out."""
    try:
        kept = log.payload(sealed.payloads["asset"])
    except PayloadErased:
        return Step("bytes", "skipped", "the record's picture was erased, and the log says so")
    except KeyUnavailable:
        return Step("bytes", "skipped", "the data keys are not at hand, so the record's picture stays closed")
    except ProvenanceError as error:
        return Step("bytes", "bad", f"the record's picture cannot be opened: {error}")
    if kept == data:
        return Step("bytes", "good", f"equal to the record's, all {len(data):,}")
    return Step("bytes", "bad", f"differ from the record's: {_difference(kept, data)}")


def _difference(kept: bytes, data: bytes) -> str:
    if len(kept) != len(data):
        return f"{len(data):,} bytes, the record has {len(kept):,}"
    places = [i for i, (a, b) in enumerate(zip(kept, data, strict=True)) if a != b]
    return f"{len(places):,} of {len(data):,} bytes, the first at offset {places[0]:,}"


def _inclusion_step(log: AuditLog, sealed: Entry) -> Step:
    """Step 5: the audit path leads from the entry to the root of a checkpoint that the log's key signed."""
    assert sealed.index is not None  # it was read from the log
    head = log.head()
    try:
        log.check_head(head)
    except ProvenanceError as error:
        return Step("inclusion", "bad", f"the checkpoint of size {head.size} proves nothing: {error}")
    proof = log.inclusion(sealed.index, head.size)
    if not (proof.holds() and proof.leaf_hash == sealed.leaf_hash and proof.root == head.root):
        return Step("inclusion", "bad", f"entry {sealed.index} is NOT under the checkpoint of size {head.size}")
    return Step(
        "inclusion",
        "good",
        f"entry {sealed.index} under the signed checkpoint of size {head.size}, root {head.root.hex()[:16]}…",
    )


def _warnings(found: Credentials) -> tuple[str, ...]:
    warnings = []
    if found.development and found.state in {"valid", "trusted"}:
        warnings.append("a development certificate shows integrity on this machine, not who signed")
    if found.stops_validating and found.state in {"valid", "trusted"}:
        warnings.append(f"no trusted time-stamp: stops validating on {found.stops_validating:%Y-%m-%d}")
    return tuple(warnings)
