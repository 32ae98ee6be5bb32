"""One failure at a time, at every step: how the record ends, what is kept, and that `recover` and `get` agree."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from limner import AsyncLimner, Limner, verify_file
from limner.config import Config
from limner.errors import (
    DatabaseUnavailable,
    GenerationFailed,
    OutcomeUnknown,
    PolicyDenied,
    RequestEnded,
    StorageUnavailable,
    UnsupportedRequest,
)
from limner.pipeline import run
from limner.reading import open_log, summaries
from limner.records import Record
from limner.recovery import recover
from limner.runtime import Runtime
from limner_provenance import AuditLog
from limner_provenance.assets import FileAssets
from limner_provenance.audit import verify
from limner_provenance.committing import Committer
from limner_provenance.states import label_of
from limner_providers.test import TestProvider

House = Callable[..., Config]
BEFORE = ("accepted", "judged:request", "planned")
AFTER = ("produced", "judged:image", "sealed", "delivered")
ALL = (*BEFORE, "attempted", *AFTER)


class KilledError(BaseException):
    """Nothing of ours catches it, as nothing survives a kill."""


async def ask(config: Config, prompt: str = "red apple") -> Any:
    """Make one request for two pictures."""
    async with AsyncLimner.open(config, context={"user": "ann"}) as limner:
        return await limner.generate(prompt, seed=1, n=2)


def get(config: Config, record: str) -> Any:
    """Fetch a record's result in a later process."""
    with Limner.open(config) as limner:
        return limner.get(record)


@contextmanager
def killed_at(step: str, *, after: bool) -> Iterator[None]:
    """Die when an entry is added: before it is, or once it is on the disk."""
    real = Record.add
    armed = [True]

    async def add(self: Record, name: str, data: Any, payloads: Any = None, **more: Any) -> Any:
        if not armed[0] or label_of(name, data) != step:
            return await real(self, name, data, payloads, **more)
        armed[0] = False
        if after:
            await real(self, name, data, payloads, apart=more.get("apart", ()))
        await self.settle()
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Record, "add", add)
        yield


def left(config: Config) -> tuple[str, list[str]]:
    """Give the only record and its steps, after checking that nothing in the log is odd."""
    with open_log(config) as log:
        (state,) = log.records()
        steps = [label_of(e.step, e.data) for e in log.entries(record=state.record)]
        assert state.irregular == ()
        assert [f for f in verify(log).findings if f.severity != "information"] == []
    return str(state.record), steps


def ends_well(config: Config) -> None:
    """Finish what is unfinished: both pictures are there, signed and in the log."""
    record, _ = left(config)
    recover(config, finish=True)
    result = get(config, record)
    assert len(result.images) == 2
    _, steps = left(config)
    assert (steps.count("attempted"), steps.count("sealed"), steps[-1]) == (1, 2, "delivered")
    for image in result.images:
        path = config.root / f"{image.index}.png"
        image.save(path)
        assert verify_file(path, config=config).good


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ALL)
def test_a_kill_at_any_entry(step: str, after: bool, house: House) -> None:
    """Before the attempt a record ends as cancelled, with an open attempt as unknown, with pictures as delivered."""
    with killed_at(step, after=after), pytest.raises(KilledError):
        asyncio.run(ask(house()))
    if step == "accepted" and not after:
        return
    if step in BEFORE or (step == "attempted" and not after):
        expected: type[Exception] | None = RequestEnded
    else:
        expected = OutcomeUnknown if step == "attempted" or (step == "produced" and not after) else None
    if expected is None:
        ends_well(house())
        return
    record, _ = left(house())
    assert len(recover(house(), finish=True)) == 1
    with pytest.raises(expected):
        get(house(), record)
    assert left(house())[1][-1] == ("unknown" if expected is OutcomeUnknown else "cancelled")


def test_a_denial_that_was_not_written_yet_is_still_one(house: House) -> None:
    """Killed between a judgement and the refusal that follows, a request is refused by `get`, and never sent."""
    with killed_at("denied", after=False), pytest.raises(KilledError):
        asyncio.run(ask(house(), "a forbidden thing"))
    record, steps = left(house())
    assert steps == ["accepted", "judged:request"]
    with pytest.raises(PolicyDenied):
        get(house(), record)
    assert left(house())[1] == ["accepted", "judged:request", "denied"]


