"""A pack with list files in force: the log keeps every byte of it, so that what was decided can be decided again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limner import Limner
from limner.cli import run
from limner.config import load_config
from limner.errors import PolicyDenied
from limner.policy_tools.impact import replay_log
from limner.policy_tools.recorded import Shelf
from limner.reading import open_log
from limner_policy import load_packs
from limner_policy.bundles import unbundle

PACK = """\
policy: house
version: "1"
title: House rules
owner: legal@example.com
lists:
  artists: {file: lists/artists.csv}
rules:
  - id: H-1
    title: No living artists
    says: A request in the style of a living artist is refused.
    why: It is our promise to them.
    basis: [{cite: House rule}]
    severity: high
    stage: request
    when: {entity: {list: artists, near: [style of], within: 3}}
    then: {verdict: deny}
"""
ARTISTS = "id,name,aliases\nartist:doe,Jane Q. Doe,JQ Doe\n"
PROMPT = "a wood in the style of jq doe"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a pack, its list, and a log of one refused request."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "artists.csv").write_text(ARTISTS, encoding="utf-8")
    (tmp_path / "house.yaml").write_text(PACK, encoding="utf-8")
    (tmp_path / "limner.yaml").write_text("providers: {fake: {kind: test}}\npolicy: [house.yaml]\n", encoding="utf-8")
    with Limner.open(tmp_path / "limner.yaml") as limner, pytest.raises(PolicyDenied):
        limner.generate(PROMPT)
    return tmp_path


def test_the_log_holds_the_list_byte_for_byte(folder: Path) -> None:
    """What `policy_loaded` keeps gives back the pack's file and its list, and the digest that the decision names."""
    with open_log(load_config(folder / "limner.yaml")) as log:
        (entry,) = log.entries(steps=["policy_loaded"])
        kept = log.payload(entry.payloads["source"])
        (judged,) = log.entries(steps=["judged"])
    assert unbundle(kept) == (PACK.encode(), {"lists/artists.csv": ARTISTS.encode()})
    (pack,) = load_packs([folder / "house.yaml"])
    assert kept == pack.source
    assert judged.data["packs"] == [pack.identity]
    assert "artist:doe" not in json.dumps(judged.data), (
        "what was named is personal data and stays out of the log's clear part"
    )


def test_the_past_is_decided_with_the_list_of_then(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the list gone from disk the log still decides alike; a longer list of now changes nothing of it."""
    (folder / "lists" / "artists.csv").unlink()
    with open_log(load_config(folder / "limner.yaml")) as log:
        (digest,) = Shelf(log).loaded
        found = replay_log(log, [Shelf(log).pack(digest)])
        record = next(iter(log.entries(steps=["judged"]))).record
    assert (found.replayed, found.changes) == (1, [])
    assert run(["policy", "explain", str(record), "--config", str(folder / "limner.yaml")]) == 0
    assert "»jq doe«" in capsys.readouterr().out


def test_another_list_is_another_pack(folder: Path) -> None:
    """A changed list alone is announced, and replay tells what it would have changed."""
    (folder / "lists" / "artists.csv").write_text("id,name\nartist:roe,Richard Roe\n", encoding="utf-8")
    with Limner.open(folder / "limner.yaml") as limner:
        limner.generate(PROMPT)
    with open_log(load_config(folder / "limner.yaml")) as log:
        assert len(list(log.entries(steps=["policy_loaded"]))) == 2
        found = replay_log(log, load_packs([folder / "house.yaml"]))
    assert [(change.before, change.after) for change in found.changes] == [("deny", "allow")]
