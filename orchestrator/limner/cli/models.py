"""`limner models`: the catalogue of models, until when each lives, what it costs, and its licence."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limner.cli.output import Painted, emit_json, out, table
from limner.cli.shared import AsJson
from limner.errors import ConfigInvalid

if TYPE_CHECKING:
    from limner_providers.catalogue import CatalogueModel
    from limner_providers.rules import CostRule

_MILLION = 1_000_000
_COLOURS = {"active": "green", "deprecated": "yellow", "retired": "red"}


def models(
    kind: Annotated[str | None, typer.Option(help="Only models of this kind of provider.")] = None,
    as_of: Annotated[str | None, typer.Option(help="The day on which the status is told, YYYY-MM-DD.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the models that are written down: status, price, licence, and where that was read and when.

    Others may work all the same: an engine of the network is not asked here.
    """
    from limner_providers.catalogue import catalogue

    day = _day(as_of)
    listed = [model for model in catalogue(day) if kind in {None, model.kind}]
    if not listed:
        known = ", ".join(sorted({model.kind for model in catalogue(day)}))
        raise ConfigInvalid(f"--kind {kind}: no model of this kind is written down.", remedy=f"Use one of: {known}.")
    if as_json:
        emit_json({"as_of": day.isoformat(), "models": [_as_json(model) for model in listed]})
        return
    columns = ("kind", "model", "status", "price", "licence", "read on")
    out().print(table(f"Models on {day}", columns, (_row(model) for model in listed)))


def _day(text: str | None) -> dt.date:
    if text is None:
        return dt.datetime.now(dt.UTC).date()
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise ConfigInvalid(f"--as-of {text!r} is no day.", remedy="Write it as YYYY-MM-DD.") from error


def _row(model: CatalogueModel) -> tuple[object, ...]:
    status = Painted(f"[{_COLOURS[model.status]}]{_status(model)}[/]")
    read = model.read_on.isoformat() if model.read_on else "—"
    return model.kind, model.name, status, price(model.prices), model.licence or "not known", read


def _status(model: CatalogueModel) -> str:
    """Say how it stands, its last day where one is announced, and what to use instead."""
    if model.retires is None:
        return model.status
    when = "since" if model.status == "retired" else "until"
    instead = f", then {model.successor}" if model.successor else ""
    return f"{model.status} {when} {model.retires}{instead}"


def price(rule: CostRule | None) -> str:
    """Write a price in a line: by picture, or by a million tokens without the cached ones, which `--json` has."""
    if rule is None:
        return "—"
    if rule.unit == "image":
        return ", ".join(f"{amount.normalize():f} {rule.currency} a {kind}" for kind, amount in rule.rates.items())
    rates = {kind.replace("_", " "): amount * _MILLION for kind, amount in rule.rates.items() if "cached" not in kind}
    return f"{', '.join(f'{kind} {amount.normalize():f}' for kind, amount in rates.items())} {rule.currency}/M tokens"


def _as_json(model: CatalogueModel) -> dict[str, Any]:
    def day(value: dt.date | None) -> str | None:
        return value.isoformat() if value else None

    return {
        "kind": model.kind,
        "name": model.name,
        "status": model.status,
        "released": day(model.released),
        "deprecated": day(model.deprecated),
        "retires": day(model.retires),
        "successors": list(model.successors),
        "licence": model.licence,
        "prices": None if model.prices is None else model.prices.model_dump(mode="json"),
        "source": model.source,
        "read_on": day(model.read_on),
    }
