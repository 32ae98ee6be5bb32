"""Every error a caller of Limner can meet, under one drawn tree.

The leaves' classes are re-exported as they are, so `except limner.errors.ProviderError` and
`except limner_providers.ProviderError` catch the same thing.

    LimnerError                      .record_id, .remedy
    ├── ConfigInvalid                limner.yaml or an argument is wrong: names field, value and what to do
    ├── PolicyDenied                 policy says no (request, candidate or image); .decision, .user_message
    ├── ReviewRequired               policy asks for a person; the record waits as in_review
    ├── DutyUnfulfilled              a duty that policy attached cannot be carried out, so nothing is released
    ├── RequestEnded                 the record ended earlier without a picture: failed or cancelled
    ├── ForkedProcess                this client was opened in another process
    └── ClientClosed                 this client was closed before

    ProviderError                    an engine: see limner_providers.errors
    ├── InvalidRequest               a field of the request is wrong
    ├── UnsupportedRequest           no configured engine can do it; says which field, and who could
    ├── EngineUnavailable            nothing was made: refused, no permission, too busy (RateLimited), no credit
    ├── ModerationBlocked            the engine's own moderation refused: never fallen back around
    ├── OutcomeUnknown               sent, and nobody knows what became of it: not repeated, perhaps billed
    └── …

    PolicyError                      a policy file or a detector: see limner_policy.errors

    ProvenanceError                  credentials, keys, audit log: see limner_provenance.errors

Each carries `record_id` where a request had begun, a cause, and a message that says what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from limner_policy.errors import (
    DetectorError,
    DetectorUnavailable,
    EvaluationInvalid,
    EvaluationUnavailable,
    PolicyError,
    PolicyFileError,
    PolicyInputError,
    WeightsMismatch,
)
from limner_provenance.errors import (
    AuditError,
    CertificateError,
    CredentialError,
    DatabaseUnavailable,
    DatabaseVersion,
    EntryInvalid,
    ErasureHeld,
    ImageUnreadable,
    KeyUnavailable,
    LogCorrupt,
    PayloadCorrupt,
    PayloadErased,
    PayloadError,
    PayloadMissing,
    ProvenanceError,
    RecordNotFound,
    RecordRunning,
    SealFailed,
    StorageUnavailable,
)
from limner_providers.errors import (
    AccessDenied,
    Cancelled,
    ConfigurationInvalid,
    EngineUnavailable,
    GenerationFailed,
    InvalidRequest,
    ModelRetired,
    ModelUnavailable,
    ModerationBlocked,
    OutcomeUnknown,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    ResultRefused,
    UnsupportedRequest,
)

if TYPE_CHECKING:
    from limner_policy import Decision

__all__ = [
    "EVERY",
    "AccessDenied",
    "AuditError",
    "Cancelled",
    "CertificateError",
    "ClientClosed",
    "ConfigInvalid",
    "ConfigurationInvalid",
    "CredentialError",
    "DatabaseUnavailable",
    "DatabaseVersion",
    "DetectorError",
    "DetectorUnavailable",
    "DutyUnfulfilled",
    "EngineUnavailable",
    "EntryInvalid",
    "ErasureHeld",
    "EvaluationInvalid",
    "EvaluationUnavailable",
    "ForkedProcess",
    "GenerationFailed",
    "ImageUnreadable",
    "InvalidRequest",
    "KeyUnavailable",
    "LimnerError",
    "LogCorrupt",
    "ModelRetired",
    "ModelUnavailable",
    "ModerationBlocked",
    "OutcomeUnknown",
    "PayloadCorrupt",
    "PayloadErased",
    "PayloadError",
    "PayloadMissing",
    "PolicyDenied",
    "PolicyError",
    "PolicyFileError",
    "PolicyInputError",
    "ProvenanceError",
    "ProviderError",
    "QuotaExhausted",
    "RateLimited",
    "RecordNotFound",
    "RecordRunning",
    "RequestEnded",
    "ResultRefused",
    "ReviewRequired",
    "SealFailed",
    "StorageUnavailable",
    "UnsupportedRequest",
    "WeightsMismatch",
    "exit_code",
]


class LimnerError(Exception):
    """Base of the errors that the orchestrator itself raises."""

    def __init__(self, message: str, *, remedy: str = "", record_id: str | None = None) -> None:
        """Keep what is wrong (`message`) apart from what to do (`remedy`), and show both."""
        super().__init__(f"{message} {remedy}".strip())
        self.remedy = remedy
        self.record_id = record_id

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel whole between processes, whatever a subclass's constructor asks for."""
        return _restored, (type(self), self.args, self.__dict__)


