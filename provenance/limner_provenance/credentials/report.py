"""What reading a file's credentials found, as frozen data that goes straight into JSON.

Only types and the states' meaning. Must not know how anything was read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from limner_provenance.credentials.images import Mime

State = Literal["trusted", "valid", "invalid", "absent"]
# How the description of an ingredient begins whose manifest no longer decoded when it was taken in.
BROKEN = "Its Content Credentials were broken beyond reading and are not kept inside this file."


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True)


class Finding(_Report):
    """One status that validation reported.

    Attributes:
        code: C2PA status code, or one that starts with `limner.` for what this package found itself.
        explanation: One sentence.
        url: JUMBF address inside the manifest that it is about, or None.
    """

    code: str
    explanation: str = ""
    url: str | None = None


class Anchor(_Report):
    """A trust anchor: the certificate of an authority that the reader vouches for.

    Attributes:
        name: Common name of its subject, else the whole subject.
        organisation: Organisation of its subject, or None.
        sha256: SHA-256 of its DER, hex.
        ends: End of its validity.
        development: True where it is the anchor of a Limner DEVELOPMENT certificate.
    """

    name: str
    organisation: str | None = None
    sha256: str
    ends: datetime
    development: bool = False


class IngredientNode(_Report):
    """A picture that went into another, with its own ingredients.

    Attributes:
        title: Its title, if any.
        description: What else was said of it.
        mime: Media type as stated.
        relationship: `parentOf`, `componentOf` or `inputTo`.
        state: What its own credentials were worth when it was taken in, and whether its signer is trusted now.
        failures: What was wrong with them.
        manifest: Label of its manifest inside the file, or None.
        signed_by: Common name of its signer, or None.
        digital_source_type: How it came to be, by its own manifest.
        record: The assertion `limner.record` of its manifest, or None: one of ours that other software has edited on.
        ingredients: What went into it in turn.
        model: True where it is no picture but a model or a LoRA, which `description` names by its digest.
    """

    title: str | None = None
    description: str | None = None
    mime: str | None = None
    relationship: str
    state: State
    failures: tuple[Finding, ...] = ()
    manifest: str | None = None
    signed_by: str | None = None
    digital_source_type: str | None = None
    record: dict[str, Any] | None = None
    ingredients: tuple[IngredientNode, ...] = ()
    model: bool = False


class Credentials(_Report):
    """What the Content Credentials of a file say and are worth.

    Attributes:
        state: `trusted` (whole, and signed under an anchor that was given), `valid` (whole; nobody vouches for the
            signer), `invalid` (altered, expired or malformed; see `failures`) or `absent` (none in the file).
        mime: Format of the file.
        failures: Codes that failed. `signingCredential.untrusted` alone leaves the state `valid`.
        informational: Codes that decide nothing.
        issuer: Who issued the signing certificate.
        organisation: Organisation in the certificate's subject.
        common_name: Common name in the certificate's subject.
        development: True where it is a Limner DEVELOPMENT certificate.
        anchor: The given anchor that the certificate leads to; only of `trusted` credentials.
        test_provider: True where the manifest says that no image model made the picture.
        algorithm: Signature algorithm: es256, ps256, ed25519, ….
        certificate_sha256: SHA-256 of the certificate's DER, hex.
        certificate_ends: End of the signing certificate's validity.
        timestamp: Time by a time-stamp authority, or None.
        timestamp_trusted: True where that authority is trusted.
        stops_validating: When the certificate ends and the credentials with it; None where a trusted time-stamp
            keeps them, or where that is not known.
        instance_id: Unique id of the file in its manifest.
        manifest: Label of the active manifest.
        manifest_sha256: SHA-256 of the manifest store, hex; equals what `seal` returned.
        title: Title of the asset.
        claim_generator: Name and version of what wrote the manifest.
        software_agent: Name and version of the model.
        digital_source_type: IPTC address.
        actions: The actions as stated.
        record: The assertion `limner.record`, or None.
        training_mining: The stated choice, or None.
        ingredients: What went into the picture, as a tree.
        raw: The library's whole report (crJSON).
    """

    state: State
    mime: Mime
    failures: tuple[Finding, ...] = ()
    informational: tuple[Finding, ...] = ()
    issuer: str | None = None
    organisation: str | None = None
    common_name: str | None = None
    development: bool = False
    anchor: Anchor | None = None
    test_provider: bool = False
    algorithm: str | None = None
    certificate_sha256: str | None = None
    certificate_ends: datetime | None = None
    timestamp: datetime | None = None
    timestamp_trusted: bool = False
    stops_validating: datetime | None = None
    instance_id: str | None = None
    manifest: str | None = None
    manifest_sha256: str | None = None
    title: str | None = None
    claim_generator: str | None = None
    software_agent: str | None = None
    digital_source_type: str | None = None
    actions: tuple[dict[str, Any], ...] = ()
    record: dict[str, Any] | None = None
    training_mining: str | None = None
    ingredients: tuple[IngredientNode, ...] = ()
    raw: dict[str, Any] = Field(default_factory=dict, repr=False, exclude=True)
