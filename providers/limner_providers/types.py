"""What is asked of an engine: the one request type for all of them.

It knows what is wrong in itself (an empty prompt, a size of 0) and nothing of what an engine can do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, field_validator, model_validator

from limner_providers._records import to_parameters, with_inputs
from limner_providers._requests import check_extra, check_text, parse_aspect, parse_size, refusal, wrong
from limner_providers._tasks import misfit
from limner_providers.images import InputImage
from limner_providers.parts import ControlImage, Extra, ImageOrigin, Lora, Margins, Picture, Reference

Task = Literal["txt2img", "img2img", "inpaint", "outpaint", "upscale", "variation"]
OutputFormat = Literal["png", "jpeg", "webp"]

TASKS: tuple[Task, ...] = get_args(Task)
SEED_LIMIT = 2**32
"""Seeds are below this number; so is the last seed of a request, `seed + n - 1`."""

MIME: Mapping[str, str] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


class ImageRequest(BaseModel):
    """A wish for pictures that any engine may fulfil; immutable, and either valid or never made.

    Pictures (`image`, `mask`, those of `references` and `control`) are given as a path, bytes, a Pillow image, an array
    or an image of a result, and are read and checked when the request is made.

    Args:
        prompt: what to draw; 1 to 100,000 characters, no NUL, no lone surrogate. May be empty for `outpaint`,
            `variation` and `upscale`.
        task: `txt2img`, `img2img` (draw anew from `image`), `inpaint` (only where `mask` is white), `outpaint` (beyond
            the sides, by `margins`), `variation` (of `image`), `upscale` (of `image`).
        negative_prompt: what to avoid; as `prompt`, but it may be None.
        size: `WIDTHxHEIGHT` in pixels or a pair of integers, 1 to 16384 a side; None: the model's native size, or that
            of `image`.
        aspect_ratio: proportions instead of a size, `16:9` or a pair, each 1 to 100; the engine chooses the pixels.
        n: number of pictures, 1 to 100.
        seed: 0 to 2³²-1 of the first picture; the others take the numbers after it. None: drawn and recorded.
        num_inference_steps: denoising steps, 1 to 1000; None: the model's default.
        guidance_scale: classifier-free guidance, 0 to 100; None: the model's default.
        scheduler: a sampler's name; None: the model's own.
        image: the picture to start from; every task but `txt2img` needs it (or `origin`).
        mask: of `inpaint`, as large as `image`: white changes, black stays, grey is between.
        strength: 0 to 1, how far a task that starts from a picture may leave it; not for `txt2img`.
        margins: of `outpaint`: pixels to add left, top, right and bottom.
        scale: of `upscale`: above 1, to 8; None: the engine's own, or as `size` says.
        references: up to 16 pictures that the new one shall resemble.
        control: up to 8 pictures that lay down structure (ControlNet).
        lora: up to 16 LoRAs.
        origin: the picture to start from by its engine's own name for it, instead of `image`.
        background: `transparent`, `opaque` or `auto`; None: the engine's default.
        quality: the engine's word for how much effort it makes (`low`, `high`, `hd` …); None: its default.
        output_format: `png`, `jpeg` or `webp`.
        output_compression: quality of JPEG and WebP, 0 (smallest file) to 100 (best); None: 95. Not for PNG.
        extra: options that one kind of engine alone has, by kind: `{"midjourney": {"stylize": 250}}`. An engine
            reads those of its own kind and refuses what it does not know; those of other kinds are not meant for it.

    Raises:
        InvalidRequest: a field is wrong; names field, value and remedy. Also for a field that does not exist.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True)

    prompt: StrictStr = ""
    task: Task = "txt2img"
    negative_prompt: StrictStr | None = None
    size: str | None = None
    aspect_ratio: str | None = None
    n: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    seed: Annotated[int, Field(strict=True, ge=0, lt=SEED_LIMIT)] | None = None
    num_inference_steps: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = None
    guidance_scale: Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)] | None = None
    scheduler: Annotated[str, Field(strict=True, min_length=1, max_length=100)] | None = None
    strength: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] | None = None
    image: Picture | None = None
    mask: Picture | None = None
    margins: Margins | None = None
    scale: Annotated[float, Field(strict=True, gt=1, le=8, allow_inf_nan=False)] | None = None
    references: Annotated[tuple[Reference, ...], Field(max_length=16)] = ()
    control: Annotated[tuple[ControlImage, ...], Field(max_length=8)] = ()
    lora: Annotated[tuple[Lora, ...], Field(max_length=16)] = ()
    origin: ImageOrigin | None = None
    background: Literal["transparent", "opaque", "auto"] | None = None
    quality: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")] | None = None
    output_format: OutputFormat = "png"
    output_compression: Annotated[int, Field(strict=True, ge=0, le=100)] | None = None
    extra: Extra = Field(default_factory=dict)

    if not TYPE_CHECKING:  # type checkers shall see the generated signature, with every field

        def __init__(self, **fields: Any) -> None:
            try:
                super().__init__(**fields)
            except ValidationError as error:
                # `from None`: pydantic's own error shows inputs, and a prompt must not reach a log that way.
                raise refusal(error.errors(include_url=False), type(self).model_fields) from None

    @classmethod
    def build(cls, **fields: Any) -> Self:
        """Make a request from untyped fields, as they come from a file or the network.

        Raises:
            InvalidRequest: a field is wrong or does not exist.
        """
        return cls(**fields)

    @field_validator("prompt")
    @classmethod
    def _prompt_is_text(cls, value: str) -> str:
        return check_text(value) if value.strip() else ""

    @field_validator("negative_prompt")
    @classmethod
    def _blank_is_none(cls, value: str | None) -> str | None:
        """An empty negative prompt, as many front ends send it, is none."""
        return check_text(value) if value and value.strip() else None

    @field_validator("size", mode="before")
    @classmethod
    def _size_as_text(cls, value: object) -> object:
        return None if value is None else parse_size(value)

    @field_validator("aspect_ratio", mode="before")
    @classmethod
    def _aspect_as_text(cls, value: object) -> object:
        return None if value is None else parse_aspect(value)

    @field_validator("extra", mode="before")
    @classmethod
    def _extra_is_plain(cls, value: object) -> object:
        return check_extra(value)

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Self:
        problem = misfit(self)
        if problem is not None:
            raise wrong(problem.why, problem.remedy, field=problem.field, value=problem.value)
        return self

    @property
    def width(self) -> int | None:
        """Pixels from left to right; None where the model's native size is meant."""
        return None if self.size is None else int(self.size.split("x")[0])

    @property
    def height(self) -> int | None:
        """Pixels from top to bottom; None where the model's native size is meant."""
        return None if self.size is None else int(self.size.split("x")[1])

    @property
    def proportions(self) -> tuple[int, int] | None:
        """Across and down of `aspect_ratio`, without a common divisor; None where none is asked for."""
        if self.aspect_ratio is None:
            return None
        across, down = self.aspect_ratio.split(":")
        return int(across), int(down)

    def inputs(self) -> dict[str, InputImage]:
        """Give every picture of the request by a record's name for it: `image`, `mask`, `reference-0` and so on."""
        found = {"image": self.image, "mask": self.mask}
        found |= {f"reference-{i}": part.image for i, part in enumerate(self.references)}
        found |= {f"control-{i}": part.image for i, part in enumerate(self.control)}
        return {name: image for name, image in found.items() if image is not None}

    def to_parameters(self) -> dict[str, Any]:
        """Write what was asked as a record keeps it: no floats, no texts of the prompt, no pictures, no `extra`.

        Fields that were left out are left out. Seeds and decimals are texts, so that the result is canonical JSON.
        """
        return to_parameters(self)

    @classmethod
    def from_parameters(
        cls,
        parameters: Mapping[str, Any],
        *,
        prompt: str = "",
        negative_prompt: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        extra: Extra | None = None,
    ) -> Self:
        """Make the request again from `to_parameters()` and what was kept apart.

        Args:
            parameters: what `to_parameters` gave.
            prompt: the prompt.
            negative_prompt: the negative prompt.
            inputs: what `inputs()` gave, or the bytes of these files.
            extra: the request's `extra`.

        Raises:
            InvalidRequest: the parameters are not those of a request, or a picture is missing.
        """
        fields = with_inputs(parameters, inputs or {})
        return cls.build(**fields, prompt=prompt, negative_prompt=negative_prompt, extra=extra or {})
