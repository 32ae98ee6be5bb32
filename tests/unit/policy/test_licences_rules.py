"""What rules can ask of licences, what a decision then says, and that old inputs are judged as before."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from limner_policy.engine import judge
from limner_policy.errors import Problem
from limner_policy.example_checks import check_examples
from limner_policy.licences import asks_for_licences, facts_for
from limner_policy.loading import embedded_pack, load_pack_bytes, load_packs
from limner_policy.pack import Pack
from limner_policy.types import CandidateFacts, ContextFacts, PartFacts, PolicyInput, RequestFacts
from limner_policy.verdicts import Decision

PackOf = Callable[..., Pack]
WriteRule = Callable[..., str]
ORGANISATION = (
    "organisation: {as_of: 2026-11-01, claimed_by: cfo, annual_revenue_usd: 2000000, monthly_users: 5,"
    " principal_place: DE, holds: [midjourney-pro]}\n"
)


def candidate(
    *parts: PartFacts, region: str | None = None, stage: str = "candidate", licence: str | None = None
) -> PolicyInput:
    return PolicyInput.model_validate(
        {
            "instant": "2026-11-25T12:00:00Z",
            "stage": stage,
            "request": RequestFacts(task="txt2img"),
            "context": ContextFacts(region=region),
            "candidate": CandidateFacts(licence=licence, parts=parts),
        }
    )


FLUX = facts_for(kind="diffusers", model="flux-dev")
STARTER = facts_for(kind="diffusers", model="limner-starter")
SD35 = facts_for(kind="diffusers", model="sd-3.5")
MIDJOURNEY = facts_for(kind="midjourney", model="midjourney-7")
HUNYUAN = facts_for(kind="diffusers", model="hunyuan-image")
UNHEARD = facts_for(kind="diffusers", model="limner-starter", loras=["unheard-of"])


@pytest.mark.parametrize(
    ("when", "parts", "verdict"),
    [
        ("{allows: commercial_use}", STARTER, "deny"),
        ("{allows: commercial_use}", FLUX, "allow"),
        ("{allows: commercial_use}", UNHEARD, "review"),
        ("{forbids: commercial_use}", FLUX, "deny"),
        ("{forbids: commercial_use}", STARTER, "allow"),
        ("{forbids: commercial_use}", (*FLUX, *UNHEARD), "deny"),
        ("{forbids: commercial_outputs}", SD35, "deny"),
        ("{forbids: commercial_outputs}", MIDJOURNEY, "allow"),
        ("{forbids: automated_access}", MIDJOURNEY, "deny"),
        ("{requires: registration}", SD35, "deny"),
        ("{requires: registration}", STARTER, "allow"),
        ("{requires: registration}", UNHEARD, "review"),
        ("{over: [revenue_ceiling]}", SD35, "deny"),
        ("{over: [user_ceiling]}", SD35, "allow"),
        ("{over: [revenue_ceiling]}", MIDJOURNEY, "allow"),
        ("{excludes: principal_place}", HUNYUAN, "deny"),
        ("{excludes: region}", HUNYUAN, "allow"),
        ("{states: attribution}", SD35, "deny"),
        ("{states: attribution}", STARTER, "allow"),
        ("{conflict: yes}", facts_for(model="sdxl-turbo"), "deny"),
        ("{conflict: no}", STARTER, "deny"),
        ("{known: no}", UNHEARD, "deny"),
        ("{known: yes}", UNHEARD, "allow"),
        ("{signed_off: no}", STARTER, "deny"),
        ("{any_of: [apache-2.0, MIT]}", STARTER, "deny"),
        ("{any_of: [MIT]}", STARTER, "allow"),
        ("{any_of: [MIT]}", UNHEARD, "review"),
        ("{any_of: [Apache-2.0]}", UNHEARD, "deny"),
    ],
)
def test_what_each_question_answers(
    pack_of: PackOf, rule: WriteRule, when: str, parts: tuple[PartFacts, ...], verdict: str
) -> None:
    """Held gives the rule's verdict, unknown its if_unknown, and an answer the other way nothing."""
    text = rule("R-1", when=f"{{licence: {when}}}", stage="candidate", extra="if_unknown: review")
    pack = pack_of(text, header=ORGANISATION)
    assert judge([pack], candidate(*parts, region="US")).verdict.value == verdict


def test_a_hit_says_which_part_which_quote_and_which_day(pack_of: PackOf, rule: WriteRule) -> None:
    """The decision carries part, role, licence, section, quote and date, in its reason and in the log's leaf."""
    pack = pack_of(rule("R-1", when="{licence: {forbids: commercial_use}}", stage="candidate"))
    decision = judge([pack], candidate(*FLUX, *STARTER))
    (hit,) = decision.hits
    (use,) = hit.licences
    assert (use.part, use.role, use.term, use.says) == ("black-forest-labs/FLUX.1-dev", "model", "commercial_use", "no")
    assert "2(b), read 2026-11-25): “You may only access, use" in decision.reasons[0]
    leaf = decision.to_leaf()["hits"][0]["licences"]
    assert leaf == [use.to_json()]
    assert leaf[0]["quote"].startswith("You may only access")
    assert "via" not in leaf[0]
    assert "FLUX" not in decision.user_message


