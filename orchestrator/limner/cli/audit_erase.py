"""`limner audit erase | hold | sweep`: what a privacy officer does with the log."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.cli.output import emit_json, out, table
from limner.cli.shared import AsJson

if TYPE_CHECKING:
    from limner_provenance.erasure import Erasure
    from limner_provenance.holds import Hold

Subject = Annotated[
    str | None, typer.Option(help="The user, as the context of the requests named him.", metavar="USER")
]
OneRecord = Annotated[str | None, typer.Option(help="One record alone.", metavar="ID")]


def erase(
    context: typer.Context,
    subject: Subject = None,
    record: OneRecord = None,
    reason: Annotated[
        str | None, typer.Option(help="Why; kept encrypted in the log for good, so write no name.", metavar="TEXT")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase what is kept about a user, or of one record: data keys, salts, texts and pictures. It cannot be undone.

    The log says that something was erased, and by which ids, never about whom; it stays VALID-WITH-ERASURE. A hold
    forbids it (exit code 1), and the attempt is logged.
    """
    from limner.reading import open_log_for_writing

    whom = _one(subject, record)
    with open_log_for_writing(context.obj) as log:
        planned = log.erasure_plan(**whom)
        if dry_run or (planned.nothing and not planned.holds):
            _tell(planned, as_json=as_json, done=False)
            if planned.holds:
                raise typer.Exit(1)
            return
        if not planned.holds:
            _confirm(planned, yes=yes, as_json=as_json)
        _tell(log.erase(**whom, reason=reason), as_json=as_json, done=True)


def _one(subject: str | None, record: str | None) -> dict[str, str]:
    """Give what is named; exactly one of the two has to be, and with something in it.

    Raises:
        ConfigInvalid: none or both are.
    """
    from limner.errors import ConfigInvalid

    given = {name: value for name, value in (("subject", subject), ("record", record)) if value is not None}
    if len(given) != 1:
        raise ConfigInvalid("This takes one of --subject and --record.", remedy="Name a user, or one record.")
    (name, value) = next(iter(given.items()))
    if not value.strip():
        raise ConfigInvalid(f"--{name} is empty.", remedy="Name a user, or one record.")
    return given


def _confirm(planned: Erasure, *, yes: bool, as_json: bool) -> None:
    """Ask a person; a script has to say --yes."""
    from limner.errors import ConfigInvalid

    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise ConfigInvalid("An erasure cannot be undone.", remedy="Add --yes, or look first with --dry-run.")
    typer.confirm(f"Erase {_counts(planned)}? This cannot be undone", abort=True)


def _counts(found: Erasure) -> str:
    return (
        f"{len(found.payloads):,} payloads, {found.objects:,} of them pictures, "
        f"of {len(found.records):,} records, and {len(found.keys):,} data keys"
    )


def _tell(found: Erasure, *, as_json: bool, done: bool) -> None:
    """Say what went, or would go."""
    if as_json:
        emit_json(
            {
                "done": done,
                "nothing": found.nothing,
                "records": list(found.records),
                "payloads": len(found.payloads),
                "pictures": found.objects,
                "keys": len(found.keys),
                "key_kept": found.shared,
                "entries": [entry.index for entry in found.entries],
                "holds": [hold.id for hold in found.holds],
            }
        )
        return
    console = out()
    if found.nothing:
        console.print("Nothing is kept about this. Nothing was changed, and nothing was logged.")
    elif done:
        entries = ", ".join(str(entry.index) for entry in found.entries)
        where = f" (entry {entries})" if entries else ", as was logged before"
        console.print(f"erased: {_counts(found)}{where}")
    else:
        console.print(f"would go: {_counts(found)}; nothing was changed")
    if found.shared:
        console.print("The user's data key stays, for his other records: backups of these ciphertexts can be read.")
    for hold in found.holds:
        console.print(f"[red]forbidden[/red] by {hold.what}")
    for record in found.records:
        console.print(f"  record {record}", markup=False)


