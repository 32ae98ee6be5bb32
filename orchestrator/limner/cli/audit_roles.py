"""`limner audit roles`: who may append to the log in PostgreSQL, and who may only read it."""

from __future__ import annotations

from typing import Annotated

import typer

from limner.cli.output import emit_json, err, out
from limner.cli.shared import AsJson


def roles(
    context: typer.Context,
    writer: Annotated[
        list[str] | None, typer.Option(help="A role that appends and erases; may be given again.", metavar="ROLE")
    ] = None,
    auditor: Annotated[
        list[str] | None, typer.Option(help="A role that only reads the log; may be given again.", metavar="ROLE")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Run the statements; without it they are only printed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Give roles of a PostgreSQL server the rights they need, and none besides.

    Without --apply the SQL is printed, to be read and given to psql. A writer may insert, and delete only what an
    erasure in the log names. An auditor may read the log, not the data keys. The configured user must own the tables.
    """
    from limner.config import load_config
    from limner.errors import ConfigInvalid
    from limner_provenance import postgres_roles

    if not writer and not auditor:
        raise ConfigInvalid("No role was named.", remedy="Give --writer ROLE or --auditor ROLE.")
    config = load_config(context.obj, engines=False)
    if not config.audit_url.startswith("postgres"):
        raise ConfigInvalid(
            "audit.url names no PostgreSQL database, and SQLite has no roles.",
            remedy="In SQLite the permissions of the files say who may do what.",
        )
    wanted = {"writers": tuple(writer or ()), "auditors": tuple(auditor or ())}
    found = postgres_roles.grants(config.audit_url, config.keys_url, **wanted)
    told = postgres_roles.apply(config.audit_url, config.keys_url, **wanted) if apply else []
    if as_json:
        parts = [{"database": part.database, "statements": list(part.statements)} for part in found]
        emit_json({"applied": apply, "grants": parts, "warnings": told})
        return
    for part in found:
        out().print(f"-- {part.database}", markup=False, highlight=False, soft_wrap=True)
        for statement in part.statements:
            out().print(f"{statement};", markup=False, highlight=False, soft_wrap=True)
    for line in told:
        err().print(f"warning: {line}", markup=False)
    if apply:
        err().print("These rights are in force now.")
