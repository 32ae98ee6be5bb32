"""What the tests of pipeline and commands share: a folder with the test provider, so that no model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from limner import Limner
from limner.cli import run
from limner.config import Config
from limner.reading import open_log
from limner.records import Record
from limner.runtime import Runtime

POLICY = (Path(__file__).parent / "house.policy.yaml").read_text(encoding="utf-8")


@pytest.fixture
def house(tmp_path: Path) -> Callable[..., Config]:
    """Give a maker of configurations: `house(fail="short")` sets up one test provider, `providers={…}` several."""

    def make(
        *,
        policy: str = POLICY,
        environment: str = "development",
        providers: dict[str, dict[str, Any]] | None = None,
        routing: dict[str, Any] | None = None,
        **provider: Any,
    ) -> Config:
        (tmp_path / "house.yaml").write_text(policy, encoding="utf-8")
        sections = {"fake": provider} if providers is None else providers
        return Config.model_validate(
            {
                "providers": {name: {"kind": "test", **section} for name, section in sections.items()},
                "policy": ["house.yaml"],
                "environment": environment,
                "routing": routing or {},
                "root": tmp_path,
            }
        )

    return make


@pytest.fixture
def limner(house: Callable[..., Config]) -> Iterator[Limner]:
    """Give an opened client with the test provider and the tests' policy."""
    with Limner.open(house(), context={"user": "ann"}) as opened:
        yield opened


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no retry really wait, and give the list of the seconds that each would have waited."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(Runtime, "sleep", staticmethod(sleep))
    return waited


@pytest.fixture
def steps(house: Callable[..., Config]) -> Callable[[str], list[str]]:
    """Give a reader of a record's steps, as they stand in the log."""

    def read(record_id: str) -> list[str]:
        with open_log(house()) as log:
            return [e.step for e in Record.load(log, record_id).entries]

    return read


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Give a runner of commands in a folder of its own whose configuration has the test provider."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "limner.yaml").write_text("providers: {fake: {kind: test}}\n", encoding="utf-8")

    def runner(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return runner
