"""`limner policy explain | history | replay` on a log made by real requests: said, decided again, and counted apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner import Limner
from limner.cli import run
from limner.config import load_config
from limner.errors import ConfigInvalid, PolicyDenied
from limner.policy_tools.history import history
from limner.policy_tools.impact import replay_log
from limner.policy_tools.instants import ago, instant
from limner.policy_tools.recorded import Judgement, recorded_inputs
from limner.reading import open_log
from limner_policy import load_packs
from limner_provenance import AuditLog

FIRST = """\
policy: house
version: "1"
title: House rules
owner: legal@example.com
sources:
  brand: {cite: Brand guideline 7.2, read: 2026-11-24, url: "https://example.com/brand", quote: No weapons.}
rules:
  - id: H-1
    title: No swords
    says: A request for a sword is refused.
    why: Our toys are sold from the age of three.
    basis: [brand]
    severity: high
    stage: request
    when: {terms: {any_of: [sword]}}
    then: {verdict: deny}
  - id: H-2
    title: Apples are watched
    says: Apples are counted.
    why: To see how many there are.
    basis: [brand]
    severity: low
    stage: request
    mode: audit
    when: {terms: {any_of: [apple]}}
    then: {verdict: deny}
  - id: H-3
    title: Nudity
    says: A nude picture is refused.
    why: Nobody wants one.
    basis: [brand]
    severity: high
    stage: image
    when: {evidence: {detector: nsfw, category: nsfw, at_least: "0.900000"}}
    then: {verdict: deny}
"""
SECOND = FIRST.replace('version: "1"', 'version: "2"').replace("    mode: audit\n", "").replace("[sword]", "[lance]")
"""Apples are refused, swords are not."""
SWORD = "a big forest where someone holds a golden SWORD in the light of the morning"

Command = Callable[..., tuple[int, str]]


class Traffic:
    """A folder whose log holds an apple of ann's at acme and a sword of bob's, and how to ask about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(FIRST)
        (folder / "limner.yaml").write_text("providers: {fake: {kind: test}}\npolicy: [house.yaml]\n", encoding="utf-8")
        self.apple = self.ask("a red apple", user="ann", tenant="acme")
        self.sword = self.ask(SWORD, user="bob")

    def write(self, text: str, name: str = "house.yaml") -> Path:
        """Write a policy file."""
        file = self.folder / name
        file.write_text(text, encoding="utf-8")
        return file

    def ask(self, prompt: str, **context: str) -> str:
        """Make a request, and give its record."""
        with Limner.open(self.folder / "limner.yaml", context=context) as limner:
            try:
                return limner.generate(prompt, seed=7).record_id
            except PolicyDenied as error:
                return str(error.record_id)

    def erase(self, user: str) -> None:
        """Erase a person, as an operator would."""
        config = load_config(self.folder / "limner.yaml")
        with AuditLog.open(config.audit_url, state=config.state) as log:
            log.erase(subject=user)

    def log(self) -> AuditLog:
        """Open the log for reading."""
        return open_log(self.folder / "limner.yaml")


@pytest.fixture
def traffic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Traffic:
    """Give the folder with its log, as the working folder."""
    monkeypatch.chdir(tmp_path)
    return Traffic(tmp_path)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a runner of `limner policy …` that gives exit code and answer."""

    def runner(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = run(["policy", *arguments])
        printed = capsys.readouterr()
        return code, printed.out or printed.err

    return runner


def document(answer: tuple[int, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer[1])
    return found


def test_explain_says_rule_reason_source_and_place(traffic: Traffic, command: Command) -> None:
    """The page of a denial names rule, reason, dated source, the word in its prompt and the rule's own lines."""
    code, page = command("explain", traffic.sword)
    assert code == 0
    assert "Shown: what was decided then" in page
    assert "request: refused" in page
    assert "deny  house/H-1  No swords  [decides]" in page
    assert "Our toys are sold from the age of three." in page
    assert "Brand guideline 7.2, read 2026-11-24: “No weapons.” <https://example.com/brand>" in " ".join(
        page.replace("│", "").split()
    )
    assert "»SWORD«" in page
    assert "\n    when: {terms: {any_of: [sword]}}\n" in page
    assert max(map(len, page.splitlines())) <= 80


