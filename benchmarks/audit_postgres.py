"""Durable appends to PostgreSQL by four processes, beside bare inserts by four processes in the same run.

Run: `python benchmarks/audit_postgres.py [--server postgresql+psycopg://root@127.0.0.1/postgres] [--seconds 9]`. Makes
a database of its own there and removes it. Prints one line a figure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
from audit import appends, leaf_data  # type: ignore[import-not-found]  # the file beside this one

from limner_provenance import AuditLog
from limner_provenance.audit import verify
from limner_provenance.entries import make_entry

PROCESSES = 4
ROUNDS = 3


def append(url: str, state: str, seconds: float, *, users: bool, start: float) -> tuple[int, int]:
    """Append with 16 tasks from an agreed moment on; give entries and commits of this process."""
    with AuditLog.open(url, keys_url=url, state=Path(state)) as log:
        time.sleep(max(0.0, start - time.time()))
        rate = asyncio.run(appends(log, seconds, users=users))
        return round(rate * seconds), log.commits


def bare(url: str, batch: int, seconds: float, start: float) -> tuple[int, int]:
    """Insert the same leaves into one plain table, committed in batches of the same size."""
    leaf = make_entry("judged", str(uuid.uuid4()), leaf_data(1), {}).leaf
    with psycopg.connect(url.replace("+psycopg", "")) as connection, connection.cursor() as cursor:
        time.sleep(max(0.0, start - time.time()))
        count, stop = 0, time.perf_counter() + seconds
        while time.perf_counter() < stop:
            cursor.executemany("INSERT INTO bare (leaf) VALUES (%s)", [(leaf,)] * batch)
            connection.commit()
            count += batch
    return count, count // batch


def together(
    work: Callable[..., tuple[int, int]], *arguments: Any, seconds: float, **named: Any
) -> tuple[float, float]:
    """Run it in four processes at once; give rows a second of all, and rows in a commit."""
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        start = time.time() + 4.0  # until then every process has opened its connection
        found = list(pool.map(_call, [(work, arguments, {**named, "seconds": seconds, "start": start})] * PROCESSES))
    rows, commits = sum(rows for rows, _ in found), sum(commits for _, commits in found)
    return rows / seconds, rows / max(1, commits)


def _call(given: tuple[Callable[..., tuple[int, int]], tuple[Any, ...], dict[str, Any]]) -> tuple[int, int]:
    work, arguments, named = given
    return work(*arguments, **named)


@contextlib.contextmanager
def database(server: str) -> Iterator[str]:
    """Make a database and remove it afterwards."""
    name = f"limner_bench_{uuid.uuid4().hex[:8]}"
    plain = server.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as session:
        session.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")
        url = f"{server.rsplit('/', 1)[0]}/{name}"
        try:
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as own:
                own.execute("CREATE TABLE bare (idx bigserial PRIMARY KEY, leaf text NOT NULL)")
            yield url
        finally:
            session.execute(f"DROP DATABASE {name} WITH (FORCE)")


def measure(url: str, state: str, seconds: float) -> None:
    """Take turns, so that all meet the same other load on this machine."""
    rates: dict[str, list[float]] = {"users known": [], "a data key for each record": [], "bare": []}
    batches = []
    for _ in range(ROUNDS):
        for words in ("users known", "a data key for each record"):
            users = words == "users known"
            rate, batch = together(append, url, state, seconds=seconds / ROUNDS, users=users)
            rates[words].append(rate)
            batches.append(batch)
        size = max(1, round(statistics.median(batches)))
        rates["bare"].append(together(bare, url, size, seconds=seconds / ROUNDS)[0])
    plain = statistics.median(rates.pop("bare"))
    for words, found in rates.items():
        rate = statistics.median(found)
        print(
            f"audit append to PostgreSQL, {words}: {rate:,.0f} durable entries/s by {PROCESSES} processes, best "
            f"{max(found):,.0f} ({statistics.median(batches):.1f} entries a commit); bare inserts by {PROCESSES} "
            f"processes in the same batches {plain:,.0f}/s; ratio {rate / plain:.2f}"
        )
    with AuditLog.open(url, keys_url=url, state=Path(state)) as log:
        report = verify(log)
        print(f"full verification on PostgreSQL: {report.size / report.seconds:,.0f} entries/s, {report.verdict}")


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="postgresql+psycopg://root@127.0.0.1/postgres")
    parser.add_argument("--seconds", type=float, default=9.0)
    options = parser.parse_args()
    try:
        with database(options.server) as url, tempfile.TemporaryDirectory() as state:
            AuditLog.open(url, keys_url=url, state=Path(state)).close()
            measure(url, state, options.seconds)
    except psycopg.OperationalError as error:
        print(f"audit append to PostgreSQL: not measured, no server: {str(error).splitlines()[0]}")


if __name__ == "__main__":
    main()
