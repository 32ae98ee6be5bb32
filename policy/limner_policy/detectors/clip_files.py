"""Which model the detector `clip` uses: its files found and held against their digests, before anything is loaded.

Knows paths, digests and open_clip's names; what a model does with pictures is `clip_model.py`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from limner_policy.detectors.settings import DetectorSettings
from limner_policy.errors import DetectorError, DetectorUnavailable, WeightsMismatch
from limner_policy.shapes import suggestion

STARTER = "starter"
STARTER_SUBJECT = "limner-starter-clip"
STARTER_FOLDER = Path(__file__).parent.parent / "data" / "starter-clip"
CONFIG = "open_clip_config.json"
# In the order in which open_clip itself looks for them.
WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "tokenizer.model")
_TOKENIZER_EXTRAS = ("merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


class ClipSettings(DetectorSettings):
    """Which model, and how it runs.

    Attributes:
        model: `starter`; a name of open_clip such as `ViT-B-32`, with `pretrained`; or a folder with
            `open_clip_config.json`, weights and tokenizer.
        pretrained: For a name: a file of weights, or a tag of open_clip such as `laion2b_s34b_b79k`.
        weights_sha256: SHA-256 of the file of weights; needed for every model but the starter.
        device: `auto` is the GPU where there is one.
        threads: Threads of torch, for the whole process; none given: as torch has them.
        batch: Pictures of one call.
    """

    model: str = Field(default=STARTER, min_length=1)
    pretrained: str | None = Field(default=None, min_length=1)
    weights_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    threads: int | None = Field(default=None, ge=1, le=256)
    batch: int = Field(default=8, ge=1, le=256)

    @property
    def weights_name(self) -> str:
        """How licence facts name the weights: without the folders that they lie in on this machine."""
        if self.model == STARTER:
            return STARTER_SUBJECT
        names = (Path(self.model).name, Path(self.pretrained).name if self.pretrained else "")
        return "/".join(filter(None, names))


@dataclass(frozen=True, slots=True)
class ClipFiles:
    """One model as it lies on the disk.

    `name` is what open_clip is asked for, `weights` the file, `digest` the SHA-256 over weights, configuration,
    preprocessing and tokenizer together.
    """

    label: str
    name: str
    weights: Path
    digest: str
    config: Mapping[str, Any] = field(repr=False)
    folder: Path | None = None

    @property
    def text_cfg(self) -> Mapping[str, Any]:
        """The configuration's part about texts."""
        found: Mapping[str, Any] = self.config["model_cfg"]["text_cfg"]
        return found


def find(settings: ClipSettings, folder: Path) -> ClipFiles:
    """Find a model's files and hold the weights against their digest.

    Args:
        settings: which model.
        folder: what relative paths count from.

    Raises:
        DetectorError: the settings do not go together, or open_clip has no such model.
        DetectorUnavailable: a file is missing.
        WeightsMismatch: the weights are not the ones whose digest is given, or none is given.
    """
    if settings.model == STARTER:
        if settings.pretrained is not None:
            raise DetectorError(
                "detectors.clip.pretrained goes with a name of open_clip.", remedy="Delete it, or name a model."
            )
        return _of_folder(STARTER_FOLDER, settings, STARTER)
    own = folder / Path(settings.model).expanduser()
    if own.is_dir():
        return _of_folder(own, settings, f"the folder {settings.model}")
    if "/" in settings.model or ":" in settings.model or settings.model.startswith((".", "~")):
        raise DetectorUnavailable(
            f"detectors.clip.model: there is no folder {own}.",
            remedy="Name a folder with open_clip_config.json, or a name of open_clip such as ViT-B-32.",
        )
    return _of_name(settings, folder)


def _of_folder(folder: Path, settings: ClipSettings, label: str) -> ClipFiles:
    config = _config(folder, label)
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise DetectorUnavailable(f"{label} holds no weights.", remedy=f"Put {WEIGHTS[0]} there.")
    tokenizer = list(_tokenizer_files(folder, config["model_cfg"]["text_cfg"], label))
    sha256 = file_sha256(weights)
    _hold(sha256, settings, weights, ours=folder == STARTER_FOLDER)
    digest = together(sha256, config, (f"{path.name} {file_sha256(path)}" for path in tokenizer))
    return ClipFiles(label, f"local-dir:{folder}", weights, digest, config, folder)


def _config(folder: Path, label: str) -> Mapping[str, Any]:
    file = folder / CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DetectorUnavailable(
            f"{label} holds no {CONFIG}.", remedy="Put it there: {model_cfg: …} as open_clip writes it."
        ) from None
    except (OSError, ValueError) as error:
        raise DetectorError(
            f"{CONFIG} of {label} cannot be read: {type(error).__name__}.", remedy="Take it from its source again."
        ) from None
    model = config.get("model_cfg") if isinstance(config, dict) else None
    missing = [
        key for key in ("embed_dim", "vision_cfg", "text_cfg") if not isinstance(model, dict) or key not in model
    ]
    if missing:
        raise DetectorError(
            f"{CONFIG} of {label} has no model_cfg.{missing[0]}.", remedy="Take it from its source again."
        )
    found: Mapping[str, Any] = config
    return found


