"""`limner policy licence`: what is allowed for this organisation, said with quotes, dates and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]

HOUSE = """\
policy: house
version: 1
title: House
owner: legal
organisation:
  as_of: 2026-11-01
  claimed_by: cfo@example.com
  annual_revenue_usd: {revenue}
  principal_place: DE
  holds: [{holds}]
rules:
  - id: L-1
    title: t
    says: s
    why: w
    basis: [{{cite: c}}]
    severity: low
    stage: candidate
    when: {{licence: {{forbids: commercial_use}}}}
    then: {{verdict: deny}}
"""
OWN = """\
facts: own
version: 3
title: Own facts
owner: legal
subjects:
  - id: our-lora
    role: lora
    licences: [CC-BY-NC-4.0]
    source: {cite: The maker's page, read: 2026-01-01}
  - id: black-forest-labs/FLUX.1-dev
    role: model
    licences: [MIT]
    source: {cite: A contract of ours, read: 2026-11-20}
    signed_off: {by: J. Doe, on: 2026-11-21}
"""


@pytest.fixture
def house(tmp_path: Path) -> Callable[..., str]:
    """Write a house pack with these claims and give its name."""

    def write(revenue: int = 2_000_000, holds: str = "") -> str:
        (tmp_path / "house.yaml").write_text(HOUSE.format(revenue=revenue, holds=holds), encoding="utf-8")
        return "house.yaml"

    return write


def test_the_starter_model_is_allowed(command: Command) -> None:
    """Exit code 0, the quote with section and day, the duties that follow, and that nobody signed the rows off."""
    code, told, _ = command("policy", "licence", "starter", "nsfw")
    assert code == 0
    plain = " ".join(told.split())
    assert "limner-starter + nsfw: commercial work is allowed" in plain
    assert "limner-starter, Apache-2.0, 2, read 2026-11-25: “perpetual, worldwide" in plain
    assert "notice_file yes keep a notice with every copy of the weights" in plain
    assert "provisional" in plain
    assert "Not legal advice" in plain


def test_a_refusal_names_the_part_that_decides(command: Command) -> None:
    """Exit code 1 where one of several parts forbids it, whatever the others allow."""
    code, told, _ = command("policy", "licence", "starter", "flux-dev", "--json")
    assert code == 1
    found = json.loads(told)
    assert found["commercial"] == "no"
    (line,) = found["because"]
    assert (line["term"], line["answer"]) == ("commercial_use", "no")
    assert [use["part"] for use in line["deciding"]] == ["black-forest-labs/FLUX.1-dev"]
    assert line["deciding"][0]["section"] == "2(b)"
    assert {row["row"] for row in found["rows"]} >= {"limner-starter", "black-forest-labs/FLUX.1-dev", "Apache-2.0"}


def test_it_answers_for_the_organisation_of_the_policy(command: Command, house: Callable[..., str]) -> None:
    """The ceiling is compared with what the pack claims; without a claim it is not known, and that is exit code 1."""
    code, told, _ = command("policy", "licence", "sd-3.5", "--json")
    assert (code, json.loads(told)["commercial"], json.loads(told)["organisation"]) == (1, "unknown", {})
    code, told, _ = command("policy", "licence", "sd-3.5", "--pack", house(1_000_000), "--json")
    assert (code, json.loads(told)["commercial"]) == (0, "yes")
    code, told, _ = command("policy", "licence", "sd-3.5", "--pack", house(1_000_001))
    assert code == 1
    assert "annual revenue in US dollars 1,000,001" in " ".join(told.split())
    assert "because commercial_use is no: stabilityai/stable-diffusion-3.5-large (model)" in told
    holds = house(1_000_001, "stability-enterprise-licence")
    assert command("policy", "licence", "sd-3.5", "--pack", holds)[0] == 0


def test_the_configured_policy_is_asked_too(command: Command, house: Callable[..., str], tmp_path: Path) -> None:
    """Without --pack the claims are those of the packs in force."""
    (tmp_path / "limner.yaml").write_text(f"policy: [{house(5)}]\n", encoding="utf-8")
    code, told, _ = command("policy", "licence", "sd-3.5", "--json")
    assert code == 0
    assert json.loads(told)["organisation"]["claimed_by"] == "cfo@example.com"


def test_territories_count_where_a_licence_states_one(command: Command, house: Callable[..., str]) -> None:
    """Region of use and principal place are held against the excluded territories."""
    (refused, told, _) = command("policy", "licence", "hunyuan-image", "--pack", house(1), "--region", "US")
    assert refused == 1
    assert "because territory_exclude (principal place) is yes" in told
    code, _, wrong = command("policy", "licence", "starter", "--region", "Germany")
    assert code == 2
    assert "Write DE, US-CA or EU" in wrong


def test_a_conflict_is_no_yes(command: Command) -> None:
    """Where card and file contradict each other the answer is unknown, and the page says what contradicts what."""
    code, told, _ = command("policy", "licence", "nudenet")
    assert code == 1
    assert "NOT KNOWN" in told
    assert "conflict: The repository says AGPL-3.0" in told


def test_an_unknown_name_is_exit_code_2_with_suggestions(command: Command) -> None:
    """A slip is answered with the nearest names, in both shapes of output."""
    code, _, wrong = command("policy", "licence", "flux-dv")
    assert code == 2
    assert "Did you mean flux-dev" in wrong
    code, told, _ = command("policy", "licence", "starter", "flux-dv", "--json")
    assert code == 2
    assert json.loads(told)["error"] == "ConfigInvalid"
    assert command("policy", "licence")[0] == 2
    assert command("policy", "licence", "starter", "--list")[0] == 2


def test_facts_of_ones_own_go_first(command: Command, tmp_path: Path) -> None:
    """A house's rows replace ours and add others; their sign-off and their age are shown."""
    (tmp_path / "own.facts.yaml").write_text(OWN, encoding="utf-8")
    assert command("policy", "licence", "flux-dev")[0] == 1
    for name in ("black-forest-labs/FLUX.1-dev", "flux-dev"):  # an alias of the row that was replaced
        code, told, _ = command("policy", "licence", name, "--facts", "own.facts.yaml", "--json")
        assert code == 0
        assert json.loads(told)["rows"][0]["signed_off"] == "J. Doe on 2026-11-21"
    code, told, _ = command("policy", "licence", "our-lora", "--facts", "own.facts.yaml", "--as-of", "2026-11-25")
    assert code == 1
    assert "328 days ago; STALE" in " ".join(told.split())
    assert "in own 3 sha256:" in told


def test_a_broken_facts_file_is_told_with_its_place(command: Command, tmp_path: Path) -> None:
    """File, line, column and remedy; nothing is answered."""
    (tmp_path / "own.facts.yaml").write_text(OWN.replace("role: lora", "role: lorra"), encoding="utf-8")
    code, told, wrong = command("policy", "licence", "starter", "--facts", "own.facts.yaml")
    assert (code, told) == (2, "")
    assert (
        "own.facts.yaml:7:11: subjects[0].role: is not a word of this list (found lorra). Did you mean lora?" in wrong
    )


def test_the_list_shows_every_row_with_its_age(command: Command) -> None:
    """Rows, ages, states; what is older than asked for is stale; JSON has the digest of the facts."""
    code, told, _ = command("policy", "licence", "--list", "--as-of", "2026-11-25")
    assert code == 0
    assert "LicenseRef-Stability-AI-Community" in told
    assert "0 stale" in told
    assert "CONFLICT, provisional" in told
    code, told, _ = command("policy", "licence", "--list", "--as-of", "2027-11-25", "--stale-days", "30", "--json")
    found = json.loads(told)
    assert code == 0
    assert len(found["sha256"]) == 64
    assert all(row["stale"] and row["age_days"] >= 365 for row in found["rows"])
