"""Retries, fall-backs, split calls, short answers and cancelling: what is asked, what is kept, what it costs."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from limner import AsyncLimner, ImageRequest, Limner
from limner.config import Config
from limner.errors import (
    AccessDenied,
    Cancelled,
    ConfigInvalid,
    EngineUnavailable,
    GenerationFailed,
    ModerationBlocked,
    OutcomeUnknown,
    PolicyDenied,
    QuotaExhausted,
    RateLimited,
    RequestEnded,
)
from limner.reading import open_log
from limner.records import Record
from limner.recovery import recover
from limner_provenance.audit import verify as verify_log
from limner_providers import Cost, JobAccepted
from limner_providers.test import TestProvider

House = Callable[..., Config]
Steps = Callable[[str], list[str]]


def entries(config: Config, record_id: str) -> Record:
    """Read a record back, after checking that its log proves itself and its order is regular."""
    with open_log(config) as log:
        assert verify_log(log).ok
        record = Record.load(log, record_id)
        assert record.state.irregular == ()
        return record


def two(**first: Any) -> dict[str, dict[str, Any]]:
    """Give two providers, of which the first one has a fault."""
    return {"one": first, "other": {"cost": "0.5"}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Give the list of what each provider was asked, call by call."""
    real, calls = TestProvider.generate, []

    async def generate(self: TestProvider, request: ImageRequest, **rest: Any) -> Any:
        calls.append({"provider": self.name, "n": request.n, "request": request, **rest})
        return await real(self, request, **rest)

    monkeypatch.setattr(TestProvider, "generate", generate)
    return calls


# -- retries ---------------------------------------------------------------------------------------------------------


def test_a_busy_engine_is_asked_again_when_it_said(house: House, steps: Steps, waits: list[float]) -> None:
    """`Retry-After` is waited for to the second, and every call is an entry of its own before it leaves."""
    with Limner.open(house(fail="rate-limited", retry_after=7.0, fail_first=2)) as limner:
        result = limner.generate("red apple", seed=7)
    assert waits == [7.0, 7.0]
    assert steps(result.record_id)[3:9] == ["attempted", "attempt_failed"] * 2 + ["attempted", "produced"]
    assert [a.error for a in result.attempts] == ["RateLimited", "RateLimited", None]
    assert [a.number for a in result.attempts] == [1, 2, 3]
    assert result.images[0].seed == 7
    assert entries(house(), result.record_id).state.attempts == 3


def test_a_refused_connection_is_tried_again_later_each_time(house: House, waits: list[float]) -> None:
    """Where the engine does not say when, the waits grow and are never the same for two clients."""
    with Limner.open(house(fail="refused", routing={"retries": 4})) as limner:
        with pytest.raises(EngineUnavailable) as caught:
            limner.generate("red apple")
        record = entries(house(), str(caught.value.record_id))
    assert len(record.all("attempted")) == 5
    assert [0.5 * 2**i <= w <= 0.75 * 2**i for i, w in enumerate(waits)] == [True] * 4
    assert record.standing == "failed"


def test_a_longer_wait_than_allowed_goes_to_the_next_at_once(house: House, waits: list[float]) -> None:
    """An engine that wants to be asked in an hour is passed over without waiting."""
    config = house(providers=two(fail="rate-limited", retry_after=3600.0))
    with Limner.open(config) as limner:
        result = limner.generate("red apple")
    assert waits == []
    assert (result.provider, len(result.attempts)) == ("other", 2)
    with Limner.open(house(fail="rate-limited", retry_after=61.0)) as limner, pytest.raises(RateLimited):
        limner.generate("red apple")
    assert waits == []


@pytest.mark.parametrize(
    ("fault", "error"), [("access", AccessDenied), ("quota", QuotaExhausted), ("failed", GenerationFailed)]
)
def test_what_would_not_help_is_not_tried_again(
    house: House, waits: list[float], asked: list[Any], fault: str, error: type[Exception]
) -> None:
    """A wrong key, an empty account and a failed picture are not asked for twice."""
    with Limner.open(house(fail=fault)) as limner, pytest.raises(error):
        limner.generate("red apple")
    assert (len(asked), waits) == (1, [])