class ConfigInvalid(LimnerError):
    """The configuration or an argument is wrong."""


class PolicyDenied(LimnerError):
    """Policy says no; nothing was released.

    Attributes:
        decision: The decision with its rules and reasons; for the house, not for the end user.
        user_message: A sentence that can be shown to an end user and gives no list away.
    """

    def __init__(self, decision: Decision, *, record_id: str | None = None) -> None:
        """Take message and user message from the decision."""
        super().__init__(
            "; ".join(decision.reasons) or "denied by policy",
            remedy=_after_denial(decision),
            record_id=record_id,
        )
        self.decision = decision
        self.user_message = decision.user_message


def _after_denial(decision: Decision) -> str:
    """Say what the operator has to do; where pictures are handled specially, that and nothing else."""
    handling = decision.handling
    if handling is not None and (handling.tell or handling.says or not handling.send_on):
        return handling.told
    return "Change the request, or ask the owner of the rule."


class ReviewRequired(LimnerError):
    """Policy asks for a person to decide; the record waits as in_review and nothing is released yet."""

    def __init__(self, decision: Decision, *, record_id: str | None = None) -> None:
        """Take the message from the decision."""
        super().__init__(
            "a person has to decide: " + "; ".join(decision.reasons),
            remedy="The record is kept as in_review; nothing was sent or released.",
            record_id=record_id,
        )
        self.decision = decision
        self.user_message = "This request needs a review by a person before it can go on."


class DutyUnfulfilled(LimnerError):
    """A duty that policy attached to an image cannot be carried out, so nothing is released."""

    def __init__(self, duties: Sequence[str], *, record_id: str | None = None) -> None:
        """Name the duties."""
        super().__init__(
            f"The duty {', '.join(duties)} cannot be carried out: the image is kept and not released.",
            remedy="This version carries out disclose_prompt alone, of the fields prompt, negative_prompt and writer; "
            "take the duty out of the rule.",
            record_id=record_id,
        )
        self.duties = tuple(duties)


class RequestEnded(LimnerError):
    """The record ended earlier without a picture to give."""


class ForkedProcess(LimnerError):
    """A client opened in one process was used in another."""


class ClientClosed(LimnerError):
    """A client was used after it was closed."""


def _restored(kind: type[LimnerError], args: tuple[Any, ...], state: dict[str, Any]) -> LimnerError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


EVERY: tuple[type[Exception], ...] = (LimnerError, ProviderError, PolicyError, ProvenanceError)
"""What `except` needs to catch everything that Limner raises on purpose."""

_ANSWER_IS_NO = (DutyUnfulfilled, ErasureHeld, PolicyDenied, RecordNotFound, ReviewRequired)
_WRONG_INPUT = (
    ConfigInvalid,
    ConfigurationInvalid,
    EntryInvalid,
    EvaluationInvalid,
    InvalidRequest,
    ModelUnavailable,
    PolicyFileError,
    UnsupportedRequest,
)


def exit_code(error: BaseException) -> int:
    """Give the CLI's exit code: 1 the answer is no, 2 wrong usage or input, 3 it could not be done."""
    if isinstance(error, _ANSWER_IS_NO):
        return 1
    if isinstance(error, _WRONG_INPUT):
        return 2
    return 3
