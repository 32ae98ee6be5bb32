"""Evidence files: time to make and to verify one, and its size, beside hashing and signing the same bytes bare.

Run: `python benchmarks/evidence.py [--entries 100000]`. Prints one line a figure. The log holds other records before
the one that is proven, and other entries after it.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from limner import Limner
from limner.config import Config
from limner.reading import open_log
from limner_provenance.evidence import build
from limner_provenance.verify_evidence import Verification


def best(work: Callable[[], object], times: int = 20) -> tuple[float, float]:
    """Give the median and the smallest number of milliseconds."""
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        spent.append((time.perf_counter() - start) * 1000)
    return statistics.median(spent), min(spent)


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Config.model_validate({"providers": {"fake": {"kind": "test"}}, "root": Path(folder)})
        with Limner.open(config) as limner:
            limner.generate("green apple")
            result = limner.generate("red apple", seed=7)
            result.images[0].save(Path(folder) / "a.png")
        from limner_provenance import AuditLog

        with AuditLog.open(config.audit_url, state=config.state, keys_url=config.keys_url) as log:
            for number in range(options.entries):
                log.append("opened", data={"n": number})
            log.flush()
        with open_log(config) as log:
            record = result.record_id
            document = build(log, record)
            made = best(lambda: build(log, record))
            told = best(lambda: build(log, record, disclose=["all"]))
            print(f"evidence of a plain txt2img, {log.size:,} entries: {len(document):,} bytes besides the image")
            print(f"  made in {made[0]:.1f} ms (least {made[1]:.1f}); with everything disclosed {told[0]:.1f} ms")
        picture = str(Path(folder) / "a.png")
        verified = best(lambda: Verification().run(document, [picture]))
        bare = best(lambda: hashlib.sha256(document).digest())
        print(f"  verified in {verified[0]:.1f} ms (least {verified[1]:.1f}); hashing its bytes alone {bare[0]:.3f} ms")


if __name__ == "__main__":
    main()
