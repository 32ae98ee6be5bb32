"""The detector `text`: words inside the picture, read by the package rapidocr, whose weights it ships (extra `safety`).

Its categories are lists of the pack; what was read is compared as prompts are and never leaves this module: evidence
carries scores, no text. Knows pixels and lists, no thresholds.
"""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Self

from limner_policy.conditions import AMBIGUOUS_NEAR, Entities, Terms
from limner_policy.detectors.base import Pixels, scored, unknown
from limner_policy.detectors.settings import Place, ThreadSettings
from limner_policy.errors import DetectorUnavailable, WeightsMismatch
from limner_policy.matching import Matcher, Texts
from limner_policy.types import Evidence, RequestFacts
from limner_policy.wordlists import WordList

_EXTRA = "Install it: pip install 'limner[safety]'."
_NEEDS = ("cv2", "omegaconf", "onnxruntime", "rapidocr")
_MODELS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}
_THREADS = 2
_LEAST_SIDE = 8
_LEAST_CONFIDENCE = 0.3
_FIELD = "prompt"
_JOINED_FROM = 6
"""Letters from which a phrase is also looked for without its spaces, which the reader often loses."""


class Line(NamedTuple):
    """One line as it was read: the text, and how sure the reader is, 0…1."""

    text: str
    confidence: float


class TextDetector:
    """Scores a picture for each list: how sure the reader is of the line that a listed word or name stands in.

    0 where none was read. Words are compared after folding, as in prompts; a name over two lines counts with the less
    certain of the two. The longer side is brought to at most 2,000 pixels, so that small print in larger pictures may
    be lost. A picture narrower than 8 pixels cannot be read: `unknown`. Pictures are read one by one.

    Raises:
        DetectorUnavailable: rapidocr, its opencv or onnxruntime is not installed.
    """

    name = "text"
    stage = "image"
    batch = 1
    settings = ThreadSettings

    def __init__(
        self, lists: Mapping[str, WordList] | None = None, *, threads: int = _THREADS, reader: _Reader | None = None
    ) -> None:
        """Find the weights without loading them; `threads` are those of onnxruntime for one picture."""
        folder, self.version = _package()
        self._reader = reader or _Reader(folder, threads)
        self._words = _Words(lists or {})

    @property
    def categories(self) -> tuple[str, ...]:
        """The names of its lists."""
        return self._words.names

    @property
    def digest(self) -> str:
        """SHA-256 over the SHA-256 of the three ONNX files, one line each.

        Raises:
            WeightsMismatch: one of them is not in the package's own table of checksums.
        """
        return self._reader.digest

    def with_settings(self, settings: ThreadSettings, _place: Place) -> Self:
        """The detector with other threads; it has no lists yet."""
        return type(self)(threads=settings.threads)

    def with_lists(self, lists: Mapping[str, WordList]) -> Self:
        """The detector with these lists as its categories; the loaded reader is shared."""
        return type(self)(lists, reader=self._reader)

    def score(self, images: Sequence[Pixels]) -> list[list[Evidence]]:
        """Score uint8 RGB arrays of shape (height, width, 3)."""
        return [self._score(image) for image in images]

    def _score(self, image: Pixels) -> list[Evidence]:
        height, width = image.shape[:2]
        if min(height, width) < _LEAST_SIDE:
            reason = f"a picture of {width}x{height} is too narrow to be read"
            return [unknown(self.name, one, reason, self.version, self.digest) for one in self.categories]
        found = self._words.search(self._reader.read(image))
        return [scored(self, name, found.get(name, 0.0)) for name in self.categories]


class _Words:
    """The lists, compiled to one matcher."""

    def __init__(self, lists: Mapping[str, WordList]) -> None:
        self.names = tuple(sorted(lists))
        self._conditions = {_condition(one): name for name, one in sorted(lists.items())}
        self._matcher = Matcher(self._conditions)

    def search(self, lines: Sequence[Line]) -> dict[str, float]:
        """The lists of which something was read, each with the best confidence."""
        text = "\n".join(line.text for line in lines)
        if not text.strip():
            return {}
        # Lone surrogates cannot come out of a character table, and would be refused here.
        hits = self._matcher.search(Texts(RequestFacts(prompt=text, task="txt2img")))
        found: dict[str, float] = {}
        for condition, spans in hits.items():
            name = self._conditions[condition]  # type: ignore[index]  # the matcher gives back what it was given
            found[name] = max(_confidence(lines, span.start, span.end) for span in spans)
        return found