@pytest.mark.parametrize("retries", [0, 1])
def test_retries_can_be_set(house: House, waits: list[float], asked: list[Any], retries: int) -> None:
    """`routing.retries` is how often a call is made again; `max_wait: 0` waits never."""
    with Limner.open(house(fail="refused", routing={"retries": retries})) as limner, pytest.raises(EngineUnavailable):
        limner.generate("red apple")
    assert (len(asked), len(waits)) == (1 + retries, retries)
    with (
        Limner.open(house(fail="refused", routing={"retries": 3, "max_wait": 0})) as limner,
        pytest.raises(EngineUnavailable),
    ):
        limner.generate("red apple")
    assert len(asked) == 2 + retries


# -- fall-back -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["refused", "access", "quota", "failed", "retired"])
def test_the_next_one_is_asked_where_nothing_was_billed(house: House, waits: list[float], fault: str) -> None:
    """A fall-back is a warning, every attempt is in result and record, and only what was billed costs."""
    config = house(providers=two(fail=fault, cost="1"))
    with Limner.open(config) as limner:
        result = limner.generate("red apple", n=2, seed=7)
        again = limner.get(result.record_id)
    assert result.provider == "other"
    assert [a.provider for a in result.attempts] == ["one"] * (3 if fault == "refused" else 1) + ["other"]
    assert result.attempts[0].error
    assert result.attempts[0].message
    assert not result.attempts[0].may_have_billed
    assert result.attempts[-1].images == 2
    assert result.cost == Cost(amount=Decimal("1.0"))
    assert [w for w in result.warnings if w.startswith("one failed: ") and w.endswith("; other made the images")]
    assert again.attempts == result.attempts
    assert again.cost == result.cost
    assert again.plan == result.plan
    assert [w for w in again.warnings if "other made the images" in w]
    assert [i.seed for i in result.images] == [7, 8]
    assert entries(config, result.record_id).standing == "delivered"


@pytest.mark.parametrize(
    ("fault", "error"),
    [("moderation", ModerationBlocked), ("blocked", ModerationBlocked), ("unknown", OutcomeUnknown)],
)
def test_some_answers_are_final(
    house: House, asked: list[Any], waits: list[float], fault: str, error: type[Exception]
) -> None:
    """A moderation block and an unknown outcome are never fallen back around."""
    config = house(providers=two(fail=fault))
    with Limner.open(config) as limner, pytest.raises(error):
        limner.generate("red apple")
    assert [c["provider"] for c in asked] == ["one"]


def test_a_timeout_is_not_fallen_back_from(house: House, asked: list[Any]) -> None:
    """What was given up for its time is told to the caller, who knows whether to ask again; `timeout` reaches it."""
    config = house(providers=two(delay=30))
    with Limner.open(config) as limner, pytest.raises(Cancelled) as caught:
        limner.generate("red apple", timeout=0.05)
    assert [(c["provider"], c["timeout"]) for c in asked] == [("one", 0.05)]
    assert entries(config, str(caught.value.record_id)).standing == "failed"


def test_a_denial_is_never_fallen_back_around(house: House, asked: list[Any]) -> None:
    """A picture that policy refuses is not asked of the next engine."""
    text = house().root.joinpath("house.yaml").read_text().replace("stage: request", "stage: image")
    text = text.replace("when: {terms: {any_of: [forbidden], fields: [prompt]}}", EVIDENCE)
    text = text[: text.index("    examples:")] + "    if_unknown: deny\n" + EXAMPLES
    with Limner.open(house(providers=two(), policy=text)) as limner, pytest.raises(PolicyDenied):
        limner.generate("red apple")
    assert [c["provider"] for c in asked] == ["one"]


EVIDENCE = 'when: {evidence: {detector: nsfw, category: nsfw, at_least: "0.000000"}}'
EXAMPLES = """\
    examples:
      - {evidence: [{detector: nsfw, category: nsfw, score: "1.000000"}], expect: deny}
"""


def test_when_all_fail_every_reason_is_told(house: House, waits: list[float]) -> None:
    """The last error is raised, and says what went wrong before."""
    config = house(providers={"one": {"fail": "access"}, "other": {"fail": "quota"}})
    with Limner.open(config) as limner, pytest.raises(QuotaExhausted) as caught:
        limner.generate("red apple")
    assert any("AccessDenied" in note for note in caught.value.__notes__)
    assert entries(config, str(caught.value.record_id)).standing == "failed"