def test_an_unknown_says_what_is_not_known(pack_of: PackOf, rule: WriteRule) -> None:
    """Where a rule could not be decided its reason names the part that nobody knows anything of."""
    pack = pack_of(rule("R-1", when="{licence: {allows: commercial_use}}", stage="candidate"))
    decision = judge([pack], candidate(*UNHEARD))
    assert decision.hits[0].unknown
    assert "unheard-of (lora); no licence of it is known" in decision.reasons[0]


def test_uses_come_together_in_all_and_any(pack_of: PackOf, rule: WriteRule) -> None:
    """What several licence conditions rest on is told together, each once."""
    when = "{all: [{licence: {states: territory_exclude}}, {any: [{licence: {excludes: principal_place}}]}]}"
    pack = pack_of(rule("R-1", when=when, stage="candidate"), header=ORGANISATION)
    (hit,) = judge([pack], candidate(*HUNYUAN)).hits
    assert {(use.term, use.because.partition(";")[0]) for use in hit.licences} == {
        ("territory_exclude", "Output must not be used outside the territory either (5(c))."),
        ("territory_exclude", "excluded: EU, GB, KR"),
    }


# ------------------------------------------------------------------------------------------------- organisation


def test_a_pack_without_claims_goes_by_what_the_others_claim(pack_of: PackOf, rule: WriteRule) -> None:
    """House facts in one pack serve every pack in force, in any order; contradicting ones serve none."""
    asking = pack_of(
        rule("R-1", when="{licence: {over: [revenue_ceiling]}}", stage="candidate", extra="if_unknown: review")
    )
    other = rule("R-9", when="{task: {in: [x]}}")
    claims = pack_of(other, header=ORGANISATION, name="claims")
    more = pack_of(other, header=ORGANISATION.replace("2000000", "1"), name="more")
    given = candidate(*SD35)
    assert judge([asking], given).verdict.value == "review"
    assert judge([asking, claims], given).verdict.value == judge([claims, asking], given).verdict.value == "deny"
    assert judge([asking, more], given).verdict.value == "allow"
    assert judge([asking, claims, more], given).verdict.value == "review"


def test_claims_outside_the_packs_dates_do_not_count(pack_of: PackOf, rule: WriteRule) -> None:
    """A pack that is not in force claims nothing."""
    asking = pack_of(
        rule("R-1", when="{licence: {over: [revenue_ceiling]}}", stage="candidate", extra="if_unknown: review")
    )
    old = pack_of(
        rule("R-9", when="{task: {in: [x]}}"), header="effective: {until: 2026-01-01}\n" + ORGANISATION, name="old"
    )
    assert judge([asking, old], candidate(*SD35)).verdict.value == "review"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("annual_revenue_usd: 2 million", "has to be a whole number"),
        ("annual_revenu_usd: 2", "Did you mean annual_revenue_usd?"),
        ("principal_place: Germany", "is no code of a country or region"),
        ("holds: midjourney-pro", "has to be names of what may be held"),
        ("monthly_users: -1", "has to be a whole number"),
    ],
)
def test_claims_are_read_strictly(
    problems_of: Callable[[str], tuple[Problem, ...]], rule: WriteRule, wrong: str, message: str
) -> None:
    """A claim that is no number, no code or no known key is a mistake with line and column."""
    text = "policy: house\nversion: 1\ntitle: t\nowner: o\n"
    text += f"organisation: {{as_of: 2026-11-01, claimed_by: cfo, {wrong}}}\nrules:\n" + rule("R-1")
    (problem,) = problems_of(text)
    assert problem.line == 5
    assert message in str(problem)


def test_claims_need_a_day_and_a_claimant(problems_of: Callable[[str], tuple[Problem, ...]], rule: WriteRule) -> None:
    """An organisation without them is not taken."""
    text = "policy: house\nversion: 1\ntitle: t\nowner: o\norganisation: {monthly_users: 1}\nrules:\n" + rule("R-1")
    assert "`as_of`, `claimed_by`" in str(problems_of(text)[0])


