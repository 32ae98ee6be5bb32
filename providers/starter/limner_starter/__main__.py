"""The command line: ``python -m limner_starter data | train | evaluate | reference | clip``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from limner_starter.clip_commands import app as clip
from limner_starter.errors import StarterError
from limner_starter.recipe import SMOKE, Recipe
from limner_starter.workspace import Workspace

# Nothing here may ask a model hub, whatever a library's default is.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Trains and measures the starter model.")
app.add_typer(clip, name="clip")
console = Console(stderr=True)

Output = Annotated[Path, typer.Option(help="Work folder: pictures, checkpoints, the model.")]
Packages = Annotated[Path | None, typer.Option(help="Folder with the npm packages; none: npm installs them.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; none: torch's choice.")]
Model = Annotated[Path, typer.Option(help="The model folder to measure.")]

SHIPPED = Path(__file__).resolve().parents[2] / "limner_providers" / "starter"
"""The model folder that the repository ships."""


@app.command()
def data(output: Output, packages: Packages = None) -> None:
    """Install the packages, draw the pictures, write the lineage."""
    from limner_starter.training import data_stage

    data_stage(Workspace(output), _checked(packages), console)


@app.command()
def train(
    *,
    output: Output,
    packages: Packages = None,
    scale: Annotated[float, typer.Option(help="Multiplies all step budgets; 1 is about an hour on two cores.")] = 1.0,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="The whole chain on 24 shapes, in under a minute; no use.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that the folder holds.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="bf16, or fp32 where bf16 is slow.")] = "bf16",
    threads: Threads = None,
    save_seconds: Annotated[float, typer.Option(min=0, help="Seconds between two checkpoints.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="All random numbers follow from it.")] = 0,
) -> None:
    """Train a model from nothing and export it to OUTPUT/starter."""
    from dataclasses import replace

    from limner_starter.device import choose
    from limner_starter.shapes import write_shapes
    from limner_starter.training import train as run

    recipe = replace(SMOKE if smoke else Recipe(), seed=seed).scaled(scale)
    compute = choose(device, precision, threads)
    source = write_shapes(output / "shapes") if smoke else _checked(packages)
    folder = run(
        Workspace(output), recipe, compute, packages=source, resume=resume, save_seconds=save_seconds, console=console
    )
    console.print(f"the model lies in {folder}")


@app.command()
def evaluate(
    *,
    output: Output,
    model: Model = SHIPPED,
    packages: Packages = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder for figures and sheets; none: OUTPUT/evaluation.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    guidance: Annotated[float, typer.Option(min=0, max=30)] = 3.0,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="Pictures of each common name.")] = 2,
    all_names: Annotated[bool, typer.Option("--all-names", help="One picture of every name too (minutes).")] = False,
    threads: Threads = None,
) -> None:
    """Measure a model: how often a picture is nearest to its own training picture, and how fast."""
    from limner_starter.device import choose
    from limner_starter.evaluation import Settings
    from limner_starter.evaluation import evaluate as run
    from limner_starter.training import data_stage

    choose("cpu", "fp32", threads)
    training_set = data_stage(Workspace(output), _checked(packages), console)
    settings = Settings(steps=steps, guidance=guidance, seeds=seeds, all_names=all_names)
    run(model, training_set, settings, results or output / "evaluation", console)


@app.command()
def reference(
    output: Output,
    file: Annotated[Path, typer.Option(help="The .npz file to write.")],
    model: Model = SHIPPED,
    packages: Packages = None,
) -> None:
    """Write the small file of latents and thumbnails that lets a test judge pictures without the training data."""
    from limner_starter.spaces import write_reference
    from limner_starter.training import data_stage

    write_reference(model, data_stage(Workspace(output), _checked(packages), console), file)


def _checked(packages: Path | None) -> Path | None:
    from limner_starter.packages import require

    return packages and require(packages)


def main() -> None:
    """Run the command; a StarterError becomes one line and exit code 3."""
    try:
        app()
    except StarterError as error:
        console.print(f"error: {error}", style="bold red", markup=False)
        sys.exit(3)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
