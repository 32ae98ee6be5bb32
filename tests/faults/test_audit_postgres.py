"""The audit log on PostgreSQL under faults: killed clients, cut connections, lost answers, restarts, full disks.

`LIMNER_KILLS=1000` kills two hundred times (`make soak`).
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.postgres import Postgres

from limner_provenance import AuditLog
from limner_provenance.audit import verify
from limner_provenance.errors import DatabaseUnavailable, RecordRunning

pytestmark = pytest.mark.postgres
KILLS = max(5, int(os.environ.get("LIMNER_KILLS", "0")) // 5)

# Appends until it is killed; prints the number of each entry once it is on the disk.
APPENDER = """
import sys
from pathlib import Path
from limner_provenance.log import AuditLog
url, keys_url, state, name, count = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5])
with AuditLog.open(url, keys_url=keys_url, state=state) as log:
    print("open", flush=True)
    number = 0
    while number < count:
        several = []
        for _ in range(1 + number % 5):
            payloads = {"prompt": f"{name} {number}"} if number % 3 == 0 else {}
            several.append(log.append("planned", record=f"{name}-{number}", data={"n": number}, payloads=payloads))
            number += 1
        for pending in several:
            print(pending.wait().data["n"], flush=True)
"""


@pytest.fixture
def backend(postgres_server: Postgres) -> Postgres:
    """Run on PostgreSQL."""
    return postgres_server


def start(backend: Postgres, state: Path, name: str, count: int = 10**9) -> subprocess.Popen[str]:
    """Start a process that appends."""
    command = [sys.executable, "-c", APPENDER, *backend.urls(state), str(state), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def errors(log: AuditLog) -> list[str]:
    """Give what a verification finds wrong, the usual odd steps of these records left out."""
    return [str(finding) for finding in verify(log).findings if finding.severity == "error"]


def numbers(log: AuditLog, name: str) -> Counter[int]:
    """Give how often each numbered entry of a writer stands in the log."""
    entries = log.entries(steps=["planned"])
    return Counter(entry.data["n"] for entry in entries if str(entry.record).startswith(f"{name}-"))


def backends(backend: Postgres, state: Path) -> str:
    """Give the condition that selects the server's processes for a folder's database."""
    database = backend.urls(state)[0].rsplit("/", 1)[1].partition("?")[0]
    return f"datname = '{database}' AND pid <> pg_backend_pid() AND application_name = 'limner'"


def test_killed_at_random_points(backend: Postgres, tmp_path: Path) -> None:
    """A killed client leaves a log that opens, verifies and holds each acknowledged entry once."""
    dice, acknowledged = random.Random(20261125), {}
    for number in range(KILLS):
        process = start(backend, tmp_path, f"k{number}")
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        time.sleep(dice.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().splitlines()
        process.wait()
        process.stdout.close()
        acknowledged[f"k{number}"] = {int(line) for line in said if line.isdigit()}
    with backend.open(tmp_path) as log:
        assert errors(log) == []
        for name, known in acknowledged.items():
            there = numbers(log, name)
            assert known <= there.keys()
            assert set(there.values()) <= {1}
    assert sum(map(len, acknowledged.values())) > 0


def test_four_processes_append_at_once(backend: Postgres, tmp_path: Path) -> None:
    """Processes share one log without losing or mixing anything, and verifications meanwhile raise no false alarm."""
    backend.open(tmp_path).close()
    processes = [start(backend, tmp_path, f"p{number}", 150) for number in range(4)]
    try:
        while any(process.poll() is None for process in processes):
            with backend.open(tmp_path, read_only=True) as log:
                assert errors(log) == []
        assert [process.wait() for process in processes] == [0] * 4
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    with backend.open(tmp_path) as log:
        assert errors(log) == []
        for number in range(4):
            there = numbers(log, f"p{number}")
            assert set(range(150)) <= there.keys()
            assert set(there.values()) == {1}


def test_sixteen_writers_at_once(backend: Postgres, tmp_path: Path) -> None:
    """Sixteen threads over four openings of one log lose nothing, and each finds its own entries in its order."""
    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context(backend.open(tmp_path)) for _ in range(4)]

        def work(name: int) -> None:
            for number in range(25):
                logs[name % 4].append("planned", record=f"w{name}-x", data={"n": number}).wait(60)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in range(16):
            assert [entry.data["n"] for entry in logs[0].record(f"w{name}-x")] == list(range(25))
        assert errors(logs[1]) == []


def test_connections_that_are_cut_lose_and_double_nothing(backend: Postgres, tmp_path: Path) -> None:
    """While the server ends every connection again and again, all appends succeed, each once, without an error."""
    over = threading.Event()

    def cut() -> None:
        with backend.session(tmp_path) as session:
            while not over.wait(0.2):
                session.execute(
                    f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {backends(backend, tmp_path)}"
                )

    with backend.open(tmp_path) as log:
        cutter = threading.Thread(target=cut)
        cutter.start()
        try:
            for number in range(60):
                pending = [
                    log.append("planned", record=f"c-{number}-{n}", data={"n": 10 * number + n}, payloads={"p": n})
                    for n in range(3)
                ]
                for item in pending:
                    item.wait(60)
        finally:
            over.set()
            cutter.join()
        assert set(numbers(log, "c").values()) == {1}
        assert len(numbers(log, "c")) == 180
        assert errors(log) == []


class Relay:
    """Stands between client and server; told so, it passes a COMMIT on and cuts the connection before the answer."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.swallow = threading.Event()
        self.swallowed = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(one, other, one is client), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, from_client: bool) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if from_client and b"COMMIT" in data and self.swallow.is_set():
                    self.swallow.clear()
                    self.swallowed += 1
                    one.shutdown(socket.SHUT_RDWR)
                    other.sendall(data)
                    time.sleep(0.2)
                    break
                other.sendall(data)
        for end in (one, other):
            _end(end)

    def close(self) -> None:
        """Take no more connections."""
        _end(self._listener)


