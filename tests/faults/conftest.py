"""A filled log for each test to attack, and the line of the fault matrix that the test holds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.matrix import Row
from faults.world import World, fill, open_at


@pytest.fixture(scope="session")
def world_template(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Fill a log once."""
    state = tmp_path_factory.mktemp("world") / "state"
    fill(state)
    with open_at(state, read_only=True) as log:
        return World(state, log.head().note, log.vkey, log.size)


@pytest.fixture
def world(world_template: World, tmp_path: Path) -> World:
    """Give a copy of the filled log."""
    state = Path(shutil.copytree(world_template.state, tmp_path / "world"))
    return World(state, world_template.exported, world_template.vkey, world_template.size)


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Iterator[Row]:
    """Give the test's line of the matrix; a test that does not confirm it fails."""
    found: Row = request.function.row
    found.confirmed = False
    yield found
    if not getattr(request.node, "skipped_or_failed", False):
        assert found.confirmed, f"nothing confirmed that {found.said!r} is said"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Note on a test that it did not pass, so that `row` does not complain a second time."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call" and not report.passed:
        item.skipped_or_failed = True  # type: ignore[attr-defined]
