"""`limner generate | edit | outpaint | variation | upscale`: images, signed and recorded."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from limner.cli.output import err
from limner.cli.request_options import RequestOptions, asking
from limner.cli.results import save, show, show_json

Image = Annotated[Path, typer.Argument(help="The picture to start from: PNG, JPEG or WebP.", metavar="IMAGE")]
Strength = Annotated[float | None, typer.Option(help="0 to 1: how far the result may leave the image.")]
About = Annotated[str, typer.Argument(help="What to draw; may be left out.", metavar="PROMPT", show_default=False)]
Prompt = Annotated[str, typer.Argument(help="What to draw.", metavar="PROMPT")]


def _generate(prompt: Prompt) -> Mapping[str, Any]:
    """Make images from a prompt: judged by policy, signed with Content Credentials, recorded in the audit log."""
    return {"prompt": prompt}


def _edit(
    image: Image,
    prompt: Prompt,
    mask: Annotated[
        Path | None, typer.Option(help="A picture as large as the image: white changes, black stays.", metavar="FILE")
    ] = None,
    strength: Strength = None,
) -> Mapping[str, Any]:
    """Draw an image anew by a prompt: all of it, or with a mask only where that is white."""
    return {"image": image, "prompt": prompt, "mask": mask, "strength": strength}


def _outpaint(
    image: Image,
    prompt: About = "",
    left: Annotated[int, typer.Option(min=0, help="Pixels to add on the left.")] = 0,
    top: Annotated[int, typer.Option(min=0, help="Pixels to add above.")] = 0,
    right: Annotated[int, typer.Option(min=0, help="Pixels to add on the right.")] = 0,
    bottom: Annotated[int, typer.Option(min=0, help="Pixels to add below.")] = 0,
    strength: Strength = None,
) -> Mapping[str, Any]:
    """Draw beyond an image's sides."""
    sides = {"left": left, "top": top, "right": right, "bottom": bottom}
    return {"image": image, "prompt": prompt, "strength": strength} | sides


def _variation(image: Image, prompt: About = "", strength: Strength = None) -> Mapping[str, Any]:
    """Make images that are like another one."""
    return {"image": image, "prompt": prompt, "strength": strength}


def _upscale(
    image: Image,
    prompt: About = "",
    scale: Annotated[float | None, typer.Option(help="How many times, above 1, to 8; else as the engine does.")] = None,
    strength: Strength = None,
) -> Mapping[str, Any]:
    """Make an image larger."""
    return {"image": image, "scale": scale, "prompt": prompt, "strength": strength}


def add_to(app: typer.Typer) -> None:
    """Add the commands that make pictures."""
    for name, own in (
        ("generate", _generate),
        ("edit", _edit),
        ("outpaint", _outpaint),
        ("variation", _variation),
        ("upscale", _upscale),
    ):
        app.command(name)(asking(own, _carry_out(name)))


def _carry_out(task: str) -> Callable[[typer.Context, Mapping[str, Any], RequestOptions], None]:
    def carry_out(context: typer.Context, own: Mapping[str, Any], options: RequestOptions) -> None:
        from limner import Limner
        from limner.cli.origins import with_origin

        fields = options.fields()
        check_output(options.output)
        with Limner.open(context.obj, context=options.claims()) as limner, _progress(quiet=options.as_json) as told:
            result = getattr(limner, task)(**with_origin(limner, own), **fields, on_progress=told)
        files = save(result, options.output, surplus=options.surplus)
        if options.as_json:
            show_json(result, files)
        else:
            show(result, files, explain=options.explain)

    return carry_out


def check_output(output: Path | None) -> None:
    """Refuse before anything is spent what could not be written afterwards."""
    from limner.errors import ConfigInvalid, StorageUnavailable

    says = f"--output: {output}" if output is not None else f"The folder {Path.cwd()}"
    output = output or Path(f"limner-{os.getpid()}.png")
    trial = output.with_name(f".{output.name}.trial") if output.name else output
    try:
        if not output.parent.is_dir():
            raise ConfigInvalid(f"--output: the folder {output.parent} is not there.", remedy="Make it first.")
        if output.is_dir():
            raise ConfigInvalid(f"--output: {output} is a folder.", remedy="Name a file.")
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise StorageUnavailable(
            f"{says} cannot be written: {error.strerror}.",
            remedy="Name another file with --output; nothing was asked of an engine yet.",
        ) from error


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[Any], None] | None]:
    """Show a bar on standard error while the engine works, on a terminal only."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = err()
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("getting policy and engine ready", total=None)
        yield lambda p: bar.update(
            task, description="drawing", total=p.steps * p.images, completed=(p.image - 1) * p.steps + p.step
        )