def test_explain_shows_every_judgement_of_a_record(traffic: Traffic, command: Command) -> None:
    """Request, candidate and image are explained; an audit rule is recorded only and its lines are not repeated."""
    found = document(command("explain", traffic.apple, "--json"))
    assert found["shows"] == "recorded"
    assert [j["judged"] for j in found["judgements"]] == ["request", "candidate 0", "image 0"]
    assert all(j["verdict"] == j["recorded"] == "allow" for j in found["judgements"])
    [reason] = found["judgements"][0]["reasons"]
    assert (reason["rule"], reason["role"], reason["verdict"]) == ("H-2", "recorded only", "deny")
    assert reason["places"] == [
        {"field": "prompt", "start": 6, "end": 11, "before": "a red ", "text": "apple", "after": ""}
    ]
    assert found["judgements"][1]["engine"] == "fake, limner-test"
    page = command("explain", traffic.apple)[1]
    assert "[recorded only (audit mode)]" in page
    assert "No rule objects." in page
    assert "as it is written" not in page


def test_explain_shows_score_and_threshold(traffic: Traffic, command: Command) -> None:
    """A rule about evidence is explained by the detector's score beside the threshold it was held against."""
    strict = traffic.write(FIRST.replace("0.900000", "0.000000"), "strict.yaml")
    found = document(command("explain", traffic.apple, "--pack", str(strict), "--json"))
    image = found["judgements"][2]
    assert (image["recorded"], image["verdict"]) == ("allow", "deny")
    [used] = image["reasons"][0]["evidence"]
    assert used["threshold"] == "0.000000"
    assert used["score"] is not None
    page = command("explain", traffic.apple, "--pack", str(strict))[1]
    assert "Shown: NOT what was decided then" in page
    assert "image 0: refused; then: allowed" in page
    assert "threshold 0.000000" in page


def test_explain_as_of_takes_the_packs_of_that_instant(traffic: Traffic, command: Command) -> None:
    """The same input is decided by what the log had in force then: first by one version, later by the other."""
    with traffic.log() as log:
        between = list(log.entries())[-1].time
    traffic.write(SECOND)
    traffic.ask("a green pear")
    then = document(command("explain", traffic.apple, "--as-of", between, "--json"))
    later = document(command("explain", traffic.apple, "--as-of", "9000-01-01", "--json"))
    assert (then["shows"], then["instant"]) == ("as of", between)
    assert [then["judgements"][0]["verdict"], later["judgements"][0]["verdict"]] == ["allow", "deny"]
    assert [j["judgements"][0]["packs"][0]["version"] for j in (then, later)] == ["1", "2"]
    page = command("explain", traffic.apple, "--as-of", "2001-01-01")[1]
    assert "No policy is in force, and that refuses everything." in page
    assert "2001-01-01T23:59:59.999999Z" in " ".join(page.split())


def test_explain_of_an_erased_record_says_so(traffic: Traffic, command: Command) -> None:
    """What was erased is said with exit code 1: the log's own words stay, and nothing is decided again."""
    traffic.erase("bob")
    code, page = command("explain", traffic.sword)
    assert code == 1
    assert "cannot be opened: erased" in page
    assert "deny  house/H-1  No swords  [decides]" in page
    at = SWORD.index("SWORD")
    assert f"where   prompt, characters {at} to {at + 5}\n" in page
    assert "SWORD" not in page
    code, page = command("explain", traffic.sword, "--as-of", "9000-01-01")
    assert code == 1
    assert "cannot be decided again (then: refused)" in page