def test_a_plan_without_a_candidate_stays_one(house: House) -> None:
    """Killed between a plan that fits nobody and its end, a request is not sent by `get`, and says why."""
    with killed_at("failed", after=False), pytest.raises(KilledError):
        asyncio.run(_too_large(house()))
    record, steps = left(house())
    assert steps[-1] == "planned"
    with pytest.raises(UnsupportedRequest):
        get(house(), record)
    assert left(house())[1][-1] == "failed"


async def _too_large(config: Config) -> None:
    async with AsyncLimner.open(config) as limner:
        await limner.generate("red apple", scheduler="no-such-scheduler")


def test_two_runs_of_one_record_send_it_once(house: House) -> None:
    """Whoever gets the record's lock second sees what the first one did, and gives the same bytes."""
    with killed_at("attempted", after=False), pytest.raises(KilledError):
        asyncio.run(ask(house()))
    record, _ = left(house())

    async def both() -> list[Any]:
        runtimes = [Runtime.open(house()), Runtime.open(house())]
        loaded = [Record.load(runtime.log, record) for runtime in runtimes]
        results = [await run(mine, runtime) for mine, runtime in zip(loaded, runtimes, strict=True)]
        for runtime in runtimes:
            await runtime.close()
        return results

    first, second = asyncio.run(both())
    assert [i.data for i in first.images] == [i.data for i in second.images]
    assert left(house())[1].count("attempted") == 1


