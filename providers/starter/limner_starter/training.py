"""The whole run, top to bottom: pictures, autoencoder, latents, text encoder, UNet, decoder, export."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from rich.console import Console

from limner_starter.augment import to_tensor
from limner_starter.autoencoder import AutoencoderStage, DecoderStage, normalise
from limner_starter.captions import Captioner
from limner_starter.device import Compute
from limner_starter.diffusion import DiffusionStage
from limner_starter.errors import BadWorkFolder
from limner_starter.export import export
from limner_starter.libraries import quiet_libraries
from limner_starter.loop import Run, progress_bar, run_stage
from limner_starter.packages import PICTURES, PINNED, install
from limner_starter.pictures import TrainingSet, load, origin, prepare
from limner_starter.recipe import Recipe
from limner_starter.textual import TextStage
from limner_starter.tokenizer import build_tokenizer
from limner_starter.workspace import Workspace


def data_stage(workspace: Workspace, packages: Path | None, console: Console) -> TrainingSet:
    """The work folder's training set, made first where it is missing.

    Args:
        workspace: Where it lies.
        packages: A folder with the npm packages; ``None`` installs them into the work folder.
        console: Says what is being done.

    Raises:
        StarterError: npm is missing or failed, or the packages have another version.
    """
    if not workspace.pictures.is_file() or not workspace.emoji.is_file():
        console.print(
            "installing the picture and name packages by npm" if packages is None else f"packages: {packages}"
        )
        source = install(workspace.packages) if packages is None else packages
        console.print("drawing the pictures")
        prepare(workspace, source)
    data = load(workspace)
    _check_source(workspace, packages)
    console.print(f"{len(data.names)} pictures")
    return data


def _check_source(workspace: Workspace, packages: Path | None) -> None:
    """A folder that a smoke run has used holds shapes, and must not become somebody's emoji model by accident."""
    wanted = f"npm:{PICTURES}@{PINNED[PICTURES]}" if packages is None else origin(packages)["source"]
    with workspace.lineage.open(encoding="utf-8") as lines:
        found = json.loads(next(lines))["source"]
    if found != wanted:
        raise BadWorkFolder(f"{workspace.root} holds pictures of {found}, not of {wanted}: use another --output")


def train(
    workspace: Workspace,
    recipe: Recipe,
    compute: Compute,
    *,
    packages: Path | None,
    resume: bool,
    save_seconds: float,
    console: Console,
) -> Path:
    """Trains and exports a model; returns its folder.

    A run that was killed goes on from its last checkpoints with ``resume``, and gives the same weights as one that was
    not (on the same machine, with the same number of threads).

    Raises:
        StarterError: The work folder holds another run, or has one while ``resume`` is false.
    """
    quiet_libraries()
    workspace.root.mkdir(parents=True, exist_ok=True)
    if workspace.started() and not resume:
        raise BadWorkFolder(f"{workspace.root} holds a run already: go on with --resume, or use another --output")
    data = data_stage(workspace, packages, console)
    with progress_bar(console) as progress:
        run = Run(workspace, _fingerprint(recipe, data, compute), progress, save_seconds)
        return _stages(data, recipe, compute, run)


def _stages(data: TrainingSet, recipe: Recipe, compute: Compute, run: Run) -> Path:
    pictures = to_tensor(data.rgb)
    captioner = Captioner(data.names, data.tags)

    autoencoder = AutoencoderStage(data, recipe, compute)
    run_stage(autoencoder, run)
    vae = autoencoder.result()
    latents = normalise(vae, pictures)

    tokenizer = build_tokenizer(data)
    text = TextStage(latents, captioner, tokenizer, recipe, compute)
    run_stage(text, run)

    diffusion = DiffusionStage(latents, captioner, tokenizer, text.result(), recipe=recipe, compute=compute)
    run_stage(diffusion, run)
    unet, encoder = diffusion.result()

    # Polishing works on the latents as they were before normalising: the encoder, and so its statistics, stay the same.
    decoder = DecoderStage(data, recipe, compute, autoencoder.result())
    run_stage(decoder, run)
    polished = decoder.result()
    normalise(polished, pictures)

    return export(run.workspace, data, vae=polished, text=encoder, tokenizer=tokenizer, unet=unet)


def _fingerprint(recipe: Recipe, data: TrainingSet, compute: Compute) -> str:
    parts = (recipe.digest(), data.digest(), str(compute.dtype))
    return hashlib.sha256("/".join(parts).encode()).hexdigest()
