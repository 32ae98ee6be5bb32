"""What every way of asking takes, written once: the fields of a request, and how it is to be carried out.

`AsyncLimner`'s methods take them as `**options: Unpack[Options]`, which type checkers read as single parameters;
`spelled_out` shows them as such to `help()` and to notebooks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

if TYPE_CHECKING:
    from limner.context import RequestContext
    from limner_providers.base import Progress

    Claims = RequestContext | Mapping[str, Any] | None

OnUnsupported = Literal["error", "adapt"]
F = TypeVar("F", bound=Callable[..., Any])


class How(TypedDict, total=False):
    """How a request is to be carried out, and for whom."""

    provider: str | None
    model: str | None
    context: Claims
    timeout: float | None
    on_unsupported: OnUnsupported
    on_progress: Callable[[Progress], object] | None


class Options(How, total=False):
    """What every task takes beside its own fields."""

    negative_prompt: str | None
    size: str | tuple[int, int] | None
    aspect_ratio: str | tuple[int, int] | None
    n: int
    seed: int | None
    num_inference_steps: int | None
    guidance_scale: float | None
    scheduler: str | None
    references: Any
    control: Any
    lora: Any
    background: Literal["transparent", "opaque", "auto"] | None
    quality: str | None
    output_format: str
    output_compression: int | None
    extra: Mapping[str, Mapping[str, Any]] | None


DEFAULTS: dict[str, Any] = {"n": 1, "references": (), "control": (), "lora": (), "output_format": "png"}
DEFAULTS |= {"on_unsupported": "error"}
"""Defaults that are not None; the request's own defaults hold, and these only show them."""

HOW = tuple(How.__annotations__)

TEXT = """
            negative_prompt: What not to draw.
            size: `WIDTHxHEIGHT` in pixels; None: the model's native size, or that of the image given.
            aspect_ratio: Proportions instead of a size, `16:9`.
            n: 1 to 100.
            seed: 0 to 2³²-1, of the first image; image i uses seed `seed + i`. None: drawn and recorded.
            num_inference_steps: Denoising steps; None: the model's own.
            guidance_scale: How strictly to follow the prompt; None: the model's own.
            scheduler: A scheduler's name; None: the model's own.
            references: Pictures that the new one shall resemble, each bare or as `{"image": …, "use": "style",
                "weight": 1.0}`.
            control: Pictures that lay down structure (ControlNet), each `{"image": …, "kind": "canny"}`.
            lora: LoRAs, each `{"name": …, "weight": 0.8}`.
            background: `transparent`, `opaque` or `auto`.
            quality: The engine's word for how much effort it makes.
            output_format: `png`, `jpeg` or `webp`.
            output_compression: Quality of JPEG and WebP, 0 to 100.
            extra: Options that one kind of engine alone has: `{"midjourney": {"stylize": 250}}`.
            provider: Use only this configured provider.
            model: Use only this model.
            context: Who asks and what for; replaces the client's.
            timeout: Seconds that one call to an engine may take; None: as the model's capabilities say.
            on_unsupported: `error`: what an engine cannot honour is refused, by field. `adapt`: its listed
                adaptations are made (n split into calls, the size snapped …), and stand in result and record.
            on_progress: Told after each step. Unfinished pictures are neither judged nor signed, so nobody gets them.

        Returns:
            The released images, those withheld, the decision, the plan, every attempt and the cost.

        Raises:
            InvalidRequest: A field is wrong; nothing was recorded.
            PolicyDenied: A rule says no.
            ReviewRequired: A rule asks for a person.
            UnsupportedRequest: No configured engine can do it; says which field, and who could.
            ModerationBlocked: The engine's own moderation refused; nobody else is asked.
            ProviderError: The engine failed; `OutcomeUnknown` where nobody knows.
            ProvenanceError: Signing, keys, log or disk cannot do their part.
""".strip("\n")


def spelled_out(method: F) -> F:
    """Show a method's `options` one by one in its signature, and say in its docstring what they mean."""
    shown = inspect.signature(method)
    kept = [p for p in shown.parameters.values() if p.kind is not p.VAR_KEYWORD]
    names = [*(name for name in Options.__annotations__ if name not in HOW), *HOW]
    added = [_parameter(name) for name in names if name not in shown.parameters]
    method.__dict__["__signature__"] = shown.replace(parameters=[*kept, *added])
    method.__doc__ = f"{(method.__doc__ or '').rstrip()}\n{TEXT}"
    return method


def _parameter(name: str) -> inspect.Parameter:
    kind = Options.__annotations__[name]
    annotation = getattr(kind, "__forward_arg__", kind)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS.get(name), annotation=annotation)
