"""Answers of the two proxies, and what they mean for who pays."""

from __future__ import annotations

from typing import Any

import pytest

from limner_providers._midjourney_wire import Submitted, failure, read_submitted, read_task, refused
from limner_providers.errors import (
    AccessDenied,
    Cancelled,
    EngineUnavailable,
    GenerationFailed,
    ModerationBlocked,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    UnsupportedRequest,
)


def submit(code: int, description: str = "", **properties: Any) -> Submitted:
    """Make a refused submit."""
    found = read_submitted({"code": code, "description": description, "result": None, "properties": properties})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("code", "description", "kind", "retry_safe"),
    [
        (23, "队列已满，请稍后尝试", RateLimited, True),
        (9, "提交失败，队列已满，请稍后重试", RateLimited, True),
        (4, "并发数已达上限", RateLimited, True),
        (4, "用户今日绘图次数已达上限", QuotaExhausted, False),
        (4, "账号已被临时封锁，请勿使用违规词作图", AccessDenied, False),
        (4, "禁止上传", AccessDenied, False),
        (3, "无可用的账号实例", EngineUnavailable, True),
        (3, "something new", EngineUnavailable, True),
        (4, "prompt不能为空", GenerationFailed, False),
        (9, "提交失败，系统异常", GenerationFailed, False),
        (77, "?", GenerationFailed, False),
        (4, "可能包含敏感词", ModerationBlocked, False),
    ],
)
def test_a_refused_submit_is_typed_and_costs_nothing(
    code: int, description: str, kind: type[ProviderError], retry_safe: bool
) -> None:
    """Each code and each known phrase is an error of its own; nothing was queued, so nothing is billed."""
    error = refused(submit(code, description), provider="mj")
    assert type(error) is kind
    assert (error.retry_safe, error.may_have_billed) == (retry_safe, False)
    assert error.remedy
    assert description not in str(error) or description == "?"


def test_a_parent_that_is_gone_is_about_the_origin() -> None:
    """Code 3 of work on a picture means the picture."""
    for description in ("关联任务不存在或已失效", "gone"):
        error = refused(submit(3, description), provider="mj", origin="77")
        assert isinstance(error, UnsupportedRequest)
        assert error.field == "origin"


def test_a_banned_word_is_evidence_and_in_no_message() -> None:
    """Code 24 is the proxy's moderation, of the input; the word stands in `matched` alone."""
    error = refused(submit(24, "可能包含敏感词", promptEn="a gore scene", bannedWord="gore"), provider="mj")
    assert isinstance(error, ModerationBlocked)
    assert (error.stage, error.categories, error.matched) == ("input", ("banned word",), ("gore",))
    assert "gore" not in str(error)
    assert not error.fallback_safe


@pytest.mark.parametrize("told", [None, [], "ok", 1, {"result": "5"}, {"code": "1"}, {"code": True}, {"code": None}])
def test_what_is_no_submit_result_is_none(told: Any) -> None:
    """An answer without a numeric code says nothing of what became of the submit."""
    assert read_submitted(told) is None


@pytest.mark.parametrize("result", [None, "", "a/b", "x" * 129, {"id": 1}, [], True, "a b"])
def test_only_a_plain_id_is_a_job(result: Any) -> None:
    """A strange id is none: it would go into an address."""
    found = read_submitted({"code": 1, "result": result})
    assert found is not None
    assert found.job is None


def test_an_id_may_be_a_number() -> None:
    """Proxies of other makers write it so."""
    found = read_submitted({"code": 1, "result": 1320098173412546, "properties": None})
    assert found == Submitted(code=1, job="1320098173412546")


@pytest.mark.parametrize(
    ("reason", "kind", "billed", "words"),
    [
        ("任务超时", GenerationFailed, True, "gave up waiting"),
        ("取消任务", Cancelled, True, "cancelled"),
        ("[Invalid parameter] Unrecognized parameter(s): `--foo`", GenerationFailed, False, "(Invalid parameter)"),
        ("[Queue full] You have 10 jobs", RateLimited, False, "queue is full"),
        ("Credits exhausted", QuotaExhausted, False, "used up"),
        ("Subscription required", AccessDenied, False, "subscription"),
        ("something else", GenerationFailed, True, "no reason that is known"),
    ],
)
def test_a_failed_task_is_typed_and_names_its_job(
    reason: str, kind: type[ProviderError], billed: bool, words: str
) -> None:
    """The reason decides whether Midjourney may have been paid; its text is not repeated."""
    task = read_task({"id": "7", "status": "FAILURE", "failReason": reason, "startTime": 5, "progress": ""})
    assert task is not None
    error = failure(task, provider="mj")
    assert type(error) is kind
    assert (error.job, error.may_have_billed) == ("7", billed)
    assert words in str(error)
    assert "foo" not in str(error)
    if billed:
        assert not error.retry_safe


