"""Everything that can go wrong with a request, a model or an engine.

    ProviderError
    ├── InvalidRequest        (also ValueError) the request itself is wrong, whatever the engine
    ├── UnsupportedRequest    this provider and model cannot honour it: names the field and who could
    ├── ConfigurationInvalid  (also ValueError) a provider's kind or settings are wrong
    ├── ModelUnavailable      the model is not there, or its files are missing, corrupt, or no pipeline
    │   └── ModelRetired      its vendor has switched it off; names the successor
    ├── EngineUnavailable     nothing was made: dependency missing, device gone, connection refused, busy
    │   ├── AccessDenied      the engine knows who asks and says no: wrong key, no permission
    │   ├── RateLimited       too many calls; says when to come again, where the engine does
    │   └── QuotaExhausted    the account is used up: asking again does not help
    ├── GenerationFailed      the engine said no, or gave something that is no picture
    │   └── ResultRefused     the picture's address or what lies there is not safe to take: wrong host, size or content
    ├── ModerationBlocked     the provider's own moderation refused: never a reason to ask somebody else
    ├── OutcomeUnknown        the request left, its outcome is not known: it may have been carried out and billed
    └── Cancelled             given up before it was finished

Each message names what was wrong and what to do; `remedy` repeats the latter alone. Prompt texts and secrets are
never in a message. `retry_safe` says that asking again cannot bill twice and may help; `may_have_billed` that money may
be spent; `fallback_safe` that another engine may be asked instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

_SHOWN = 80  # characters of a value that a message repeats


def shorten(value: object) -> str:
    """Write `value` as a message may show it: its `repr`, cut in the middle of nowhere after 80 characters."""
    text = repr(value[: _SHOWN + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _rebuild(cls: type[ProviderError], args: tuple[Any, ...], state: dict[str, Any]) -> ProviderError:
    """Make an error again after pickling, whatever its constructor asks for."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ProviderError(Exception):
    """Base of this package's errors.

    Attributes:
        provider: the provider's name in the configuration, None where no provider was asked yet.
        request_id: the provider's own id of the call, None where there is none.
        remedy: what to do next, one or two sentences.
        retry_safe: the same call may be made again without a danger of paying twice.
        may_have_billed: the provider may have done, and billed, the work.
        job: the provider's id of the work itself, by which its result may be fetched later; None where there is none.
        record_id: the record it happened in, where the orchestrator had begun one.
    """

    record_id: str | None = None

    default_retry_safe: ClassVar[bool] = False
    default_may_have_billed: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        provider: str | None = None,
        request_id: str | None = None,
        job: str | None = None,
        retry_safe: bool | None = None,
        may_have_billed: bool | None = None,
    ) -> None:
        """Show `message` (what is wrong) and `remedy` (what to do) together and keep the latter apart."""
        super().__init__(f"{message} {remedy}".strip())
        self.remedy = remedy
        self.provider = provider
        self.request_id = request_id
        self.job = job
        self.retry_safe = self.default_retry_safe if retry_safe is None else retry_safe
        self.may_have_billed = self.default_may_have_billed if may_have_billed is None else may_have_billed

    @property
    def fallback_safe(self) -> bool:
        """Whether another engine may be asked: nothing is billed, nobody's moderation refused, nobody gave up."""
        return not self.may_have_billed and not isinstance(self, ModerationBlocked | OutcomeUnknown | Cancelled)

    def __reduce__(self) -> tuple[Callable[..., ProviderError], tuple[Any, ...]]:
        """Survive the way to another process (a queue's worker answers with errors too)."""
        return _rebuild, (type(self), self.args, self.__dict__)


