"""`limner policy lint | test PATH…`: is a policy file whole and sensible, and do its own examples hold?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.cli.output import emit_json, err, out, plain, table
from limner.cli.shared import AsJson

if TYPE_CHECKING:
    from limner_policy import Pack
    from limner_policy.tools.coverage import Coverage
    from limner_policy.tools.findings import Finding
    from limner_policy.tools.mutation import Mutation

app = typer.Typer(help="Read, test, compare, print and ask policy files.", no_args_is_help=True)

Paths = Annotated[
    list[Path] | None, typer.Argument(help="Files or folders; else those of the configuration, else the embedded pack.")
]
Today = Annotated[
    str | None, typer.Option("--as-of", help="Take this day for today.", metavar="DAY", show_default=False)
]
StaleDays = Annotated[
    int, typer.Option("--stale-after", help="A source read longer ago is stale.", metavar="DAYS", min=1, max=36_500)
]
_MOST_SURVIVORS = 40


@app.command()
def lint(
    context: typer.Context,
    paths: Paths = None,
    as_of: Today = None,
    stale_after: StaleDays = 180,
    as_json: AsJson = False,
) -> None:
    """Look policy files over: a mistake (file, line, column) is exit code 2, a finding 1; notes alone are 0."""
    packs = load(context, paths)
    found = findings(packs, as_of, stale_after)
    bad = [one for one in found if not one.note]
    if as_json:
        emit_json({"packs": [pack_json(pack) for pack in packs], "findings": [one.to_json() for one in found]})
    else:
        for one in found:
            (out() if one.note else err()).print(plain(str(one)), markup=False)
        title = f"{len(bad)} findings" if bad else "Whole, and ready to be put in force"
        rows = ((p.file, p.name, p.version, len(p.rules), p.sha256[:16] + "…") for p in packs)
        out().print(table(title, ("file", "pack", "version", "rules", "sha256"), rows))
    if bad:
        raise typer.Exit(1)


@app.command("test")
def run_examples(
    context: typer.Context,
    paths: Paths = None,
    mutate: Annotated[
        bool, typer.Option("--mutate", help="Change each rule a little, and show what no example notices.")
    ] = False,
    every_word: Annotated[
        bool, typer.Option("--every-word", help="With --mutate: drop words of long lists one by one, not in runs.")
    ] = False,
    fail_under: Annotated[
        int,
        typer.Option(help="Percent of coverage (and of the mutation score) to reach.", min=0, max=100, metavar="N"),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Run the examples beside the rules; exit code 1 where one comes out differently, or a rule has none."""
    from limner_policy.tools.coverage import coverage
    from limner_policy.tools.mutation import mutate as change

    packs = load(context, paths)
    covered = [coverage(pack) for pack in packs]
    changed = [change(one, every_word=every_word) for one in covered] if mutate or every_word else []
    bare = [f"{pack.name}/{rule.id}" for pack in packs for rule in pack.rules if not rule.examples]
    if as_json:
        emit_json(_test_json(covered, changed, bare))
    else:
        _show_test(covered, changed, bare)
    scores = [one.percent for one in covered] + [one.score for one in changed]
    if bare or any(one.failures for one in covered) or min(scores) < fail_under:
        raise typer.Exit(1)


def load(context: typer.Context, paths: Sequence[Path] | None) -> tuple[Pack, ...]:
    """Give the packs of these paths, else those of the configuration."""
    from limner_policy import load_packs

    if paths:
        return load_packs(paths)
    from limner.config import load_config

    return load_packs(load_config(context.obj, engines=False).policy_paths())


def day(as_of: str | None) -> date:
    """Give the day that an option names, else today's (UTC)."""
    from limner.policy_tools.instants import instant
    from limner_provenance.entries import now

    return date.fromisoformat((now() if as_of is None else instant(as_of, "--as-of"))[:10])


def findings(packs: Sequence[Pack], as_of: str | None, stale_after: int) -> list[Finding]:
    """Look packs over with what this installation can do."""
    from limner.policy_tools.abilities import EXECUTED_DUTIES, installed_detectors
    from limner_policy.tools.lint import Setting
    from limner_policy.tools.lint import lint as look_over

    return look_over(packs, Setting(day(as_of), stale_after, EXECUTED_DUTIES, installed_detectors()))


def pack_json(pack: Pack) -> dict[str, Any]:
    """Give which pack it is, as JSON data."""
    examples = sum(len(rule.examples) for rule in pack.rules)
    named = {"file": pack.file, "name": pack.name, "version": pack.version, "sha256": pack.sha256}
    return named | {"rules": len(pack.rules), "examples": examples}


def _test_json(covered: Sequence[Coverage], changed: Sequence[Mutation], bare: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "packs": [pack_json(one.pack) for one in covered],
        "failures": [str(failure) for one in covered for failure in one.failures],
        "rules_without_examples": bare,
        "coverage": [one.to_json() for one in covered],
    }
    if changed:
        found["mutation"] = [{"pack": one.pack} | one.to_json() for one in changed]
    return found


def _show_test(covered: Sequence[Coverage], changed: Sequence[Mutation], bare: list[str]) -> None:
    for one in covered:
        for failure in one.failures:
            err().print(plain(str(failure)), markup=False)
    for name in bare:
        err().print(f"{name}: has no example; write one that fires and one that does not", markup=False)
    for one in covered:
        out().print(table(f"{one.pack.name} {one.pack.version}: what its examples show", _HEAD, _rows(one)))
        for rule in one.rules:
            for gap in rule.gaps:
                out().print(plain(f"{rule.file}:{rule.line}: {rule.rule}: {gap}"), markup=False)
        crossed = sum(border.crossed for border in one.borders)
        out().print(
            f"{one.covered_rules} of {len(one.rules)} rules fired and not fired, {crossed} of {len(one.borders)} date "
            f"borders crossed: {one.percent} % covered."
        )
    for change in changed:
        _show_mutation(change)
    total, failed = sum(len(one.ran) for one in covered), sum(len(one.failures) for one in covered)
    out().print(f"{total - failed} of {total} examples of {sum(len(one.rules) for one in covered)} rules hold.")


_HEAD = ("rule", "line", "fired", "not fired", "unknown", "dates", "")


def _rows(covered: Coverage) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for rule in covered.rules:
        dates = f"{sum(one.crossed for one in rule.borders)}/{len(rule.borders)}" if rule.borders else "–"
        unknown = rule.unknown if rule.can_be_unknown else "–"
        rows.append((rule.rule, rule.line, rule.held, rule.passed, unknown, dates, "gap" if rule.gaps else ""))
    return rows


def _show_mutation(change: Mutation) -> None:
    noticed = len(change.changes) - len(change.survivors)
    rows = ((kind, n, of, f"{100 * n // of} %") for kind, (n, of) in change.by_kind().items())
    out().print(table(f"{change.pack}: changes that an example notices", ("change", "noticed", "of", ""), rows))
    for one in change.survivors[:_MOST_SURVIVORS]:
        out().print(plain(f"  no example notices: {one.rule} (line {one.line}): {one.what}"), markup=False)
    if len(change.survivors) > _MOST_SURVIVORS:
        out().print(f"  and {len(change.survivors) - _MOST_SURVIVORS:,} more: --json lists them all")
    out().print(
        f"Mutation score of {change.pack}: {change.score} % ({noticed} of {len(change.changes)} changes noticed)."
    )