def test_work_that_never_began_cost_nothing() -> None:
    """Without a start and without progress an unknown reason is no danger of paying twice."""
    task = read_task({"id": "7", "status": "FAILURE", "failReason": "?"})
    assert task is not None
    assert failure(task, provider="mj").fallback_safe


@pytest.mark.parametrize(
    ("reason", "stage", "category", "matched"),
    [
        ("[Banned prompt detected] The word `blood` is banned", "input", "Banned prompt detected", ("blood",)),
        ("可能包含敏感词", "input", "prompt", ()),
        ("Request cancelled due to output filters", "output", "prompt", ()),
        ("[Sorry] Our AI moderator thinks this is not okay", None, "Sorry", ()),
    ],
)
def test_moderation_after_acceptance_is_told_apart(
    reason: str, stage: str | None, category: str, matched: tuple[str, ...]
) -> None:
    """Midjourney's own moderation is no failure: it is kept as evidence; words of the prompt are kept apart."""
    task = read_task({"id": "7", "status": "FAILURE", "failReason": reason})
    assert task is not None
    error = failure(task, provider="mj")
    assert isinstance(error, ModerationBlocked)
    assert (error.stage, error.categories, error.matched) == (stage, (category,), matched)
    assert "blood" not in str(error)


@pytest.mark.parametrize("told", [None, [], "x", {}, {"id": None}, {"id": {}}])
def test_an_unknown_task_is_none(told: Any) -> None:
    """An id that the proxy does not know is answered by null (novicezk)."""
    assert read_task(told) is None


@pytest.mark.parametrize(
    ("progress", "percent"),
    [("45%", 45), ("100%", 100), ("999%", 100), ("", None), ("Waiting to start", None), (None, None), (45, None)],
)
def test_progress_is_read_from_whatever_is_told(progress: Any, percent: int | None) -> None:
    """It is a text, sometimes without a number."""
    task = read_task({"id": "7", "progress": progress})
    assert task is not None
    assert task.progress == percent


def test_a_grid_is_told_from_a_single_picture() -> None:
    """The kind of work says it, and for kinds that only trueai has, the buttons."""
    buttons = [{"customId": "MJ::JOB::upsample::1::x"}, None, {"label": "no id"}, "text"]
    cases: list[tuple[dict[str, Any], bool]] = [
        ({"action": "IMAGINE"}, True),
        ({"action": "variation"}, True),
        ({"action": "UPSCALE", "buttons": buttons}, False),
        ({"action": "UPSCALE_HD"}, False),
        ({"action": "EDIT", "buttons": buttons}, True),
        ({"action": "EDIT"}, False),
    ]
    for fields, grid in cases:
        task = read_task({"id": "7", **fields})
        assert task is not None
        assert task.is_grid is grid, fields


def test_addresses_are_read_in_both_shapes_and_shown_in_no_repr() -> None:
    """`imageUrls` holds objects or texts; a signed address is a secret."""
    urls = [{"url": "https://a/1?hm=s3cret"}, "https://a/2", {"thumbnail": "x"}, 5]
    task = read_task({"id": "7", "imageUrl": "https://a/g?hm=s3cret", "imageUrls": urls, "prompt": "secret words"})
    assert task is not None
    assert task.image_urls == ("https://a/1?hm=s3cret", "https://a/2")
    assert "s3cret" not in repr(task)
    assert "secret words" not in repr(task)


def test_a_list_of_singles_without_end_is_not_believed() -> None:
    """Each address is fetched, so a proxy could make us ask ten thousand hosts."""
    task = read_task({"id": "7", "imageUrls": [f"https://a/{i}" for i in range(10_000)]})
    assert task is not None
    assert len(task.image_urls) == 16
