"""`limner audit evidence RECORD_OR_FILE`: one file that proves a record to somebody who trusts nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.output import emit_json, out
from limner.cli.shared import AsJson


def evidence(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="RECORD_OR_FILE", help="A record's id, or a picture that was sealed.")],
    output: Annotated[Path, typer.Option(help="File to write it to.", metavar="FILE")],
    disclose: Annotated[
        list[str] | None,
        typer.Option(help="Fields to disclose, e.g. prompt,negative_prompt; or all. Else only their commitments."),
    ] = None,
    image: Annotated[int | None, typer.Option(min=0, help="Only this image of the record.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A checkpoint exported before: proves that the log only grew.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write one file that proves a record offline: its entries, decisions, images, with proofs and the log's key.

    Check it anywhere with `verify_evidence.py` (also installed as limner-verify-evidence), which needs no Limner.
    """
    from limner.cli.audit import checkpoint_file
    from limner.errors import StorageUnavailable
    from limner.evidence import make_evidence

    names = [name.strip() for given in disclose or () for name in given.split(",") if name.strip()]
    note = checkpoint_file(checkpoint) if checkpoint is not None else None
    made = make_evidence(what, config=context.obj, disclose=names, image=image, checkpoint=note)
    try:
        output.write_bytes(made.document)
    except OSError as error:
        raise StorageUnavailable(
            f"--output {output} cannot be written: {error.strerror}.", remedy="Name another file."
        ) from error
    size = len(made.document)
    if as_json:
        told = {"file": str(output), "bytes": size, "record_id": made.record_id, "image": made.image}
        emit_json(told | {"disclosed": names})
        return
    about = "" if made.image is None else f", image {made.image}"
    out().print(f"{output}: evidence of record {made.record_id}{about}, {size:,} bytes", markup=False)
    out().print(f"check it with: limner-verify-evidence {output} IMAGE --log-key KEY", markup=False)
