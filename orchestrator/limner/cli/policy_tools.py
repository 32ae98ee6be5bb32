"""`limner policy history | replay`: what the log can tell about policy, and about a change of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli import policy_papers
from limner.cli.output import emit_json, err, out
from limner.cli.policy_explain import explain
from limner.cli.policy_licence import licence
from limner.cli.shared import AsJson

if TYPE_CHECKING:
    from limner.policy_tools.history import Stretch
    from limner.policy_tools.impact import Impact

_MOST_CHANGES = 20


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("explain")(explain)
    app.command("history")(history)
    app.command("replay")(replay)
    app.command("licence")(licence)
    policy_papers.add_to(app)


def history(context: typer.Context, as_json: AsJson = False) -> None:
    """Say which pack was in force from when until when, and in how many judgements it took part."""
    from limner.policy_tools.history import history as read_history
    from limner.reading import open_log

    with open_log(context.obj) as log:
        found = read_history(log)
    if as_json:
        emit_json({"history": [dataclasses.asdict(stretch) for stretch in found]})
        return
    if not found:
        out().print("No policy was in force yet: the log has no request.")
    for stretch in found:
        for line in _stretch(stretch):
            out().print(line, markup=False)


def _stretch(stretch: Stretch) -> Iterator[str]:
    yield f"{stretch.pack} {stretch.version}"
    yield f"  from    {_second(stretch.since)} (entry {stretch.entry})"
    yield f"  until   {_second(stretch.until)} (entry {stretch.until_entry})" if stretch.until else "  until   now"
    late = f", {stretch.late:,} of them after that in a process opened before" if stretch.late else ""
    yield f"  judged  {stretch.judgements:,} times{late}"
    yield f"  sha256  {stretch.sha256}"
    yield f"  bytes   in entry {stretch.loaded}"


def _second(time: str) -> str:
    return f"{time[:10]} {time[11:19]} UTC"


def replay(
    context: typer.Context,
    packs: Annotated[list[Path], typer.Argument(help="Policy files or folders to decide with.")],
    last: Annotated[str | None, typer.Option(help="Only the last 12h, 30d, 2w.", metavar="TIME")] = None,
    since: Annotated[str | None, typer.Option(help="Only from this day or instant on.", metavar="INSTANT")] = None,
    until: Annotated[str | None, typer.Option(help="Only before this day or instant.", metavar="INSTANT")] = None,
    fail_on_change: Annotated[
        bool, typer.Option("--fail-on-change", help="Exit code 1 where anything changes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decide what is in the log again with these packs, and say what would come out differently."""
    from limner.config import load_config
    from limner.errors import ConfigInvalid
    from limner.policy_tools.impact import replay_log
    from limner.policy_tools.instants import ago, instant
    from limner.reading import open_log
    from limner_policy import load_packs
    from limner_provenance.entries import now

    if last is not None and since is not None:
        raise ConfigInvalid("--last and --since contradict each other.", remedy="Give one of the two.")
    start = ago(last, "--last", now()) if last is not None else instant(since, "--since") if since is not None else None
    stop = instant(until, "--until") if until is not None else None
    loaded = load_packs(packs)
    config = load_config(context.obj, engines=False)
    with open_log(context.obj) as log, _progress(quiet=as_json) as told:
        found = replay_log(log, loaded, since=start, until=stop, on_progress=told, config=config)
    if as_json:
        emit_json(_impact_json(found))
    else:
        for line in _impact(found):
            out().print(line, markup=False)
    if fail_on_change and found.changes:
        raise typer.Exit(1)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], object]]:
    """Show a progress bar on standard error; gives what to call with how much is done, and of what."""
    from rich.progress import Progress

    console = err()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("deciding again", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


_GROUPS = (
    ("what", "what"),
    ("kind", "change"),
    ("stage", "stage"),
    ("rule", "rule"),
    ("provider", "provider"),
    ("tenant", "tenant"),
)


def _impact_json(found: Impact) -> dict[str, object]:
    return {
        "replayed": found.replayed,
        "changed": len(found.changes),
        "compared_in_part": found.in_part,
        "unreplayable": found.unreplayable.total(),
        "unreplayable_because": dict(sorted(found.unreplayable.items())),
        "rescored": found.rescored,
        "not_rescored_because": dict(sorted(found.unscored.items())),
        "counts": {name: found.by(what) for what, name in _GROUPS},
        "changes": [dataclasses.asdict(change) for change in found.changes],
    }


def _impact(found: Impact) -> Iterator[str]:
    from limner.policy_tools.wording import spelled_out

    yield f"{found.replayed:,} judgements decided again: {len(found.changes):,} would change."
    if found.unreplayable:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(found.unreplayable.items()))
        yield f"{found.unreplayable.total():,} could not be decided again and are counted nowhere else: {reasons}."
    if found.rescored:
        yield f"{found.rescored:,} with scores computed again, as a concept is put into other words."
    if found.unscored:
        reasons = ", ".join(f"{n:,}: {reason}" for reason, n in sorted(found.unscored.items()))
        yield f"{found.unscored.total():,} without the score of a concept that is put into other words ({reasons})."
    if found.in_part:
        yield f"Of {found.in_part:,} only verdict and duties could be compared: their entries left rules out."
    if not found.changes:
        return
    for what, name in _GROUPS:
        yield f"\nby {name}"
        yield from (f"  {count:>7,}  {spelled_out(value)}" for value, count in found.by(what).items())
    yield "\nwhich"
    for change in found.changes[:_MOST_CHANGES]:
        yield f"  {change.record}  {change.judged}: {change.kind}"
        why = ": not known then, so its if_unknown applies" if change.unknown else ""
        yield f"    {', '.join(change.rules) or '(no rule)'}{why}"
    if len(found.changes) > _MOST_CHANGES:
        yield f"  and {len(found.changes) - _MOST_CHANGES:,} more: --json lists them all"
