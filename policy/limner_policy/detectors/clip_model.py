"""The model of the detector `clip`, loaded by open_clip: pictures and prompts to unit vectors.

Knows torch and open_clip, neither concepts nor thresholds.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from limner_policy.detectors.base import Pixels
from limner_policy.detectors.clip_files import ClipFiles, ClipSettings, bpe_path
from limner_policy.detectors.embeddings import Vectors
from limner_policy.errors import DetectorError, DetectorUnavailable, WeightsMismatch

MOST_VIEWS = 8
"""A picture longer than this many times its width is not looked at."""


class ClipModel:
    """One loaded model; several threads may use it.

    On the CPU pictures are embedded one by one, on a GPU in blocks that are always equally long: so a picture's numbers
    never depend on those beside it.
    """

    def __init__(self, files: ClipFiles, settings: ClipSettings) -> None:
        """Load it.

        Raises:
            WeightsMismatch: the weights do not fit the configuration, or are torn.
            DetectorUnavailable: the tokenizer, or the GPU, is not at hand.
        """
        import torch

        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        self._device = _device(settings.device)
        self._block = 1 if self._device == "cpu" else settings.batch
        self._lock = threading.Lock()
        with _quiet():
            self._model = _loaded(files, self._device)
            self._tokenizer = _tokenizer(files)
        self._transform = _transform(self._model)
        self._squares = _squares(self._model)
        self._length: int = self._tokenizer.context_length
        self.logit_scale = float(self._model.logit_scale.detach().exp())

    def images(self, pictures: Sequence[Pixels]) -> list[Vectors | None]:
        """Embed pictures: uint8 arrays of shape (height, width, 3), RGB.

        Returns:
            float32 of shape (views, dimensions), each view of length 1; None for a picture that is too long or holds
            nothing that can be resized. A picture that is no square is looked at in squares that cover it.
        """
        views = [list(self._views(picture)) for picture in pictures]
        vectors = iter(self._embed([view for some in views for view in some]))
        found: list[Vectors | None] = []
        for some in views:
            rows = [next(vectors) for _ in some]
            found.append(np.stack(rows) if rows else None)
        return found

    def texts(self, texts: Sequence[str]) -> Any:
        """Embed texts: float32 of shape (texts, dimensions), each of length 1.

        Raises:
            DetectorError: one is longer than the model reads.
        """
        import torch

        for text in texts:
            if (length := self._tokens(text)) > self._length:
                raise DetectorError(
                    f"the model of detector clip reads {self._length} tokens, and this prompt has {length}: {text!r}.",
                    remedy="Shorten the prompt or its template.",
                )
        with torch.inference_mode(), self._lock:
            rows = [self._model.encode_text(self._ids(text), normalize=True)[0] for text in texts]
            return torch.stack(rows).float().cpu().numpy()

    def _ids(self, text: str) -> Any:
        return self._tokenizer([text]).to(self._device)

    def _tokens(self, text: str) -> int:
        inner = getattr(self._tokenizer, "tokenizer", None)
        if inner is not None:
            return len(inner(self._tokenizer.clean_fn(text)).input_ids)
        return len(self._tokenizer.encode(text)) + 2

    def _views(self, picture: Pixels) -> Iterator[Any]:
        from PIL import Image

        height, width = picture.shape[:2]
        short, long = sorted((height, width))
        if long > MOST_VIEWS * short:
            return
        count = -(-long // short) if self._squares else 1
        for number in range(count):
            start = round(number * (long - short) / (count - 1)) if count > 1 else 0
            if count == 1:
                part = picture
            elif height > width:
                part = picture[start : start + short]
            else:
                part = picture[:, start : start + short]
            yield self._transform(Image.fromarray(part))

    def _embed(self, views: Sequence[Any]) -> Iterator[Any]:
        import torch

        for start in range(0, len(views), self._block):
            block = views[start : start + self._block]
            padded = [*block, *[block[0]] * (self._block - len(block))]
            with torch.inference_mode(), self._lock, _exactly():
                rows = self._model.encode_image(torch.stack(padded).to(self._device), normalize=True)
            yield from rows[: len(block)].float().cpu().numpy()


def _device(wanted: str) -> str:
    import torch

    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise DetectorUnavailable(
            "detectors.clip.device is cuda, and torch finds no GPU.", remedy="Write `cpu` or `auto`, or install it."
        )
    return "cuda"


def _loaded(files: ClipFiles, device: str) -> Any:
    import open_clip

    # A folder names its own weights; open_clip refuses them beside it.
    weights = None if files.folder else str(files.weights)
    try:
        model = open_clip.create_model(
            files.name, pretrained=weights, precision="fp32", device=device, require_pretrained=True, weights_only=True
        )
    except Exception as error:  # noqa: BLE001 -- torch, safetensors and pickle each raise their own
        told = str(error).strip().split("\n")[0][:200]
        raise WeightsMismatch(
            f"the weights {files.weights.name} cannot be loaded as {files.label}: {type(error).__name__}: {told}",
            remedy="Name the model that these weights were made for.",
        ) from None
    return model.eval()


def _tokenizer(files: ClipFiles) -> Any:
    import open_clip

    if files.folder is None:
        return named_tokenizer(files.name, files.text_cfg)
    more = {} if "hf_tokenizer_name" in files.text_cfg else {"bpe_path": str(bpe_path(files.folder, files.text_cfg))}
    try:
        return open_clip.get_tokenizer(files.name, **more)
    except Exception as error:  # noqa: BLE001 -- transformers and gzip each raise their own
        raise DetectorUnavailable(
            f"the tokenizer of {files.label} cannot be loaded: {type(error).__name__}.",
            remedy="Put the files of its source into the folder.",
        ) from None


def named_tokenizer(name: str, text_cfg: Mapping[str, Any]) -> Any:
    """The tokenizer of a named model.

    Raises:
        DetectorUnavailable: it is one of the hub's, and not at hand.
    """
    import open_clip

    try:
        return open_clip.get_tokenizer(name)
    except Exception as error:  # noqa: BLE001 -- whatever the hub's client raises, the files are not at hand
        source = text_cfg.get("hf_tokenizer_name") or "of transformers"
        raise DetectorUnavailable(
            f"model {name} needs the tokenizer {source}, which is not at hand: {type(error).__name__}.",
            remedy="Load it once with a network, or give a folder with open_clip_config.json, weights and tokenizer.",
        ) from None


def _transform(model: Any) -> Any:
    from open_clip.transform import PreprocessCfg, image_transform_v2

    return image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)


def _squares(model: Any) -> bool:
    """Whether preprocessing would cut the middle square out, so that a longer picture needs several looks."""
    cfg = model.visual.preprocess_cfg
    size = cfg["size"]
    square = isinstance(size, int) or len(set(size)) == 1
    return bool(square and cfg["resize_mode"] == "shortest")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip's messages from configuring the root logger of the whole process."""
    root, nothing = logging.getLogger(), logging.NullHandler()
    root.addHandler(nothing)
    try:
        yield
    finally:
        root.removeHandler(nothing)


@contextlib.contextmanager
def _exactly() -> Iterator[None]:
    """Let no convolution be rounded to TF32 on a GPU."""
    import torch

    with torch.backends.cudnn.flags(allow_tf32=False):
        yield
