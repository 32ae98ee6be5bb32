"""Logs to test on: an empty one, and a sample with something in every table, made once and copied for each test."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers.postgres import Backend, Postgres, Sqlite

from limner_provenance.log import AuditLog

OpenLog = Callable[..., AuditLog]


@pytest.fixture
def open_log(backend: Backend) -> OpenLog:
    """Give the function that opens the log in a folder, on the database that the test runs on."""
    return backend.open


@pytest.fixture
def log(tmp_path: Path, open_log: OpenLog) -> Iterator[AuditLog]:
    """Give a new, empty log (it has entry 0)."""
    with open_log(tmp_path / "state") as opened:
        yield opened


def fill_sample(state: Path, open_log: OpenLog) -> None:
    """Write 600 entries: whole records, payloads of both kinds, two full tiles, an erased subject, an open record."""
    with open_log(state) as log:
        for number in range(85):
            record = str(uuid.UUID(int=number + 1, version=4))
            subject = f"user-{number % 5}"
            log.append("accepted", record=record, payloads={"prompt": f"apple {number}"}, subject=subject)
            log.append("judged", record=record, data={"stage": "request", "verdict": "allow"})
            log.append("planned", record=record, data={"candidates": 1})
            log.append("attempted", record=record).wait()
            image = {"image": bytes([number]) * 40} if number % 20 in (0, 3) else {}
            log.append("produced", record=record, payloads=image, subject=subject)
            log.append("judged", record=record, data={"stage": "image", "verdict": "allow"})
            log.append("sealed", record=record, payloads={"manifest": f"M{number}"}).wait()
        log.erase(subject="user-3")
        log.append("accepted", record=str(uuid.UUID(int=999, version=4))).wait()


@pytest.fixture(scope="session")
def sample_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the sample once."""
    state = tmp_path_factory.mktemp("sample") / "state"
    fill_sample(state, Sqlite().open)
    return state


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the sample once in a PostgreSQL database of its own."""
    state = tmp_path_factory.mktemp("sample") / "state"
    postgres_server.own(state)
    fill_sample(state, postgres_server.open)
    return state


@pytest.fixture
def sample(request: pytest.FixtureRequest, backend: Backend, tmp_path: Path) -> Path:
    """Give the folder of a copy of the sample."""
    on_server = isinstance(backend, Postgres)
    template: Path = request.getfixturevalue("postgres_template" if on_server else "sample_template")
    copy = Path(shutil.copytree(template, tmp_path / "sample"))
    if isinstance(backend, Postgres):
        backend.copy(template, copy)
    return copy