def test_moderation_is_recorded_as_evidence(house: House) -> None:
    """Stage and categories of an engine's own moderation stand in the record."""
    with Limner.open(house(fail="blocked")) as limner, pytest.raises(ModerationBlocked) as caught:
        limner.generate("red apple")
    assert caught.value.stage == "output"
    failed = entries(house(), str(caught.value.record_id)).entry("attempt_failed").data
    assert failed["moderation"] == {"stage": "output", "categories": list(caught.value.categories)}
    assert failed["may_have_billed"] == caught.value.may_have_billed


def test_order_and_pin(house: House, asked: list[Any]) -> None:
    """`routing.order` says who is asked first; `provider=` asks only that one, and nobody else when it fails."""
    config = house(providers=two(fail="access"), routing={"order": ["other", "one"]})
    with Limner.open(config) as limner:
        assert limner.generate("red apple").provider == "other"
        with pytest.raises(AccessDenied):
            limner.generate("red apple", provider="one")
    assert [c["provider"] for c in asked] == ["other", "one"]


def test_outside_the_order_a_provider_is_asked_by_its_name_only(house: House, asked: list[Any]) -> None:
    """An engine that `routing.order` leaves out is never chosen, not even as the last one, and can be named."""
    with Limner.open(house(providers=two(fail="access"), routing={"order": ["one"]})) as limner:
        with pytest.raises(AccessDenied):
            limner.generate("red apple")
        assert limner.generate("red apple", provider="other").provider == "other"
    assert [c["provider"] for c in asked] == ["one", "other"]


def test_the_end_user_is_an_opaque_id(house: House, asked: list[Any]) -> None:
    """An engine is told the same id for the same user, and never the name; without a user it is told nothing."""
    with Limner.open(house(), context={"user": "ann"}) as limner:
        limner.generate("red apple")
        limner.generate("red apple")
    with Limner.open(house()) as limner:
        limner.generate("red apple")
    first, second, third = (c["end_user"] for c in asked)
    assert first == second
    assert len(first) == 64
    assert "ann" not in first
    assert third is None


# -- split calls and short answers -----------------------------------------------------------------------------------


def test_n_is_split_where_that_is_allowed(house: House, asked: list[Any]) -> None:
    """`on_unsupported="adapt"` makes several calls; seeds go on, costs add up, and the adaptation is recorded."""
    config = house(max_n=2, cost="0.1")
    with Limner.open(config) as limner:
        result = limner.generate("red apple", n=5, seed=7, on_unsupported="adapt")
        again = limner.get(result.record_id)
    assert [c["n"] for c in asked] == [2, 2, 1]
    assert [i.index for i in result.images] == [0, 1, 2, 3, 4]
    assert [i.seed for i in result.images] == [7, 8, 9, 10, 11]
    assert result.cost == Cost(amount=Decimal("0.5"))
    assert [(a.field, a.asked, a.used) for a in result.adaptations] == [("n", "5", "calls of 2 + 2 + 1")]
    assert result.plan[0].calls == (2, 2, 1)
    assert [i.data for i in again.images] == [i.data for i in result.images]
    assert (again.adaptations, again.plan, again.attempts) == (result.adaptations, result.plan, result.attempts)
    sent = entries(config, result.record_id).all("attempted")
    assert [e.data["seeds"] for e in sent] == [["7", "8"], ["9", "10"], ["11"]]


