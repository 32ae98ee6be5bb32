"""What a judgement may look at: one frozen, versioned input that holds everything `judge` needs and nothing else.

Knows nothing of packs or detectors. Recorded inputs must stay readable for ever: fields may be added with a default and
never removed, renamed or given another default, because `to_json` leaves defaults out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, ValidationError, model_validator

from limner_policy.errors import PolicyInputError

Stage = Literal["request", "candidate", "image", "release"]
STAGES: tuple[Stage, ...] = ("request", "candidate", "image", "release")

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z", re.ASCII)
_MAX_JSON_INTEGER = 2**53 - 1


def _instant(value: str) -> str:
    """Accept only UTC in RFC 3339 spelling, so that text order and time order cannot be confused by offsets."""
    if not _INSTANT.fullmatch(value):
        raise ValueError("is no UTC instant such as 2026-11-24T22:10:00Z")
    datetime.fromisoformat(value)
    return value


def _encodable(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"holds a lone surrogate at character {error.start}, which UTF-8 cannot carry") from None
    return value


def _ascii_key(value: str) -> str:
    if not value.isascii():
        raise ValueError("keys are ASCII, so that every JSON library sorts them alike")
    return value


Text = Annotated[str, AfterValidator(_encodable)]
Instant = Annotated[str, AfterValidator(_instant)]
Key = Annotated[str, AfterValidator(_ascii_key)]
Count = Annotated[StrictInt, Field(ge=-_MAX_JSON_INTEGER, le=_MAX_JSON_INTEGER)]
Score = Annotated[str, Field(pattern=r"^(0\.\d{6}|1\.000000)$")]


class Facts(BaseModel):
    """Base of the fact groups: frozen, closed, and silent about the values in its errors (they hold prompts)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Evidence(Facts):
    """A detector's score of one picture for one category.

    `of` says whose picture it is: one that was made (`output`), or one that the request brings (`input`). `image`
    counts from 0; of inputs it counts the names in `RequestFacts.inputs`.

    `score` lies in 0…1, written with 6 decimals and rounded before any policy sees it; it is None exactly where
    `status` is `unknown`, and then `reason` says why. `digest` is the SHA-256 of the weights.
    """

    detector: Text
    version: Text = ""
    digest: Text = ""
    category: Text
    score: Score | None = None
    status: Literal["ok", "unknown"] = "ok"
    reason: Text = ""
    image: Annotated[StrictInt, Field(ge=0)] = 0
    of: Literal["output", "input"] = "output"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.score is None) != (self.status == "unknown"):
            raise ValueError("evidence has a score, or the status unknown, never both and never neither")
        return self

    @property
    def micros(self) -> int | None:
        """The score in millionths, for exact comparison; None where unknown."""
        return None if self.score is None else int(self.score.replace(".", ""))


class RequestFacts(Facts):
    """What was asked for. `parameters` holds whatever else the request says, as texts.

    `inputs` names the pictures that were given: `image`, `mask`, `reference-0`, `control-0` and so on.
    """

    prompt: Text = ""
    negative_prompt: Text = ""
    task: Text
    size: Text | None = None
    n: Text = "1"
    parameters: dict[Key, Text] = Field(default_factory=dict)
    inputs: tuple[Text, ...] = ()


class ContextFacts(Facts):
    """Who asks and what for: all of it claimed by the caller, none of it verified here."""

    tenant: Text | None = None
    user: Text | None = None
    project: Text | None = None
    purpose: Text | None = None
    audience: Text | None = None
    region: Text | None = None
    tags: tuple[Text, ...] = ()


class TermFact(Facts):
    """What one licence says of one term (`limner_policy.licences.terms`), as it was read on the day `read`.

    `limit` with its `border` is the amount of a ceiling (US dollars a year, or users a month): with `exclusive` the
    amount itself is still allowed, with `inclusive` it is not. `regions` are excluded territories. Whoever holds one of
    `unless_held` is not bound.
    """

    term: Key
    says: Literal["yes", "no", "unknown"]
    quote: Text = ""
    section: Text = ""
    note: Text = ""
    read: Text = ""
    via: Text = ""
    limit: Count | None = None
    border: Literal["exclusive", "inclusive"] | None = None
    regions: tuple[Text, ...] = ()
    unless_held: tuple[Text, ...] = ()


class LicenceFacts(Facts):
    """One licence's terms; of those in `silent` its text says nothing, of those in neither nothing is known.

    `signed` says whether a person has confirmed the row these facts come from.
    """

    id: Text
    terms: tuple[TermFact, ...] = ()
    silent: tuple[Text, ...] = ()
    signed: bool = False


class PartFacts(Facts):
    """One part of a generation and the licences it is under, all of which bind; none: nothing is known of it.

    `conflict` says what contradicts what in its sources; `source` names the facts file with version and digest.
    """

    role: Literal["model", "lora", "control", "adapter", "provider", "detector"]
    name: Text
    licences: tuple[LicenceFacts, ...] = ()
    conflict: Text = ""
    signed: bool = False
    source: Text = ""


class CandidateFacts(Facts):
    """The engine that would make (or made) the picture; None means that the fact is not known.

    `provider` is the configured name, `kind` its kind, `sha256` the model's digest, `licence` its licence id; `parts`
    are the licence facts of everything that takes part, as they were known then.
    """

    provider: Text | None = None
    kind: Text | None = None
    model: Text | None = None
    sha256: Text | None = None
    licence: Text | None = None
    facts: dict[Key, Text] = Field(default_factory=dict)
    parts: tuple[PartFacts, ...] = ()


class PolicyInput(Facts):
    """Everything one judgement rests on. `instant` is the acceptance instant, UTC, RFC 3339 with `Z`.

    `evidence` is that of every detector that ran, the unknown ones included; `candidate` is None before a plan exists.
    Lone surrogates in any text are refused, as canonical JSON cannot carry them.
    """

    v: Literal[1] = 1
    instant: Instant
    stage: Stage
    request: RequestFacts
    context: ContextFacts = Field(default_factory=ContextFacts)
    candidate: CandidateFacts | None = None
    evidence: tuple[Evidence, ...] = ()
    counters: dict[Key, Count] = Field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The input as canonical JSON data: no floats, ASCII keys, defaults left out, `v` always there."""
        return {**self.model_dump(mode="json", exclude_defaults=True), "v": self.v}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PolicyInput:
        """Read back what `to_json` gave, exactly.

        Raises:
            PolicyInputError: the data is of a newer format, or not an input at all; texts are not repeated.
        """
        if data.get("v") != 1:
            raise PolicyInputError(
                "this judgement input has a format version other than 1.", remedy="Read it with a newer Limner."
            )
        try:
            return cls.model_validate(dict(data))
        except ValidationError as error:
            raise PolicyInputError(f"this judgement input cannot be read: {_told(error)}.") from None


def _told(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))} {one['msg']}" for one in found)