def _condition(listed: WordList) -> Terms | Entities:
    if listed.entities:
        return Entities(lists=(listed,), fields=(_FIELD,), near_for=AMBIGUOUS_NEAR)
    joined = {term.replace(" ", "") for term in listed.terms if " " in term}
    return Terms(
        any_of=tuple(sorted(one for one in joined if len(one) >= _JOINED_FROM)), fields=(_FIELD,), lists=(listed,)
    )


def _confidence(lines: Sequence[Line], start: int, end: int) -> float:
    """That of the least certain line between two places of the joined text."""
    sure, begin = 1.0, 0
    for line in lines:
        finish = begin + len(line.text)
        if begin < end and start < finish:
            sure = min(sure, line.confidence)
        begin = finish + 1
    return sure


class _Reader:
    """rapidocr with our own sessions: made of bytes whose checksum was held, so that nothing can be downloaded."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._folder = folder
        self._threads = threads
        self._lock = threading.Lock()
        self._engine: Any = None
        self._digest: str | None = None

    @property
    def digest(self) -> str:
        """See `TextDetector.digest`."""
        if self._digest is None:
            self._digest = _digest_of(self._weights())
        return self._digest

    def read(self, image: Pixels) -> list[Line]:
        """The lines of a picture, from top to bottom as the reader orders them."""
        import numpy as np

        # One picture at a time: the engine keeps state between its steps.
        with self._lock:
            if self._engine is None:
                self._engine = self._loaded()
            found = self._engine(np.ascontiguousarray(image[:, :, ::-1]))
        if type(found).__name__ != "RapidOCROutput":
            # The package answers a failed step with the step before it, and only logs the failure.
            raise RuntimeError("rapidocr found text and could not read it")
        if found.txts is None:
            return []
        return [Line(text, float(sure)) for text, sure in zip(found.txts, found.scores, strict=True)]

    def _weights(self) -> dict[str, bytes]:
        known = (self._folder / "default_models.yaml").read_text(encoding="utf-8")
        weights = {}
        for part, file in _MODELS.items():
            weights[part] = (self._folder / "models" / file).read_bytes()
            digest = hashlib.sha256(weights[part]).hexdigest()
            if digest not in known:
                raise WeightsMismatch(
                    f"{file} of detector text has SHA-256 {digest}, which rapidocr's own table does not know.",
                    remedy="Reinstall rapidocr.",
                )
        return weights

    def _loaded(self) -> Any:
        from rapidocr import RapidOCR

        from limner_policy.detectors.nsfw import onnx_session

        weights = self._weights()
        self._digest = _digest_of(weights)
        engine = RapidOCR(params={"Global.log_level": "critical", "Global.text_score": _LEAST_CONFIDENCE})
        for part, data in weights.items():
            settings = engine.cfg[part]
            settings._set_flag("allow_objects", True)  # noqa: SLF001 -- how omegaconf lets an object into a config
            settings.session = onnx_session(data, self._threads)
        return engine


def _digest_of(weights: Mapping[str, bytes]) -> str:
    lines = "".join(f"{hashlib.sha256(data).hexdigest()}\n" for data in weights.values())
    return hashlib.sha256(lines.encode()).hexdigest()


def _package() -> tuple[Path, str]:
    """The package's folder, and the detector's version; the package itself is not imported."""
    for name in _NEEDS:
        if importlib.util.find_spec(name) is None:
            raise DetectorUnavailable(f"detector text needs {name}, which is not installed.", remedy=_EXTRA)
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise DetectorUnavailable("detector text needs rapidocr, which is not installed.", remedy=_EXTRA)
    folder = Path(spec.origin).parent
    missing = [file for file in _MODELS.values() if not (folder / "models" / file).is_file()]
    if missing:
        raise DetectorUnavailable(
            f"detector text finds no {', '.join(missing)} in rapidocr.", remedy="Install rapidocr of constraints.txt."
        )
    return folder, f"rapidocr {version('rapidocr')}"
