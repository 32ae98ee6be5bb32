"""What the commands show of a result: its files, the policy's answer, the plan and every attempt."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from limner.cli.output import emit_json, err, out, paint, plain, table

if TYPE_CHECKING:
    from limner.result import Attempt, GeneratedImage, ImageResult, PlannedCandidate
    from limner_policy.verdicts import Looked
    from limner_providers.base import Cost
    from limner_providers.capabilities import Adaptation


def save(result: ImageResult, output: Path | None, *, surplus: bool = False) -> list[Path]:
    """Write the released pictures, and with `surplus` those beyond the number asked for; several are numbered.

    Raises:
        ConfigInvalid: The name's ending does not fit the pictures' format.
        StorageUnavailable: A file cannot be written; the signed pictures are kept.
    """
    from limner.errors import ConfigInvalid, StorageUnavailable

    try:
        return _saved(result, output, (*result.images, *(result.surplus if surplus else ())))
    except ValueError as error:  # its ending misleads
        raise ConfigInvalid(f"--output {error}", record_id=result.record_id) from None
    except OSError as error:
        failed = StorageUnavailable(
            f"{error.filename or output or 'the picture'} cannot be written: {error.strerror}.",
            remedy="The signed pictures are kept; `limner get` with the record's id writes them elsewhere.",
        )
        failed.record_id = result.record_id
        raise failed from error


def _saved(result: ImageResult, output: Path | None, images: tuple[GeneratedImage, ...]) -> list[Path]:
    from limner.result import SUFFIXES

    files = []
    many = len(images) + len(result.withheld) > 1
    for image in images:
        base = output or Path(f"limner-{result.record_id[-12:]}{SUFFIXES[image.mime]}")
        base = base if base.suffix else base.with_suffix(SUFFIXES[image.mime])
        named = base.with_stem(f"{base.stem}-{image.index + 1}") if many else base
        files.append(image.save(_truly_named(named, image.mime, result.record_id)))
    return files


def _truly_named(path: Path, mime: str, record_id: str) -> Path:
    """Give the name that a picture is written under: it is paid for, so that another format costs only its ending.

    A file that nobody named is not written over.
    """
    from limner.result import SUFFIXES

    fitting = {".jpg", ".jpeg"} if mime == "image/jpeg" else {SUFFIXES[mime]}
    if path.suffix.lower() in fitting or path.suffix.lower() not in {".jpeg", *SUFFIXES.values()}:
        return path
    other = path.with_suffix(SUFFIXES[mime])
    return other.with_stem(f"{other.stem}-{record_id[-12:]}") if other.exists() else other


def show_json(result: ImageResult, files: list[Path]) -> None:
    """Print a result as one JSON document."""
    emit_json(
        {
            "record_id": result.record_id,
            "verdict": result.decision.verdict.value,
            "decision": result.decision.to_leaf(),
            "images": [_image(i, f) for i, f in zip(result.images, files, strict=False)],
            "withheld": [_image(i, None) for i in result.withheld],
            "surplus": [_image(i, f) for i, f in zip_longest(result.surplus, files[len(result.images) :])],
            "provider": result.provider,
            "model": result.model,
            "parameters": result.parameters,
            "cost": _cost(result.cost),
            "plan": [_candidate(c) for c in result.plan],
            "attempts": [vars(a) | {"cost": _cost(a.cost), "moderation": dict(a.moderation)} for a in result.attempts],
            "adaptations": _adaptations(result.adaptations),
            "development_certificate": result.development,
            "warnings": list(result.warnings),
        }
    )


def _image(entry: GeneratedImage, file: Path | None) -> dict[str, Any]:
    return {
        "index": entry.index,
        "file": str(file) if file else None,
        "sha256": hashlib.sha256(entry.data).hexdigest() if file else None,
        "mime": entry.mime,
        "size": f"{entry.width}x{entry.height}",
        "seed": None if entry.seed is None else str(entry.seed),
        "origin": None if entry.origin is None else entry.origin.model_dump(),
        "metadata": dict(entry.metadata),
        "decision": entry.decision.to_leaf(),
    }


def _cost(cost: Cost | None) -> dict[str, str] | None:
    return None if cost is None else {"amount": str(cost.amount), "currency": cost.currency}


def _candidate(candidate: PlannedCandidate) -> dict[str, Any]:
    return {
        "provider": candidate.provider,
        "kind": candidate.kind,
        "model": candidate.model,
        "left_out": list(candidate.left_out),
        "calls": list(candidate.calls),
        "uncatalogued": candidate.uncatalogued,
        "adaptations": _adaptations(candidate.adaptations),
    }


def _adaptations(found: Iterable[Adaptation]) -> list[dict[str, str]]:
    return [{"field": a.field, "asked": a.asked, "used": a.used} for a in found]


def show(result: ImageResult, files: list[Path], *, explain: bool) -> None:
    """Print a result for people: files and verdict on standard output, notes on standard error."""
    console = out()
    for image, file in zip((*result.images, *result.surplus), files, strict=False):
        seed = "" if image.seed is None else f" seed {image.seed}"
        console.print(f"{escape(plain(str(file)))}  [dim]{image.width}x{image.height}{seed}[/dim]")
    for image in result.withheld:
        console.print(f"image {image.index + 1} withheld: {'; '.join(image.decision.reasons)}", markup=False)
        if image.decision.handling:
            console.print(f"  {plain(image.decision.handling.told)}", markup=False)
    cost = "" if result.cost is None else f" · {result.cost.amount} {result.cost.currency}"
    console.print(
        f"policy {paint(result.decision.verdict.value)} · {escape(plain(f'{result.provider}/{result.model}'))}{cost}"
        f" · record {result.record_id}"
    )
    if result.development:
        console.print(
            "[dim]signed with a DEVELOPMENT certificate: it shows integrity on this machine, not who signed[/]"
        )
    if explain:
        _explain(result)
    for one in result.adaptations:
        err().print(f"[yellow]adapted[/yellow] {escape(plain(f'{one.field}: {one.asked} → {one.used}'))}")
    if len(files) < len(result.images) + len(result.surplus):
        more = f"{len(result.surplus)} more than asked for, signed and kept: `limner get --surplus` writes them"
        err().print(f"[yellow]note[/yellow] {more}")
    for warning in result.warnings:
        err().print(f"[yellow]note[/yellow] {escape(plain(warning))}")


def _explain(result: ImageResult) -> None:
    plan = (
        (c.provider, c.model or "—", "; ".join(c.left_out) or "—", _adapted(c), " + ".join(map(str, c.calls)) or "—")
        for c in result.plan
    )
    out().print(table("Plan", ("provider", "model", "left out because", "adapted", "calls"), plan))
    columns = ("call", "provider", "model", "pictures", "outcome", "cost", "time")
    out().print(table("Attempts", columns, map(_attempt, result.attempts)))
    _rules(result)
    _measured(result)


def _adapted(candidate: PlannedCandidate) -> str:
    return "; ".join(f"{a.field}: {a.asked} → {a.used}" for a in candidate.adaptations) or "—"


def _attempt(attempt: Attempt) -> tuple[object, ...]:
    cost = "unknown" if attempt.error is None or attempt.may_have_billed else "none"
    if attempt.cost is not None:
        cost = f"{attempt.cost.amount} {attempt.cost.currency}"
    time = "—" if attempt.duration is None else f"{attempt.duration / 1_000_000:.2f} s"
    outcome = f"{attempt.error}: {attempt.message}" if attempt.error else "pictures"
    pictures = f"{attempt.images} of {attempt.n}"
    return attempt.number, attempt.provider, attempt.model, pictures, outcome, cost, time


def _measured(result: ImageResult) -> None:
    """Show every score, each beside the thresholds that rules held it against."""
    decided = [("request", result.decision)] if result.decision.stage == "request" else []
    decided += [(f"image {i.index + 1}", i.decision) for i in (*result.images, *result.withheld)]
    rows = [
        (
            where if one.of == "output" else f"given picture {one.image + 1}",
            f"{one.detector}/{one.category}",
            one.version,
            one.score or f"unknown: {one.reason}",
            _against([look for look in decision.looked if look.use.evidence == one]),
        )
        for where, decision in decided
        for one in decision.evidence
    ]
    if rows:
        out().print(table("What detectors measured", ("on", "what", "version", "score", "threshold and rule"), rows))


def _against(looked: Sequence[Looked]) -> str:
    told = []
    for look in looked:
        band = f", review from {look.use.review_from}" if look.use.review_from else ""
        told.append(f"{look.use.comparison} {look.use.threshold}{band}  {look.pack}/{look.rule}")
    return "; ".join(told) or "no rule asks for it"


def _rules(result: ImageResult) -> None:
    hits = [("request", h) for h in result.decision.hits]
    hits += [(f"image {i.index + 1}", h) for i in (*result.images, *result.withheld) for h in i.decision.hits]
    rows = ((where, h.rule, h.verdict.value, h.mode, h.title) for where, h in dict.fromkeys(hits))
    out().print(
        table("Rules that spoke", ("on", "rule", "verdict", "mode", "title"), rows)
        if hits
        else "No rule spoke: nothing in policy objects."
    )
