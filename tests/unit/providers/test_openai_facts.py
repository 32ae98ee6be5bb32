"""The catalogue of OpenAI's models: lives, prices, capabilities, and the public list over all kinds."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from limner_providers._openai_catalogue import capabilities_of, models, price_of
from limner_providers.catalogue import catalogue
from limner_providers.errors import ConfigurationInvalid, ModelRetired, UnsupportedRequest
from limner_providers.openai import OpenAIProvider
from limner_providers.registry import make_provider
from limner_providers.types import ImageRequest

KEY = "sk-canary-0123456789"
pytestmark = pytest.mark.anyio


def vendor(**settings: object) -> OpenAIProvider:
    """Make a provider at the vendor's own host."""
    made = make_provider("shop", "openai", {"api_key": KEY, **settings})
    assert isinstance(made, OpenAIProvider)
    return made


def elsewhere(**settings: object) -> OpenAIProvider:
    """Make a provider at another host."""
    return vendor(base_url="https://images.example/v1", **settings)


def test_every_model_of_the_wire_facts_is_catalogued_with_source_and_day() -> None:
    """None is missing, and each says where it is from."""
    names = {
        "gpt-image-1.5", "gpt-image-2", "gpt-image-2-2026-04-21", "gpt-image-2.5-sunburst",
        "gpt-image-2.5-sunburst-2026-09-08", "gpt-image-2.5-flare", "gpt-image-2.5-flare-2026-09-08",
        "gpt-image-2.6-sunburst", "gpt-image-2.6-flare", "gpt-image-1-mini", "chatgpt-image-latest", "gpt-image-1",
        "dall-e-2", "dall-e-3",
    }  # fmt: skip
    assert names <= models().keys()
    assert all(facts.source and facts.read_on for facts in models().values())
    assert all(capabilities_of(name, facts.dialect).tasks for name, facts in models().items())


def test_every_successor_is_itself_catalogued_and_lives_on() -> None:
    """Nobody is sent to a model that is gone too."""
    for facts in models().values():
        for successor in facts.successors:
            assert models()[successor].retires is None, facts.name


@pytest.mark.parametrize(
    ("day", "status"),
    [("2026-06-01", "active"), ("2026-06-02", "deprecated"), ("2026-11-30", "deprecated"), ("2026-12-01", "retired")],
)
def test_a_model_lives_until_the_day_of_its_end(day: str, status: str) -> None:
    """Deprecated from the notice on, gone on the day itself."""
    assert models()["gpt-image-1.5"].status(dt.date.fromisoformat(day)) == status


async def test_a_retired_model_is_refused_with_its_successor_at_the_vendors_host_only() -> None:
    """Elsewhere it may well live on: old servers serve dall-e-3 to this day."""
    shop = vendor(model="dall-e-3")
    for ask in (shop.capabilities, shop.identify):
        with pytest.raises(ModelRetired, match="2026-05-12") as raised:
            await ask()
        assert raised.value.successor == "gpt-image-2"
        assert "gpt-image-2" in raised.value.remedy
    assert (await elsewhere(model="dall-e-3").capabilities()).qualities == ("standard", "hd")


async def test_today_decides_what_is_retired() -> None:
    """The clock can be set, and the very same provider refuses a day later."""
    shop = vendor(model="gpt-image-1.5")
    shop.today = lambda: dt.date(2026, 11, 30)
    assert (await shop.capabilities()).tasks
    assert "gpt-image-1.5" in [model.name for model in await shop.models()]
    shop.today = lambda: dt.date(2026, 12, 1)
    with pytest.raises(ModelRetired):
        await shop.capabilities()


async def test_an_uncatalogued_model_is_allowed_with_its_dialects_minimum_and_marked() -> None:
    """At the vendor's host today's parameters; elsewhere the older ones, unless its name or the setting says else."""
    new = await vendor(model="gpt-image-9").capabilities()
    assert (new.uncatalogued, new.cost_known, new.mask) == (True, False, "transparent-changes")
    local = await elsewhere(model="sd-cpp-local").capabilities()
    assert (local.uncatalogued, local.tasks, local.output_formats) == (True, ("txt2img",), ("png",))
    relayed = await elsewhere(model="openai/gpt-image-9").capabilities()
    assert relayed.output_formats == ("png", "jpeg", "webp")
    told = await elsewhere(model="sd-cpp-local", dialect="gpt-image").capabilities()
    assert told.output_formats == ("png", "jpeg", "webp")


async def test_the_configuration_can_say_what_a_compatible_server_can_do() -> None:
    """Tasks, sizes, price and time stand over the minimum."""
    settings = {"tasks": ["txt2img", "inpaint"], "sizes": "any", "price_per_image": "0.02", "timeout": 90}
    able = await elsewhere(model="local", **settings).capabilities()
    assert (able.tasks, able.mask, able.timeout) == (("txt2img", "inpaint"), "transparent-changes", 90)
    assert able.size.problem(640, 384) is None
    assert able.cost is not None
    assert able.cost.rates == {"image": Decimal("0.02")}


