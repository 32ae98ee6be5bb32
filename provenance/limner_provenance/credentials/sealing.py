"""Sign an image: facts and bytes in, the sealed file and what identifies it out.

Blocks for milliseconds and is safe to call from several threads. Must not know where pictures come from or go to.
"""

from __future__ import annotations

import hashlib
import io
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from limner_provenance.credentials.engine import library, sealing_context
from limner_provenance.credentials.images import Mime, scan
from limner_provenance.credentials.inbound import add_ingredient
from limner_provenance.credentials.manifest import IngredientFacts, ManifestFacts, SoftwareAgent, definition
from limner_provenance.credentials.native import native_signer
from limner_provenance.credentials.reading import read_credentials
from limner_provenance.credentials.signer import Signer
from limner_provenance.credentials.source_types import DigitalSourceType
from limner_provenance.credentials.store import manifest_store
from limner_provenance.errors import SealFailed

# A one-pixel PNG, for the trial signature of a new certificate.
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c636000000002000148afa4710000000049454e44ae426082"
)
# How the library words what goes wrong between it and a time-stamp authority.
_ABOUT_TIME = re.compile(r"internal error|time.?stamp", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """A sealed image.

    Attributes:
        data: The signed file, byte for byte what may be delivered.
        mime: Its media type.
        manifest: The manifest store (JUMBF) as it stands in the file.
        manifest_sha256: SHA-256 of `manifest`, hex; `read_credentials` reports the same.
        instance_id: Unique id of the file in its manifest.
        certificate_sha256: SHA-256 of the signing certificate's DER, hex.
    """

    data: bytes = field(repr=False)
    mime: Mime
    manifest: bytes = field(repr=False)
    manifest_sha256: str
    instance_id: str
    certificate_sha256: str


def seal(data: bytes, facts: ManifestFacts, signer: Signer) -> Sealed:
    """Sign an image with Content Credentials.

    Credentials that are already in `data` are never dropped: where `facts` name no parent, the file itself becomes
    the parent ingredient, with the state that it validates to.

    Args:
        data: A whole PNG, JPEG or WebP; every metadata field is written before this call.
        facts: What the manifest states.
        signer: Who signs; its development mark is written into the manifest.

    Returns:
        The sealed image.

    Raises:
        ImageUnreadable: `data` or an ingredient is no whole image.
        SealFailed: the format differs from `facts.mime`, the signer or its time-stamp authority failed, or the
            library refused.
    """
    mime, found = scan(data)
    if mime != facts.mime:
        raise SealFailed(f"facts.mime is {facts.mime}, but the bytes are {mime}.", remedy="Name the true format.")
    facts = _complete(facts, signer, data if manifest_store(data, mime, found) else None)
    instance_id = f"xmp.iid:{uuid.uuid4()}"
    sealed, manifest = _sign(data, facts, signer, definition(facts, instance_id=instance_id))
    if not manifest:
        raise SealFailed("The signed file carries no manifest.", remedy="Report this as a defect, with the format.")
    return Sealed(
        data=sealed,
        mime=mime,
        manifest=manifest,
        manifest_sha256=hashlib.sha256(manifest).hexdigest(),
        instance_id=instance_id,
        certificate_sha256=signer.certificate_sha256,
    )


def trial(signer: Signer) -> None:
    """Sign one pixel and read it back, without a time-stamp, to learn whether C2PA accepts a certificate.

    Raises:
        SealFailed: it does not; the message says why.
    """
    facts = ManifestFacts(
        title="trial",
        mime="image/png",
        software_agent=SoftwareAgent(name="trial"),
        digital_source_type=DigitalSourceType.ALGORITHMIC_MEDIA,
        created=datetime.now(UTC),
        record={"v": 1},
    )
    signed, _ = _sign(_PIXEL, facts, signer, definition(facts, instance_id="xmp.iid:trial"), stamped=False)
    seen = read_credentials(signed)
    if seen.state == "invalid":
        raise SealFailed("; ".join(f"{item.code}: {item.explanation}" for item in seen.failures))


def _complete(facts: ManifestFacts, signer: Signer, signed: bytes | None) -> ManifestFacts:
    changes: dict[str, object] = {}
    if signer.development and not facts.development:
        changes["development"] = True
    has_parent = any(item.relationship == "parentOf" for item in facts.ingredients)
    if signed and not has_parent:
        inbound = IngredientFacts(data=signed, title="as received", relationship="parentOf")
        changes.update(ingredients=(*facts.ingredients, inbound), unchanged=True)
    return facts.model_copy(update=changes) if changes else facts


def _sign(
    data: bytes, facts: ManifestFacts, signer: Signer, manifest: dict[str, Any], *, stamped: bool = True
) -> tuple[bytes, bytes]:
    c2pa, failed = library(), list[BaseException]()
    try:
        native = native_signer(signer, failed, stamped=stamped)
        try:
            return _attempt(data, facts, native, manifest)
        except c2pa.C2paError.Decoding:
            # An ingredient's manifest that was taken in does not decode at signing: keep only those that validate.
            return _attempt(data, facts, native, manifest, whole_only=True)
    except (c2pa.C2paError, ValueError, KeyError) as error:
        raise _failure(signer, error, failed) from (failed[0] if failed else error)


def _attempt(
    data: bytes, facts: ManifestFacts, native: Any, manifest: dict[str, Any], *, whole_only: bool = False
) -> tuple[bytes, bytes]:
    """Return the signed file and its manifest store, which the library gives as it embeds it."""
    output = io.BytesIO()
    builder = library().Builder(manifest, context=sealing_context())
    for place, item in enumerate(facts.ingredients):
        add_ingredient(builder, place, item, whole_only=whole_only)
    store = builder.sign(native, facts.mime, io.BytesIO(data), output)
    return output.getvalue(), store


def _failure(signer: Signer, error: Exception, failed: list[BaseException]) -> SealFailed:
    if failed:
        return SealFailed(
            f"The signer {signer.name!r} failed: {type(failed[0]).__name__}.",
            remedy="Check that the key service answers and may sign with this key.",
        )
    if signer.timestamp_url and _ABOUT_TIME.search(str(error)):
        return SealFailed(
            "The time-stamp authority in signing.timestamp gave no time-stamp.",
            remedy="Check the address and that this machine reaches it, or remove signing.timestamp.",
        )
    return SealFailed(f"The image could not be signed: {error}.", remedy="See the cause; nothing was delivered.")