def test_explain_finds_a_judgement_that_contradicts_its_input(traffic: Traffic, command: Command) -> None:
    """A verdict in the log that its own packs and input do not give is shouted, with exit code 1."""
    config = load_config(traffic.folder / "limner.yaml")
    with AuditLog.open(config.audit_url, state=config.state) as log:
        [judged] = log.entries(record=traffic.sword, steps=["judged"])
        forged = judged.data | {"verdict": "allow", "hits": []}
        log.append("judged", record="forged", data=forged, payloads={"input": log.payload(judged.payloads["input"])})
    code, page = command("explain", "forged")
    assert code == 1
    assert "request: refused — BUT THE LOG SAYS ALLOWED" in page


def test_explain_shows_what_was_measured_also_where_no_rule_holds(traffic: Traffic, command: Command) -> None:
    """An allowed image shows its detector's score."""
    found = document(command("explain", traffic.apple, "--json"))
    [measured] = found["judgements"][2]["measured"]
    assert f"measured nsfw/nsfw ({measured['version']}) {measured['score']}" in command("explain", traffic.apple)[1]


def test_a_detector_that_did_not_run_then_is_unknown(traffic: Traffic, command: Command) -> None:
    """A new rule about evidence that was not gathered is said to be undecided, not to have measured anything."""
    asks = FIRST.replace("detector: nsfw, category: nsfw", "detector: blood, category: blood")
    traffic.write(asks, "new.yaml")
    found = document(command("replay", "new.yaml", "--json"))
    assert [(c["judged"], c["after"], c["unknown"]) for c in found["changes"]] == [("image 0", "deny", True)]
    assert "house/H-3: not known then, so its if_unknown applies" in command("replay", "new.yaml")[1]
    page = command("explain", traffic.apple, "--pack", "new.yaml")[1]
    assert "It could not be decided whether this holds" in page


def test_explain_spells_out_what_would_move_a_terminal(traffic: Traffic, command: Command) -> None:
    """A prompt with escape and direction characters is shown with them spelled out."""
    page = command("explain", traffic.ask("\x1b[31m sword \u202e end"))[1]
    assert "\\x1b[31m »sword« \\u202e end" in page


def test_explain_stays_short_where_a_rule_matched_a_whole_long_prompt(traffic: Traffic, command: Command) -> None:
    """A match of many thousand characters is shown by its beginning and its end."""
    traffic.write(FIRST.replace("terms: {any_of: [sword]}", "re2: {pattern: 'begin.*end'}"))
    page = command("explain", traffic.ask(f"begin {'so on ' * 5_000}end"))[1]
    assert "»begin so on" in page
    assert "so on end«" in page
    assert len(page) < 4_000


def test_wrong_arguments_are_named(traffic: Traffic, command: Command) -> None:
    """An unknown record is the answer no; a wrong instant, stretch or file is wrong input."""
    assert command("explain", "nobody")[0] == 1
    assert command("explain", traffic.apple, "--as-of", "yesterday")[0] == 2
    assert command("explain", traffic.apple, "--pack", "nowhere.yaml")[0] == 2
    assert command("replay", "house.yaml", "--last", "1 month")[0] == 2
    assert command("replay", "house.yaml", "--last", "1d", "--since", "2026-01-01")[0] == 2
    assert command("replay", "nowhere.yaml")[0] == 2


def test_history_says_what_was_in_force_when(traffic: Traffic, command: Command) -> None:
    """Each stretch has pack, digest, entries and its number of judgements; a pack that returns has two."""
    traffic.write(SECOND)
    traffic.ask("a green pear")
    traffic.write(FIRST)
    traffic.ask("a sword")
    found = document(command("history", "--json"))["history"]
    assert [(s["version"], s["judgements"], s["late"]) for s in found] == [("1", 4, 0), ("2", 3, 0), ("1", 1, 0)]
    assert [s["until"] for s in found] == [found[1]["since"], found[2]["since"], None]
    assert found[0]["sha256"] == found[2]["sha256"]
    assert found[0]["loaded"] == found[2]["loaded"] < found[0]["entry"]
    code, page = command("history")
    assert code == 0
    assert page.count("house 1\n") == 2
    assert "  until   now\n" in page
    assert max(map(len, page.splitlines())) <= 80


