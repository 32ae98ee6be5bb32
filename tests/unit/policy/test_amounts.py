"""Numbers, tags and given pictures as conditions: exact borders, and unknown where nothing was said."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from limner_policy import Pack, PolicyInput, RequestFacts, check_examples, judge
from limner_policy.types import ContextFacts

WriteRule = Callable[..., str]


def verdict(pack: Pack, *, tags: tuple[str, ...] = (), **facts: object) -> str:
    """The verdict on a request of these facts."""
    request = RequestFacts.model_validate({"prompt": "x", "task": "txt2img", **facts})
    context = ContextFacts(tags=tags)
    given = PolicyInput(instant="2026-11-25T00:00:00Z", stage="request", request=request, context=context)
    return judge([pack], given).verdict.value


@pytest.mark.parametrize(
    ("when", "facts", "expected"),
    [
        ("{n: {over: 4}}", {"n": "4"}, "allow"),
        ("{n: {over: 4}}", {"n": "5"}, "deny"),
        ("{n: {at_least: 4}}", {"n": "4"}, "deny"),
        ("{n: {over: 4}}", {}, "allow"),
        ("{steps: {at_most: 10}}", {"parameters": {"num_inference_steps": "10"}}, "deny"),
        ("{steps: {under: 10}}", {"parameters": {"num_inference_steps": "10"}}, "allow"),
        ("{steps: {over: 10}}", {}, "review"),
        ("{steps: {over: 10}}", {"parameters": {"num_inference_steps": "many"}}, "review"),
        ("{steps: {over: 10}}", {"parameters": {"num_inference_steps": "1" * 500}}, "review"),
        ("{width: {over: 1024}}", {"size": "1025x64"}, "deny"),
        ("{height: {over: 1024}}", {"size": "1025x64"}, "allow"),
        ("{height: {over: 1024}}", {}, "review"),
        ("{pixels: {at_least: 1048576}}", {"size": "1024x1024"}, "deny"),
        ("{pixels: {at_least: 1048576}}", {"size": "1024x1023"}, "allow"),
        ("{strength: {at_least: 0.3, under: 0.7}}", {"parameters": {"strength": "0.3"}}, "deny"),
        ("{strength: {at_least: 0.3, under: 0.7}}", {"parameters": {"strength": "0.7"}}, "allow"),
        ("{guidance_scale: {over: 7.5}}", {"parameters": {"guidance_scale": "7.500001"}}, "deny"),
        ("{inputs: {has: [reference]}}", {"inputs": ("image", "reference-0")}, "deny"),
        ("{inputs: {has: [mask, control]}}", {"inputs": ("image", "reference-0")}, "allow"),
        ("{inputs: {has: [image]}}", {}, "allow"),
        ("{tags: {has: [Kids]}}", {"tags": (" kids ",)}, "deny"),
        ("{tags: {has: [kids]}}", {"tags": ("kid",)}, "allow"),
        ("{not: {tags: {has: [approved]}}}", {}, "deny"),
    ],
)
def test_each_border_and_each_silence(
    when: str, facts: dict[str, object], expected: str, pack_of: Callable[..., Pack], rule: WriteRule
) -> None:
    """Bounds are exact to the last decimal; what the request leaves to the model is unknown, no tags are none."""
    pack = pack_of(rule("R-1", when=when, extra="if_unknown: review\n"))
    assert verdict(pack, **facts) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("region", "territories", "expected"),
    [
        ("DE", "[EU]", "deny"),
        ("de", "[eu]", "deny"),
        ("US-CA", "[EU, US]", "deny"),
        ("US-NY", "[US-CA]", "allow"),
        ("US", "[US-CA]", "review"),
        ("EU", "[DE, FR]", "review"),
        ("UK", "[GB]", "deny"),
        ("CH", "[EU]", "allow"),
        ("Bavaria", "[EU]", "review"),
        (None, "[EU]", "review"),
    ],
)
def test_a_region_lies_in_a_territory(
    region: str | None, territories: str, expected: str, pack_of: Callable[..., Pack], rule: WriteRule
) -> None:
    """Members of the EU and regions of a country count; what is larger, said otherwise or not at all is unknown."""
    pack = pack_of(rule("R-1", when=f"{{region: {{within: {territories}}}}}", extra="if_unknown: review\n"))
    context = ContextFacts(region=region)
    request = RequestFacts(prompt="x", task="txt2img")
    given = PolicyInput(instant="2026-11-25T00:00:00Z", stage="request", request=request, context=context)
    assert judge([pack], given).verdict.value == expected


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ("{region: {within: [Europe]}}", "is no code of a country or region (found Europe). Write DE, US-CA or EU"),
        ("{region: {within: [EU], in: [DE]}}", "needs exactly one of `in`, `not_in` and `within`"),
    ],
)
def test_a_wrong_territory_is_told(
    when: str, told: str, problems_of: Callable[[str], Iterable[object]], rule: WriteRule
) -> None:
    """Names of places are no codes."""
    problems = problems_of("policy: h\nversion: 1\ntitle: t\nowner: o\nrules:\n" + rule("R-1", when=when))
    assert told in "\n".join(map(str, problems))


def test_examples_can_say_all_of_it(pack_of: Callable[..., Pack], rule: WriteRule) -> None:
    """Number, size, steps, strength, tags and pictures stand in examples and reach the conditions."""
    when = (
        "{all: [{n: {over: 1}}, {pixels: {over: 100}}, {steps: {over: 5}}, {strength: {over: 0.5}},"
        " {guidance_scale: {over: 1}}, {tags: {has: [a]}}, {inputs: {has: [mask]}}]}"
    )
    facts = "n: 2, size: 20x20, steps: 6, strength: 0.6, guidance_scale: 2, tags: [A], inputs: [image, mask]"
    examples = f"if_unknown: review\nexamples:\n  - {{{facts}, expect: deny}}\n"
    examples += f"  - {{{facts.replace('steps: 6', 'steps: 5')}, expect: allow}}\n  - {{n: 1, expect: allow}}\n"
    examples += f"  - {{{facts.replace('size: 20x20, ', '')}, expect: review}}\n"
    assert check_examples(pack_of(rule("R-1", when=when, extra=examples))) == []


def test_a_wrong_amount_in_an_example_is_told(problems_of: Callable[[str], object], rule: WriteRule) -> None:
    """A size is WIDTHxHEIGHT, a number is digits, a picture is one of four kinds."""
    extra = "examples:\n  - {size: 20*20, n: two, inputs: [photo], expect: allow}\n"
    told = str(problems_of("policy: h\nversion: 1\ntitle: t\nowner: o\nrules:\n" + rule("R-1", extra=extra)))
    for words in ("a size such as 1024x768", "has to be a number from 0 on", "is not a word of this list"):
        assert words in told