def test_an_unknown_cost_makes_the_sum_unknown(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one of several calls does not say what it cost, nobody knows the sum."""
    real, count = TestProvider.generate, [0]

    async def generate(self: TestProvider, *args: Any, **rest: Any) -> Any:
        count[0] += 1
        answer = await real(self, *args, **rest)
        return answer if count[0] > 1 else dataclasses.replace(answer, cost=None)

    monkeypatch.setattr(TestProvider, "generate", generate)
    with Limner.open(house(max_n=1, cost="0.1")) as limner:
        assert limner.generate("red apple", n=2, on_unsupported="adapt").cost is None


@pytest.mark.parametrize(("seed", "told"), [("call", [["7"], ["9"]]), ("none", [[], []])])
def test_seeds_are_recorded_where_the_engine_takes_them(house: House, seed: str, told: list[list[str]]) -> None:
    """The record names no seed that the engine never heard of."""
    with Limner.open(house(max_n=2, seed=seed)) as limner:
        result = limner.generate("red apple", n=4, seed=7, on_unsupported="adapt")
    sent = entries(house(), result.record_id).all("attempted")
    assert [e.data["seeds"] for e in sent] == told
    assert "seed" in {a.field for a in result.adaptations}


def test_fewer_pictures_than_asked_is_an_error_and_they_are_kept(house: House, asked: list[Any]) -> None:
    """A short answer raises, says how many came and where they are; `get` judges, seals and delivers them."""
    with Limner.open(house(fail="short")) as limner:
        with pytest.raises(GenerationFailed, match="2 of 3") as caught:
            limner.generate("red apple", n=3)
        record_id = str(caught.value.record_id)
        assert record_id in str(caught.value)
        assert caught.value.may_have_billed
        result = limner.get(record_id)
    assert len(result.images) == 2
    assert any(w.startswith("2 of 3 pictures") for w in result.warnings)
    assert len(asked) == 1
    assert entries(house(), record_id).standing == "delivered"


def test_what_is_no_picture_counts_as_missing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file of three that cannot be decoded costs that one alone."""
    real = TestProvider.generate

    async def generate(self: TestProvider, *args: Any, **rest: Any) -> Any:
        answer = await real(self, *args, **rest)
        bad = dataclasses.replace(answer.images[1], data=answer.images[1].data[:-20], pixels=None)
        return dataclasses.replace(answer, images=(answer.images[0], bad, answer.images[2]))

    monkeypatch.setattr(TestProvider, "generate", generate)
    with Limner.open(house()) as limner:
        with pytest.raises(GenerationFailed, match="2 of 3") as caught:
            limner.generate("red apple", n=3, seed=7)
        assert [i.seed for i in limner.get(str(caught.value.record_id)).images] == [7, 9]


@pytest.mark.parametrize("fault", [GenerationFailed("no"), OutcomeUnknown("gone"), AccessDenied("key"), ValueError()])
def test_a_later_call_that_fails_loses_nothing(house: House, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    """What earlier calls gave is kept whatever becomes of a later one, and nobody else is asked for the rest."""
    real, count = TestProvider.generate, [0]

    async def generate(self: TestProvider, *args: Any, **rest: Any) -> Any:
        count[0] += 1
        if count[0] == 2:
            raise fault
        return await real(self, *args, **rest)

    monkeypatch.setattr(TestProvider, "generate", generate)
    config = house(providers={"one": {"max_n": 2}, "other": {"max_n": 2}})
    with Limner.open(config) as limner:
        with pytest.raises(GenerationFailed, match="2 of 5") as caught:
            limner.generate("red apple", n=5, on_unsupported="adapt")
        record_id = str(caught.value.record_id)
        result = limner.get(record_id)
    assert caught.value.may_have_billed
    assert count[0] == 2
    assert (len(result.images), result.provider) == (2, "one")
    assert any(w.startswith("2 of 5 pictures") for w in result.warnings)
    assert entries(config, record_id).standing == "delivered"


def test_recover_finishes_a_partial_result(house: House) -> None:
    """`recover --finish` seals what came, and says how many."""
    with Limner.open(house(fail="short")) as limner, pytest.raises(GenerationFailed):
        limner.generate("red apple", n=3)
    (found,) = recover(house(), finish=True)
    assert found.outcome.startswith("2 sealed")
    assert recover(house()) == []


# -- jobs and cancelling ---------------------------------------------------------------------------------------------


def test_submit_names_the_record_at_once(house: House) -> None:
    """A job knows its record before anything has come of it, and waits for the same result."""
    with Limner.open(house(delay=0.2)) as limner:
        job = limner.submit(ImageRequest(prompt="red apple", seed=7))
        assert not job.done
        result = job.wait()
        assert job.done
        assert result.record_id == job.record_id
        assert limner.get(job.record_id).images[0].data == result.images[0].data
        assert job.cancel() is False


async def _until_attempted(config: Config) -> None:
    with open_log(config) as log:
        while not list(log.entries(steps=["attempted"])):
            await asyncio.sleep(0.01)


def test_cancel_stops_the_engine(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is cancelled, the record ends as cancelled and says whether it may have cost, and nobody is asked."""
    real, stopped = TestProvider.generate, []

    async def generate(self: TestProvider, *args: Any, **rest: Any) -> Any:
        try:
            return await real(self, *args, **rest)
        except asyncio.CancelledError:
            stopped.append(self.name)
            raise

    monkeypatch.setattr(TestProvider, "generate", generate)

    async def scenario(config: Config) -> str:
        async with AsyncLimner.open(config) as limner:
            job = await limner.submit(ImageRequest(prompt="red apple"))
            await _until_attempted(config)
            assert await limner.cancel(job.record_id) is True
            with pytest.raises(Cancelled) as caught:
                await job.wait()
            assert caught.value.may_have_billed
            assert caught.value.record_id == job.record_id
            with pytest.raises(RequestEnded):
                await limner.get(job.record_id)
            return job.record_id

    config = house(providers=two(delay=30, cost="1"))
    record = entries(config, asyncio.run(scenario(config)))
    assert stopped == ["one"]
    assert [e.step for e in record.entries][3:] == ["attempted", "attempt_failed", "cancelled"]
    assert record.entry("cancelled").data["may_have_billed"] is True


def test_cancel_stops_a_wait(house: House) -> None:
    """A request that waits to be sent again is not sent any more, and has cost nothing."""

    async def scenario() -> str:
        config = house(fail="rate-limited", retry_after=50.0)
        async with AsyncLimner.open(config) as limner:
            job = await limner.submit(ImageRequest(prompt="red apple"))
            with open_log(config) as log:
                while not list(log.entries(steps=["attempt_failed"])):
                    await asyncio.sleep(0.01)
                    log.flush()
            assert await job.cancel() is True
            return job.record_id

    record = entries(house(), asyncio.run(_flushing(scenario)))
    assert record.entry("cancelled").data["may_have_billed"] is False
    assert len(record.all("attempted")) == 1


async def _flushing(scenario: Callable[[], Any]) -> Any:
    return await asyncio.wait_for(scenario(), 30)


def test_cancel_before_anything_was_sent(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent, the record ends as cancelled, and who waits is told so by an error of ours."""
    sent = asyncio.Event()

    async def identify(self: TestProvider, model: str | None = None) -> Any:
        sent.set()
        await asyncio.sleep(30)

    monkeypatch.setattr(TestProvider, "identify", identify)

    async def scenario() -> str:
        async with AsyncLimner.open(house()) as limner:
            job = await limner.submit(ImageRequest(prompt="red apple"))
            await sent.wait()
            assert await job.cancel() is True
            with pytest.raises(Cancelled, match="before anything was sent"):
                await job.wait()
            return job.record_id

    record = entries(house(), asyncio.run(scenario()))
    assert [e.step for e in record.entries] == ["accepted", "judged", "cancelled"]


def test_cancel_is_too_late_for_a_picture_that_came(house: House) -> None:
    """A request that is done cannot be cancelled; one that nobody knows is said to be unknown."""
    from limner.errors import RecordNotFound

    with Limner.open(house()) as limner:
        result = limner.generate("red apple")
        assert limner.cancel(result.record_id) is False
        with pytest.raises(RecordNotFound):
            limner.cancel("01900000-0000-7000-8000-000000000000")


@pytest.mark.parametrize(
    "how",
    [
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": "soon"},
        {"on_unsupported": "maybe"},
        {"provider": "nobody"},
        {"model": ""},
        {"modell": "x"},
    ],
)
def test_how_is_checked_before_a_record_begins(house: House, how: dict[str, Any]) -> None:
    """A wrong argument is named with its value, and nothing is recorded."""
    with Limner.open(house()) as limner:
        with pytest.raises(ConfigInvalid, match=next(iter(how))):
            limner.run(ImageRequest(prompt="red apple"), **how)
        with pytest.raises(ConfigInvalid, match="no request"):
            limner.run("red apple")  # type: ignore[arg-type]
    with open_log(house()) as log:
        assert not list(log.entries(steps=["accepted"]))


# -- work that its engine keeps --------------------------------------------------------------------------------------


class Keeper(TestProvider):
    """A test provider whose results can be fetched later, as a proxy's can."""

    kept: ClassVar[dict[str, Any]] = {}
    silent: ClassVar[bool] = False

    async def generate(self, request: ImageRequest, **rest: Any) -> Any:
        """Name the job, do the work, and perhaps never answer."""
        job = f"job-{len(self.kept) + 1}"
        if rest["on_event"] is not None:
            rest["on_event"](JobAccepted(job=job))
            rest["on_event"](JobAccepted(job=job))
        answer = await super().generate(request, **rest)
        self.kept[job] = dataclasses.replace(
            answer, images=tuple(dataclasses.replace(i, job=job, job_index=n + 1) for n, i in enumerate(answer.images))
        )
        if self.silent:
            raise OutcomeUnknown("No answer came.", provider=self.name, job=job)
        return self.kept[job]

    async def fetch(self, job: str, request: ImageRequest, *, model: Any = None, timeout: float | None = None) -> Any:
        """Give what was made."""
        if job not in self.kept:
            raise OutcomeUnknown("It is not known.", provider=self.name)
        return self.kept[job]


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> type[Keeper]:
    """Put a provider that keeps results in the place of the test provider."""
    import limner_providers.test

    monkeypatch.setattr(Keeper, "kept", {})
    monkeypatch.setattr(Keeper, "silent", False)
    monkeypatch.setattr(limner_providers.test, "TestProvider", Keeper)
    return Keeper


def test_a_job_is_noted_and_pictures_know_it(house: House, steps: Steps, keeper: type[Keeper]) -> None:
    """The engine's name for the work stands in the record before its answer, and a picture can be named by it."""
    with Limner.open(house()) as limner:
        result = limner.generate("red apple", n=2)
        again = limner.get(result.record_id)
    assert steps(result.record_id)[3:6] == ["attempted", "submitted", "produced"]
    assert result.attempts[0].job == "job-1"
    origins = [(i.origin.provider, i.origin.job, i.origin.index) for i in result.images if i.origin]
    assert origins == [("fake", "job-1", 1), ("fake", "job-1", 2)]
    assert [i.origin for i in again.images] == [i.origin for i in result.images]
    entries(house(), result.record_id)


def test_a_lost_answer_is_fetched_and_never_asked_again(house: House, keeper: type[Keeper], asked: list[Any]) -> None:
    """A record that ended as unknown is offered, fetched, judged, sealed and delivered; nothing is sent again."""
    keeper.silent = True
    with Limner.open(house()) as limner, pytest.raises(OutcomeUnknown) as caught:
        limner.generate("red apple", n=2, seed=7)
    record_id = str(caught.value.record_id)
    from limner.recovery import fetchable_records

    assert fetchable_records(house()) == [record_id]
    (found,) = recover(house(), fetch=True)
    assert (found.record, found.state) == (record_id, "unknown")
    assert found.outcome.startswith("2 sealed")
    with Limner.open(house()) as limner:
        result = limner.get(record_id)
    assert [i.seed for i in result.images] == [7, 8]
    assert result.attempts[0].images == 2
    assert len(asked) == 1
    assert entries(house(), record_id).standing == "delivered"
    assert fetchable_records(house()) == []
    assert recover(house(), fetch=True) == []


def test_what_is_not_there_is_not_fetched(house: House, keeper: type[Keeper]) -> None:
    """A job that its engine does not know any longer leaves the record as it is."""
    keeper.silent = True
    with Limner.open(house()) as limner, pytest.raises(OutcomeUnknown) as caught:
        limner.generate("red apple")
    keeper.kept.clear()
    (found,) = recover(house(), fetch=True)
    assert found.outcome == "not fetched: OutcomeUnknown"
    assert entries(house(), str(caught.value.record_id)).standing == "unknown"


def test_nothing_is_offered_where_nobody_keeps_results(house: House) -> None:
    """A plain unknown record stays one."""
    from limner.recovery import fetchable_records

    with Limner.open(house(fail="unknown", tells=("job",))) as limner, pytest.raises(OutcomeUnknown):
        limner.generate("red apple")
    assert fetchable_records(house()) == []
    assert recover(house(), fetch=True) == []
