"""Durable appends and inclusion proofs, each beside what the bare library does in the same run.

Run: `python benchmarks/audit.py [--seconds 5]`. Prints one line a figure.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
import uuid
from hashlib import sha256
from pathlib import Path

from limner_provenance import AuditLog

TASKS = 16
ROUNDS = 5
DIGEST = sha256(b"pack").hexdigest()


def leaf_data(number: int) -> dict[str, object]:
    """Give what a typical judgement says in clear; the whole leaf has about 600 bytes."""
    return {
        "stage": "request",
        "verdict": "allow_with_duties",
        "packs": [{"id": "general", "sha256": DIGEST}],
        "rules": [{"id": "general.disclosure", "verdict": "allow_with_duties", "field": "prompt", "spans": [[3, 9]]}],
        "detectors": [{"id": "nsfw", "version": "1.2.0", "score": "0.012345", "sha256": DIGEST}],
        "duration_us": 1234 + number % 100,
    }


async def append_until(log: AuditLog, stop: float, count: list[int], user: str | None) -> None:
    """Append and await, one entry after the other, as one request's task does; one entry in seven has a payload.

    With a user its data key is made once; without one every record has a data key of its own, and making that durable
    is a second wait for the disk.
    """
    while time.perf_counter() < stop:
        record = str(uuid.uuid4())
        for number in range(7):
            payloads = {"input": {"prompt": "a red apple on a table", "request": {"n": 1}}} if number == 1 else {}
            pending = log.append("judged", record=record, data=leaf_data(number), payloads=payloads, subject=user)
            await asyncio.wrap_future(pending.durable)
            count[0] += 1


async def appends(log: AuditLog, seconds: float, *, users: bool) -> float:
    """Give durable appends a second with 16 tasks."""
    count = [0]
    start = time.perf_counter()
    await asyncio.gather(
        *(append_until(log, start + seconds, count, f"user-{n}" if users else None) for n in range(TASKS))
    )
    return count[0] / (time.perf_counter() - start)


def bare_sqlite(path: Path, leaf: str, batch: float, seconds: float) -> float:
    """Give rows a second of bare sqlite3: the same leaves into one table, committed in batches of the same size."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE entry (idx INTEGER PRIMARY KEY, leaf TEXT NOT NULL)")
    start, count, size = time.perf_counter(), 0, max(1, round(batch))
    while time.perf_counter() < start + seconds:
        connection.execute("BEGIN IMMEDIATE")
        rows = [(count + offset, leaf) for offset in range(size)]
        connection.executemany("INSERT INTO entry (idx, leaf) VALUES (?, ?)", rows)
        connection.execute("COMMIT")
        count += size
    rate = count / (time.perf_counter() - start)
    connection.close()
    return rate


def proofs(log: AuditLog, rounds: int = 300) -> tuple[float, float]:
    """Give median and 99th percentile of making one inclusion proof, in milliseconds."""
    size = log.size
    times = []
    for number in range(rounds):
        index = int.from_bytes(sha256(str(number).encode()).digest()[:8], "big") % size
        start = time.perf_counter()
        proof = log.inclusion(index)
        times.append((time.perf_counter() - start) * 1000)
        assert proof.holds()
    return statistics.median(times), sorted(times)[int(rounds * 0.99)]


def fill(log: AuditLog, count: int) -> None:
    """Append until the log has `count` entries."""
    pending = None
    for number in range(log.size, count):
        pending = log.append("judged", record=str(number // 7), data=leaf_data(number))
        if number % 2000 == 0:
            pending.wait()
    if pending is not None:
        pending.wait()


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--entries", type=int, default=100_000, help="size of the log that proofs are made in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        with AuditLog.open(f"sqlite:///{state / 'audit.db'}", state=state) as log:
            rates: dict[bool, list[float]] = {True: [], False: []}
            bares = []
            # Turn by turn, so that all meet the same other load on this machine.
            for turn in range(ROUNDS):
                for users in (True, False):
                    rates[users].append(asyncio.run(appends(log, options.seconds / ROUNDS, users=users)))
                leaf, batch = log.entry(log.size - 1).leaf, log.size / log.commits
                bares.append(bare_sqlite(Path(folder) / f"bare{turn}.db", leaf, batch, options.seconds / ROUNDS))
            bare = statistics.median(bares)
            for users, words in ((True, "users known"), (False, "a data key for each record")):
                rate = statistics.median(rates[users])
                print(
                    f"audit append, {words}: {rate:,.0f} durable entries/s with {TASKS} tasks, best "
                    f"{max(rates[users]):,.0f} (leaf {len(leaf)} bytes, {batch:.1f} entries a commit); bare sqlite3 in "
                    f"the same batches {bare:,.0f}/s, best {max(bares):,.0f}; ratio {rate / bare:.2f}"
                )
            fill(log, options.entries)
            median, slow = proofs(log)
            start = time.perf_counter()
            for _ in range(1000):
                sha256(b"\x01" + b"x" * 64).digest()
            hashing = (time.perf_counter() - start) / 1000 * 17 * 1000
            print(
                f"inclusion proof: median {median:.2f} ms, p99 {slow:.2f} ms in {log.size:,} entries; "
                f"17 bare hashes {hashing:.3f} ms; ratio {median / hashing:.0f}"
            )


if __name__ == "__main__":
    main()
