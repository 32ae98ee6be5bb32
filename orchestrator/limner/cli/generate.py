"""`limner generate PROMPT`: images from a prompt, signed and recorded."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from limner.cli.output import emit_json, err, out, paint, plain, table

if TYPE_CHECKING:
    from limner.result import GeneratedImage, ImageResult


def generate(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(help="What to draw.")],
    seed: Annotated[
        int | None, typer.Option(help="First seed; image i uses seed+i. Drawn and recorded where not given.")
    ] = None,
    n: Annotated[int, typer.Option("--n", help="How many images.")] = 1,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT; else the model's native size.")] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What not to draw.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Denoising steps.")] = None,
    guidance_scale: Annotated[float | None, typer.Option(help="How strictly to follow the prompt.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Scheduler, e.g. ddim, euler, dpmpp_2m.")] = None,
    image_format: Annotated[
        str | None, typer.Option("--format", help="png, jpeg or webp; else from --output, else png.")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Use only this provider.")] = None,
    model: Annotated[str | None, typer.Option(help="Use only this model.")] = None,
    user: Annotated[str | None, typer.Option(help="Who asks (recorded as claimed).")] = None,
    tenant: Annotated[str | None, typer.Option(help="On whose behalf (recorded as claimed).")] = None,
    project: Annotated[str | None, typer.Option(help="Your name for the work (recorded as claimed).")] = None,
    purpose: Annotated[str | None, typer.Option(help="What for, e.g. commercial (recorded as claimed).")] = None,
    audience: Annotated[str | None, typer.Option(help="Who will see it (recorded as claimed).")] = None,
    region: Annotated[str | None, typer.Option(help="Where it will be used (recorded as claimed).")] = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write; with several images a number is put before its ending.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show the plan and each rule that spoke.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make images from a prompt: judged by policy, signed with Content Credentials, recorded in the audit log."""
    from limner import Limner

    ending = _format(image_format, output)
    _check_output(output)
    who = {
        "user": user,
        "tenant": tenant,
        "project": project,
        "purpose": purpose,
        "audience": audience,
        "region": region,
    }
    with (
        Limner.open(context.obj, context={k: v for k, v in who.items() if v is not None}) as limner,
        _progress(quiet=as_json) as told,
    ):
        result = limner.generate(
            prompt,
            seed=seed,
            n=n,
            size=size,
            negative_prompt=negative_prompt,
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            scheduler=scheduler,
            output_format=ending,
            provider=provider,
            model=model,
            on_progress=told,
        )
    files = _save(result, output)
    if as_json:
        emit_json(_as_json(result, files))
    else:
        _show(result, files, explain=explain)


def _format(given: str | None, output: Path | None) -> str:
    """The format that was asked for, else the one that the output's name asks for, else png."""
    from limner.errors import ConfigInvalid

    named = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", "": None}
    ending = output.suffix.lower() if output else ""
    if ending not in named:
        raise ConfigInvalid(f"--output ends with {ending!r}.", remedy="Use .png, .jpg, .jpeg or .webp.")
    if given is not None and named[ending] not in {None, given}:
        raise ConfigInvalid(f"--format {given} does not fit --output {output}.", remedy="Leave one of them out.")
    return given or named[ending] or "png"


def _check_output(output: Path | None) -> None:
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


def _save(result: ImageResult, output: Path | None) -> list[Path]:
    from limner.errors import StorageUnavailable

    try:
        return _saved(result, output)
    except OSError as error:
        failed = StorageUnavailable(
            f"{error.filename or output or 'the picture'} cannot be written: {error.strerror}.",
            remedy=f'The signed pictures are kept; fetch them with Limner.open().get("{result.record_id}").',
        )
        failed.record_id = result.record_id
        raise failed from error


def _saved(result: ImageResult, output: Path | None) -> list[Path]:
    from limner.result import SUFFIXES

    files = []
    for image in result.images:
        base = output or Path(f"limner-{result.record_id[-12:]}{SUFFIXES[image.mime]}")
        base = base if base.suffix else base.with_suffix(SUFFIXES[image.mime])
        many = len(result.images) + len(result.withheld) > 1
        files.append(image.save(base.with_stem(f"{base.stem}-{image.index + 1}") if many else base))
    return files


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


def _as_json(result: ImageResult, files: list[Path]) -> dict[str, Any]:
    def image(entry: GeneratedImage, file: Path | None) -> dict[str, Any]:
        return {
            "index": entry.index,
            "file": str(file) if file else None,
            "sha256": hashlib.sha256(entry.data).hexdigest() if file else None,
            "mime": entry.mime,
            "size": f"{entry.width}x{entry.height}",
            "seed": None if entry.seed is None else str(entry.seed),
            "decision": entry.decision.to_leaf(),
        }

    return {
        "record_id": result.record_id,
        "verdict": result.decision.verdict.value,
        "decision": result.decision.to_leaf(),
        "images": [image(i, f) for i, f in zip(result.images, files, strict=True)],
        "withheld": [image(i, None) for i in result.withheld],
        "provider": result.provider,
        "model": result.model,
        "parameters": result.parameters,
        "cost": None if result.cost is None else {"amount": str(result.cost.amount), "currency": result.cost.currency},
        "plan": [vars(c) | {"left_out": list(c.left_out)} for c in result.plan],
        "warnings": list(result.warnings),
    }


def _show(result: ImageResult, files: list[Path], *, explain: bool) -> None:
    console = out()
    for image, file in zip(result.images, files, strict=True):
        console.print(f"{escape(plain(str(file)))}  [dim]{image.width}x{image.height} seed {image.seed}[/dim]")
    for image in result.withheld:
        console.print(f"image {image.index + 1} withheld: {'; '.join(image.decision.reasons)}", markup=False)
    console.print(
        f"policy {paint(result.decision.verdict.value)} · {result.provider}/{result.model} · record {result.record_id}"
    )
    if explain:
        console.print(
            table(
                "Plan",
                ("provider", "model", "left out because"),
                ((c.provider, c.model, "; ".join(c.left_out) or "—") for c in result.plan),
            )
        )
        _explain(result)
    for warning in result.warnings:
        err().print(f"[yellow]note[/yellow] {escape(warning)}")


def _explain(result: ImageResult) -> None:
    hits = [("request", h) for h in result.decision.hits]
    hits += [(f"image {i.index + 1}", h) for i in (*result.images, *result.withheld) for h in i.decision.hits]
    rows = ((where, h.rule, h.verdict.value, h.mode, h.title) for where, h in dict.fromkeys(hits))
    out().print(
        table("Rules that spoke", ("on", "rule", "verdict", "mode", "title"), rows)
        if hits
        else "No rule spoke: nothing in policy objects."
    )
