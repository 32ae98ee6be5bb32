"""`limner audit verify | checkpoint | show | recover | migrate`: the audit log, checked, read and looked after."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.cli import audit_erase, audit_evidence, audit_keys, audit_roles
from limner.cli.output import emit_json, err, out, paint, plain, report_json, show_report, table
from limner.cli.shared import AsJson

if TYPE_CHECKING:
    from limner_provenance.entries import Entry

app = typer.Typer(help="Verify, read and recover the audit log.", no_args_is_help=True)

app.command("evidence")(audit_evidence.evidence)
app.command("roles")(audit_roles.roles)
app.command("erase")(audit_erase.erase)
app.command("hold")(audit_erase.hold)
app.command("sweep")(audit_erase.sweep)
app.command("rotate-key")(audit_keys.rotate_key)


@app.command()
def verify(
    context: typer.Context,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A checkpoint kept elsewhere, to find a rewritten history.", metavar="FILE")
    ] = None,
    log_key: Annotated[
        str | None, typer.Option(help="The log's key as `limner init` printed it; else the key found here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every entry, payload, picture, checkpoint and column, and say where something is wrong."""
    from rich.progress import Progress

    from limner.reading import open_log
    from limner_provenance.audit import verify as verify_log

    note = checkpoint_file(checkpoint) if checkpoint is not None else None
    if log_key is not None:
        _check_log_key(log_key)
    console = err()
    quiet = as_json or not console.is_terminal
    with open_log(context.obj) as log, Progress(console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("verifying", total=None)

        def told(step: str, done: int, total: int) -> None:
            bar.update(task, description=f"verifying {step}", completed=done, total=total or None)

        report = verify_log(
            log,
            checkpoint=note,
            vkey=log_key,
            on_progress=told,
        )
    if as_json:
        emit_json(report_json(report))
    else:
        show_report(out(), report)
    if not report.ok:
        raise typer.Exit(1)


def checkpoint_file(file: Path) -> str:
    """Read a checkpoint kept elsewhere; a file that is none says nothing about the log, so it is wrong input."""
    from limner.errors import ConfigInvalid
    from limner_provenance.checkpoint import parse_unverified
    from limner_provenance.errors import ProvenanceError

    try:
        note = file.read_text(encoding="utf-8")
        parse_unverified(note)
    except (OSError, UnicodeDecodeError, ProvenanceError) as error:
        why = getattr(error, "strerror", None) or "it is no signed checkpoint"
        raise ConfigInvalid(
            f"--checkpoint {file} cannot be read: {why}.", remedy="Name a file that `limner audit checkpoint` wrote."
        ) from error
    return note


def _check_log_key(text: str) -> None:
    from limner.errors import ConfigInvalid, KeyUnavailable
    from limner_provenance.checkpoint import Verifier

    try:
        Verifier(text)
    except KeyUnavailable as error:
        raise ConfigInvalid(
            f"--log-key {text!r} is no log's key.", remedy="Give the line that `limner init` printed: NAME+HASH+KEY."
        ) from error


@app.command()
def checkpoint(
    context: typer.Context,
    output: Annotated[
        Path | None,
        typer.Option(help="File to write it to, to be kept where the log's operator cannot reach.", metavar="FILE"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give the newest signed checkpoint; kept elsewhere it shows later whether history was rewritten or rolled back."""
    from limner.errors import StorageUnavailable
    from limner.reading import open_log

    with open_log(context.obj) as log:
        head = log.head()
    if output is not None:
        try:
            output.write_text(head.note, encoding="utf-8")
        except OSError as error:
            raise StorageUnavailable(
                f"--output {output} cannot be written: {error.strerror}.", remedy="Name another file."
            ) from error
    if as_json:
        emit_json(
            {"size": head.size, "root": head.root.hex(), "note": head.note, "file": str(output) if output else None}
        )
    elif output is None:
        out().print(head.note, end="", markup=False)
    else:
        out().print(
            f"{head.size:,} entries, root {head.root.hex()}\nlater: limner audit verify --checkpoint {output}",
            markup=False,
        )


@app.command()
def show(
    context: typer.Context,
    record: Annotated[str | None, typer.Argument(help="A record id; without one the newest records.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many records.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the newest records, or one record entry by entry."""
    from limner.reading import open_log, summaries
    from limner.records import Record

    with open_log(context.obj) as log:
        if record is None:
            rows = summaries(log, limit)
            if as_json:
                emit_json({"records": rows})
            else:
                _show_records(rows)
            return
        found = Record.load(log, record)
        if as_json:
            emit_json({"record": record, "state": found.standing, "entries": [_entry(e) for e in found.entries]})
        else:
            _show_record(found)


def _show_records(rows: list[dict[str, Any]]) -> None:
    if not rows:
        out().print('No record yet. Make one: limner generate "red apple"')
        return
    cells = (
        (r["record"], r["time"][:19], paint(r["state"]), r["model"] or "—", r["images"], r["prompt"]) for r in rows
    )
    out().print(table("Newest records", ("record", "accepted (UTC)", "state", "model", "images", "prompt"), cells))


def _show_record(found: Any) -> None:
    console = out()
    console.print(f"[bold]record {found.id}[/bold]  {paint(found.standing)}")
    for entry in found.entries:
        console.print(
            f"[bold]{entry.index:>6}  {entry.step}[/bold]  [dim]{entry.time}  leaf {entry.leaf_hash.hex()[:16]}…[/dim]"
        )
        for key, value in entry.data.items():
            console.print(f"        {key}: {_json(value)}", markup=False)
        for name in entry.payloads:
            console.print(f"        payload {name}: {_payload(found, entry, name)}", markup=False)


def _json(value: Any) -> str:
    """Write a value as JSON: in one line where it fits, else indented under its entry."""
    line = plain(json.dumps(value, ensure_ascii=False))
    if len(line) <= 90:
        return line
    return textwrap.indent(plain(json.dumps(value, ensure_ascii=False, indent=2), lines=True), " " * 8).strip()


def _payload(found: Any, entry: Entry, name: str) -> str:
    """Say what a payload holds in one line; pictures and policy inputs by their size."""
    from limner_provenance.errors import ProvenanceError

    try:
        value = found.log.payload(entry.payloads[name])
    except ProvenanceError as error:
        return f"({error})"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if name == "manifest":
        return f"{len(value):,} characters of base64"
    text = plain(value) if isinstance(value, str) else _json(value)
    return text if len(text) <= 300 or not isinstance(value, str) else f"{text[:300]}… ({len(text):,} characters)"


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "index": entry.index,
        "leaf_hash": entry.leaf_hash.hex(),
        "step": entry.step,
        "time": entry.time,
        "data": entry.data,
    }


@app.command()
def recover(
    context: typer.Context,
    finish: Annotated[
        bool, typer.Option("--finish", help="Take each one to its end: seal what was produced, end what was not.")
    ] = False,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Fetch results that arrived after all, where an engine keeps them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which requests are unfinished (those that another process works on are not among them).

    With --fetch the engines are asked for the results of work that they took and whose answer was lost, also for
    requests that ended as unknown. Nothing is ever sent again.
    """
    from limner.recovery import fetchable_records
    from limner.recovery import recover as recover_all

    found = recover_all(context.obj, finish=finish, fetch=fetch)
    waiting = [] if fetch else fetchable_records(context.obj)
    if as_json:
        emit_json({"unfinished": [vars(f) for f in found], "fetchable": waiting})
        return
    if waiting:
        err().print(
            f"{len(waiting)} ended as unknown, and the engine may still have the result: `limner audit recover --fetch`"
        )
    if not found:
        out().print("Nothing is unfinished.")
        return
    if finish or fetch:
        rows = [(f.record, f.state, f.means, f.outcome) for f in found]
        out().print(table("Unfinished requests", ("record", "state", "what it means", "done now"), rows))
        return
    out().print(
        table(
            "Unfinished requests", ("record", "state", "what it means"), ((f.record, f.state, f.means) for f in found)
        )
    )
    out().print("`limner audit recover --finish` seals what was produced and ends the rest; nothing is sent again.")


@app.command()
def migrate(context: typer.Context, as_json: AsJson = False) -> None:
    """Bring an older audit database to this version; it is copied first, and entries are never rewritten."""
    from limner.config import load_config
    from limner_provenance.migrate import migrate as migrate_database

    done = migrate_database(load_config(context.obj, engines=False).audit_url)
    if as_json:
        emit_json({"from": done.old, "to": done.new, "copy": None if done.copy is None else str(done.copy)})
    elif done.old == done.new:
        out().print(f"The database is at version {done.new} already.")
    else:
        out().print(f"from version {done.old} to {done.new}; the database as it was: {done.copy}", markup=False)
