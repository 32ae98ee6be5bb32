"""What is asked of an engine: the one request type for all of them.

It knows what is wrong in itself (an empty prompt, a size of 0) and nothing of what an engine can do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, field_validator, model_validator

from limner_providers._requests import PROMPT_FIELDS, canonical_decimal, check_text, parse_size, refusal, wrong

Task = Literal["txt2img", "img2img", "inpaint", "outpaint", "upscale", "variation"]
OutputFormat = Literal["png", "jpeg", "webp"]

TASKS: tuple[Task, ...] = get_args(Task)
SEED_LIMIT = 2**32
"""Seeds are below this number; so is the last seed of a request, `seed + n - 1`."""

MIME: Mapping[str, str] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


class ImageRequest(BaseModel):
    """A wish for pictures that any engine may fulfil; immutable, and either valid or never made.

    Args:
        prompt: what to draw; 1 to 100,000 characters, no NUL, no lone surrogate, not blank.
        task: one of the six task names; the others than `txt2img` need inputs that a later version carries.
        negative_prompt: what to avoid; as `prompt`, but it may be None.
        size: `WIDTHxHEIGHT` in pixels or a pair of integers, 1 to 16384 a side; None: the model's native size.
        n: number of pictures, 1 to 100.
        seed: 0 to 2³²-1 of the first picture; the others take the numbers after it. None: drawn and recorded.
        num_inference_steps: denoising steps, 1 to 1000; None: the model's default.
        guidance_scale: classifier-free guidance, 0 to 100; None: the model's default.
        scheduler: a sampler's name; None: the model's own.
        strength: 0 to 1, how far a task that starts from a picture may leave it; not for `txt2img`.
        output_format: `png`, `jpeg` or `webp`.
        output_compression: quality of JPEG and WebP, 0 (smallest file) to 100 (best); None: 95. Not for PNG.

    Raises:
        InvalidRequest: a field is wrong; names field, value and remedy. Also for a field that does not exist.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False)

    prompt: StrictStr
    task: Task = "txt2img"
    negative_prompt: StrictStr | None = None
    size: str | None = None
    n: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    seed: Annotated[int, Field(strict=True, ge=0, lt=SEED_LIMIT)] | None = None
    num_inference_steps: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = None
    guidance_scale: Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)] | None = None
    scheduler: Annotated[str, Field(strict=True, min_length=1, max_length=100)] | None = None
    strength: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] | None = None
    output_format: OutputFormat = "png"
    output_compression: Annotated[int, Field(strict=True, ge=0, le=100)] | None = None

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
        return check_text(value)

    @field_validator("negative_prompt")
    @classmethod
    def _blank_is_none(cls, value: str | None) -> str | None:
        """An empty negative prompt, as many front ends send it, is none."""
        return check_text(value) if value and value.strip() else None

    @field_validator("size", mode="before")
    @classmethod
    def _size_as_text(cls, value: object) -> object:
        return None if value is None else parse_size(value)

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Self:
        if self.seed is not None and self.seed + self.n > SEED_LIMIT:
            remedy = (
                f"The last of {self.n} pictures would have seed {self.seed + self.n - 1}; keep it below {SEED_LIMIT}."
            )
            raise wrong("is too large.", remedy, field="seed", value=self.seed)
        if self.strength is not None and self.task == "txt2img":
            remedy = "Leave it out, or choose a task that starts from a picture."
            raise wrong("means nothing for txt2img.", remedy, field="strength", value=self.strength)
        if self.output_compression is not None and self.output_format == "png":
            remedy = 'Leave it out, or choose output_format "jpeg" or "webp".'
            raise wrong("means nothing for PNG.", remedy, field="output_compression", value=self.output_compression)
        return self

    @property
    def width(self) -> int | None:
        """Pixels from left to right; None where the model's native size is meant."""
        return None if self.size is None else int(self.size.split("x")[0])

    @property
    def height(self) -> int | None:
        """Pixels from top to bottom; None where the model's native size is meant."""
        return None if self.size is None else int(self.size.split("x")[1])

    def to_parameters(self) -> dict[str, str | int]:
        """Write what was asked as a record keeps it: no floats, no prompt texts, no fields that were left out.

        Seeds and decimals are texts, so that the result is canonical JSON on every machine.
        """
        values = self.model_dump(exclude_none=True, exclude=set(PROMPT_FIELDS))
        return {name: _canonical(name, value) for name, value in values.items()}

    @classmethod
    def from_parameters(
        cls, parameters: Mapping[str, str | int], *, prompt: str, negative_prompt: str | None = None
    ) -> Self:
        """Make the request again from `to_parameters()` and the prompt texts that were kept apart.

        Raises:
            InvalidRequest: the parameters are not those of a request.
        """
        fields: dict[str, Any] = {name: _native(name, value) for name, value in parameters.items()}
        return cls.build(**fields, prompt=prompt, negative_prompt=negative_prompt)


_DECIMALS = frozenset({"guidance_scale", "strength"})


def _canonical(name: str, value: str | int | float) -> str | int:
    if name == "seed":
        return str(value)
    return canonical_decimal(float(value)) if name in _DECIMALS else cast("str | int", value)


def _native(name: str, value: str | int) -> object:
    """Undo `_canonical`; what is no number goes on as it is, for validation to name it."""
    kind: type = int if name == "seed" else float
    if not isinstance(value, str) or (name != "seed" and name not in _DECIMALS):
        return value
    try:
        return kind(value)
    except ValueError:
        return value