def _end(end: socket.socket) -> None:
    """Close a socket, also for a thread that waits in it."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def test_a_commit_whose_answer_is_lost_is_found_again(backend: Postgres, tmp_path: Path) -> None:
    """Where the connection breaks after COMMIT was sent, the entry is found in the log and not written twice."""
    url, keys_url = backend.urls(tmp_path)
    host = backend.server.split("@")[1].split("/")[0]
    name, _, port = host.partition(":")
    relay = Relay((name, int(port or 5432)))
    with AuditLog.open(url.replace(host, f"127.0.0.1:{relay.port}"), keys_url=keys_url, state=tmp_path) as log:
        for number in range(5):
            relay.swallow.set()
            first = log.append("planned", record="r-1", data={"n": number}, payloads={"p": number})
            assert first.wait(60).index == log.size - 1
        assert relay.swallowed == 5
        assert [entry.data["n"] for entry in log.record("r-1")] == list(range(5))
        assert errors(log) == []
    relay.close()


def test_a_server_that_stays_away_is_a_clear_error(
    backend: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not come back ends in a plain error within the time allowed; later appends try again."""
    monkeypatch.setattr("limner_provenance.databases.RECONNECT_SECONDS", 0.5)
    url, keys_url = backend.urls(tmp_path)
    host = backend.server.split("@")[1].split("/")[0]
    relay = Relay((host.partition(":")[0], int(host.partition(":")[2] or 5432)))
    with AuditLog.open(url.replace(host, f"127.0.0.1:{relay.port}"), keys_url=keys_url, state=tmp_path) as log:
        log.append("accepted", record="r-1").wait(30)
        relay.close()
        with backend.session(tmp_path) as session:
            session.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {backends(backend, tmp_path)}"
            )
        with pytest.raises(DatabaseUnavailable, match=r"cannot be reached|ended the connection") as caught:
            log.append("planned", record="r-1").wait(30)
        assert "audit.url" in caught.value.remedy
    with backend.open(tmp_path) as log:
        assert log.append("planned", record="r-1").wait(30).index == 2


