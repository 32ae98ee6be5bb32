"""What rules ask of a request beside its words: numbers, pictures that were given, tags. Pure, like every condition.

An amount that the request does not say (`size` left to the model, no number of steps) is unknown, never 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from limner_policy.conditions import NO, UNKNOWN, YES, Case, Finding, folded_fact
from limner_policy.licences.territory import lies_in
from limner_policy.types import PolicyInput

_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)
_SIZE = re.compile(r"(\d{1,9})x(\d{1,9})", re.ASCII)
_NUMBERED = re.compile(r"-\d+$", re.ASCII)

INPUT_KINDS = ("image", "mask", "reference", "control")
"""The pictures that a request can bring; `reference-0` and `reference-1` are both `reference`."""


def _number(text: str | None) -> Decimal | None:
    return Decimal(text) if text is not None and _NUMBER.fullmatch(text) else None


def _parameter(name: str) -> Callable[[PolicyInput], Decimal | None]:
    return lambda given: _number(given.request.parameters.get(name))


def _side(group: int) -> Callable[[PolicyInput], Decimal | None]:
    def read(given: PolicyInput) -> Decimal | None:
        size = _SIZE.fullmatch(given.request.size or "")
        return Decimal(size[group]) if size else None

    return read


def _pixels(given: PolicyInput) -> Decimal | None:
    size = _SIZE.fullmatch(given.request.size or "")
    return Decimal(int(size[1]) * int(size[2])) if size else None


AMOUNTS: dict[str, Callable[[PolicyInput], Decimal | None]] = {
    "n": lambda given: _number(given.request.n),
    "width": _side(1),
    "height": _side(2),
    "pixels": _pixels,
    "steps": _parameter("num_inference_steps"),
    "guidance_scale": _parameter("guidance_scale"),
    "strength": _parameter("strength"),
}
"""Amount → how it is read from the request; None means that it is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class AmountIs:
    """An amount inside bounds, all of which have to hold; unknown where the amount is not known."""

    amount: str
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    over: Decimal | None = None
    under: Decimal | None = None

    def find(self, case: Case) -> Finding:
        """Compare exactly, in decimals."""
        value = AMOUNTS[self.amount](case.given)
        if value is None:
            return UNKNOWN
        holds = (
            (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.over is None or value > self.over)
            and (self.under is None or value < self.under)
        )
        return YES if holds else NO


@dataclass(frozen=True, slots=True, eq=False)
class RegionWithin:
    """The region of use lies in one of some territories: DE in EU, US-CA in US.

    Unknown where no region was said, where it is no code, or where it is larger than a territory (US against US-CA).
    """

    territories: tuple[str, ...]

    def find(self, case: Case) -> Finding:
        """Compare codes."""
        truths = {lies_in(case.given.context.region, territory) for territory in self.territories}
        if True in truths:
            return YES
        return UNKNOWN if None in truths else NO


@dataclass(frozen=True, slots=True, eq=False)
class TagsHave:
    """At least one of the context's tags is one of some values; a context without tags has none of them."""

    values: frozenset[str]

    def find(self, case: Case) -> Finding:
        """Compare without regard to case and outer spaces."""
        return YES if any(folded_fact(tag) in self.values for tag in case.given.context.tags) else NO


@dataclass(frozen=True, slots=True, eq=False)
class InputsHave:
    """The request brings at least one picture of some kinds (`INPUT_KINDS`)."""

    kinds: frozenset[str]

    def find(self, case: Case) -> Finding:
        """Look at the names of the pictures that were given."""
        return YES if any(_NUMBERED.sub("", name) in self.kinds for name in case.given.request.inputs) else NO
