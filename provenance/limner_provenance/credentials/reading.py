"""Read a file's Content Credentials and say what they are worth.

1. the container must be whole; 2. the library validates, offline; 3. bytes that no signature covers are held to their
form; 4. dates are applied. A tampered file is a state, never an exception. Must not know the audit log: whether the
bytes are those of a record is the caller's comparison of SHA-256, since COSE padding and box frames are unsigned.
"""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from limner_provenance.credentials import crjson, ingredients
from limner_provenance.credentials.anchors import anchor_of
from limner_provenance.credentials.engine import library, reading_context
from limner_provenance.credentials.images import Mime, scan
from limner_provenance.credentials.report import Credentials, Finding, State
from limner_provenance.credentials.signer import day
from limner_provenance.credentials.store import alterations, certificate_chain, manifest_store
from limner_provenance.errors import ImageUnreadable

MAX_BYTES = 512 * 1024 * 1024
_STATES: dict[str, State] = {"Trusted": "trusted", "Valid": "valid"}


class _Answer(NamedTuple):
    """What the library said: its state and its two reports."""

    state: State
    simple: dict[str, Any]
    full: dict[str, Any]


def read_credentials(data: bytes | Path, *, trust: bytes | None = None, now: datetime | None = None) -> Credentials:
    """Validate the Content Credentials of an image, offline.

    Args:
        data: The file's bytes, or where it lies.
        trust: PEM of the authorities whose certificates count as trusted.
        now: The moment to judge the certificate's dates at, aware; default the clock. A later moment than the
            present shows what will no longer validate then; an earlier one excuses nothing.

    Returns:
        The finding. A changed, broken or expired manifest is `invalid` with its codes, no manifest is `absent`.

    Raises:
        ImageUnreadable: these bytes are no whole PNG, JPEG or WebP, or cannot be read.
        CredentialError: the library is missing, or `trust` is no PEM.
    """
    raw = _load(data) if isinstance(data, Path) else data
    mime, parts = scan(raw)
    store = manifest_store(raw, mime, parts)
    answer = _ask(raw, mime, trust)
    if isinstance(answer, Finding):
        return _without_report(mime, store, answer)
    found = _keep_by_timestamp(_inherit_source(_describe(answer, mime, store, trust)))
    return _apply_dates(_apply_form(found, raw), now or datetime.now(UTC))


def _load(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ImageUnreadable(f"{path} is larger than {MAX_BYTES >> 20} MiB.", remedy="Give a single image.")
        return path.read_bytes()
    except OSError as error:
        raise ImageUnreadable(
            f"{path} cannot be read: {error.strerror or type(error).__name__}.", remedy="Check the path."
        ) from error


def _ask(raw: bytes, mime: Mime, trust: bytes | None) -> _Answer | Finding:
    c2pa, context = library(), reading_context(trust)
    try:
        with c2pa.Reader(mime, io.BytesIO(raw), context=context) as reader:
            state = _STATES.get(str(reader.get_validation_state()), "invalid")
            return _Answer(state, json.loads(reader.json()), json.loads(reader.crjson()))
    except c2pa.C2paError as error:
        return _unreadable(c2pa, error)
    except ValueError:
        return Finding(code="limner.manifest.unreadable", explanation="the library's report is no JSON")


def _unreadable(c2pa: Any, error: Exception) -> Finding:
    text = str(error)[:300]
    if isinstance(error, c2pa.C2paError.ManifestNotFound):
        return Finding(code="limner.manifest.absent", explanation="the file carries no Content Credentials")
    if text.startswith("Remote"):
        said = "the file only names a manifest elsewhere; nothing is fetched"
        return Finding(code="limner.manifest.remote", explanation=said)
    return Finding(code="limner.manifest.unreadable", explanation=f"the manifest cannot be decoded: {text}")


def _without_report(mime: Mime, store: bytes | None, finding: Finding) -> Credentials:
    if finding.code == "limner.manifest.remote":
        return Credentials(state="absent", mime=mime, informational=(finding,))
    if store is None and finding.code == "limner.manifest.absent":
        return Credentials(state="absent", mime=mime)
    if finding.code == "limner.manifest.absent":
        finding = Finding(code="limner.manifest.unreadable", explanation="there is a manifest store, but it is damaged")
    return Credentials(state="invalid", mime=mime, failures=(finding,), manifest_sha256=_digest(store))


def _describe(answer: _Answer, mime: Mime, store: bytes | None, trust: bytes | None) -> Credentials:
    chain = certificate_chain(store) if store else ()
    label = answer.simple.get("active_manifest")
    manifest = crjson.manifest(answer.full, label)
    return Credentials(
        state=answer.state,
        mime=mime,
        manifest=label,
        manifest_sha256=_digest(store),
        certificate_sha256=_digest(chain[0] if chain else None),
        anchor=anchor_of(chain, trust) if trust and answer.state == "trusted" else None,
        ingredients=ingredients.tree(answer.simple, answer.full),
        raw=answer.full,
        **crjson.statuses(answer.simple),
        **crjson.signature(manifest),
        **crjson.claim(manifest),
        **crjson.statements(manifest),
    )


def _inherit_source(found: Credentials) -> Credentials:
    """Give a picture that was only opened the source type of its parent."""
    parents = [node.digital_source_type for node in found.ingredients if node.relationship == "parentOf"]
    if found.digital_source_type or not parents:
        return found
    return found.model_copy(update={"digital_source_type": parents[0]})


def _keep_by_timestamp(found: Credentials) -> Credentials:
    """Let a trusted time-stamp carry the credentials beyond the certificate's end."""
    return found.model_copy(update={"stops_validating": None}) if found.timestamp_trusted else found


def _digest(data: bytes | None) -> str | None:
    return hashlib.sha256(data).hexdigest() if data is not None else None


def _apply_form(found: Credentials, raw: bytes) -> Credentials:
    """Judge the bytes that no signature covers.

    In a manifest that Limner wrote a deviation is an alteration. In one written by other software it may be that
    software's habit, so it is told and decides nothing.
    """
    findings = tuple(Finding(code="limner.manifest.altered", explanation=text) for text in alterations(raw, found.mime))
    if not findings:
        return found
    if found.record is None:
        return found.model_copy(update={"informational": (*found.informational, *findings)})
    return found.model_copy(update={"state": "invalid", "failures": (*found.failures, *findings)})


def _apply_dates(found: Credentials, now: datetime) -> Credentials:
    """Say precisely what an expired certificate means, and judge `now` where it is later than the clock."""
    end = found.stops_validating
    if end is None or now <= end:
        return found
    said = f"the certificate ended on {day(end)}, and no trusted time-stamp shows that it was signed before"
    url = next((item.url for item in found.failures if item.code == "signingCredential.expired"), None)
    expired = Finding(code="signingCredential.expired", explanation=said, url=url)
    others = tuple(item for item in found.failures if item.code != expired.code)
    return found.model_copy(update={"state": "invalid", "failures": (*others, expired)})