def test_history_counts_a_process_that_was_opened_before(traffic: Traffic) -> None:
    """A judgement made by an older process after another pack came into force is counted, and said to be late."""
    with Limner.open(traffic.folder / "limner.yaml") as older:
        older.generate("a pear", seed=1)
        traffic.write(SECOND)
        traffic.ask("a green pear")
        older.generate("a pear", seed=1)
    with traffic.log() as log:
        first, second = history(log)
    assert (first.judgements, first.late) == (10, 3)
    assert (second.judgements, second.late) == (3, 0)


def test_history_of_a_log_without_requests(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that was only made has no stretch, and says so."""
    monkeypatch.chdir(tmp_path)
    config = load_config(None)
    AuditLog.open(config.audit_url, state=config.state).close()
    assert command("history") == (0, "No policy was in force yet: the log has no request.\n")


def test_the_pack_in_force_changes_nothing(traffic: Traffic, command: Command) -> None:
    """Self-replay is empty, also with --fail-on-change."""
    code, answer = command("replay", "house.yaml", "--last", "30d", "--fail-on-change", "--json")
    found = json.loads(answer)
    assert code == 0
    assert (found["replayed"], found["changed"], found["unreplayable"], found["changes"]) == (4, 0, 0, [])


def test_replay_counts_and_lists_what_another_pack_changes(traffic: Traffic, command: Command) -> None:
    """Changes are counted by kind, stage, rule, provider and tenant; a milder verdict names the rule that is gone."""
    traffic.write(SECOND, "new.yaml")
    code, answer = command("replay", "new.yaml", "--json")
    found = json.loads(answer)
    assert code == 0
    assert (found["replayed"], found["changed"]) == (4, 2)
    assert found["counts"]["change"] == {"allow→deny": 1, "deny→allow": 1}
    assert found["counts"]["stage"] == {"request": 2}
    assert found["counts"]["rule"] == {"house/H-1": 1, "house/H-2": 1}
    assert found["counts"]["tenant"] == {"(none)": 1, "acme": 1}
    assert [(c["record"], c["before"], c["after"]) for c in found["changes"]] == [
        (traffic.apple, "allow", "deny"),
        (traffic.sword, "deny", "allow"),
    ]
    assert command("replay", "new.yaml", "--json")[1] == answer
    code, page = command("replay", "new.yaml", "--fail-on-change")
    assert code == 1
    assert "4 judgements decided again: 2 would change." in page
    assert max(map(len, page.splitlines())) <= 80


def test_replay_names_the_provider_of_images_and_candidates(traffic: Traffic, command: Command) -> None:
    """From the candidate on, a change is counted under the engine that it is about."""
    traffic.write(FIRST.replace("0.900000", "0.000000"), "strict.yaml")
    found = document(command("replay", "strict.yaml", "--json"))
    assert found["counts"]["provider"] == {"fake": 1}
    assert found["changes"][0]["judged"] == "image 0"


def test_replay_spells_out_what_a_caller_claims(traffic: Traffic, command: Command) -> None:
    """A tenant's name with direction characters does not reach the terminal as such."""
    traffic.ask("an apple", tenant="\u202eacme")
    page = command("replay", str(traffic.write(SECOND, "new.yaml")))[1]
    assert "1  \\u202eacme\n" in page


def test_replay_counts_apart_what_was_erased(traffic: Traffic, command: Command) -> None:
    """An erased input is neither replayed nor unchanged."""
    traffic.erase("ann")
    traffic.write(SECOND, "new.yaml")
    found = document(command("replay", "new.yaml", "--json"))
    assert (found["replayed"], found["changed"], found["unreplayable"]) == (1, 1, 3)
    assert found["unreplayable_because"] == {"erased": 3}
    assert "3 could not be decided again and are counted nowhere else: 3 erased." in command("replay", "new.yaml")[1]


def test_replay_takes_only_the_time_that_is_asked_for(traffic: Traffic, command: Command) -> None:
    """`--since` is inclusive and `--until` exclusive."""
    with traffic.log() as log:
        first, *_, last = (e.time for e in log.entries(steps=["judged"]))
    assert document(command("replay", "house.yaml", "--since", last, "--json"))["replayed"] == 1
    assert document(command("replay", "house.yaml", "--until", last, "--json"))["replayed"] == 3
    assert document(command("replay", "house.yaml", "--until", first, "--json"))["replayed"] == 0
    assert document(command("replay", "house.yaml", "--since", "9000-01-01", "--json"))["replayed"] == 0


def test_an_input_of_another_format_is_counted_apart(traffic: Traffic) -> None:
    """Inputs of another version, of no shape at all or not kept are not replayed and not taken for unchanged."""
    config = load_config(traffic.folder / "limner.yaml")
    leaf = {"verdict": "allow", "stage": "request", "hits": [], "duties": [], "packs": []}
    with AuditLog.open(config.audit_url, state=config.state) as log:
        for payloads in ({"input": {"v": 2}}, {"input": ["old"]}, {}):
            log.append("judged", record="r", data=leaf, payloads=payloads)
        log.flush()
        found = replay_log(log, load_packs(["house.yaml"]))
    assert (found.replayed, found.changes) == (4, [])
    assert found.unreplayable == {"another format": 3}


def test_without_keys_nothing_is_replayed(traffic: Traffic, command: Command) -> None:
    """Who reads a log without its keys hears that nothing could be opened."""
    for file in (traffic.folder / ".limner").glob("keys*"):
        file.rename(traffic.folder / f"away-{file.name}")
    found = document(command("replay", "house.yaml", "--json"))
    assert (found["replayed"], found["unreplayable"]) == (0, 4)
    assert found["unreplayable_because"] == {"not opened": 4}
    code, page = command("explain", traffic.sword)
    assert code == 3
    assert "cannot be opened: not opened" in page
    assert "The pack of this rule cannot be opened." in page


def test_inputs_stay_beside_their_judgements(traffic: Traffic) -> None:
    """A judgement without an input does not shift the inputs of those after it."""
    with traffic.log() as log:
        entry, *_ = log.entries(steps=["judged"])
        whole = Judgement(entry, "request", None, entry.data, (), entry.payloads["input"])
        bare = Judgement(entry, "request", None, entry.data, (), None)
        first, second, third = recorded_inputs(log, [bare, whole, bare])
    assert (first, third) == ("another format", "another format")
    assert not isinstance(second, str)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2026-11-24", "2026-11-24T00:00:00.000000Z"),
        ("2026-11-24T09:30:00Z", "2026-11-24T09:30:00.000000Z"),
        ("2026-11-24T09:30:00.5+02:00", "2026-11-24T07:30:00.500000Z"),
    ],
)
def test_instants(text: str, means: str) -> None:
    """Days and instants of any offset are spelled as entries spell theirs."""
    assert instant(text, "--since") == means


