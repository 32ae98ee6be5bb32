"""What the OpenAI Images API's refusals mean: moderation, keys, quotas, rates, models, parameters.

It knows bytes and words and neither the client nor its types. Of a server's text only code words are ever shown: its
message may repeat the prompt or the key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from limner_providers import _http_errors as words
from limner_providers.errors import (
    AccessDenied,
    GenerationFailed,
    ModelUnavailable,
    ModerationBlocked,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    UnsupportedRequest,
    shorten,
)
from limner_providers.types import ImageRequest

_MODERATION = frozenset({
    "moderation_blocked", "content_policy_violation", "content_filter", "contentfilter", "content_blocked",
    "responsibleaipolicyviolation", "sensitive_words_detected", "image_content_policy_violation",
})  # fmt: skip
_QUOTA = frozenset({
    "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_user_quota",
    "quota_exceeded",
})  # fmt: skip
_NO_MODEL = frozenset({"model_not_found", "deploymentnotfound", "model_deprecated", "invalid_model"})
_VIOLATIONS = re.compile(r"safety_violations=\[([^\]]{0,400})\]")
# What relays leave of a refusal once they have put their own code in its place (LiteLLM's is "400").
_REFUSED = re.compile(
    r"rejected by (?:the|our) safety system|moderation_blocked|content[_ ]?policy[_ ]?violation"
    r"|responsible ?ai ?policy|blocked by (?:the|our) content (?:filter|policy)",
    re.IGNORECASE,
)
_NO_ACCESS = re.compile(r"\bLimit:\s*0(?:\.0+)?\s*(?:/|\b)")
_PER = re.compile(r"\b((?:input-)?images|requests|tokens) per (minute|day|hour)\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_/-]{0,47}")
_TEXT_LIMIT = 4096  # characters of a server's message that are looked through
# The vendor's parameter, as the request's field is called.
_FIELDS: Mapping[str, str] = {
    "prompt": "prompt", "n": "n", "size": "size", "quality": "quality", "background": "background",
    "output_format": "output_format", "output_compression": "output_compression", "image": "image",
    "image[]": "image", "images": "image", "mask": "mask", "moderation": "extra.openai.moderation",
    "complexity": "extra.openai.complexity", "input_fidelity": "extra.openai.input_fidelity",
    "style": "extra.openai.style",
}  # fmt: skip
_VERIFY = "Verify the organisation at the vendor (settings, organization, general), or use a model that needs none."


@dataclass(frozen=True, slots=True)
class Told:
    """What an error's body says, in whatever shape: an object, a text, nothing."""

    code: str = ""
    type: str = ""
    param: str = ""
    message: str = field(default="", repr=False)
    stage: str | None = None
    categories: tuple[str, ...] = ()

    @property
    def moderated(self) -> bool:
        """Whether the server's own moderation refused."""
        named = self.code.lower() in _MODERATION or self.type.lower() in _MODERATION or self.stage is not None
        return named or bool(_VIOLATIONS.search(self.message) or _REFUSED.search(self.message))

    @property
    def quota(self) -> bool:
        """Whether the account is used up."""
        return self.code.lower() in _QUOTA or self.type.lower() in _QUOTA


def read_told(value: Any) -> Told:
    """Read what a decoded error says; a shape that is not known says nothing.

    Args:
        value: the JSON: `{"error": {…}}`, `{"error": "text"}`, the inner object, a text.
    """
    if isinstance(value, Mapping) and value.get("error") is not None:
        value = value["error"]
    if isinstance(value, str):
        return Told(message=value[:_TEXT_LIMIT])
    if not isinstance(value, Mapping):
        return Told()
    message = _text(value.get("message"), _TEXT_LIMIT)
    details = value.get("moderation_details")
    details = details if isinstance(details, Mapping) else {}
    stage = details.get("moderation_stage")
    return Told(
        code=_text(value.get("code"), 80),
        type=_text(value.get("type"), 80),
        param=_text(value.get("param"), 80),
        message=message,
        stage=stage if stage in {"input", "output"} else None,
        categories=_categories(details, message),
    )


