"""Checks that nothing is dropped silently: each field of a request makes a difference, or is refused and named."""

from __future__ import annotations

from typing import Any

import pytest

from limner_providers.base import Provider
from limner_providers.conformance.bench import Bench
from limner_providers.conformance.hooks import Hooks
from limner_providers.conformance.probes import PROBES, beyond, option_values
from limner_providers.conformance.watching import play
from limner_providers.errors import InvalidRequest
from limner_providers.images import InputImage


class Fields(Hooks):
    """What becomes of each field of a request."""

    @pytest.mark.parametrize("field", PROBES)
    def test_a_field_makes_a_difference_or_is_refused(self, provider: Provider, field: str) -> None:
        """Two values of a field that a provider takes differ in the picture or at the engine; else it is refused."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            one, two = PROBES[field](bench.able)
            await _differ(bench, field, one, two)

        play(provider, work)

    def test_each_option_of_its_own_makes_a_difference(self, provider: Provider) -> None:
        """What `extra` names under this kind reaches the engine."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            for name, rule in bench.able.extra.items():
                value = option_values(rule)
                await _differ(bench, f"extra.{name}", {}, {"extra": {bench.able.kind: {name: value}}})

        play(provider, work)

    def test_options_of_other_kinds_change_nothing(self, provider: Provider) -> None:
        """`extra` of another engine is not meant for this one."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            assert (await bench.make(await bench.request(extra={"another-kind": {"knob": 1}}))).images

        play(provider, work)

    def test_what_is_beyond_a_limit_is_refused(self, provider: Provider) -> None:
        """One more than the capabilities allow, an unknown word, a size that cannot be made: nothing is sent."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            for _, fields in beyond(bench.able):
                try:
                    request = await bench.request(**fields)
                except InvalidRequest:
                    continue  # wrong in itself: no engine would ever see it
                if bench.able.unmet(request):
                    await bench.refused(request)

        play(provider, work)

    def test_a_picture_that_is_too_large_is_refused(self, provider: Provider) -> None:
        """`max_input_bytes` is obeyed before anything is sent."""

        async def work() -> None:
            bench = await Bench.of(self, provider)
            most = bench.able.max_input_bytes
            task = next((one for one in bench.able.tasks if one not in {"txt2img", *bench.able.needs_origin}), None)
            if most is None or most >= 64 * 1024 * 1024 or task is None:
                return
            given = (await bench.request(task)).image
            assert given is not None
            padded = InputImage(given.data.ljust(most + 1, b"\0"))  # bytes behind a PNG's end are no part of it
            await bench.refused(await bench.request(task, **{**_parts(await bench.request(task)), "image": padded}))

        play(provider, work)


def _parts(request: Any) -> dict[str, Any]:
    return {name: getattr(request, name) for name in ("mask", "margins") if getattr(request, name) is not None}


async def _differ(bench: Bench, field: str, one: dict[str, Any], two: dict[str, Any]) -> None:
    request = await bench.request(**two)
    if bench.able.unmet(request):
        await bench.refused(request)
        return
    other = await bench.request(**one)
    if bench.able.unmet(other):
        return
    first, again, second = await bench.seen(other), await bench.seen(other), await bench.seen(request)
    assert first[0] == again[0], "arrived() differs for one request sent twice: leave out what is drawn anew each time."
    changed = first[0] != second[0]
    if first[1] == again[1]:  # pictures tell something only where the same request gives the same ones
        changed = changed or first[1] != second[1]
    elif first[0] is None:
        assert not bench.hooks.network, "Nothing can be seen: its pictures never come twice, and arrived() gives None."
        pytest.skip("Nothing can be seen: its pictures never come twice, and arrived() gives None.")
    assert changed, f"{field} was taken and dropped: neither the picture nor what arrived at the engine differs."