def _tokenizer_files(folder: Path, text_cfg: Mapping[str, Any], label: str) -> Iterator[Path]:
    """The files that turn words into numbers; open_clip's own vocabulary lies in its package."""
    if "hf_tokenizer_name" in text_cfg:
        main = [folder / name for name in _TOKENIZER_FILES if (folder / name).is_file()]
        if not main:
            raise DetectorUnavailable(
                f"{label} asks for a tokenizer of transformers and holds none.",
                remedy=f"Put its files there: one of {', '.join(_TOKENIZER_FILES)}.",
            )
        yield from main
        yield from (folder / name for name in _TOKENIZER_EXTRAS if (folder / name).is_file())
        return
    path = bpe_path(folder, text_cfg)
    if not path.is_file():
        raise DetectorUnavailable(
            f"{label} names the vocabulary {path.name}, which is not there.", remedy="Put the file beside the weights."
        )
    yield path


def bpe_path(folder: Path, text_cfg: Mapping[str, Any]) -> Path:
    """The vocabulary of a folder's model: a path of its configuration counts from the folder."""
    given = text_cfg.get("tokenizer_kwargs", {}).get("bpe_path")
    return _package() / "bpe_simple_vocab_16e6.txt.gz" if given is None else folder / given


def _package() -> Path:
    """The folder of open_clip, which is not imported for it."""
    spec = importlib.util.find_spec("open_clip")
    assert spec is not None  # `ClipDetector` asks for it when it is made
    assert spec.origin is not None
    return Path(spec.origin).parent


def _of_name(settings: ClipSettings, folder: Path) -> ClipFiles:
    import open_clip

    name, tag = settings.model.replace("/", "-"), settings.pretrained
    model = open_clip.get_model_config(name)
    if model is None:
        raise DetectorError(
            f"detectors.clip.model: open_clip has no model {settings.model!r}.",
            remedy=suggestion(settings.model, open_clip.list_models()[:])[:300],
        )
    if tag is None:
        # Without it open_clip makes a model of random numbers, and says little.
        raise DetectorError(
            f"detectors.clip: model {name} needs weights.", remedy="Give `pretrained`: a file, or a tag of open_clip."
        )
    weights, preprocess = _weights(name, tag, folder)
    sha256 = file_sha256(weights)
    _hold(sha256, settings, weights, ours=False)
    config = {"model_cfg": model, "preprocess_cfg": preprocess}
    digest = together(sha256, config, [f"tokenizer {_named_tokenizer(name, model)}"])
    return ClipFiles(f"{name} ({tag})", name, weights, digest, config)


def _weights(name: str, tag: str, folder: Path) -> tuple[Path, Mapping[str, Any]]:
    import open_clip
    from open_clip.pretrained import download_pretrained, get_pretrained_cfg

    known = get_pretrained_cfg(name, tag)
    file = folder / Path(tag).expanduser()
    if file.is_file():
        return file, {}
    if not known:
        tags = open_clip.list_pretrained_tags_by_model(name)
        raise DetectorUnavailable(
            f"detectors.clip.pretrained: {tag!r} is no file in {folder}, and no tag of {name}.",
            remedy=f"Name a file, or one of: {', '.join(tags) or 'none is known'}.",
        )
    try:
        return Path(download_pretrained(known)), known
    except Exception as error:  # noqa: BLE001 -- whatever the hub's client raises, the weights are not at hand
        raise DetectorUnavailable(
            f"the weights {name} ({tag}) are not at hand: {type(error).__name__}.",
            remedy="Load them once with a network, or give a file under detectors.clip.pretrained.",
        ) from None


def _named_tokenizer(name: str, model: Mapping[str, Any]) -> str:
    """What stands for the tokenizer in the digest: the vocabulary's SHA-256, or that of the loaded one."""
    if "hf_tokenizer_name" not in model["text_cfg"] and "siglip" not in name.lower():
        return file_sha256(_package() / "bpe_simple_vocab_16e6.txt.gz")
    from limner_policy.detectors.clip_model import named_tokenizer

    inner = named_tokenizer(name, model["text_cfg"]).tokenizer
    words = json.dumps(sorted(inner.get_vocab().items()), ensure_ascii=False)
    return hashlib.sha256(words.encode()).hexdigest()


def _hold(sha256: str, settings: ClipSettings, weights: Path, *, ours: bool) -> None:
    """Hold weights against the digest that is given; those of the starter against the one that comes with them."""
    wanted = settings.weights_sha256 or (_shipped_sha256(weights) if ours else None)
    if wanted is None:
        raise WeightsMismatch(
            f"detectors.clip.weights_sha256 is missing; {weights.name} has the SHA-256 {sha256}.",
            remedy="Hold it against the source of the weights, then write it down.",
        )
    if sha256 != wanted:
        raise WeightsMismatch(
            f"the weights {weights.name} of detector clip have the SHA-256 {sha256} and not {wanted}.",
            remedy="Reinstall limner." if ours else "Fetch them again from their source.",
        )


def _shipped_sha256(weights: Path) -> str:
    """What `SHA256SUMS` beside the weights says of them."""
    file = weights.with_name("SHA256SUMS")
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        lines = []
    found = next((line.split()[0] for line in lines if line.split()[1:] == [weights.name]), None)
    if found is None:
        raise DetectorUnavailable(f"{file.name} of the starter model names no weights.", remedy="Reinstall limner.")
    return found


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, lower-case hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def together(weights: str, config: Mapping[str, Any], tokenizer: Any) -> str:
    """One digest over weights, configuration with preprocessing, and tokenizer: a line each."""
    parts = {key: config.get(key, {}) for key in ("model_cfg", "preprocess_cfg")}
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    lines = [f"weights {weights}", f"config {hashlib.sha256(text.encode()).hexdigest()}", *sorted(tokenizer)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
