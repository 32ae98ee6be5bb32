"""`limner providers list | check`: which engines there are, what they can do, and whether they are there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.cli.output import Painted, emit_json, out, table
from limner.cli.shared import AsJson

if TYPE_CHECKING:
    from limner.config import Config
    from limner_providers.capabilities import Capabilities
    from limner_providers.kinds import KindSummary

app = typer.Typer(help="The engines: what they can do, and whether they are there.", no_args_is_help=True)


@app.command("list")
def list_providers(
    context: typer.Context,
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print kinds × tasks as a Markdown table.")] = False,
) -> None:
    """List the configured providers, and every kind with its tasks and models; nothing is contacted."""
    configured, kinds = asyncio.run(_look(context.obj, contact=False)), asyncio.run(_kinds())
    if markdown:
        print(as_markdown(kinds))  # noqa: T201  # the answer itself, unwrapped
    elif as_json:
        emit_json({"configured": configured, "kinds": [_kind_json(kind) for kind in kinds]})
    else:
        _show(configured)
        rows = ((k.kind, ", ".join(k.tasks) or "—", _few(k.models), k.missing or "") for k in kinds)
        out().print(table("\nKinds", ("kind", "tasks", "models it knows", "note"), rows))


@app.command()
def check(context: typer.Context, as_json: AsJson = False) -> None:
    """Contact each configured provider: is it there, does it let us in, what can it do, how far away is it?

    Exit code 3 where one cannot be used. Nothing is made and nothing is charged.
    """
    found = asyncio.run(_look(context.obj, contact=True))
    if as_json:
        emit_json({"providers": found})
    else:
        _show_checked(found)
    if any(one["error"] for one in found):
        raise typer.Exit(3)


def as_markdown(kinds: list[KindSummary]) -> str:
    """Write kinds × tasks, from the capability data alone, as the README shows it."""
    from limner_providers.types import TASKS

    shown = [kind for kind in kinds if not kind.missing]
    features = (
        ("seed", lambda c: "yes" if c.seed is True else "per call" if c.seed else ""),
        ("negative prompt", lambda c: "yes" if c.negative_prompt is True else "as a flag" if c.negative_prompt else ""),
        ("reference pictures", lambda c: f"up to {c.references.maximum}" if c.references else ""),
        ("pictures of one call", lambda c: f"up to {c.max_n}"),
        ("formats", lambda c: ", ".join(c.output_formats)),
    )
    lines = ["| | " + " | ".join(f"`{kind.kind}`" for kind in shown) + " |", "|---" * (len(shown) + 1) + "|"]
    rows = [(f"`{task}`", ["yes" if task in kind.tasks else "" for kind in shown]) for task in TASKS]
    rows += [(title, [_feature(kind, of) for kind in shown]) for title, of in features]
    return "\n".join([*lines, *(f"| {first} | {' | '.join(cells)} |" for first, cells in rows)])


def _feature(kind: KindSummary, of: Any) -> str:
    """Say a feature of a kind's models; where they differ, each way that there is."""
    return " / ".join(dict.fromkeys(text for one in kind.capabilities.values() if (text := of(one))))


async def _kinds() -> list[KindSummary]:
    from limner_providers.kinds import summarise_all

    return await summarise_all()


async def _look(path: Path | None, *, contact: bool) -> list[dict[str, Any]]:
    from limner.config import load_config

    config = load_config(path, engines=False)
    return [await _look_at(config, name, contact=contact) for name in config.provider_sections()]


async def _look_at(config: Config, name: str, *, contact: bool) -> dict[str, Any]:
    """Say everything of one configured provider; what goes wrong with it is part of the answer."""
    from limner.errors import EVERY
    from limner.runtime import build_provider

    found: dict[str, Any] = {"name": name, "kind": config.provider_sections()[name].kind, "error": None}
    found["routed"] = name in config.routed()
    provider = None
    try:
        provider = build_provider(config, name)
        if contact:
            health = await provider.check()
            found |= {
                "latency_ms": None if health.latency is None else round(health.latency / 1000, 1),
                "detail": health.detail,
                "models_there": list(health.models),
                "missing": list(health.missing),
            }
        default = await provider.identify()
        found |= {"model": default.name} | _able_json(await provider.capabilities())
        found["models"] = [model.name for model in await provider.models()]
    except EVERY as error:
        found["error"] = {"type": type(error).__name__, "message": str(error)}
    finally:
        if provider is not None:
            await provider.close()
    return found


def _able_json(able: Capabilities) -> dict[str, Any]:
    return {"tasks": list(able.tasks), "capabilities": able.model_dump(mode="json", exclude_defaults=True)}


def _kind_json(kind: KindSummary) -> dict[str, Any]:
    return {
        "kind": kind.kind,
        "tasks": list(kind.tasks),
        "models": list(kind.models),
        "test": kind.is_test,
        "missing": kind.missing,
        "capabilities": {name: _able_json(able)["capabilities"] for name, able in kind.capabilities.items()},
    }


def _few(names: tuple[str, ...] | list[str]) -> str:
    """Write up to four names, and how many more there are."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return (", ".join(names[:4]) + more) or "—"


def _show(configured: list[dict[str, Any]]) -> None:
    def row(one: dict[str, Any]) -> tuple[str, ...]:
        note = one["error"]["message"] if one["error"] else "" if one["routed"] else "only when asked for by name"
        return one["name"], one["kind"], one.get("model", "—"), ", ".join(one.get("tasks", ())), note

    title = "Configured, in the order in which they are asked"
    out().print(table(title, ("provider", "kind", "model", "tasks", "note"), map(row, configured)))


def _show_checked(found: list[dict[str, Any]]) -> None:
    def row(one: dict[str, Any]) -> tuple[object, ...]:
        if one["error"]:
            return one["name"], Painted("[red]no[/red]"), "", "", f"{one['error']['type']}: {one['error']['message']}"
        latency = one["latency_ms"]
        there = Painted("[green]yes[/green]")
        says = "; ".join((one["detail"], *(f"without {m}" for m in one["missing"])))
        return one["name"], there, "here" if latency is None else f"{latency} ms", ", ".join(one["tasks"]), says

    out().print(table("Providers", ("provider", "there", "latency", "tasks", "says"), map(row, found)))