class InvalidRequest(ProviderError, ValueError):
    """A field of the request is wrong, whatever the engine.

    Attributes:
        field: name of the field.
        value: its value as the message shows it, shortened; of a prompt only its length.
        problem: what is wrong with it; completes "field=value …".
    """

    def __init__(self, field: str, value: str, remedy: str, *, problem: str = "is not valid.") -> None:
        """Say that `field`, shown as `value`, has `problem`, and what to do."""
        super().__init__(f"{field}={value} {problem}", remedy=remedy)
        self.field = field
        self.value = value
        self.problem = problem


class UnsupportedRequest(ProviderError):
    """This provider and model cannot honour a field of the request.

    Attributes:
        field: name of the field.
        value: its value as the message shows it.
        able: who could honour it: providers or kinds, empty where nobody is known.
    """

    def __init__(
        self,
        field: str,
        value: str,
        *,
        why: str,
        remedy: str = "",
        able: Sequence[str] = (),
        provider: str | None = None,
    ) -> None:
        """Say that `field`, shown as `value`, cannot be honoured, `why`, and what to do."""
        who = f"{provider}: " if provider else ""
        super().__init__(f"{who}{field}={value} cannot be honoured: {why}", remedy=remedy, provider=provider)
        self.field = field
        self.value = value
        self.able = tuple(able)


class ConfigurationInvalid(ProviderError, ValueError):
    """A provider's kind or one of its settings is wrong."""


class ModelUnavailable(ProviderError):
    """The model's files are missing, corrupt, or not those of a pipeline that can be run."""


class ModelRetired(ModelUnavailable):
    """The vendor has switched the model off.

    Attributes:
        successor: the model that the vendor names instead, None where it names none.
    """

    def __init__(
        self,
        message: str,
        *,
        successor: str | None = None,
        remedy: str = "",
        provider: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """Keep the `successor`: the next request can name it."""
        super().__init__(message, remedy=remedy, provider=provider, request_id=request_id)
        self.successor = successor


class EngineUnavailable(ProviderError):
    """The engine did not start: nothing was made, and nothing is billed."""

    default_retry_safe = True


class AccessDenied(EngineUnavailable):
    """The engine refuses who asks: the key is wrong, or it has no right to this model."""

    default_retry_safe = False


class RateLimited(EngineUnavailable):
    """The engine, or the server before it, has too much to do just now.

    Attributes:
        retry_after: seconds after which the engine wants to be asked again; None where it does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        remedy: str = "",
        provider: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """Keep `retry_after`, in seconds: who retries has to wait that long."""
        super().__init__(message, remedy=remedy, provider=provider, request_id=request_id)
        self.retry_after = retry_after


class QuotaExhausted(EngineUnavailable):
    """The account's credit or quota is used up, or was never there: asking again does not help."""

    default_retry_safe = False


class GenerationFailed(ProviderError):
    """The engine said no, or what it gave is no picture."""


class ResultRefused(GenerationFailed):
    """A result was made, and its address or what lies there is not safe to take."""

    default_may_have_billed = True


class ModerationBlocked(ProviderError):
    """The provider's own moderation refused.

    Attributes:
        stage: `input` or `output`, None where the provider does not say.
        categories: the provider's own words for what it found.
        matched: words of the request that it named, for whoever asked; a log keeps them as it keeps the prompt.
    """

    def __init__(
        self,
        message: str,
        *,
        stage: str | None = None,
        categories: Sequence[str] = (),
        matched: Sequence[str] = (),
        remedy: str = "",
        provider: str | None = None,
        request_id: str | None = None,
        may_have_billed: bool | None = None,
    ) -> None:
        """Keep the provider's `stage` and `categories`: they become evidence."""
        super().__init__(
            message, remedy=remedy, provider=provider, request_id=request_id, may_have_billed=may_have_billed
        )
        self.stage = stage
        self.categories = tuple(categories)
        self.matched = tuple(matched)


class OutcomeUnknown(ProviderError):
    """The request left and no answer came back that can be trusted: it may have been carried out."""

    default_may_have_billed = True


class Cancelled(ProviderError):
    """The work was given up before it was finished."""

    default_retry_safe = True