def test_days_end_and_stretches_reach_back() -> None:
    """A day's end is its last microsecond; a stretch counts back from the given instant."""
    assert instant("2026-11-24", "--as-of", end_of_day=True) == "2026-11-24T23:59:59.999999Z"
    assert ago("2w", "--last", "2026-11-24T10:00:00.000000Z") == "2026-11-10T10:00:00.000000Z"


@pytest.mark.parametrize(
    "text", ["", "2026-11-24T09:30:00", "2026-02-30", "20261124", "now", "0001-01-01T00:00:00+01:00"]
)
def test_what_is_no_instant(text: str) -> None:
    """An instant without its offset from UTC, or that no calendar has, is refused with what to write."""
    with pytest.raises(ConfigInvalid, match="Write 2026-11-24"):
        instant(text, "--since")


@pytest.mark.parametrize("text", ["", "0d", "30", "d", "-1d", "99999w", "1m"])
def test_what_is_no_stretch(text: str) -> None:
    """A stretch that is none, or that reaches back before calendars begin, is refused."""
    with pytest.raises(ConfigInvalid, match="Write 12h"):
        ago(text, "--last", "0200-11-24T10:00:00.000000Z")


def test_replay_tells_other_duties_reasons_and_records_from_other_verdicts(traffic: Traffic, command: Command) -> None:
    """A verdict that stays may rest on other rules, ask for other duties, or be recorded otherwise: each is said."""
    renamed = traffic.write(FIRST.replace("id: H-1", "id: H-9"), "renamed.yaml")
    found = document(command("replay", str(renamed), "--json"))
    [change] = found["changes"]
    assert (change["what"], change["before"], change["after"], change["rules"]) == (
        ["reasons"],
        "deny",
        "deny",
        ["house/H-9"],
    )
    assert found["counts"]["what"] == {"reasons": 1}
    assert found["counts"]["change"] == {"deny, other rules behind it": 1}
    quiet = traffic.write(FIRST.replace("id: H-2", "id: H-8"), "quiet.yaml")
    [change] = document(command("replay", str(quiet), "--json"))["changes"]
    assert (change["record"], change["what"], change["rules"]) == (traffic.apple, ["recorded"], ["house/H-8"])
    duties = FIRST.replace(
        "    then: {verdict: deny}\n  - id: H-2", "    then: {verdict: deny, duties: [notify]}\n  - id: H-2"
    )
    [change] = document(command("replay", str(traffic.write(duties, "duties.yaml")), "--json"))["changes"]
    assert (change["record"], change["what"], change["after"]) == (traffic.sword, ["duties"], "deny")
    assert command("replay", str(renamed), "--fail-on-change")[0] == 1


