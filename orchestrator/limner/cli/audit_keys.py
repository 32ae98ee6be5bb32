"""`limner audit rotate-key`: the log's signing key."""

from __future__ import annotations

import typer

from limner.cli.output import emit_json, out
from limner.cli.shared import AsJson


def rotate_key(context: typer.Context, as_json: AsJson = False) -> None:
    """Give the log a new signing key, by an entry that the old key and the new one sign.

    Whoever pinned the old key goes on: verifications follow the entry. Hand the new key out, and export a checkpoint.
    If the old key was stolen, do not rotate: a thief can do so too. Begin a new log in another folder.
    """
    from limner.reading import open_log_for_writing

    with open_log_for_writing(context.obj) as log:
        old = log.vkey
        entry = log.rotate_key()
        new = log.vkey
    if as_json:
        emit_json({"entry": entry.index, "old_key": old, "log_key": new})
        return
    out().print(f"entry {entry.index}: the log's key was rotated", markup=False)
    out().print(f"old key {old}\nnew key {new}", markup=False)
    out().print("Hand the new key to whoever verifies, and export a checkpoint: limner audit checkpoint --output FILE")
