"""Limner on PostgreSQL from the command line: every command of the log, a role that appends, a role that reads."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.postgres import Postgres

from limner.cli import run
from limner_provenance import AuditLog
from limner_provenance.audit import verify
from limner_provenance.errors import DatabaseUnavailable

pytestmark = pytest.mark.postgres
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def database(postgres_server: Postgres) -> str:
    """Give the address of a new, empty database."""
    return postgres_server.at(postgres_server.create(f"limner_test_{uuid.uuid4().hex[:12]}"))


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Give a runner of commands in a folder; it gives exit code, output and complaints."""
    monkeypatch.chdir(tmp_path)

    def runner(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return runner


def configure(folder: Path, database: str, keys: str | None = None) -> None:
    """Write the configuration of a folder."""
    (folder / "limner.yaml").write_text(
        f'providers: {{fake: {{kind: test}}}}\naudit: {{url: "{database}"}}\nkeys: {{url: "{keys or database}"}}\n'
    )


@pytest.fixture
def roles(postgres_server: Postgres) -> Iterator[tuple[str, str]]:
    """Make a role that will append and one that will read, and remove them at the end."""
    names = (f"limner_app_{uuid.uuid4().hex[:8]}", f"jane_{uuid.uuid4().hex[:8]}")
    with postgres_server.session() as session:
        for name in names:
            session.execute(f"CREATE ROLE {name} LOGIN")
    yield names
    postgres_server.drop()
    with postgres_server.session() as session:
        for name in names:
            session.execute(f"DROP ROLE {name}")


def as_role(database: str, role: str) -> str:
    """Give the address of a database for another role."""
    return f"postgresql+psycopg://{role}@{database.partition('@')[2]}"


def test_every_command_works(say: Say, database: str, tmp_path: Path) -> None:
    """From setting up to erasing: what works on files works on a server, with the same exit codes."""
    assert say("init", "--database", database)[0] == 0
    configure(tmp_path, database)
    assert say("generate", "red apple", "--output", "a.png")[0] == 0
    code, out, _ = say("audit", "verify", "--json")
    assert (code, json.loads(out)["verdict"]) == (0, "VALID")
    record = json.loads(say("audit", "show", "--json")[1])["records"][0]["record"]
    for command in (
        ("audit", "show", record),
        ("audit", "recover", "--json"),
        ("audit", "checkpoint", "--output", "c.txt"),
        ("audit", "verify", "--checkpoint", "c.txt"),
        ("audit", "evidence", "a.png", "--output", "a.evidence"),
        ("audit", "migrate", "--json"),
        ("verify", "a.png"),
    ):
        code, _, err = say(*command)
        assert code == 0, (command, err)
    assert not list((tmp_path / ".limner").glob("*.db*"))
    assert not (tmp_path / ".limner" / "run").exists()


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("postgresql+psycopg://root@127.0.0.1:1/limner", "cannot be reached"),
        ("postgresql+psycopg2://127.0.0.1/limner", "psycopg 3"),
        ("postgresql+psycopg://127.0.0.1/limner?sslmod=require", "sslmod"),
        ("postgresql+psycopg://127.0.0.1/limner?schema=Not-One", "schema"),
        ("postgresql+psycopg://127.0.0.1:port/limner", "cannot be read"),
    ],
)
def test_an_address_that_leads_nowhere_is_exit_3(say: Say, tmp_path: Path, url: str, word: str) -> None:
    """A server that does not answer, and a wrong address, are told in one line."""
    configure(tmp_path, url)
    for command in (("audit", "verify"), ("generate", "red apple")):
        code, _, err = say(*command)
        assert code == 3, err
        assert word in err
        assert "Traceback" not in err


def test_a_database_that_is_not_there_is_exit_3(say: Say, postgres_server: Postgres, tmp_path: Path) -> None:
    """A database without a log, and one that does not exist, are told apart from a server that is away."""
    configure(tmp_path, postgres_server.at("limner_nowhere"))
    assert "does not exist" in say("audit", "verify")[2]
    configure(tmp_path, postgres_server.at(postgres_server.common) + "?schema=empty_one")
    code, _, err = say("audit", "verify")
    assert code == 3
    assert "is no audit database of Limner" in err


def test_one_place_for_log_and_keys_is_refused(say: Say, database: str, tmp_path: Path) -> None:
    """Log and data keys in one schema are refused before anything is made."""
    configure(tmp_path, f"{database}?schema=both")
    code, _, err = say("generate", "red apple")
    assert code == 3
    assert "both name" in err


def test_roles_are_printed_and_wrong_ones_refused(say: Say, database: str, tmp_path: Path) -> None:
    """Without --apply the statements are only printed; a role that is not there, no role and SQLite are refused."""
    configure(tmp_path, database)
    assert say("generate", "red apple")[0] == 0
    code, out, _ = say("audit", "roles", "--auditor", 'ja"ne')
    assert code == 0
    assert 'GRANT USAGE ON SCHEMA "limner" TO "ja""ne";' in out
    assert "limner_keys" not in out
    code, _, err = say("audit", "roles", "--writer", "nobody_here", "--apply")
    assert code == 3
    assert 'CREATE ROLE "nobody_here" LOGIN' in err
    assert say("audit", "roles")[0] == 2
    (tmp_path / "limner.yaml").write_text("providers: {fake: {kind: test}}\n")
    assert say("audit", "roles", "--auditor", "jane")[0] == 2


