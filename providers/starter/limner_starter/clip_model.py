"""The shape of the starter CLIP, and its folder: what plain open_clip loads by ``local-dir:``."""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from limner_starter.clip_augment import MEAN, STD, normalised
from limner_starter.clip_tokens import VOCABULARY, tokenizer
from limner_starter.clip_words import Concept
from limner_starter.errors import BadWorkFolder
from limner_starter.recipe import PICTURE
from limner_starter.workspace import read_json, write_json, write_text

CONTEXT = 16
CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
_CHUNK = 256


def config(vocabulary: int, width: int) -> dict[str, Any]:
    """The content of ``open_clip_config.json`` for a vocabulary and a width of the picture half.

    ``bpe_path`` is a file of the folder. open_clip itself reads it from the working folder: whoever makes the tokenizer
    gives the whole path, ``open_clip.get_tokenizer(f"local-dir:{folder}", bpe_path=f"{folder}/vocabulary.txt.gz")``.
    """
    # CLIP's residual network, small: it keeps 16x16 places for longer than timm's small networks do at this size.
    vision = {"image_size": PICTURE, "layers": [1, 2, 2, 1], "width": width, "patch_size": None, "head_width": 32}
    text = {"context_length": CONTEXT, "vocab_size": vocabulary, "width": 96, "heads": 4, "layers": 2}
    # Squashed, not cropped: what stands at the border must be seen too.
    preprocess = {"mean": list(MEAN), "std": list(STD), "interpolation": "bilinear", "resize_mode": "squash"}
    return {
        "model_cfg": {
            "embed_dim": 128,
            "vision_cfg": vision,
            "text_cfg": {**text, "tokenizer_kwargs": {"bpe_path": VOCABULARY}},
        },
        "preprocess_cfg": preprocess,
    }


def new_model(settings: Mapping[str, Any]) -> Any:
    """An untrained open_clip model of a ``config``."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    shape = settings["model_cfg"]
    return CLIP(shape["embed_dim"], CLIPVisionCfg(**shape["vision_cfg"]), CLIPTextCfg(**shape["text_cfg"]))


def save(folder: Path, settings: Mapping[str, Any], state: Mapping[str, Tensor], vocabulary: Path) -> None:
    """Writes configuration, fp16 weights and vocabulary into ``folder``."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONFIG, settings)
    halves = {name: _half(tensor) for name, tensor in sorted(state.items())}
    save_file(halves, str(folder / WEIGHTS), metadata={"format": "pt"})
    if vocabulary.resolve() != (folder / VOCABULARY).resolve():
        shutil.copyfile(vocabulary, folder / VOCABULARY)
    # The detector `clip` holds the files against these digests before it loads them.
    sums = ((hashlib.sha256((folder / name).read_bytes()).hexdigest(), name) for name in (WEIGHTS, VOCABULARY))
    write_text(folder / "SHA256SUMS", "".join(f"{digest}  {name}\n" for digest, name in sums))


def _half(tensor: Tensor) -> Tensor:
    return (tensor.half() if tensor.is_floating_point() else tensor).contiguous().clone()


class Embedder:
    """A folder of open_clip at work: unit vectors of pictures and of texts, in float32 on the CPU.

    The vocabulary may be open_clip's own, so that other models of this size can be measured beside ours.

    Attributes:
        digest: SHA-256 of the weights.

    Raises:
        BadWorkFolder: A file of the folder is missing.
    """

    def __init__(self, folder: Path) -> None:
        import open_clip

        for name in (CONFIG, WEIGHTS):
            if not (folder / name).is_file():
                raise BadWorkFolder(f"{folder} is no CLIP folder: it has no {name}")
        settings = read_json(folder / CONFIG)
        text, preprocess = settings["model_cfg"]["text_cfg"], settings["preprocess_cfg"]
        own = text.get("tokenizer_kwargs", {}).get("bpe_path")
        self._mean, self._std = preprocess["mean"], preprocess["std"]
        self._tokens = tokenizer(folder / own if own else None, text["context_length"])
        self._model = open_clip.create_model(f"local-dir:{folder}", precision="fp32").eval()
        self.digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()

    @torch.no_grad()
    def pictures(self, batch: Tensor) -> Tensor:
        """``[N, D]`` of pictures ``[N, 3, 64, 64]`` in 0 … 1."""
        parts = [
            self._model.encode_image(normalised(part, self._mean, self._std)) for part in torch.split(batch, _CHUNK)
        ]
        return functional.normalize(torch.cat(parts).float(), dim=-1)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """``[N, D]`` of texts."""
        starts = range(0, len(texts), _CHUNK)
        parts = [self._model.encode_text(self._tokens(list(texts[at : at + _CHUNK]))) for at in starts]
        return functional.normalize(torch.cat(parts).float(), dim=-1)

    def prompts(self, phrases: Sequence[str], sentences: Sequence[str]) -> Tensor:
        """``[N, D]``: each phrase in every sentence, the unit vectors averaged and made unit vectors again."""
        every = self.texts([sentence.format(phrase) for phrase in phrases for sentence in sentences])
        return functional.normalize(every.view(len(phrases), len(sentences), -1).mean(1), dim=-1)

    def margins(self, vectors: Tensor, concept: Concept, sentences: Sequence[str]) -> Tensor:
        """``[N]``: the nearest positive prompt's cosine less the nearest contrast prompt's."""
        positive, contrast = (self.prompts(words, sentences) for words in (concept.positive, concept.contrast))
        return (vectors @ positive.T).amax(1) - (vectors @ contrast.T).amax(1)


def averaged(model: Any, values: Mapping[str, Tensor]) -> Any:
    """A copy of ``model`` with the averaged weights, ready for use."""
    result = copy.deepcopy(model)
    result.load_state_dict({**result.state_dict(), **values})
    return result.eval()
