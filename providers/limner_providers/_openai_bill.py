"""What a call to the OpenAI Images API cost, from what its answer counts: exact, or not said at all.

Text, pictures and what was cached have different rates. Where an answer leaves out how its tokens are divided, the
cost is told only if there is one way to divide them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from limner_providers.base import Cost
from limner_providers.rules import CostRule

_UNKNOWN = "the cost is not known: "


@dataclass(slots=True, kw_only=True)
class Bill:
    """What was counted and what it costs.

    Attributes:
        usage: tokens by kind, as a record keeps them.
        cost: None where it is not known.
        warnings: what the caller should know about it.
    """

    usage: dict[str, int] = field(default_factory=dict)
    cost: Cost | None = None
    warnings: list[str] = field(default_factory=list)


class _NotKnown(Exception):
    """Why the cost cannot be told."""


def bill_of(usage: Any, rule: CostRule | None, *, images: int, inputs: bool) -> Bill:
    """Count and price one call.

    Args:
        usage: the answer's `usage`, as it came.
        rule: the rates; None: nobody knows them here.
        images: pictures that came.
        inputs: whether pictures were sent, so that input tokens can be of two kinds.
    """
    counted = _Count(usage, inputs)
    bill = Bill(usage=counted.usage(), warnings=[])
    try:
        if rule is None:
            return bill
        amount = rule.rates["image"] * images if rule.unit == "image" else counted.price(rule.rates, bill.warnings)
        bill.cost = Cost(amount=amount, currency=rule.currency)
    except _NotKnown as why:
        bill.warnings.append(f"{_UNKNOWN}{why}")
    return bill


class _Count:
    """The tokens of one answer, as far as they make sense."""

    def __init__(self, usage: Any, inputs: bool) -> None:
        told = usage if isinstance(usage, Mapping) else {}
        self.given = bool(told)
        self.pictures_sent = inputs
        self.input, self.output, self.total = (_whole(told, f"{name}_tokens") for name in ("input", "output", "total"))
        details = _part(told, "input_tokens_details")
        self.text_in, self.image_in = _whole(details, "text_tokens"), _whole(details, "image_tokens")
        self.cached = _whole(details, "cached_tokens")
        cached = _part(details, "cached_tokens_details")
        self.cached_text, self.cached_image = _whole(cached, "text_tokens"), _whole(cached, "image_tokens")
        details = _part(told, "output_tokens_details")
        self.text_out, self.image_out = _whole(details, "text_tokens"), _whole(details, "image_tokens")

    def usage(self) -> dict[str, int]:
        named = {
            "input_tokens": self.input,
            "input_text_tokens": self.text_in,
            "input_image_tokens": self.image_in,
            "cached_input_tokens": self.cached,
            "cached_input_text_tokens": self.cached_text,
            "cached_input_image_tokens": self.cached_image,
            "output_tokens": self.output,
            "output_text_tokens": self.text_out,
            "output_image_tokens": self.image_out,
            "total_tokens": self.total,
        }
        return {name: count for name, count in named.items() if count is not None}

    def price(self, rates: Mapping[str, Decimal], warnings: list[str]) -> Decimal:
        """Sum up at `rates`; what had to be concluded is said in `warnings`.

        Raises:
            _NotKnown: there are several ways to read it, or a rate is missing.
        """
        if not self.given or self.input is None or self.output is None:
            raise _NotKnown("the answer does not say what was counted.")
        text_in, image_in = self._input(warnings)
        cached_text, cached_image = self._cached(text_in, image_in)
        text_out, image_out = self._output(warnings)
        return sum(
            (
                _rate(rates, "text_input", text_in - cached_text),
                _rate(rates, "cached_text_input", cached_text),
                _rate(rates, "image_input", image_in - cached_image),
                _rate(rates, "cached_image_input", cached_image),
                _rate(rates, "text_output", text_out),
                _rate(rates, "image_output", image_out),
            ),
            Decimal(0),
        )

    def _input(self, warnings: list[str]) -> tuple[int, int]:
        assert self.input is not None
        text, image = self._divided(self.input, self.text_in, self.image_in, "input")
        if text is None or image is None:
            if self.pictures_sent:
                raise _NotKnown("the answer does not say how many input tokens are text and how many are pictures.")
            warnings.append(
                "the answer does not divide its input tokens; all are counted as text, as no picture was sent"
            )
            return self.input, 0
        return text, image

    def _output(self, warnings: list[str]) -> tuple[int, int]:
        assert self.output is not None
        text, image = self._divided(self.output, self.text_out, self.image_out, "output")
        if text is None or image is None:
            warnings.append("the answer does not divide its output tokens; all are counted as pictures")
            return 0, self.output
        return text, image

    @staticmethod
    def _divided(whole: int, text: int | None, image: int | None, what: str) -> tuple[int | None, int | None]:
        """Give both parts, the missing one from the whole; None where both are missing."""
        if text is None and image is None:
            return None, None
        text = whole - (image or 0) if text is None else text
        image = whole - text if image is None else image
        if text < 0 or image < 0 or text + image != whole:
            raise _NotKnown(f"the answer's {what} tokens do not add up.")
        return text, image

    def _cached(self, text_in: int, image_in: int) -> tuple[int, int]:
        """Say how many of the input's text and picture tokens were cached."""
        text, image, whole = self.cached_text, self.cached_image, self.cached
        if not any((text, image, whole)):
            return 0, 0
        if text is None and image is None:
            assert whole is not None
            if text_in and image_in and whole != text_in + image_in:
                raise _NotKnown("the answer does not say which input tokens were cached.")
            text, image = min(whole, text_in), whole - min(whole, text_in)
        elif whole is not None:
            text, image = self._divided(whole, text, image, "cached")
        text, image = text or 0, image or 0
        if text > text_in or image > image_in:
            raise _NotKnown("the answer counts more cached tokens than tokens.")
        return text, image


def _part(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = told.get(name)
    return value if isinstance(value, Mapping) else {}


def _whole(told: Mapping[str, Any], name: str) -> int | None:
    value = told.get(name)
    return value if type(value) is int and 0 <= value < 2**53 else None


def _rate(rates: Mapping[str, Decimal], kind: str, tokens: int) -> Decimal:
    if tokens == 0:
        return Decimal(0)
    if kind not in rates:
        raise _NotKnown(f"nobody wrote down the rate of {kind.replace('_', ' ')} tokens.")
    return rates[kind] * tokens
