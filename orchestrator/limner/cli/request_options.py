"""The options that every command shares which makes pictures: written once, read by typer from each command.

Knows how a command line writes a request's fields, and nothing of what is done with them.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from limner.cli.shared import AsJson
from limner.errors import ConfigInvalid

_USES = ("image", "style", "character")
_ENDINGS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", "": None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RequestOptions:
    """What each command takes beside its own arguments; the metadata is typer's."""

    seed: Annotated[
        int | None, typer.Option(help="First seed; image i uses seed+i. Drawn and recorded where not given.")
    ] = None
    n: Annotated[int, typer.Option("--n", help="How many images.")] = 1
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT; else the model's native size.")] = None
    aspect_ratio: Annotated[str | None, typer.Option(help="Proportions instead of a size, e.g. 16:9.")] = None
    negative_prompt: Annotated[str | None, typer.Option(help="What not to draw.")] = None
    steps: Annotated[int | None, typer.Option("--steps", help="Denoising steps.")] = None
    guidance_scale: Annotated[float | None, typer.Option(help="How strictly to follow the prompt.")] = None
    scheduler: Annotated[str | None, typer.Option(help="Scheduler, e.g. ddim, euler, dpmpp_2m.")] = None
    quality: Annotated[str | None, typer.Option(help="The engine's word for its effort, e.g. low, high, hd.")] = None
    background: Annotated[str | None, typer.Option(help="transparent, opaque or auto.")] = None
    reference: Annotated[
        list[str] | None,
        typer.Option(
            help="A picture to resemble, as image, style or character; may be repeated.", metavar="FILE[:USE]"
        ),
    ] = None
    extra: Annotated[
        list[str] | None,
        typer.Option(help="An option of one kind of engine; may be repeated.", metavar="KIND.OPTION=VALUE"),
    ] = None
    image_format: Annotated[
        str | None, typer.Option("--format", help="png, jpeg or webp; else from --output, else png.")
    ] = None
    compression: Annotated[int | None, typer.Option(help="Quality of JPEG and WebP, 0 to 100.")] = None
    provider: Annotated[str | None, typer.Option(help="Use only this provider.")] = None
    model: Annotated[str | None, typer.Option(help="Use only this model.")] = None
    on_unsupported: Annotated[
        str, typer.Option(help="error refuses what an engine cannot honour, adapt takes its listed adaptations.")
    ] = "error"
    timeout: Annotated[float | None, typer.Option(help="Seconds that one call to an engine may take.")] = None
    user: Annotated[str | None, typer.Option(help="Who asks (recorded as claimed).")] = None
    tenant: Annotated[str | None, typer.Option(help="On whose behalf (recorded as claimed).")] = None
    project: Annotated[str | None, typer.Option(help="Your name for the work (recorded as claimed).")] = None
    purpose: Annotated[str | None, typer.Option(help="What for, e.g. commercial (recorded as claimed).")] = None
    audience: Annotated[str | None, typer.Option(help="Who will see it (recorded as claimed).")] = None
    region: Annotated[str | None, typer.Option(help="Where it will be used (recorded as claimed).")] = None
    output: Annotated[
        Path | None, typer.Option(help="File to write; with several images a number is put before its ending.")
    ] = None
    surplus: Annotated[
        bool, typer.Option("--surplus", help="Write also the images beyond --n that an engine gives with the others.")
    ] = False
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the plan, the attempts and each rule that spoke.")
    ] = False
    as_json: AsJson = False

    def claims(self) -> dict[str, str]:
        """Who asks and what for, as far as it was said."""
        names = ("user", "tenant", "project", "purpose", "audience", "region")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def fields(self) -> dict[str, Any]:
        """The request's fields and how it is to be carried out, as the SDK takes them.

        Raises:
            ConfigInvalid: An option is written wrongly.
        """
        same = ("seed", "n", "size", "aspect_ratio", "negative_prompt", "guidance_scale", "scheduler", "quality")
        how = ("background", "provider", "model", "on_unsupported", "timeout")
        return {name: getattr(self, name) for name in (*same, *how)} | {
            "num_inference_steps": self.steps,
            "output_format": self._format(),
            "output_compression": self.compression,
            "references": [_reference(text) for text in self.reference or ()],
            "extra": _extras(self.extra or ()),
        }

    def _format(self) -> str:
        """The format that was asked for, else the one that the output's name asks for, else png."""
        given, output = self.image_format, self.output
        ending = output.suffix.lower() if output else ""
        if ending not in _ENDINGS:
            raise ConfigInvalid(f"--output ends with {ending!r}.", remedy="Use .png, .jpg, .jpeg or .webp.")
        if given is not None and _ENDINGS[ending] not in {None, given}:
            raise ConfigInvalid(f"--format {given} does not fit --output {output}.", remedy="Leave one of them out.")
        return given or _ENDINGS[ending] or "png"


def _reference(text: str) -> dict[str, Any]:
    file, colon, use = text.rpartition(":")
    return {"image": file, "use": use} if colon and use in _USES else {"image": text}


def _extras(given: list[str] | tuple[()]) -> dict[str, dict[str, Any]]:
    """Read `kind.option=value`; a value that is JSON is what it says, any other is a text."""
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        kind, dot, option = name.partition(".")
        if not (equals and dot and kind and option):
            raise ConfigInvalid(
                f"--extra {name[:80]!r} is no option.", remedy="Write KIND.OPTION=VALUE, e.g. midjourney.stylize=250."
            )
        try:
            found.setdefault(kind, {})[option] = json.loads(value)
        except ValueError:
            found.setdefault(kind, {})[option] = value
    return found


Carry = Callable[[typer.Context, Mapping[str, Any], RequestOptions], None]


def asking(own: Callable[..., Mapping[str, Any]], carry_out: Carry) -> Callable[..., None]:
    """Make a command of a function that turns its own arguments into a request's fields.

    Args:
        own: Its parameters are the command's own, its docstring is the command's help.
        carry_out: Is given what `own` returned, and the shared options.
    """
    named = inspect.signature(own).parameters
    hints, shared = get_type_hints(own, include_extras=True), get_type_hints(RequestOptions, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("context", keyword, annotation=typer.Context)]
    parameters += [p.replace(kind=keyword, annotation=hints[name]) for name, p in named.items()]
    parameters += [
        inspect.Parameter(f.name, keyword, default=f.default, annotation=shared[f.name])
        for f in dataclasses.fields(RequestOptions)
    ]

    def command(context: typer.Context, **given: Any) -> None:
        fields = own(**{name: given.pop(name) for name in named})
        carry_out(context, fields, RequestOptions(**given))

    command.__dict__["__signature__"] = inspect.Signature(parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__, command.__name__ = own.__doc__, own.__name__
    return command