def test_a_rule_in_audit_mode_shows_in_replay_what_it_would_hold(traffic: Traffic, command: Command) -> None:
    """A new rule that only records changes no verdict, and each request it holds for is listed under it."""
    new = FIRST + FIRST[FIRST.index("  - id: H-2") : FIRST.index("  - id: H-3")].replace("H-2", "H-4").replace(
        "apple", "forest"
    )
    found = document(command("replay", str(traffic.write(new, "new.yaml")), "--json"))
    assert found["counts"]["what"] == {"recorded": 1}
    assert found["counts"]["rule"] == {"house/H-4": 1}


def test_explain_shows_the_condition_part_by_part(traffic: Traffic, command: Command) -> None:
    """A condition of several parts is a tree with what became of each; what was not said is marked as not known."""
    both = FIRST.replace("{terms: {any_of: [sword]}}", "{all: [{terms: {any_of: [sword]}}, {region: {in: [eu]}}]}")
    page = command("explain", traffic.sword, "--pack", str(traffic.write(both, "both.yaml")))[1]
    assert "how     [?] all of these hold" in page
    assert "[yes] the prompt names “sword” — found »SWORD«" in page
    assert "[?] the region is eu" in page
    tree = document(command("explain", traffic.sword, "--json"))["judgements"][0]["reasons"][0]["tree"]
    assert (tree["truth"], tree["found"]) == (True, ["SWORD"])


def test_explain_of_an_erased_record_has_no_tree(traffic: Traffic, command: Command) -> None:
    """Where the input was erased, nothing of the prompt is shown, not even as what was found."""
    traffic.erase("bob")
    found = document(command("explain", traffic.sword, "--json"))
    assert found["judgements"][0]["reasons"][0]["tree"] is None
    assert "SWORD" not in json.dumps(found)