def _text(value: Any, longest: int) -> str:
    return str(value)[:longest] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _categories(details: Mapping[str, Any], message: str) -> tuple[str, ...]:
    found = details.get("categories")
    if not isinstance(found, list):
        listed = _VIOLATIONS.search(message)
        found = listed[1].split(",") if listed else []
    names = [name.strip().strip("'\"") for name in found[:32] if isinstance(name, str)]
    return tuple(dict.fromkeys(name for name in names if _WORD.fullmatch(name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Of whom what was asked: what a message names.

    Attributes:
        provider: its name in the configuration.
        model: as the request named it.
        request: what was asked; None for a call that makes no picture.
        secrets: what may never be shown.
    """

    provider: str
    model: str | None
    request: ImageRequest | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


def refused(status: int, headers: Mapping[str, str], body: bytes, asked: Asked) -> ProviderError:
    """Say what an answer with an error's status means; where the vendor has no own words, the table of all engines.

    Args:
        status: not 2xx.
        headers: with lower-case names.
        body: as far as it was read.
        asked: who was asked what.
    """
    told = read_told(_json(body))
    known = words.request_id(headers)
    error = _own_words(status, told, asked, known, words.retry_after(headers))
    if error is None:
        error = words.status_error(
            status,
            headers,
            body,
            provider=asked.provider,
            idempotent=asked.request is None,
            secrets=asked.secrets,
        )
    error.request_id = known
    if headers.get("x-should-retry", "").strip().lower() == "false":
        error.retry_safe = False
    return error


def told_in_answer(value: Any, asked: Asked, *, request_id: str | None, billed: bool) -> ProviderError:
    """Say what an error inside an answer that began well means: a stream's `error` event, a 200 with an error.

    Args:
        value: the decoded event or body.
        asked: who was asked what.
        request_id: the server's id of the call.
        billed: whether the work had begun, so that it may be billed.
    """
    told = read_told(value)
    error: ProviderError
    if told.moderated:
        return _blocked(told, asked, request_id, billed=billed or None)
    if told.quota and not billed:
        return _no_quota(asked, request_id)
    shown = words.error_words(json.dumps(value, default=str).encode(), asked.secrets)
    why = "".join(f", {name} {word}" for name, word in shown.items())
    error = GenerationFailed(
        f"{asked.provider}: its answer is an error and no picture{why}.",
        remedy="Look at the server's log; what it began may be billed.",
        provider=asked.provider,
        request_id=request_id,
        may_have_billed=True,
    )
    return error


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _own_words(
    status: int, told: Told, asked: Asked, request_id: str | None, wait: float | None
) -> ProviderError | None:
    if status == 451 or told.moderated:
        return _blocked(told, asked, request_id)
    if told.quota or status == 402:
        return _no_quota(asked, request_id)
    if status == 429:
        return _rate(told, asked, wait)
    return _access(status, told, asked) or _parameter(status, told, asked)


def _access(status: int, told: Told, asked: Asked) -> ProviderError | None:
    if told.code.lower() in _NO_MODEL or (status == 404 and told.param == "model"):
        return ModelUnavailable(
            f"{asked.provider} has no model {shorten(asked.model)}, or this key may not use it.",
            remedy="Check the name (`limner models`, `limner providers check`) and the project's rights.",
            provider=asked.provider,
        )
    if status == 403 and "must be verified" in told.message:
        what = (
            f"{asked.provider}: the organisation must be verified before it may use the model {shorten(asked.model)}."
        )
        return AccessDenied(what, remedy=_VERIFY, provider=asked.provider)
    return None


def _blocked(told: Told, asked: Asked, request_id: str | None, *, billed: bool | None = None) -> ModerationBlocked:
    where = f" at the {told.stage} stage" if told.stage else ""
    what = f" ({', '.join(told.categories)})" if told.categories else ""
    return ModerationBlocked(
        f"{asked.provider}: its own moderation refused{where}{what}.",
        stage=told.stage,
        categories=told.categories,
        remedy="Change the prompt or the pictures; asking again as it is does not help.",
        provider=asked.provider,
        request_id=request_id,
        may_have_billed=told.stage == "output" if billed is None else billed,
    )


def _no_quota(asked: Asked, request_id: str | None) -> QuotaExhausted:
    return QuotaExhausted(
        f"{asked.provider}: the account's quota or credit is used up.",
        remedy="Top up the account or raise its limit; asking again does not help.",
        provider=asked.provider,
        request_id=request_id,
    )


def _rate(told: Told, asked: Asked, wait: float | None) -> ProviderError:
    found = _PER.search(told.message)
    what = f"{found[1].lower()} per {found[2].lower()}" if found else "calls"
    if _NO_ACCESS.search(told.message):
        return QuotaExhausted(
            f"{asked.provider}: the account's limit of {what} for the model {shorten(asked.model)} is 0.",
            remedy="Ask the vendor for access to this model, or use another; waiting does not help.",
            provider=asked.provider,
        )
    then = "later" if wait is None else f"in {wait:g} s"
    return RateLimited(
        f"{asked.provider}: too many {what}.",
        retry_after=wait,
        remedy=f"Ask again {then}.",
        provider=asked.provider,
    )


def _parameter(status: int, told: Told, asked: Asked) -> ProviderError | None:
    """Name the request's field where the server names its parameter; its value is ours, never the server's words."""
    if asked.request is None or not told.param or status not in {400, 413, 415, 422}:
        return None
    name = _FIELDS.get(told.param)
    code = f", code {told.code}" if _WORD.fullmatch(told.code) else ""
    if name is None:
        param = told.param if re.fullmatch(r"[a-z][a-z0-9_.\[\]]{0,47}", told.param) else "that it names"
        verb = "needs" if told.code.startswith("missing") else "does not take"
        return GenerationFailed(
            f"{asked.provider}: it answered {status}: it {verb} the parameter {param}{code}.",
            remedy="Check the provider's settings `dialect` and `model`.",
            provider=asked.provider,
        )
    return UnsupportedRequest(
        name,
        _value(name, asked.request),
        why=f"the server answered {status}{code}.",
        remedy="Change it, or check the provider's settings `dialect` and `model`.",
        provider=asked.provider,
    )


def _value(name: str, request: ImageRequest) -> str:
    if name == "prompt":
        return f"({len(request.prompt):,} characters)"
    if name.startswith("extra."):
        return shorten(request.extra.get("openai", {}).get(name.rpartition(".")[2]))
    value = getattr(request, name)
    return "(given)" if name in {"image", "mask"} else shorten(value)
