"""Runs the demo: pictures from prompts, decided by policy, signed, recorded, verified, and a forgery caught.

It uses the SDK as any program would, in a folder of its own, with no key, no GPU and no network.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from limner import Limner, verify_file
from limner.cli.output import paint, show_report, table
from limner.cli.verification_output import show_verification
from limner.config import Config
from limner.demo.inside import show_inside, show_record, show_rules
from limner.demo.sheet import Tile, draw_sheet
from limner.errors import EVERY, PolicyDenied, exit_code
from limner.reading import open_log
from limner_provenance.audit import verify as verify_log

if TYPE_CHECKING:
    from limner.result import ImageResult

PROMPTS = ("red apple", "rocket", "fox", "birthday cake", "sailboat", "owl", "guitar", "castle")
SEEDS = 2
DENIED = "a fake designer logo on a handbag"


def main() -> int:
    """Run the demo and give an exit code."""
    parser = argparse.ArgumentParser(
        prog="limner.demo", description="Pictures, their decisions, credentials and proofs."
    )
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="folder for everything the demo makes")
    folder: Path = parser.parse_args().output
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 110)
    try:
        _demo(folder.absolute(), console)
    except EVERY as error:
        console.print(f"[red]{type(error).__name__}[/red] {error}")
        return exit_code(error)
    return 0


def _demo(folder: Path, console: Console) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    config = Config(root=folder)
    with Limner.open(config, context={"user": "demo", "purpose": "commercial"}) as limner:
        results = _draw(limner, console)
        files = _save(results, folder)
        _show_decisions(results, console)
        _show_denial(limner, console)
    sheet = _sheet(results, show_inside(config, console), folder)
    forged = _show_credentials(files[0], config, folder, console)
    _show_audit(config, console)
    console.rule("Look at")
    console.print(f"{sheet}   the contact sheet")
    console.print(f"{files[0]}   a signed picture (and {len(files) - 1} more beside it)")
    console.print(f"{forged}   the forgery; try, in that folder: limner verify {forged.name}")


def _draw(limner: Limner, console: Console) -> list[ImageResult]:
    """Step 1: pictures from prompts, by the starter model."""
    console.rule("1. Pictures from prompts")
    started, results = time.perf_counter(), []
    columns = (TextColumn("{task.description:24}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("loading the starter model", total=len(PROMPTS) * SEEDS)
        for prompt in PROMPTS:
            results.append(limner.generate(prompt, seed=7, n=SEEDS))
            bar.update(task, advance=SEEDS, description=prompt)
    seconds, total = time.perf_counter() - started, len(PROMPTS) * SEEDS
    first = results[0]
    console.print(f"{total} pictures in {seconds:.1f} s by {first.provider}/{first.model}, loading included")
    for warning in first.warnings:
        console.print(f"[yellow]note[/yellow] {warning}")
    return results


def _save(results: list[ImageResult], folder: Path) -> list[Path]:
    return [
        image.save(folder / f"{prompt.replace(' ', '-')}-seed{image.seed}.png")
        for prompt, result in zip(PROMPTS, results, strict=True)
        for image in result.images
    ]


def _sheet(results: list[ImageResult], denied: Tile, folder: Path) -> Path:
    tiles = [
        Tile(image.data, prompt, f"seed {image.seed} · {image.decision.verdict.value}")
        for prompt, result in zip(PROMPTS, results, strict=True)
        for image in result.images
    ]
    title = "Limner demo: signed and recorded pictures, and one that was denied"
    return draw_sheet([*tiles, denied], folder / "contact-sheet.png", title=title)


def _show_decisions(results: list[ImageResult], console: Console) -> None:
    """Step 2: what policy decided, before and after drawing."""
    console.rule("2. What was decided")
    rows = [
        (prompt, paint(result.decision.verdict.value), len(result.images), len(result.withheld), result.record_id)
        for prompt, result in zip(PROMPTS, results, strict=True)
    ]
    console.print(table("", ("prompt", "verdict", "released", "withheld", "record"), rows))


def _show_denial(limner: Limner, console: Console) -> None:
    """Step 3: a prompt that policy does not let through."""
    console.rule("3. A prompt that is denied")
    console.print(f"prompt: {DENIED!r}")
    try:
        limner.generate(DENIED)
    except PolicyDenied as denied:
        show_rules(denied, console)
        show_record(denied, console)
    else:
        message = "the demo's denied prompt was allowed: the embedded policy is not the one this demo was written for"
        raise AssertionError(message)


def _show_credentials(file: Path, config: Config, folder: Path, console: Console) -> Path:
    """Step 5: the credentials read back, and a tampered copy caught."""
    console.rule("5. What a picture proves, and a forgery")
    show_verification(console, verify_file(file, config=config))
    forged = folder / "forged.png"
    forged.write_bytes(_tampered(file.read_bytes()))
    console.print("\nThe same picture with one corner painted over and its credentials put back:")
    show_verification(console, verify_file(forged, config=config))
    return forged


def _tampered(data: bytes) -> bytes:
    """Paint one corner of the picture over and put its credentials back, as a careful forger would."""
    import io

    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        changed = picture.convert("RGB")
    changed.paste((255, 0, 255), (0, 0, 8, 8))
    plain = io.BytesIO()
    changed.save(plain, "PNG")
    return _with_chunks(plain.getvalue(), _chunks(data, b"caBX"))


def _chunks(data: bytes, kind: bytes) -> bytes:
    """Collect the PNG chunks of one kind, whole."""
    found, place = b"", 8
    while place < len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4])
        found += data[place:end] if data[place + 4 : place + 8] == kind else b""
        place = end
    return found


def _with_chunks(data: bytes, chunks: bytes) -> bytes:
    """Put chunks right behind a PNG's header."""
    end_of_header = 8 + 12 + 13
    return data[:end_of_header] + chunks + data[end_of_header:]


def _show_audit(config: Config, console: Console) -> None:
    """Step 6: the audit database proves itself."""
    console.rule("6. The audit database proves itself")
    with open_log(config) as log:
        show_report(console, verify_log(log))


if __name__ == "__main__":
    sys.exit(main())
