"""From what a configuration calls a model to the files it means: the starter, a folder, a cached hub id, a single file.

Reads JSON only: no torch, no network. What is wrong with the files is said before anything is loaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from limner_providers._catalogue import model_facts
from limner_providers._digests import files_sha256
from limner_providers._pipeline_folder import PipelineFolder, read_pipeline_folder
from limner_providers._safetensors import check_safetensors
from limner_providers.base import ModelIdentity
from limner_providers.errors import EngineUnavailable, ModelUnavailable

STARTER = Path(__file__).parent / "starter"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}")


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """The files of one model.

    Attributes:
        name: what a record calls it.
        key: how the catalogue knows it: `starter`, a hub id, else the name.
        folder: the pipeline's folder; for a single file the one with its configuration and tokenizer.
        checkpoint: the single `.safetensors` file with all weights; None for a folder.
        origin: where it is from, in words.
    """

    name: str
    key: str
    folder: PipelineFolder
    checkpoint: Path | None = None
    origin: str

    def identity(self) -> ModelIdentity:
        """Say which weights these are; digests every file that is loaded the first time.

        Raises:
            ModelUnavailable: a file cannot be read.
        """
        facts = model_facts(self.key)
        side = self.folder.native_side
        return ModelIdentity(
            name=str(facts.get("name", self.name)),
            sha256=self.sha256(),
            licence=facts.get("licence"),
            source=str(facts.get("origin", self.origin)),
            architecture=self.folder.class_name,
            native_size=f"{side}x{side}",
        )

    def sha256(self) -> str:
        """Digest what is loaded, names relative to the pipeline's folder.

        Raises:
            ModelUnavailable: a file cannot be read.
        """
        named = [(file.relative_to(self.folder.path).as_posix(), file) for file in self.folder.files]
        if self.checkpoint is not None:
            named.append((self.checkpoint.name, self.checkpoint))
        return files_sha256(named)


def find_model(
    model: str, *, base_folder: Path | None = None, variant: str | None = None, config: str | None = None
) -> ModelSource:
    """Find and check a model's files.

    Args:
        model: `starter`, a pipeline folder, a `.safetensors` file, or a hub id that is in the local cache.
        base_folder: what relative paths count from; None: the working folder.
        variant: `fp16` and the like, where a folder holds several.
        config: for a single file, a pipeline folder of the same architecture: its configuration and tokenizer.

    Raises:
        ModelUnavailable: not there, damaged, or not supported; names the file and what to do.
        EngineUnavailable: a hub id is given and `huggingface_hub` is not installed.
    """
    if model == "starter":
        return ModelSource(
            name="limner-starter",
            key="starter",
            folder=_folder(STARTER, variant),
            origin="shipped with limner_providers",
        )
    path = (base_folder or Path.cwd()) / Path(model).expanduser()
    if path.is_dir():
        return ModelSource(name=path.name, key=path.name, folder=_folder(path, variant), origin="a local folder")
    if path.is_file():
        return _single_file(path, config, base_folder)
    if _HUB_ID.fullmatch(model):
        return _cached(model, path, variant)
    remedy = "Check the path, or set model to starter, the model that is shipped."
    raise ModelUnavailable(f"model {path} does not exist.", remedy=remedy)


def _folder(path: Path, variant: str | None) -> PipelineFolder:
    return read_pipeline_folder(path, variant=variant)


def _single_file(path: Path, config: str | None, base_folder: Path | None) -> ModelSource:
    if path.suffix != ".safetensors":
        remedy = "Convert it to .safetensors: .ckpt, .pt and .bin files can run code and are not loaded."
        raise ModelUnavailable(f"model {path} is no .safetensors file.", remedy=remedy)
    check_safetensors(path)
    if config is None:
        remedy = "Set config to a pipeline folder of the same architecture: a single file has no tokenizer."
        raise ModelUnavailable(f"model {path} needs the setting config.", remedy=remedy)
    settings = find_config(config, base_folder)
    return ModelSource(name=path.stem, key=path.stem, folder=settings, checkpoint=path, origin="a local file")


def find_config(config: str, base_folder: Path | None) -> PipelineFolder:
    """Read the folder that lends a single file its configuration and tokenizer; its weights may be missing.

    Raises:
        ModelUnavailable: it is no pipeline folder.
    """
    path = STARTER if config == "starter" else (base_folder or Path.cwd()) / Path(config).expanduser()
    return read_pipeline_folder(path, weights=False)


def _cached(hub_id: str, path: Path, variant: str | None) -> ModelSource:
    """Find a hub id in the local cache; nothing is ever downloaded."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError as error:
        remedy = "Run: pip install 'limner[diffusers]'"
        raise EngineUnavailable("huggingface_hub is not installed.", remedy=remedy) from error
    try:
        folder = Path(snapshot_download(hub_id, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError) as error:
        problem = f"model {hub_id!r} is neither a folder ({path}) nor a hub id in the local cache."
        raise ModelUnavailable(problem, remedy=f"Check the path, or run: hf download {hub_id}") from error
    return ModelSource(name=hub_id, key=hub_id, folder=_folder(folder, variant), origin=f"model hub, {folder.name}")
