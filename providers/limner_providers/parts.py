"""The parts of a request that are more than one value: references, control images, LoRAs, margins, an origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from limner_providers._requests import wrong
from limner_providers.images import InputImage

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Picture = Annotated[InputImage, BeforeValidator(InputImage.of)]
ReferenceUse = Literal["image", "style", "character"]


class _Part(BaseModel):
    """Frozen, closed, and silent about values in its errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)


class Reference(_Part):
    """A picture that the new one shall resemble (IP-Adapter, `--cref`, `--sref`, an edit's further images).

    In a request a bare picture is one as well: `references=["a.png"]`.

    Attributes:
        image: the picture; a path, bytes, a Pillow image or an image of a result.
        use: what is taken from it: all of it (`image`), its `style`, or the `character` it shows.
        weight: 0 to 2, None: the engine's own.
    """

    image: Picture
    use: ReferenceUse = "image"
    weight: Annotated[Number, Field(ge=0, le=2)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, given: Any) -> Any:
        return given if isinstance(given, Mapping | Reference) else {"image": given}


class ControlImage(_Part):
    """A picture that lays down structure (ControlNet).

    Attributes:
        image: the picture.
        kind: what it shows: `canny`, `depth`, `openpose`, … as the engine names it.
        model: the control model's name, None: the engine's own for this kind.
        weight: 0 to 2.
        start, end: the part of the steps in which it works, 0 to 1.
        preprocess: the picture is a plain one, from which the engine shall make the control image first.
    """

    image: Picture
    kind: Annotated[str, Field(min_length=1, max_length=100)]
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    weight: Annotated[Number, Field(ge=0, le=2)] = 1.0
    start: Annotated[Number, Field(ge=0, le=1)] = 0.0
    end: Annotated[Number, Field(ge=0, le=1)] = 1.0
    preprocess: bool = False


class Lora(_Part):
    """A LoRA by its engine's name for it, and its weight, -4 to 4."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^<>:\x00-\x1f]+$")]
    weight: Annotated[Number, Field(ge=-4, le=4)] = 1.0


class Margins(_Part):
    """Pixels to draw beyond the picture's sides, each 0 to 8192 and one of them at least 1."""

    left: Annotated[int, Field(strict=True, ge=0, le=8192)] = 0
    top: Annotated[int, Field(strict=True, ge=0, le=8192)] = 0
    right: Annotated[int, Field(strict=True, ge=0, le=8192)] = 0
    bottom: Annotated[int, Field(strict=True, ge=0, le=8192)] = 0

    @model_validator(mode="after")
    def _some(self) -> Margins:
        if not (self.left or self.top or self.right or self.bottom):
            raise wrong("adds nothing.", "Give left, top, right or bottom in pixels.")
        return self


class ImageOrigin(_Part):
    """A picture by the name that its engine has for it.

    Attributes:
        provider: the configured name of the provider that made it.
        job: the provider's id of the work.
        index: which picture of the work, from 1.
    """

    provider: str
    job: Annotated[str, Field(min_length=1, max_length=200)]
    index: Annotated[int, Field(ge=1, le=100)] = 1


Extra = dict[str, dict[str, Any]]
"""Options of one kind of engine that no other has, by kind: `{"midjourney": {"stylize": 250}}`."""