def hold(
    context: typer.Context,
    subject: Subject = None,
    record: OneRecord = None,
    reason: Annotated[
        str | None, typer.Option(help="Why; kept encrypted, and erased with the user.", metavar="TEXT")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="When it ends by itself: a day (included), or a time.", metavar="DATE")
    ] = None,
    release: Annotated[str | None, typer.Option(help="End this hold.", metavar="HOLD")] = None,
    show_list: Annotated[bool, typer.Option("--list", help="Show every hold.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forbid the erasure of a user's data or a record (--subject or --record with --reason), end that, or list holds.

    Whom a hold is about stands in no entry: it is kept encrypted under that user's own key.
    """
    from limner.errors import ConfigInvalid
    from limner.reading import open_log, open_log_for_writing

    wanted = [name for name, value in (("--list", show_list), ("--release", release is not None)) if value]
    if len(wanted) == 2 or (wanted and (subject is not None or record is not None or until is not None)):
        raise ConfigInvalid(f"{wanted[0]} stands alone.", remedy="--release takes --reason besides.")
    if show_list:
        with open_log(context.obj) as log:
            _show_holds(log.holds(), as_json=as_json)
    elif release is not None:
        with open_log_for_writing(context.obj) as log:
            _show_hold(log.release(release, reason=reason), as_json=as_json)
    else:
        _set(context, _one(subject, record), reason, until, as_json=as_json)


def _set(context: typer.Context, whom: dict[str, str], reason: str | None, until: str | None, *, as_json: bool) -> None:
    """Set a hold."""
    from limner.errors import ConfigInvalid
    from limner.policy_tools.instants import ending
    from limner.reading import open_log_for_writing
    from limner_provenance.entries import now

    if reason is None or not reason.strip():
        raise ConfigInvalid("A hold needs a reason.", remedy="Add --reason TEXT.")
    end = None if until is None else ending(until, "--until")
    if end is not None and end <= now():
        raise ConfigInvalid(f"--until {until} is over.", remedy="Name a day that is to come.")
    with open_log_for_writing(context.obj) as log:
        _show_hold(log.hold(**whom, reason=reason, until=end), as_json=as_json)


def _facts(hold: Hold) -> dict[str, Any]:
    """Give a hold for scripts."""
    from limner_provenance.entries import now

    return {
        "hold": hold.id,
        "stands": hold.stands(now()),
        "subject": hold.subject,
        "record": hold.record,
        "reason": hold.reason,
        "since": hold.time,
        "until": hold.until,
        "released": hold.released,
        "entry": hold.index,
        "readable": hold.readable,
    }


def _show_hold(hold: Hold, *, as_json: bool) -> None:
    if as_json:
        emit_json(_facts(hold))
    elif hold.released is not None:
        out().print(f"hold {hold.id} is released", markup=False)
    else:
        out().print(f"{hold.what}, entry {hold.index}", markup=False)
        out().print(f"end it with: limner audit hold --release {hold.id}", markup=False)


def _show_holds(holds: list[Hold], *, as_json: bool) -> None:
    rows = [_facts(hold) for hold in holds]
    if as_json:
        emit_json({"holds": rows})
        return
    if not rows:
        out().print("No hold was ever set.")
        return
    cells = (
        (
            row["hold"],
            "stands" if row["stands"] else "released" if row["released"] else "over",
            row["subject"] or row["record"] or "(erased, or its key is not at hand)",
            row["since"][:10],
            (row["until"] or "—")[:10],
            row["reason"] or "",
        )
        for row in rows
    )
    out().print(table("Holds", ("hold", "state", "about", "since", "until", "reason"), cells))


def sweep(context: typer.Context, as_json: AsJson = False) -> None:
    """Remove stored pictures that were erased and came back with a backup, and those that a killed write left.

    The latter go only while no other process has the log open: one of them may just be written.
    """
    from limner.reading import open_log_for_writing

    with open_log_for_writing(context.obj) as log:
        done = log.sweep()
    if as_json:
        emit_json({"erased": done.erased, "unreferenced": done.unreferenced, "alone": done.alone})
        return
    out().print(f"removed: {done.erased:,} pictures that were erased before, {done.unreferenced:,} that no entry names")
    if not done.alone:
        out().print("Another process may have the log open, so pictures that no entry names stayed.")