@pytest.mark.parametrize("step", ALL)
def test_a_commit_that_fails_once(step: str, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full for a moment loses no paid picture, leaves no gap, and tells the caller."""
    real, armed = Committer.commit, [True]

    def commit(self: Committer, drafts: Any) -> Any:
        if armed[0] and any(label_of(d.entry.step, d.entry.data) == step for d in drafts):
            armed[0] = False
            raise DatabaseUnavailable("The disk is full.")
        return real(self, drafts)

    monkeypatch.setattr(Committer, "commit", commit)
    if step == "delivered":
        assert len(asyncio.run(ask(house())).images) == 2
    else:
        with pytest.raises(DatabaseUnavailable) as caught:
            asyncio.run(ask(house()))
        assert caught.value.__dict__["record_id"] == left(house())[0]
    if step in AFTER:
        ends_well(house())
    else:
        assert left(house())[1] == ["accepted", "judged:request", "planned", "failed"]


@pytest.mark.parametrize("step", ALL)
def test_an_append_that_fails(step: str, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused entry ends the record, as unknown where an engine may have been paid; pictures on disk are kept."""
    real, armed = AuditLog.append, [True]

    def append(self: AuditLog, name: str, *, data: Any = None, **rest: Any) -> Any:
        if armed[0] and label_of(name, data or {}) == step:
            armed[0] = False
            raise DatabaseUnavailable("The log was closed.")
        return real(self, name, data=data, **rest)

    monkeypatch.setattr(AuditLog, "append", append)
    with pytest.raises(DatabaseUnavailable):
        asyncio.run(ask(house()))
    if step == "accepted":
        with open_log(house()) as log:
            assert log.records() == []
    elif step in ("judged:image", "sealed", "delivered"):
        ends_well(house())
    else:
        assert left(house())[1][-1] == ("unknown" if step == "produced" else "failed")


@pytest.mark.parametrize("number", range(1, 5))
def test_an_object_that_cannot_be_stored(number: int, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """No entry says sealed without its object; what is paid for is sealed later."""
    real, count = FileAssets.write, [0]

    def write(self: FileAssets, name: str, data: bytes) -> None:
        count[0] += 1
        if count[0] == number + 1:
            raise StorageUnavailable("The disk is full.")
        real(self, name, data)

    monkeypatch.setattr(FileAssets, "write", write)
    with pytest.raises(StorageUnavailable):
        asyncio.run(ask(house()))
    ends_well(house())


def test_a_pack_that_cannot_be_kept_stops_the_request(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request is judged by a pack that nobody could replay it with."""

    def write(*_: Any) -> None:
        raise StorageUnavailable("The disk is full.")

    monkeypatch.setattr(FileAssets, "write", write)
    with pytest.raises(StorageUnavailable):
        asyncio.run(ask(house()))
    with open_log(house()) as log:
        assert log.records() == []


def test_what_is_no_picture_ends_the_record(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that gives garbage has failed, and may have billed; nothing stays unfinished for ever."""
    real = TestProvider.generate

    async def generate(self: TestProvider, *args: Any, **rest: Any) -> Any:
        answer = await real(self, *args, **rest)
        return dataclasses.replace(
            answer, images=tuple(dataclasses.replace(i, data=b"garbage", pixels=None) for i in answer.images)
        )

    monkeypatch.setattr(TestProvider, "generate", generate)
    with pytest.raises(GenerationFailed) as caught:
        asyncio.run(ask(house()))
    assert caught.value.may_have_billed
    assert left(house())[1][-2:] == ["attempt_failed", "failed"]


def test_nothing_is_sent_before_the_attempt_is_on_disk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine, asked, finds its own attempt through another connection to the database."""
    real, seen = TestProvider.generate, []

    async def generate(self: TestProvider, *args: Any, **rest: Any) -> Any:
        with closing(sqlite3.connect(house().state / "audit.db")) as other:
            seen.extend(other.execute("SELECT step FROM entry WHERE record IS NOT NULL ORDER BY idx").fetchall())
        return await real(self, *args, **rest)

    monkeypatch.setattr(TestProvider, "generate", generate)
    asyncio.run(ask(house()))
    assert [step for (step,) in seen] == ["accepted", "judged", "planned", "attempted"]


def test_an_erased_record_is_shown_and_keeps_no_other_from_being_finished(house: House) -> None:
    """After an erasure the log can still be listed, and recovery goes on past a record that cannot be read."""
    with killed_at("sealed", after=False), pytest.raises(KilledError):
        asyncio.run(ask(house()))
    with Limner.open(house(), context={"user": "bob"}) as limner:
        limner.generate("red apple", seed=1)
    with closing(AuditLog.open(house().audit_url, state=house().state)) as log:
        log.erase(subject="ann")
    with open_log(house()) as log:
        assert len(summaries(log, 10)) == 2
    (found,) = recover(house(), finish=True)
    assert "PayloadErased" in found.outcome


def test_a_checkpoint_that_the_log_did_not_sign_proves_nothing(house: House, tmp_path: Path) -> None:
    """`verify FILE` checks the signature of the checkpoint that it rests on."""
    path = tmp_path / "apple.png"
    with Limner.open(house()) as limner:
        limner.generate("red apple", seed=1).images[0].save(path)
    assert verify_file(path, config=house()).good
    with closing(sqlite3.connect(house().state / "audit.db")) as connection:
        connection.execute("DROP TRIGGER checkpoint_update")
        size, note = connection.execute("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
        head, _, signature = note.rpartition(" ")
        forged = f"{head} {signature[:20]}{'A' if signature[20] != 'A' else 'B'}{signature[21:]}"
        connection.execute("UPDATE checkpoint SET note = ? WHERE size = ?", (forged, size))
        connection.commit()
    found = verify_file(path, config=house())
    assert not found.good
    assert [step.result for step in found.steps] == ["good", "good", "bad", "skipped", "skipped"]


@pytest.mark.parametrize("change", ["replace(leaf, 'limner/', 'limner-')", "'{}'", "replace(leaf, '+A', '+B')"])
def test_a_log_that_denies_its_name_does_not_pass_for_another(change: str, house: House, tmp_path: Path) -> None:
    """With a changed entry 0, `verify FILE` does not say that the picture is of some other log."""
    path = tmp_path / "apple.png"
    with Limner.open(house()) as limner:
        limner.generate("red apple", seed=1).images[0].save(path)
    with closing(sqlite3.connect(house().state / "audit.db")) as connection:
        connection.execute("DROP TRIGGER entry_update")
        connection.execute(f"UPDATE entry SET leaf = {change} WHERE idx = 0")
        connection.commit()
    assert not verify_file(path, config=house()).good


def test_no_representation_holds_a_secret(house: House) -> None:
    """What a traceback may show of a configuration holds neither the key-encryption key nor a provider's key."""
    config = Config.model_validate(
        {"keys": {"kek": "0123" * 16}, "providers": {"a": {"kind": "openai", "api_key": "top-secret"}}}
    )
    assert "0123" not in repr(config.keys)
    assert "top-secret" not in f"{config!r} {config}"


def test_no_file_holds_what_was_asked(house: House) -> None:
    """Prompt and user are nowhere in clear under the state folder, nor is the key-encryption key in a database."""
    prompt, user = "a purple walrus quartet", "ann.smith.4711"
    with Limner.open(house(), context={"user": user}) as limner:
        limner.generate(prompt, seed=1)
        with pytest.raises(PolicyDenied):
            limner.generate(f"{prompt} forbidden")
        secrets = [prompt.encode(), user.encode(), (house().state / "keys" / "kek").read_bytes().strip()]
        for path in (p for p in house().state.rglob("*") if p.is_file()):
            data = path.read_bytes()
            assert [secret for secret in secrets if secret in data and path.name != "kek"] == [], path
