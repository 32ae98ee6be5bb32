"""The command line of the starter CLIP: ``python -m limner_starter clip data | train | evaluate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, help="Trains and measures the starter CLIP.")
console = Console(stderr=True)

Output = Annotated[Path, typer.Option(help="Work folder: pictures, checkpoints, the model.")]
Packages = Annotated[Path | None, typer.Option(help="Folder with the npm packages; none: npm installs them.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; none: torch's choice.")]

_PROVIDERS = Path(__file__).resolve().parents[2]
STARTER = _PROVIDERS / "limner_providers" / "starter"
"""The diffusion model that the repository ships."""

SHIPPED = _PROVIDERS.parent / "policy" / "limner_policy" / "data" / "starter-clip"
"""The CLIP that the repository ships."""


@app.command()
def data(output: Output, packages: Packages = None) -> None:
    """Install the packages, draw the pictures of all designs, write the lineage."""
    from limner_starter.clip_program import data_stage

    data_stage(output, packages, console)


@app.command()
def train(
    *,
    output: Output,
    packages: Packages = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps; none: the recipe's.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that the folder holds.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, or bf16 where that is faster.")] = "fp32",
    threads: Threads = None,
    save_seconds: Annotated[float, typer.Option(min=0, help="Seconds between two checkpoints.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="All random numbers follow from it.")] = 0,
    model: Annotated[Path, typer.Option(help="The diffusion model whose pictures are learned from too.")] = STARTER,
) -> None:
    """Train a CLIP from nothing and export it to OUTPUT/starter-clip."""
    from limner_starter.clip_program import train as run
    from limner_starter.clip_training import ClipRecipe
    from limner_starter.device import choose

    recipe = ClipRecipe(seed=seed)
    if steps is not None:
        recipe = replace(recipe, budget=replace(recipe.budget, steps=steps))
    compute = choose(device, precision, threads)
    folder = run(
        output, recipe, compute,
        model=model, packages=packages, resume=resume, save_seconds=save_seconds, console=console,
    )  # fmt: skip
    console.print(f"the model lies in {folder}")


@app.command()
def evaluate(
    *,
    output: Output,
    clip: Annotated[Path, typer.Option(help="The CLIP folder to measure.")] = SHIPPED,
    packages: Packages = None,
    model: Annotated[Path, typer.Option(help="The diffusion model whose pictures are measured.")] = STARTER,
    results: Annotated[Path | None, typer.Option(help="Folder for figures and plots; none: OUTPUT/evaluation.")] = None,
    peer: Annotated[Path | None, typer.Option(help="Another CLIP folder, measured on the same pictures.")] = None,
    threads: Threads = None,
) -> None:
    """Measure a CLIP on pictures it never learned; choose calibration and thresholds for its concepts."""
    from limner_starter.clip_evaluation import evaluate as run
    from limner_starter.clip_generated import MEASURING, generated
    from limner_starter.clip_plots import write_plots
    from limner_starter.clip_program import data_stage
    from limner_starter.clip_sets import picture_sets
    from limner_starter.device import choose

    choose("cpu", "fp32", threads)
    pictures = data_stage(output, packages, console)
    drawn = generated(model, pictures.names, MEASURING, output, console)
    sets = picture_sets(pictures, drawn)
    folder = results or output / "evaluation"
    figures = run(clip, pictures, sets, folder, console=console, peer=peer)
    write_plots(clip, pictures, sets, figures, folder)
    console.print_json(data=figures["retrieval"])
    console.print(f"figures, concepts and plots lie in {folder}")
