"""docs/postgresql.md, done from top to bottom with roles and a database of our own."""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.postgres import Postgres

from limner.cli import run

pytestmark = pytest.mark.postgres
PAGE = Path(__file__).parents[3] / "docs" / "postgresql.md"
ROLES = ("limner_owner", "limner_app", "jane")


@pytest.fixture
def page(postgres_server: Postgres) -> Iterator[list[tuple[str, str]]]:
    """Give the page's blocks by language, its names made our own; roles and database are removed afterwards."""
    short = uuid.uuid4().hex[:8]
    text = PAGE.read_text(encoding="utf-8")
    for name in (*ROLES, "records"):
        text = re.sub(rf"\b{name}\b", f"{name}_{short}", text)
    text = text.replace("127.0.0.1:5432", postgres_server.server.split("@")[1].split("/")[0])
    yield re.findall(r"```(\w+)\n(.*?)```", text, flags=re.DOTALL)
    with postgres_server.session() as session:
        session.execute(f"DROP DATABASE IF EXISTS records_{short} WITH (FORCE)")
        for name in ROLES:
            session.execute(f"DROP ROLE IF EXISTS {name}_{short}")


def test_the_page_can_be_followed(
    page: list[tuple[str, str]], postgres_server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every statement, command and configuration works as it stands there, in its order."""
    monkeypatch.chdir(tmp_path)
    files = 0
    for language, block in page:
        if language == "sql":
            with postgres_server.session() as session:
                for statement in block.strip().split(";\n"):
                    session.execute(statement)
        elif language == "yaml":
            files += 1
            if files == 2:
                (tmp_path / "auditor").mkdir()
                monkeypatch.chdir(tmp_path / "auditor")
            Path("limner.yaml").write_text(block, encoding="utf-8")
        else:
            for line in block.strip().splitlines():
                assert run(shlex.split(line)[1:]) == 0, line
    assert [language for language, _ in page] == ["sql", "bash", "yaml", "bash", "yaml", "bash"]
