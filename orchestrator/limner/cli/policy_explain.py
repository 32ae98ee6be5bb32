"""`limner policy explain`: why a record was decided as it was, or what packs would decide of a request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.output import emit_json, out
from limner.cli.policy import load
from limner.cli.shared import AsJson

if TYPE_CHECKING:
    from limner.policy_tools.asking import Question
    from limner.policy_tools.explaining import Explanation

Text = Annotated[str | None, typer.Option(show_default=False)]
Texts = Annotated[list[str] | None, typer.Option(show_default=False)]


def explain(
    context: typer.Context,
    record: Annotated[str | None, typer.Argument(help="A record id, as `limner audit show` lists them.")] = None,
    as_of: Annotated[
        str | None,
        typer.Option(help="Decide as of this instant, or the end of this day UTC.", metavar="INSTANT"),
    ] = None,
    pack: Annotated[list[Path] | None, typer.Option(help="Decide with this file or folder.", metavar="PATH")] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Instead of a record: explain this prompt.", metavar="TEXT")
    ] = None,
    negative_prompt: Annotated[str, typer.Option(metavar="TEXT", show_default=False)] = "",
    task: Annotated[str, typer.Option(metavar="TASK")] = "txt2img",
    size: Annotated[str | None, typer.Option(metavar="WxH", show_default=False)] = None,
    n: Annotated[int, typer.Option("--n", min=1)] = 1,
    given: Annotated[
        list[str] | None, typer.Option("--input", help="A picture that comes with it: image, mask, reference, control.")
    ] = None,
    provider: Text = None,
    kind: Text = None,
    model: Text = None,
    licence: Text = None,
    part: Annotated[list[str] | None, typer.Option(help="A LoRA or other part of the engine.")] = None,
    tenant: Text = None,
    project: Text = None,
    purpose: Text = None,
    audience: Text = None,
    region: Text = None,
    tag: Texts = None,
    score: Annotated[
        list[str] | None, typer.Option(help="Judge a picture with this score.", metavar="nsfw/nsfw=0.70")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say in plain words which rule decided, why, and where it matched: of a record, or of a prompt nobody sent yet.

    For a record the exit code is 1 where what it rests on was erased; for a prompt it is 1 where it is not allowed.
    """
    from limner.errors import ConfigInvalid
    from limner.policy_tools.asking import Question

    engine = {"provider": provider, "kind": kind, "model": model, "licence": licence}
    who = {"tenant": tenant, "project": project, "purpose": purpose, "audience": audience, "region": region}
    question = Question(
        prompt=prompt or "",
        negative_prompt=negative_prompt,
        task=task,
        size=size,
        n=n,
        inputs=given or (),
        engine={name: value for name, value in engine.items() if value is not None},
        parts=part or (),
        context={name: value for name, value in who.items() if value is not None},
        tags=tag or (),
        scores=score or (),
    )
    asked = question != Question()
    if (record is None) is not asked:
        told = "A record is explained as it was asked." if record else "Nothing to explain was named."
        raise ConfigInvalid(told, remedy="Give a record's id, or --prompt with what else the request says.")
    if record is None:
        _question(context, question, pack, as_of, as_json=as_json)
    else:
        _record(context, record, pack, as_of, as_json=as_json)


def _question(
    context: typer.Context, question: Question, pack: list[Path] | None, as_of: str | None, *, as_json: bool
) -> None:
    from limner.policy_tools.asking import ask
    from limner.policy_tools.instants import instant
    from limner_provenance.entries import now

    moment = now() if as_of is None else instant(as_of, "--as-of", end_of_day=True)
    found = ask(load(context, pack), question, moment)
    _show(found, as_json=as_json)
    if any(judgement.verdict not in {"allow", "allow_with_duties"} for judgement in found.judgements):
        raise typer.Exit(1)


def _record(context: typer.Context, record: str, pack: list[Path] | None, as_of: str | None, *, as_json: bool) -> None:
    from limner.policy_tools.explaining import explain as explain_record
    from limner.policy_tools.instants import instant
    from limner.policy_tools.recorded import ERASED
    from limner.reading import open_log
    from limner_policy import load_packs

    moment = instant(as_of, "--as-of", end_of_day=True) if as_of is not None else None
    packs = load_packs(pack) if pack else None
    with open_log(context.obj) as log:
        found = explain_record(log, record, as_of=moment, packs=packs)
    _show(found, as_json=as_json)
    if found.closed or found.contradicts_log:
        raise typer.Exit(1 if ERASED in found.closed or found.contradicts_log else 3)


def _show(found: Explanation, *, as_json: bool) -> None:
    from limner.policy_tools.wording import told

    if as_json:
        emit_json(found.to_json())
        return
    for line in told(found):
        out().print(line, markup=False, highlight=False)