async def test_prices_hold_at_the_vendors_host_alone() -> None:
    """A relay charges what it likes: its cost is not known, and never 0."""
    able = await vendor(model="gpt-image-2").capabilities()
    assert able.cost is not None
    assert able.cost.rates["image_output"] == Decimal("0.00003")
    relayed = await elsewhere(model="gpt-image-2").capabilities()
    assert (relayed.cost, relayed.cost_known) == (None, False)


@pytest.mark.parametrize(
    ("size", "good"),
    [
        ("1024x1024", True), ("1536x864", True), ("3840x2160", True), ("1000x1000", False), ("512x512", False),
        ("3856x2160", False), ("3072x1008", False), ("3840x2176", False),
    ],
)  # fmt: skip
async def test_free_sizes_of_gpt_image_2(size: str, good: bool) -> None:
    """Multiples of 16, 1:3 to 3:1, 655,360 to 8,294,400 pixels, no edge above 3840."""
    able = await vendor().capabilities()
    assert (able.unmet(ImageRequest(prompt="apple", size=size)) == []) is good


async def test_proportions_become_a_size() -> None:
    """Where sizes are free, of about the same area; where they are fixed, one of them or none."""
    able = await vendor().capabilities()
    assert able.size_for(ImageRequest(prompt="apple", aspect_ratio="16:9")) == "1360x768"
    fixed = await vendor(model="gpt-image-9").capabilities()
    assert fixed.size_for(ImageRequest(prompt="apple", aspect_ratio="3:2")) == "1536x1024"
    assert [one.field for one in fixed.unmet(ImageRequest(prompt="apple", aspect_ratio="16:9"))] == ["aspect_ratio"]


async def test_what_the_api_has_not_is_refused_by_name() -> None:
    """No seed, no negative prompt, no steps: nothing is dropped silently."""
    shop = vendor()
    fields = {
        "seed": 7,
        "negative_prompt": "pear",
        "num_inference_steps": 20,
        "guidance_scale": 7.0,
        "scheduler": "euler",
    }
    for field, value in fields.items():
        with pytest.raises(UnsupportedRequest) as raised:
            await shop.generate(ImageRequest.build(prompt="apple", **{field: value}), seeds=[1])
        assert raised.value.field == field


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"api_key": None}, "api_key is missing"),
        ({"api_key": "sk-with\nline-break-123"}, "api_key is empty, or holds a character"),
        ({"base_url": "http://api.openai.com/v1"}, "unencrypted"),
        ({"base_url": "https://user:pw@images.example/v1"}, "holds a user or a password"),
        ({"headers": {"Host": "evil.example"}}, "headers.host is set by every call itself"),
        ({"sizes": ["large"]}, "'large' is no size"),
        ({"partial_images": 4}, "partial_images is not valid"),
        ({"dialect": "azure"}, "dialect is not valid"),
        ({"modle": "x"}, "Did you mean model"),
    ],
)
def test_wrong_settings_are_named_and_no_secret_is_shown(settings: dict[str, object], words: str) -> None:
    """The message names the setting and what to do."""
    with pytest.raises(ConfigurationInvalid, match=words) as raised:
        vendor(**settings)
    assert "sk-" not in str(raised.value)
    assert raised.value.remedy


def test_no_key_is_needed_elsewhere_and_none_is_ever_shown() -> None:
    """Local servers want none."""
    assert make_provider("local", "openai", {"base_url": "http://127.0.0.1:1/v1"})
    assert KEY not in repr(elsewhere(headers={"api-key": KEY})) + str(vars(elsewhere())["_host"])


def test_the_public_catalogue_lists_all_kinds_as_of_a_day() -> None:
    """Local models never end; OpenAI's are told as of the day that is asked for."""
    then = {model.name: model for model in catalogue(dt.date(2026, 1, 1))}
    now = {model.name: model for model in catalogue(dt.date(2026, 11, 25))}
    assert (then["dall-e-3"].status, now["dall-e-3"].status) == ("active", "retired")
    assert now["gpt-image-1.5"].successor == "gpt-image-2.6-sunburst"
    assert now["starter"].kind == "diffusers"
    assert now["starter"].licence == "Apache-2.0"
    assert price_of("gpt-image-2") == now["gpt-image-2"].prices
    assert all(model.source for model in now.values())


async def test_a_size_of_too_few_or_too_many_pixels_has_a_neighbour() -> None:
    """What can be made is named, of the same shape, and can be adapted to."""
    able = await vendor().capabilities()
    for asked, near in {"512x512": "816x816", "256x128": "1152x576", "3840x3840": "2880x2880"}.items():
        (unmet,) = able.unmet(ImageRequest(prompt="apple", size=asked))
        assert unmet.adaptation is not None
        assert unmet.adaptation.used == near