# ------------------------------------------------------------------------------------------------- the language


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("{licence: {alows: commercial_use}}", "Did you mean allows?"),
        ("{licence: {allows: comercial_use}}", "Did you mean commercial_use?"),
        ("{licence: {allows: commercial_use, conflict: yes}}", "needs exactly one key"),
        ("{licence: {conflict: true}}", "there are no booleans"),
        ("{licence: {over: revenue_ceiling}}", "Write [one, two]"),
        ("{licence: {excludes: EU}}", "Write one of: region, principal_place"),
        ("{all: [{any: [{not: {licence: {requires: atribution}}}]}]}", "Did you mean attribution?"),
    ],
)
def test_mistakes_in_licence_conditions_are_told(
    problems_of: Callable[[str], tuple[Problem, ...]], rule: WriteRule, when: str, message: str
) -> None:
    """Misspelt questions and terms, two questions at once and values of another kind: exact messages."""
    text = "policy: house\nversion: 1\ntitle: t\nowner: o\nrules:\n" + rule("R-1", when=when, stage="candidate")
    assert message in str(problems_of(text)[0])


def test_licences_are_not_known_at_the_stage_request(
    problems_of: Callable[[str], tuple[Problem, ...]], rule: WriteRule
) -> None:
    """Before an engine is looked at no licence is known, and a rule that asks for one says so when it is loaded."""
    text = "policy: house\nversion: 1\ntitle: t\nowner: o\nrules:\n" + rule("R-1", when="{licence: {known: no}}")
    assert "`licence: {known: …}` is not known at the stage request. Write `stage: candidate`" in str(
        problems_of(text)[0]
    )


def test_only_packs_that_ask_need_facts(pack_of: PackOf, rule: WriteRule) -> None:
    """A plain list of licence ids needs none; a question does, and one that is switched off does not."""
    plain = rule("R-1", when="{licence: {in: [x]}}", stage="candidate")
    asking = rule("R-2", when="{any: [{not: {licence: {known: yes}}}]}", stage="candidate")
    assert not asks_for_licences([pack_of(plain)])
    assert asks_for_licences([pack_of(plain), pack_of(asking)])
    assert not asks_for_licences(
        [pack_of(rule("R-3", when="{licence: {known: no}}", stage="candidate", extra="mode: off"))]
    )


def test_examples_name_parts_and_claims(pack_of: PackOf, rule: WriteRule) -> None:
    """An example's engine and parts are looked up in the facts, and its claims stand instead of the pack's."""
    lines = [
        "licence: flux-1-dev-non-commercial-license, expect: deny",
        "model: limner-starter, parts: [insightface], expect: deny",
        "model: limner-starter, parts: [nobody-knows-it], expect: review",
        "model: sd-3.5, expect: deny",
        "model: sd-3.5, organisation: {annual_revenue_usd: 1000000}, expect: allow",
        "model: sd-3.5, organisation: {holds: [stability-enterprise-licence]}, expect: allow",
        "model: limner-starter, expect: allow",
    ]
    examples = "examples:\n" + "".join(f"  - {{{line}}}\n" for line in lines)
    text = rule(
        "R-1", when="{licence: {forbids: commercial_use}}", stage="candidate", extra="if_unknown: review\n" + examples
    )
    assert check_examples(pack_of(text, header=ORGANISATION)) == []


# ------------------------------------------------------------------------------------------------- replay


def test_a_recorded_candidate_is_judged_by_the_facts_of_then(pack_of: PackOf, rule: WriteRule) -> None:
    """The input alone decides: read back from JSON it gives the same decision, to the byte of the leaf."""
    pack = pack_of(rule("R-1", when="{licence: {forbids: commercial_use}}", stage="candidate"), header=ORGANISATION)
    given = candidate(*SD35, *FLUX)
    back = PolicyInput.from_json(json.loads(json.dumps(given.to_json())))
    again = load_pack_bytes(pack.source, "again.yaml")
    assert judge([again], back).to_leaf() == judge([pack], given).to_leaf()
    assert judge([again], back).verdict.value == "deny"


def test_inputs_recorded_before_there_were_facts_come_out_as_before() -> None:
    """A candidate without parts gets the verdict that the general pack gave it when it knew licence ids only."""
    (general,) = load_packs([embedded_pack()])

    def decided(licence: str | None) -> Decision:
        return judge([general], candidate(licence=licence))

    assert decided("Apache-2.0").verdict.value == "allow"
    assert decided(None).verdict.value == "allow"
    assert decided("flux-1-dev-non-commercial-license").verdict.value == "deny"
    assert not any(hit.combined and hit.verdict.value != "allow" for hit in decided("Apache-2.0").hits)


def test_a_leaf_without_licence_rules_has_no_new_field(pack_of: PackOf, rule: WriteRule) -> None:
    """Decisions of packs that do not ask for licences are written to the log as they always were."""
    pack = pack_of(rule("R-1", when="{task: {in: [txt2img]}}", stage="candidate"))
    (hit,) = judge([pack], candidate(*FLUX)).to_leaf()["hits"]
    assert "licences" not in hit
