"""Histories written anew, as whoever stole database and signing key can write them."""

from __future__ import annotations

from pathlib import Path

from limner_provenance import schema
from limner_provenance.checkpoint import Signer


def rewrite(state: Path, signer: Signer, leaves: list[str]) -> None:
    """Make a sound database from leaves and a signing key, as a thief of both with our program would."""
    from limner_provenance.committing import Draft, _write
    from limner_provenance.entries import read_entry
    from limner_provenance.sqlite import Database
    from limner_provenance.tiles import GrowingTree

    database = Database(f"sqlite:///{state / 'audit.db'}")
    with database.write() as connection:
        schema.create(connection)
        drafts = [Draft(read_entry(index, leaf)) for index, leaf in enumerate(leaves)]
        for draft in drafts:
            if draft.entry.step == "erased":
                draft.erased = draft.entry.data["keys"] + draft.entry.data["payloads"]
        _write(connection, signer, GrowingTree(), drafts)
    database.close()
