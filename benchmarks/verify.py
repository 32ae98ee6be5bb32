"""Verification of a whole log and proofs in it, beside the bare standard library and pymerkle on the same bytes.

Run: `python benchmarks/verify.py [--entries 1000000] [--log FOLDER]`. Prints one line a figure. The log is made by a
process of its own, so that the peak of memory is that of verifying; `--log` keeps it there, and uses it again.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from limner_provenance import AuditLog, verify_log

DIGEST = sha256(b"pack").hexdigest()
BATCH = 16


def opened(state: Path, *, read_only: bool = False) -> AuditLog:
    """Open the log in a folder."""
    return AuditLog.open(f"sqlite:///{state / 'audit.db'}", state=state, read_only=read_only)


def fill(log: AuditLog, count: int) -> None:
    """Append up to `count` entries as requests do, seven a record, one in seven with a payload, 16 a commit."""
    for number in range(log.size - 1, count):
        data = {"stage": "request", "verdict": "allow", "packs": [{"id": "general", "sha256": DIGEST}], "n": number}
        data["detectors"] = [{"id": "nsfw", "version": "1.2.0", "score": "0.012345", "sha256": DIGEST}] * 2
        payloads = {"input": {"prompt": "a red apple on a table"}} if number % 7 == 1 else {}
        step = "accepted" if number % 7 == 0 else "judged"
        pending = log.append(step, record=f"0198f000-0000-7000-8000-{number // 7:012d}", data=data, payloads=payloads)
        if number % BATCH == BATCH - 1:
            pending.wait()
    log.flush()


def leaves(state: Path) -> sqlite3.Cursor:
    """Give all leaves by bare sqlite3."""
    return sqlite3.connect(state / "audit.db").execute("SELECT leaf FROM entry ORDER BY idx")


def read_and_hash(state: Path) -> None:
    """Read and hash all leaves with the standard library alone."""
    for (leaf,) in leaves(state):
        sha256(b"\x00" + leaf.encode()).digest()


def read_hash_parse(state: Path) -> None:
    """Read, hash and parse them."""
    for (leaf,) in leaves(state):
        sha256(b"\x00" + leaf.encode()).digest()
        json.loads(leaf)


def seconds(work: Callable[[], object]) -> float:
    """Give how long some work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def verifications(state: Path) -> None:
    """Print the figures of verifying everything."""
    for payloads, peer, words in (
        (False, read_and_hash, "read and hash"),
        (True, read_hash_parse, "read, hash and parse"),
    ):
        bare = seconds(lambda peer=peer: peer(state))  # type: ignore[misc]
        with opened(state, read_only=True) as log:
            before = time.process_time()
            report = verify_log(log, payloads=payloads)
            spent = time.process_time() - before
        assert report.ok, report.first_error
        print(
            f"audit verify {'with' if payloads else 'without'} payloads: {report.seconds:.1f} s ({spent:.1f} s of "
            f"CPU, signatures in a second process besides), "
            f"{report.size / report.seconds:,.0f} entries/s ({report.size:,} entries, {report.checkpoints:,} "
            f"checkpoints, {report.payloads_opened:,} payloads opened); bare {words} {bare:.1f} s; "
            f"ratio {bare / report.seconds:.3f}"
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"audit verify memory: peak of the verifying process {memory:,.0f} MiB")


def proofs(state: Path, rounds: int = 300) -> None:
    """Print the figures of making and checking one inclusion proof, beside pymerkle in a tree of 4,096 leaves."""
    import pymerkle

    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for (leaf,) in leaves(state).fetchmany(4096):
        tree.append_entry(leaf.encode())
    with opened(state, read_only=True) as log:
        size, made, checked = log.size, [], []
        for number in range(rounds):
            index = int.from_bytes(sha256(str(number).encode()).digest()[:8], "big") % size
            start = time.perf_counter()
            proof = log.inclusion(index)
            made.append((time.perf_counter() - start) * 1000)
            checked.append(seconds(proof.holds) * 1000)
    theirs = statistics.median(
        seconds(lambda n=n: tree.prove_inclusion(n % tree.get_size() + 1)) * 1000  # type: ignore[misc]
        for n in range(0, 4000, 400)
    )
    median, slow = statistics.median(made), sorted(made)[int(rounds * 0.99)]
    print(
        f"inclusion proof in {size:,} entries on disk: made in {median:.2f} ms (p99 {slow:.2f}), checked in "
        f"{statistics.median(checked):.3f} ms; pymerkle in {tree.get_size():,} leaves in memory {theirs:.2f} ms; "
        f"ratio {theirs / median:.2f}"
    )


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--log", type=Path, help="a folder to make the log in, or to find it in")
    parser.add_argument("--only-fill", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_fill:
        with opened(options.log) as log:
            fill(log, options.entries)
        return
    with tempfile.TemporaryDirectory() as folder:
        state = options.log or Path(folder)
        command = [sys.executable, __file__, "--only-fill", "--log", str(state), "--entries", str(options.entries)]
        subprocess.run(command, check=True)
        verifications(state)
        proofs(state)


if __name__ == "__main__":
    main()
