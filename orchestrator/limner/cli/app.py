"""The tree of commands and the options they share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.cli import audit, generate, get, init, models, policy, policy_tools, providers, safety, verify

app = typer.Typer(
    help="One governed, signed, audited way to every image model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(value: bool) -> None:  # typer's callback signature
    if value:
        from limner.versions import limner_version

        typer.echo(f"limner {limner_version()}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="Configuration file; may stand anywhere. Else limner.yaml of this folder.", metavar="FILE"),
    ] = None,
    _version_wanted: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Keep what every command needs."""
    context.obj = config


app.command("init")(init.init)
generate.add_to(app)
app.command("get")(get.get)
app.command("verify")(verify.verify)
app.add_typer(providers.app, name="providers")
app.command("models")(models.models)
policy_tools.add_to(policy.app)
app.add_typer(policy.app, name="policy")
app.add_typer(audit.app, name="audit")
app.add_typer(safety.app, name="safety")
