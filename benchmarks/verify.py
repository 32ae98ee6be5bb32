"""Verification of a whole log, beside hashing and parsing the same bytes with the bare standard library.

Run: `python benchmarks/verify.py [--entries 100000]`. Prints one line a figure.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from limner_provenance import AuditLog, verify_log

DIGEST = sha256(b"pack").hexdigest()
BATCH = 16


def fill(log: AuditLog, count: int) -> None:
    """Append `count` entries as requests do, seven a record, one in seven with a JSON payload, 16 a commit."""
    for number in range(count):
        data = {"stage": "request", "verdict": "allow", "packs": [{"id": "general", "sha256": DIGEST}], "n": number}
        data["detectors"] = [{"id": "nsfw", "version": "1.2.0", "score": "0.012345", "sha256": DIGEST}] * 2
        payloads = {"input": {"prompt": "a red apple on a table"}} if number % 7 == 1 else {}
        step = "accepted" if number % 7 == 0 else "judged"
        pending = log.append(step, record=f"0198f000-0000-7000-8000-{number // 7:012d}", data=data, payloads=payloads)
        if number % BATCH == BATCH - 1:
            pending.wait()
    log.flush()


def bare(path: Path) -> tuple[float, float]:
    """Give seconds to read and hash all leaves, and to read, hash and parse them, with the standard library alone."""
    connection = sqlite3.connect(path)
    start = time.perf_counter()
    for (leaf,) in connection.execute("SELECT leaf FROM entry ORDER BY idx"):
        sha256(b"\x00" + leaf.encode()).digest()
    hashed = time.perf_counter() - start
    start = time.perf_counter()
    for (leaf,) in connection.execute("SELECT leaf FROM entry ORDER BY idx"):
        sha256(b"\x00" + leaf.encode()).digest()
        json.loads(leaf)
    parsed = time.perf_counter() - start
    connection.close()
    return hashed, parsed


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        url = f"sqlite:///{state / 'audit.db'}"
        with AuditLog.open(url, state=state) as log:
            fill(log, options.entries)
        hashed, parsed = bare(state / "audit.db")
        for payloads, peer, words in ((False, hashed, "read and hash"), (True, parsed, "read, hash and parse")):
            with AuditLog.open(url, state=state, read_only=True) as log:
                report = verify_log(log, payloads=payloads)
            assert report.ok, report.first_error
            what = "with payloads" if payloads else "without payloads"
            print(
                f"audit verify {what}: {report.size / report.seconds:,.0f} entries/s ({report.size:,} entries, "
                f"{report.checkpoints:,} checkpoints, {report.payloads_opened:,} payloads opened); "
                f"bare {words} {report.size / peer:,.0f}/s; ratio {peer / report.seconds:.3f}"
            )
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"audit verify memory: peak of the whole process {memory:,.0f} MiB")


if __name__ == "__main__":
    main()