def test_a_writer_may_append_and_erase_and_no_more(
    say: Say, database: str, tmp_path: Path, roles: tuple[str, str]
) -> None:
    """The role that appends makes pictures and erases, and the server refuses it every other change."""
    import psycopg

    writer, auditor = roles
    configure(tmp_path, database)
    assert say("generate", "red apple")[0] == 0
    code, out, _ = say("audit", "roles", "--writer", writer, "--auditor", auditor, "--apply", "--json")
    assert (code, json.loads(out)["warnings"]) == (0, [])
    configure(tmp_path, as_role(database, writer))
    code, _, err = say("generate", "green pear")
    assert code == 0, err
    url = as_role(database, writer)
    with AuditLog.open(url, keys_url=url, state=tmp_path / ".limner") as log:
        entry = log.append("accepted", record="r-1", payloads={"p": 1, "i": b"x"}, subject="ann").wait(30)
        erasure = log.erase(subject="ann")
        assert len(erasure.payloads) == len(entry.payloads)
        assert verify(log).verdict == "VALID-WITH-ERASURE"
        assert [f.what for f in verify(log).findings if f.severity != "information"] == []
    with psycopg.connect(as_role(database, writer).replace("+psycopg", ""), autocommit=True) as session:
        for statement in (
            "UPDATE limner.entry SET leaf = '{}'",
            "DELETE FROM limner.payload",
            "TRUNCATE limner.entry",
            "ALTER TABLE limner.entry DISABLE TRIGGER ALL",
            "DROP TRIGGER entry_update ON limner.entry",
            "CREATE TABLE limner.extra (x int)",
            "SET session_replication_role = replica",
            "UPDATE limner_keys.data_key SET subject = ''",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement)
        # The one function that deletes takes nothing that no `erased` entry names.
        before = session.execute("SELECT count(*) FROM limner.payload").fetchone()
        session.execute("SELECT limner.erase_rows((SELECT array_agg(id) FROM limner.payload))")
        assert session.execute("SELECT count(*) FROM limner.payload").fetchone() == before
        # Nor does a temporary table that is called like the list of erasures mislead it.
        session.execute("CREATE TEMP TABLE erasure AS SELECT id, 0::bigint AS idx FROM limner.payload")
        session.execute("SELECT limner.erase_rows((SELECT array_agg(id) FROM limner.payload))")
        assert session.execute("SELECT count(*) FROM limner.payload").fetchone() == before


def test_an_auditor_reads_with_select_alone(
    say: Say, database: str, tmp_path: Path, roles: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role that reads verifies and shows the log from a folder without any key, and cannot write nor open keys."""
    import psycopg

    _, auditor = roles
    configure(tmp_path, database)
    assert say("generate", "red apple")[0] == 0
    assert say("audit", "checkpoint", "--output", "kept.txt")[0] == 0
    assert say("audit", "roles", "--auditor", auditor, "--apply")[0] == 0
    elsewhere = tmp_path / "auditor"
    elsewhere.mkdir()
    configure(elsewhere, as_role(database, auditor))
    with (elsewhere / "limner.yaml").open("a") as file:
        file.write('assets: {url: "file://../.limner/assets"}\n')
    monkeypatch.chdir(elsewhere)
    code, out, err = say("audit", "verify", "--checkpoint", "../kept.txt", "--json")
    report: dict[str, Any] = json.loads(out)
    assert code == 0, (err, report["findings"])
    assert report["verdict"] == "VALID"
    assert report["payloads_opened"] == 0
    assert say("audit", "show", "--json")[0] == 0
    code, _, err = say("generate", "red apple")
    assert code == 3
    with psycopg.connect(as_role(database, auditor).replace("+psycopg", ""), autocommit=True) as session:
        for statement in (
            "INSERT INTO limner.entry (idx, leaf) VALUES (99, '{}')",
            "DELETE FROM limner.payload",
            "SELECT limner.erase_rows(ARRAY['x'])",
            "SELECT * FROM limner_keys.data_key",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement)


def test_rights_that_go_too_far_are_told(
    say: Say, database: str, postgres_server: Postgres, tmp_path: Path, roles: tuple[str, str]
) -> None:
    """Somebody who gave a role more than it needs hears of that from every verification, and how to take it away."""
    import psycopg

    writer, _ = roles
    configure(tmp_path, database)
    assert say("generate", "red apple")[0] == 0
    with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as session:
        session.execute(f"GRANT UPDATE, TRUNCATE ON limner.entry TO {writer}")
    code, out, _ = say("audit", "verify", "--json")
    assert code == 0
    (finding,) = [finding for finding in json.loads(out)["findings"] if finding["severity"] == "warning"]
    assert f"{writer} has TRUNCATE, UPDATE" in finding["what"]
    assert say("audit", "roles", "--writer", writer, "--apply")[0] == 0
    assert json.loads(say("audit", "verify", "--json")[1])["findings"] == []


def test_a_login_that_is_refused_shows_no_password(database: str, tmp_path: Path) -> None:
    """Neither the message nor what it came from holds the password of the address."""
    url = f"postgresql+psycopg://no_such_role:hunter2%40x@{database.partition('@')[2]}"
    with pytest.raises(DatabaseUnavailable) as caught:
        AuditLog.open(url, state=tmp_path)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in f"{error!r} {error}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