# -- locks of running records --------------------------------------------------------------------------------------


def test_one_holder_at_a_time(backend: Postgres, tmp_path: Path) -> None:
    """A record's lock excludes tasks of the same process and other openings, and is free afterwards."""
    with backend.open(tmp_path) as one, backend.open(tmp_path) as two:
        with one.lock("r-1"):
            for other in (one, two):
                assert other.is_running("r-1")
                with pytest.raises(RecordRunning, match="r-1"), other.lock("r-1"):
                    pass
            with two.lock("r-2"):
                pass
        assert not two.is_running("r-1")
        with two.lock("r-1"):
            pass


def test_the_lock_of_a_dead_process_is_free(backend: Postgres, tmp_path: Path) -> None:
    """A killed process holds nothing, whatever it was working on."""
    code = (
        "import sys, time; from pathlib import Path; from limner_provenance import AuditLog\n"
        "log = AuditLog.open(sys.argv[1], keys_url=sys.argv[2], state=Path(sys.argv[3]))\n"
        "with log.lock('r-1'):\n print('held', flush=True)\n time.sleep(60)"
    )
    backend.open(tmp_path).close()
    process = subprocess.Popen(
        [sys.executable, "-c", code, *backend.urls(tmp_path), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with backend.open(tmp_path) as log:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert log.is_running("r-1")
        process.kill()
        process.communicate()
        deadline = time.monotonic() + 20
        while log.is_running("r-1") and time.monotonic() < deadline:
            time.sleep(0.05)
        with log.lock("r-1"):
            pass


def cut_sessions(backend: Postgres, state: Path) -> None:
    """End every connection of a folder's database, and wait until they are gone."""
    with backend.session(state) as session:
        while session.execute(
            f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {backends(backend, state)}"
        ).fetchone() != (0,):
            time.sleep(0.02)


def test_a_lost_session_takes_its_locks_again(backend: Postgres, tmp_path: Path) -> None:
    """When the session that holds the locks is cut, the next entry of the record takes its lock again first."""
    with backend.open(tmp_path) as one, backend.open(tmp_path) as two, one.lock("r-1"):
        cut_sessions(backend, tmp_path)
        assert one.append("planned", record="r-1").wait(30).index == 1
        assert two.is_running("r-1")


def test_a_lock_that_somebody_else_took_meanwhile_is_lost(backend: Postgres, tmp_path: Path) -> None:
    """Who lost his lock to a recovery writes nothing more for that record, and can write for others."""
    with backend.open(tmp_path) as one, backend.open(tmp_path) as two, one.lock("r-1"):
        cut_sessions(backend, tmp_path)
        with two.lock("r-1"):
            with pytest.raises(RecordRunning, match="r-1"):
                one.append("planned", record="r-1").wait(30)
            assert one.append("planned", record="r-2").wait(30).index == 1
            assert two.append("failed", record="r-1").wait(30).index == 2


# -- servers that cannot be trusted --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """Give a server of our own that may be restarted, and its folder; its socket lies there too."""
    found = [Path("/usr/bin"), *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    binaries = next((path for path in reversed(found) if (path / "initdb").exists()), None)
    if binaries is None:
        pytest.skip("PostgreSQL's own programs are not installed here")
    folder = Path(tempfile.mkdtemp(prefix="limner-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    control(folder, binaries, "initdb", "-A", "trust", "-U", "limner", "-E", "UTF8", "--locale=C", "--no-sync")
    (folder / "binaries").write_text(str(binaries))
    try:
        serve(folder, "start")
        yield folder
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            serve(folder, "stop", "-m", "immediate")
        shutil.rmtree(folder, ignore_errors=True)


def control(folder: Path, binaries: Path, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on the folder as the user it insists on."""
    other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    command = [*other, str(binaries / program), "-D", str(folder / "data"), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


def serve(folder: Path, what: str, *arguments: str, options: str = "") -> None:
    """Start, stop or restart the server of our own."""
    given = f"-c listen_addresses= -c unix_socket_directories={folder} {options}"
    log = ["-l", str(folder / "log"), "-o", given] if what != "stop" else []
    control(folder, Path((folder / "binaries").read_text()), "pg_ctl", "-w", what, *log, *arguments)


def own(folder: Path, state: Path) -> AuditLog:
    """Open a log on the server of our own."""
    url = f"postgresql+psycopg://limner@/postgres?host={folder}"
    return AuditLog.open(f"{url}&schema=a_{state.name}", keys_url=f"{url}&schema=k_{state.name}", state=state)


def test_a_server_that_crashes_and_comes_back(cluster: Path, tmp_path: Path) -> None:
    """While the server is restarted in the middle of appending, nothing acknowledged is lost, and nothing doubled."""
    state = tmp_path / "crash"
    with own(cluster, state) as log:
        restart = threading.Thread(target=serve, args=(cluster, "restart", "-m", "immediate"))
        for number in range(150):
            if number == 20:
                restart.start()
            log.append("planned", record=f"s-{number}", data={"n": number}, payloads={"p": number}).wait(60)
        restart.join()
        assert numbers(log, "s") == Counter(range(150))
        assert errors(log) == []


def test_a_server_that_forgets_is_refused(cluster: Path, tmp_path: Path) -> None:
    """A server that does not wait for its disk is refused, and so is a database that is not in UTF-8."""
    import psycopg

    serve(cluster, "restart", "-m", "fast", options="-c fsync=off")
    try:
        with pytest.raises(DatabaseUnavailable, match="fsync=off and can lose"):
            own(cluster, tmp_path / "forgetful")
    finally:
        serve(cluster, "restart", "-m", "fast")
    with psycopg.connect(f"host={cluster} user=limner dbname=postgres", autocommit=True) as session:
        session.execute("ALTER SYSTEM SET synchronous_commit = off")
        session.execute("SELECT pg_reload_conf()")
        session.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(DatabaseUnavailable, match="encoded in LATIN1"):
        AuditLog.open(f"postgresql+psycopg://limner@/latin?host={cluster}", state=tmp_path / "latin")
    with own(cluster, tmp_path / "lazy") as log, log._opened.database.write() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


@pytest.fixture
def small_disk(backend: Postgres) -> Iterator[str]:
    """Give a database whose tables lie on a file system of sixteen megabytes."""
    folder = Path(tempfile.mkdtemp(prefix="limner-pg-small-"))
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    shutil.chown(folder, "postgres")
    name = f"limner_small_{os.getpid()}"
    try:
        with backend.session() as session:
            session.execute(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
            session.execute(f"CREATE DATABASE {name} TABLESPACE {name} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")
        yield backend.at(name)
    finally:
        with backend.session() as session:
            session.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            session.execute(f"DROP TABLESPACE IF EXISTS {name}")
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def test_a_full_disk_is_a_clear_error_and_loses_nothing(small_disk: str, tmp_path: Path) -> None:
    """When the server's disk is full, appending says so in plain words, and what was acknowledged is there."""
    written = 0
    with AuditLog.open(small_disk, state=tmp_path) as log:
        error = None
        while error is None and written < 10_000:
            payload = {"p": random.Random(written).randbytes(40_000).hex()}
            error = log.append("planned", record=f"r-{written}", payloads=payload).durable.exception(60)
            written += error is None
        assert isinstance(error, DatabaseUnavailable)
        assert "the disk is full" in str(error)
        assert "Make room" in error.remedy
    with AuditLog.open(small_disk, state=tmp_path, read_only=True) as log:
        assert errors(log) == []
        assert log.size == written + 1
