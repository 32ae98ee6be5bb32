"""The shapes of what an engine can do: sizes, ranges, references, options, prices. All of it data, none of it code."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Fact(BaseModel):
    """A frozen piece of a capability; unknown keys are errors, so that a data file cannot hold a misspelt fact."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SizeRule(Fact):
    """Which sizes can be made, in pixels.

    Attributes:
        multiple_of: both sides are multiples of this number.
        minimum, maximum: the least and the greatest side.
        min_pixels, max_pixels: least and greatest width × height, None: no limit but the sides'.
        max_aspect: the longer side is at most so many times the shorter, None: no limit.
        native: the size made when none is asked for, `WIDTHxHEIGHT`.
        fixed: where it is not empty only these sizes can be made.
        exact: pixels can be chosen; False: only proportions can (`aspect_ratio`).
    """

    multiple_of: int = Field(default=1, ge=1)
    minimum: int = Field(default=1, ge=1)
    maximum: int = Field(default=16_384, ge=1)
    min_pixels: int | None = None
    max_pixels: int | None = None
    max_aspect: Decimal | None = None
    native: str | None = None
    fixed: tuple[str, ...] = ()
    exact: bool = True

    def problem(self, width: int, height: int) -> str | None:
        """Say why `width` × `height` cannot be made; None: it can."""
        if not self.exact:
            return "only proportions can be chosen, no pixels."
        if self.fixed:
            return None if f"{width}x{height}" in self.fixed else f"only {', '.join(self.fixed)} can be made."
        if not all(self.minimum <= side <= self.maximum for side in (width, height)):
            return f"sides run from {self.minimum} to {self.maximum} pixels."
        if width % self.multiple_of or height % self.multiple_of:
            return f"sides are multiples of {self.multiple_of} pixels."
        return self.too_large(width, height) or self._odd_shape(width, height)

    def too_large(self, width: int, height: int) -> str | None:
        """Say whether `width` × `height` is beyond the greatest side or area; None: it is not."""
        if max(width, height) > self.maximum:
            return f"a side has at most {self.maximum} pixels."
        if self.max_pixels is not None and width * height > self.max_pixels:
            return f"a picture has at most {self.max_pixels:,} pixels."
        return None

    def _odd_shape(self, width: int, height: int) -> str | None:
        if self.min_pixels is not None and width * height < self.min_pixels:
            return f"a picture has at least {self.min_pixels:,} pixels."
        if self.max_aspect is not None and max(width, height) > self.max_aspect * min(width, height):
            return f"the longer side is at most {self.max_aspect} times the shorter."
        return None

    def nearest(self, width: int, height: int) -> tuple[str, ...]:
        """Give the sizes that can be made and are nearest to `width` × `height`, the nearest first, at most two."""
        if not self.exact:
            return ()
        if self.fixed:
            candidates = [(int(w), int(h)) for w, h in (size.split("x") for size in self.fixed)]
        else:
            candidates = [(w, h) for w in self._sides_near(width) for h in self._sides_near(height)]
            factor = self._to_area(width, height)
            if factor != 1:
                larger = self._sides_near(round(width * factor)), self._sides_near(round(height * factor))
                candidates += [(w, h) for w in larger[0] for h in larger[1]]
        fitting = [pair for pair in candidates if self.problem(*pair) is None]
        fitting.sort(key=lambda pair: (abs(pair[0] - width) + abs(pair[1] - height), pair))
        return tuple(f"{w}x{h}" for w, h in dict.fromkeys(fitting))[:2]

    def of_aspect(self, across: int, down: int) -> str | None:
        """Give the size with proportions `across`:`down` that is nearest to the native area; None: there is none.

        The shorter side is one of the two multiples next to that area's, whichever lets the longer one meet the
        proportions better; where sizes are fixed, they are met exactly.
        """
        if self.fixed:
            same = (size for size in self.fixed if _ratio(size) == (across, down))
            return next(same, None)
        native = _pair(self.native) if self.native else (1024, 1024)
        short, long = sorted((across, down))
        side = math.sqrt(native[0] * native[1] * short / long) / self.multiple_of
        steps = {max(1, math.floor(side)), max(1, math.ceil(side))}
        shapes = [(abs(round(n * long / short) * short / (n * long) - 1), abs(n - side), n) for n in steps]
        _, _, n = min(shapes)
        pair = n * self.multiple_of, round(n * long / short) * self.multiple_of
        width, height = pair if across <= down else pair[::-1]
        return None if self.exact and self.problem(width, height) else f"{width}x{height}"

    def _to_area(self, width: int, height: int) -> float:
        """Say how many times as long both sides must be for the least or the greatest area; 1: it is neither."""
        area = width * height
        if self.min_pixels is not None and area < self.min_pixels:
            return math.sqrt(self.min_pixels / area)
        if self.max_pixels is not None and area > self.max_pixels:
            return math.sqrt(self.max_pixels / area)
        return 1

    def _sides_near(self, side: int) -> tuple[int, int]:
        """Give the next possible side below and above `side`."""
        step = self.multiple_of
        low, high = -(-self.minimum // step) * step, self.maximum // step * step
        below = side // step * step
        return min(max(below, low), high), min(max(below + (step if side % step else 0), low), high)


def _pair(size: str) -> tuple[int, int]:
    width, height = size.split("x")
    return int(width), int(height)


def _ratio(size: str) -> tuple[int, int]:
    width, height = _pair(size)
    common = math.gcd(width, height)
    return width // common, height // common


class IntRange(Fact):
    """Whole numbers from `minimum` to `maximum`, both possible."""

    minimum: int
    maximum: int


class DecimalRange(Fact):
    """Numbers from `minimum` to `maximum`, both possible."""

    minimum: Decimal
    maximum: Decimal


class ReferenceRule(Fact):
    """How many reference pictures are taken, in which formats, and what can be taken from them."""

    maximum: int = Field(ge=1)
    formats: tuple[str, ...] = ("png", "jpeg", "webp")
    uses: tuple[str, ...] = ("image",)
    weight: bool = False


class OptionRule(Fact):
    """What one option of a kind's own (`extra`) may be.

    Attributes:
        type: what it is.
        choices: where it is not empty, the only texts that are taken.
        minimum, maximum: of a number; of a text its length.
        says: what it does, a few words.
    """

    type: Literal["text", "integer", "number", "boolean"]
    choices: tuple[str, ...] = ()
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    says: str = ""

    def problem(self, value: Any) -> str | None:
        """Say why `value` cannot be taken; None: it can."""
        return next(self._problems(value), None)

    def _problems(self, value: Any) -> Iterator[str]:
        kinds: dict[str, Any] = {
            "text": str, "integer": int, "number": (int, float, Decimal), "boolean": bool,
        }  # fmt: skip
        if not isinstance(value, kinds[self.type]) or (isinstance(value, bool) and self.type != "boolean"):
            yield f"it is a {self.type}."
            return
        if self.choices and value not in self.choices:
            yield f"it is one of {', '.join(self.choices)}."
        if not isinstance(value, bool):
            yield from self._outside(value)

    def _outside(self, value: str | float | Decimal) -> Iterator[str]:
        measure = Decimal(len(value)) if isinstance(value, str) else Decimal(str(value))
        what = "it has {} characters." if isinstance(value, str) else "it is {}."
        if self.minimum is not None and measure < self.minimum:
            yield what.format(f"at least {self.minimum}")
        if self.maximum is not None and measure > self.maximum:
            yield what.format(f"at most {self.maximum}")


class CostRule(Fact):
    """How a call is charged: so much an image, or a rate for each kind of token.

    Attributes:
        unit: what is counted.
        rates: amount for one unit, by kind (`image`; `text_input`, `image_output`, … for tokens).
        currency: ISO 4217 code.
    """

    unit: Literal["image", "token"]
    rates: dict[str, Decimal]
    currency: str = "USD"
