"""Who asks and what for.

Everything here is what the caller says about himself: it is recorded as claimed, and policy sees it as claimed.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _plain(text: str) -> str:
    """Refuse what canonical JSON cannot carry (lone surrogates) and what hides in a terminal (control characters)."""
    if any(0xD800 <= ord(c) <= 0xDFFF or ord(c) < 0x20 for c in text):
        message = "holds control characters or lone surrogates; give plain text"
        raise ValueError(message)
    return text


Label = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]


class RequestContext(BaseModel):
    """Who asks and what for; every field is a claim of the caller and optional.

    Attributes:
        tenant: The customer or legal entity on whose behalf is asked. A payload: never in a log entry.
        user: The person who asks; also the subject whose data key protects this request's payloads.
        project: The caller's own name for the work this belongs to. A payload.
        purpose: What the picture is for, e.g. `commercial`, `internal`, `editorial`.
        audience: Who will see it, e.g. `general`, `teen`.
        region: Where it will be used: ISO 3166 code or `EU`.
        tags: The caller's own labels, at most 32. A payload.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: Label | None = None
    user: Label | None = None
    project: Label | None = None
    purpose: Label | None = None
    audience: Label | None = None
    region: Label | None = None
    tags: tuple[Label, ...] = Field(default=(), max_length=32)
