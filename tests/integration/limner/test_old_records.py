"""Records that release 0.1 wrote, entry by entry, in a log of today: they are read and gone on with."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner import Limner
from limner.config import Config
from limner.errors import OutcomeUnknown, PolicyDenied, RequestEnded
from limner.reading import open_log, summaries
from limner.records import Record
from limner.recovery import recover
from limner.replaying import replay
from limner.report.rows import attempt_rows, image_rows, request_row
from limner.steps.asking import asked
from limner_provenance import AuditLog
from limner_provenance.audit import verify as verify_log

House = Callable[..., Config]
FILE = Path(__file__).parents[1] / "data" / "records-0.1.json"


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """Give the entries, with the values of their payloads."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def ids(house: House, written: dict[str, Any]) -> dict[str, str]:
    """Write them into a log of today, and give the records by what became of them."""
    config = house()
    with AuditLog.open(
        config.audit_url, state=config.state, keys_url=config.keys_url, assets_url=config.assets_url
    ) as log:
        for entry in written["entries"]:
            payloads = {name: _value(kept) for name, kept in entry["payloads"].items()}
            subject = "ann" if entry["record"] else None
            log.append(entry["step"], record=entry["record"], data=entry["data"], payloads=payloads, subject=subject)
        log.flush()
    found: dict[str, str] = written["ids"]
    return found


def _value(kept: dict[str, Any]) -> Any:
    return base64.b64decode(kept["base64"]) if "base64" in kept else kept["json"]


def test_results_are_given_as_they_were(house: House, ids: dict[str, str], written: dict[str, Any]) -> None:
    """A delivered record gives the same bytes, seeds, decisions and cost; nothing is added to it."""
    with Limner.open(house()) as limner:
        result = limner.get(ids["delivered"])
        surplus = limner.get(ids["surplus"])
    sealed = [e for e in written["entries"] if e["record"] == ids["delivered"] and e["step"] == "sealed"]
    assert [i.data for i in result.images] == [_value(e["payloads"]["asset"]) for e in sealed]
    assert [i.seed for i in result.images] == [7, 8]
    assert (result.provider, result.model) == ("fake", "limner-test")
    assert result.cost is not None
    assert str(result.cost.amount) == "0.022"
    assert [(a.number, a.n, a.images, a.error) for a in result.attempts] == [(1, 2, 2, None)]
    assert [(c.provider, c.left_out, c.calls) for c in result.plan] == [("fake", (), (2,))]
    assert (result.adaptations, result.surplus) == ((), ())
    # What was handed out then as an image of the result still is one.
    assert (len(surplus.images), surplus.surplus) == (2, ())
    with open_log(house()) as log:
        assert len(Record.load(log, ids["delivered"]).all("delivered")) == 1
        assert verify_log(log).ok


def test_the_request_is_read_back(house: House, ids: dict[str, str]) -> None:
    """What was asked then is a request of today with every field."""
    with open_log(house()) as log:
        what = asked(Record.load(log, ids["delivered"]))
    request = what.request
    assert (request.prompt, request.negative_prompt, request.size, request.n, request.seed) == (
        "red apple", "blur", "16x16", 2, 7,
    )  # fmt: skip
    assert (request.guidance_scale, request.scheduler, request.task) == (7.5, "ddim", "txt2img")
    assert (what.on_unsupported, what.timeout, what.context.user) == ("error", None, "ann")


@pytest.mark.parametrize(
    ("name", "error"),
    [("denied", PolicyDenied), ("failed", RequestEnded), ("unsupported", RequestEnded), ("unknown", OutcomeUnknown)],
)
def test_ends_stay_ends(house: House, ids: dict[str, str], name: str, error: type[Exception]) -> None:
    """A record that ended without a picture ends the same way again."""
    with Limner.open(house()) as limner, pytest.raises(error):
        limner.get(ids[name])


def test_pictures_that_were_not_sealed_yet_are(house: House, ids: dict[str, str]) -> None:
    """A record that the old release left after `produced` is judged, sealed and delivered by this one."""
    assert [f.record for f in recover(house())] == [ids["produced"]]
    (done,) = recover(house(), finish=True, fetch=True)
    assert done.outcome.startswith("2 sealed")
    with Limner.open(house()) as limner:
        assert [i.seed for i in limner.get(ids["produced"]).images] == [3, 4]


def test_judgements_are_replayed(house: House, ids: dict[str, str]) -> None:
    """Every recorded judgement is decided again, and comes out as it did."""
    with open_log(house()) as log:
        for record_id in ids.values():
            record = Record.load(log, record_id)
            for entry in record.all("judged"):
                where: dict[str, Any] = {k: entry.data[k] for k in ("stage", "image") if k in entry.data}
                assert replay(record, where).verdict.value == entry.data["verdict"]
            planned = record.find("planned")
            for place, leaf in enumerate(planned.data["candidates"] if planned else ()):
                assert replay(record, {"stage": "candidate", "candidate": place}).verdict.value == leaf["verdict"]


def test_reports_and_lists_read_them(house: House, ids: dict[str, str]) -> None:
    """The rows of the report and the list of records hold them beside new ones."""
    with open_log(house()) as log:
        assert len(summaries(log, 100)) == len(ids)
        rows = {name: list(log.entries(record=record)) for name, record in ids.items()}
    assert [request_row(entries)["irregular"] for entries in rows.values()] == [0] * len(ids)
    assert [row["outcome"] for row in attempt_rows(rows["unknown"])] == ["unknown"]
    assert [(row["image"], row["delivered"], row["provider"]) for row in image_rows(rows["surplus"])] == [
        (0, True, "fake"),
        (1, True, "fake"),
    ]
