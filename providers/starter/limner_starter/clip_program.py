"""The steps of the starter CLIP, top to bottom: pictures, generated pictures, words, training, export."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from limner_starter import clip_data
from limner_starter.clip_data import ClipData
from limner_starter.clip_designs import PINNED_DESIGNS
from limner_starter.clip_generated import TRAINING, generated
from limner_starter.clip_model import save
from limner_starter.clip_tokens import VOCABULARY, write_vocabulary
from limner_starter.clip_training import ClipRecipe, ClipStage
from limner_starter.clip_words import corpus, words
from limner_starter.device import Compute
from limner_starter.errors import BadWorkFolder
from limner_starter.libraries import quiet_libraries
from limner_starter.loop import Run, progress_bar, run_stage
from limner_starter.packages import install, require
from limner_starter.pictures import Pixels
from limner_starter.workspace import Workspace

MODEL = "starter-clip"
"""The name of the model's folder in the work folder."""


def data_stage(work: Path, packages: Path | None, console: Console) -> ClipData:
    """The pictures of all designs, drawn first where ``work`` has none.

    Raises:
        StarterError: npm is missing or failed, or a package has another version or licence.
    """
    if not (work / "pictures.npz").is_file():
        console.print("drawing the pictures of all designs")
        clip_data.prepare(work, sources(work, packages))
    data = clip_data.load(work)
    console.print(f"{len(data.rgba)} pictures of {len(data.names)} names in {len(data.designs)} designs")
    return data


def sources(work: Path, packages: Path | None) -> Path:
    """The folder with the npm packages of all designs: the given one, or one that npm fills."""
    return install(work / "npm", PINNED_DESIGNS) if packages is None else require(packages, PINNED_DESIGNS)


def train(
    work: Path,
    recipe: ClipRecipe,
    compute: Compute,
    *,
    model: Path,
    packages: Path | None,
    resume: bool,
    save_seconds: float,
    console: Console,
) -> Path:
    """Trains and exports the CLIP; returns its folder.

    Args:
        work: The work folder.
        recipe: How much of what.
        compute: Where and in which precision.
        model: The starter diffusion model, some of whose pictures are learned from.
        packages: A folder with the npm packages; ``None`` lets npm install them.
        resume: Go on with the run that the folder holds.
        save_seconds: Seconds between two checkpoints.
        console: Says what is being done.

    Raises:
        StarterError: The work folder holds another run, or has one while ``resume`` is false.
    """
    workspace = Workspace(work)
    if workspace.started() and not resume:
        raise BadWorkFolder(f"{work} holds a run already: go on with --resume, or use another --output")
    data = data_stage(work, packages, console)
    quiet_libraries()
    drawn = [generated(model, data.names, purpose, work, console) for purpose in TRAINING]
    vocabulary = words(data.names, data.tags, sources(work, packages))
    size = write_vocabulary(corpus(data.names, vocabulary), work / VOCABULARY)
    stage = ClipStage(data, drawn, vocabulary, (work / VOCABULARY, size), recipe=recipe, compute=compute)
    with progress_bar(console) as progress:
        run_stage(stage, Run(workspace, _fingerprint(recipe, data, drawn, vocabulary), progress, save_seconds))
    return export(work, stage)


def export(work: Path, stage: ClipStage) -> Path:
    """Writes the model folder beside its compact lineage; returns the folder."""
    folder = work / MODEL
    shutil.rmtree(folder, ignore_errors=True)
    save(folder, stage.settings, stage.result().state_dict(), work / VOCABULARY)
    clip_data.write_compact_lineage(work, folder / "lineage.jsonl")
    return folder


def _fingerprint(
    recipe: ClipRecipe, data: ClipData, drawn: Sequence[Pixels], vocabulary: Sequence[Sequence[str]]
) -> str:
    digest = hashlib.sha256(f"{recipe.digest()}/{data.digest()}/{list(map(list, vocabulary))}".encode())
    for part in drawn:
        digest.update(part.tobytes())
    return digest.hexdigest()
