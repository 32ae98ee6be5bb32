"""What sealing costs: `seal` beside bare c2pa signing without thumbnail plus one SHA-256 of the bytes, same run.

    python benchmarks/seal.py [--rounds 60] [--size 1024]

Runs alternate, so that a busy machine slows both alike; figures are medians, and `undisturbed` compares the fastest
tenths, which other work on the machine hardly touches. The bar is a ratio of 1.15.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import c2pa
import numpy as np
from PIL import Image, ImageFilter

from limner_provenance.credentials import (
    ManifestFacts,
    SoftwareAgent,
    development_signer,
    read_credentials,
    seal,
    sniff,
    source_type_for,
    trust_anchors,
)
from limner_provenance.credentials.manifest import definition
from limner_provenance.credentials.signer import LocalSigner

RECORD = {
    "v": 1,
    "log": "limner/0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f",
    "record": "0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f",
    "image": 0,
    "produced": "0" * 64,
    "prompt": {"prompt": "1" * 64, "negative_prompt": "2" * 64},
    "model": {"name": "starter", "sha256": "3" * 64},
    "seed": "18446744073709551615",
    "parameters": {"steps": 20, "guidance_scale": "3.000000", "size": "1024x1024", "scheduler": "ddim"},
}


def picture(kind: str, size: int) -> bytes:
    """A picture that compresses about as a photograph does."""
    noise = np.random.default_rng(7).integers(0, 256, (size, size, 3), dtype=np.uint8)
    image = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1))
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def interleaved(rounds: int, *jobs: Callable[[], object]) -> list[list[float]]:
    """Seconds of each job, the jobs taking turns."""
    taken: list[list[float]] = [[] for _ in jobs]
    turns = list(zip(jobs, taken, strict=True))
    for turn in range(rounds):
        for job, times in turns if turn % 2 else reversed(turns):
            start = time.perf_counter()
            job()
            times.append(time.perf_counter() - start)
    return taken


def measure(kind: str, size: int, rounds: int, keys: Path) -> str:
    """One line of figures for a format."""
    data, signer = picture(kind, size), development_signer(keys)
    assert isinstance(signer, LocalSigner)
    facts = ManifestFacts(
        title="picture",
        mime=sniff(data),
        software_agent=SoftwareAgent(name="starter", version="1", sha256="3" * 64),
        digital_source_type=source_type_for(),
        created=datetime.now(UTC),
        record=RECORD,
        development=True,  # what `seal` would add by itself: both sign the same manifest
    )
    context = c2pa.Context.from_dict(
        {
            "builder": {"thumbnail": {"enabled": False}},
            "verify": {"verify_after_sign": False, "remote_manifest_fetch": False},
        }
    )
    info = c2pa.C2paSignerInfo(alg="es256", sign_cert=signer.chain, private_key=signer.private_key, ta_url=None)
    native, manifest = c2pa.Signer.from_info(info), definition(facts, instance_id="xmp.iid:bench")

    def bare() -> None:
        output = io.BytesIO()
        c2pa.Builder(manifest, context=context).sign(native, facts.mime, io.BytesIO(data), output)
        hashlib.sha256(output.getvalue()).hexdigest()

    def ours() -> None:
        hashlib.sha256(seal(data, facts, signer).data).hexdigest()

    sealed, trust = seal(data, facts, signer), trust_anchors(keys)
    interleaved(5, bare, ours)
    bare_s, ours_s = interleaved(rounds, bare, ours)
    ratio = statistics.median(ours / bare for bare, ours in zip(bare_s, ours_s, strict=True))
    quiet = statistics.quantiles(ours_s, n=10)[0] / statistics.quantiles(bare_s, n=10)[0]
    (read_s,) = interleaved(rounds, lambda: read_credentials(sealed.data, trust=trust))
    return (
        f"seal {kind:<4} {size}x{size} {len(data) / 1e6:.2f} MB: {1e3 * statistics.median(ours_s):.2f} ms, "
        f"bare c2pa + SHA-256 {1e3 * statistics.median(bare_s):.2f} ms, "
        f"ratio {ratio:.3f}, undisturbed {quiet:.3f} (bar 1.15); "
        f"verify {1e3 * statistics.median(read_s):.2f} ms; adds {len(sealed.data) - len(data)} bytes"
    )


def main() -> None:
    """Print one line a format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--size", type=int, default=1024)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("PNG", "JPEG", "WEBP"):
            print(measure(kind, options.size, options.rounds, Path(folder) / "keys"))


if __name__ == "__main__":
    main()
