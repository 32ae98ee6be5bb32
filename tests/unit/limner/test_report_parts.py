"""The small parts of the audit report that need neither a log nor a figure."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from decimal import Decimal

import pytest

from limner.report.durations import part_rows, step_rows
from limner.report.errors import ExtraMissing, LogNotClean
from limner.report.libraries import polars
from limner.report.rows import attempt_rows, hit_rows, image_rows, request_row
from limner.report.selection import Selection
from limner.report.style import COLOURS, count, percent
from limner.report.tables import Table
from limner_provenance.entries import Entry, make_entry


def entry(step: str, time: str = "2026-11-24T10:00:00.000000Z", **data: object) -> Entry:
    """Make an entry of one record at a moment."""
    import dataclasses

    return dataclasses.replace(make_entry(step, "r1", data, {}), time=time, index=0)


def test_importing_the_report_loads_nothing_heavy() -> None:
    """`import limner.report` loads no polars, matplotlib, numpy or database."""
    program = (
        "import sys, limner.report, limner.report.errors\n"
        "print(sorted({'polars', 'matplotlib', 'numpy', 'sqlalchemy', 'PIL'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lacks polars reads what to install."""
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ExtraMissing, match=r"pip install 'limner\[notebooks\]'"):
        polars()


def test_a_selection_is_half_open_and_in_utc() -> None:
    """SINCE counts, UNTIL does not; a time without a zone is UTC, another zone is translated."""
    november = Selection.of(since=date(2026, 11, 1), until="2026-12-01")
    assert november.covers("2026-11-01T00:00:00.000000Z", set())
    assert not november.covers("2026-12-01T00:00:00.000000Z", set())
    assert not november.covers("2026-10-31T23:59:59.999999Z", set())
    assert Selection.of(since="2026-11-01T01:00:00+01:00").covers("2026-11-01T00:00:00.000000Z", set())


def test_a_provider_selects_what_was_sent_to_it() -> None:
    """A request that was refused before any engine belongs to no provider."""
    studio = Selection.of(provider="studio")
    assert studio.covers("2026-11-01T00:00:00.000000Z", {"studio", "other"})
    assert not studio.covers("2026-11-01T00:00:00.000000Z", set())


@pytest.mark.parametrize(
    ("since", "until", "said"),
    [
        ("yesterday", None, "SINCE='yesterday'"),
        (None, "2026-13-01", "UNTIL='2026-13-01'"),
        ("2026-12-01", "2026-11-01", "not before"),
    ],
)
def test_a_wrong_period_names_field_and_value(since: str | None, until: str | None, said: str) -> None:
    """A moment that cannot be read, or an empty period, is an error and not an empty report."""
    with pytest.raises(Exception, match=said):
        Selection.of(since=since, until=until)


def test_a_clock_set_back_gives_no_negative_time() -> None:
    """A step that seems to end before it began has no duration, and is not 0 either."""
    entries = [
        entry("accepted", "2026-11-24T10:00:01.000000Z"),
        entry("judged", "2026-11-24T10:00:00.000000Z", stage="request"),
        entry("planned", "2026-11-24T10:00:00.250000Z"),
    ]
    assert [(r["step"], r["us"]) for r in step_rows(entries)] == [("judge request", None), ("plan", 250_000)]


def test_a_persons_time_is_no_step() -> None:
    """Days that a review took are not counted as time of the machine."""
    entries = [entry("in_review"), entry("approved"), entry("planned", "2026-11-27T10:00:00.000000Z")]
    assert list(step_rows(entries)) == []


def test_detectors_are_counted_once_a_request() -> None:
    """Each picture's entry repeats the duration of all pictures together."""
    entries = [entry("judged", stage="image", image=i, detectors_us=900) for i in range(3)]
    assert list(part_rows(entries)) == [{"record": "r1", "part": "detectors", "us": 900}]


def test_an_attempt_nobody_heard_of_again_has_an_unknown_cost() -> None:
    """An open attempt may have been billed: its cost is unknown, never nothing."""
    (row,) = attempt_rows([entry("attempted", provider="p", kind="test", model="m")])
    assert (row["outcome"], row["billing"], row["amount"]) == ("open", "unknown", None)


def test_a_failed_attempt_that_was_never_billed_costs_nothing() -> None:
    """Only what the engine says to have billed nothing counts as nothing."""
    sent = entry("attempted", provider="p", kind="test", model="m")
    refused = entry("attempt_failed", error="EngineUnavailable", may_have_billed=False)
    failed = entry("attempt_failed", error="GenerationFailed", may_have_billed=True)
    assert [next(attempt_rows([sent, end]))["billing"] for end in (refused, failed)] == ["nothing", "unknown"]


def test_a_retry_is_an_attempt_of_its_own() -> None:
    """Two calls to an engine are two attempts, each with its own outcome."""
    sent = entry("attempted", provider="p", kind="test", model="m")
    model = {"name": "m", "sha256": None, "licence": None}
    made = entry("produced", model=model, images=[], cost={"amount": "0.10", "currency": "USD"})
    rows = list(attempt_rows([sent, entry("attempt_failed", error="RateLimited", may_have_billed=False), sent, made]))
    assert [(r["outcome"], r["billing"]) for r in rows] == [("failed", "nothing"), ("produced", "known")]
    assert Decimal(rows[1]["amount"]) == Decimal("0.1")


def test_a_record_without_an_end_is_unfinished() -> None:
    """What a crash left has no outcome of its own."""
    row = request_row([entry("accepted", request={"n": "2", "task": "txt2img"}), entry("judged", stage="request")])
    assert (row["outcome"], row["state"], row["n"]) == ("unfinished", "judged:request", 2)


def test_rules_that_only_record_do_not_decide() -> None:
    """A hit in audit or warn mode is no decision; a failed evaluation is one in any mode."""
    hits = [
        {"rule": "A", "stage": "request", "mode": "audit", "verdict": "deny"},
        {"rule": "B", "stage": "request", "mode": "warn", "verdict": "deny", "failed": True},
        {"rule": "C", "stage": "request", "mode": "enforce", "verdict": "deny"},
    ]
    rows = hit_rows([entry("judged", stage="request", hits=hits)])
    assert [(r["rule"], r["combined"]) for r in rows] == [("A", False), ("B", True), ("C", True)]


def test_a_record_without_pictures_has_no_picture_rows() -> None:
    """A denied request shows nothing on the wall."""
    assert list(image_rows([entry("accepted"), entry("denied")])) == []


def test_small_shares_are_never_written_as_none() -> None:
    """A rule that fired once in a million fired."""
    assert [percent(share) for share in (0, 0.0000001, 0.0473, 0.5)] == ["0.0 %", "< 0.1 %", "4.7 %", "50 %"]
    assert [count(n, "entry", "entries") for n in (1, 2, 1000)] == ["1 entry", "2 entries", "1,000 entries"]


def test_every_verdict_and_outcome_has_its_own_colour() -> None:
    """Colours are fixed: allow and delivered share one, so do deny and denied, and no two others do."""
    verdicts = ("allow", "allow_with_duties", "review", "deny")
    outcomes = ("delivered", "denied", "in_review", "failed", "unknown", "cancelled", "unfinished")
    assert len({COLOURS[name] for name in verdicts}) == len(verdicts)
    assert len({COLOURS[name] for name in outcomes}) == len(outcomes)
    assert (COLOURS["allow"], COLOURS["deny"]) == (COLOURS["delivered"], COLOURS["denied"])


def test_a_table_shows_text_as_text() -> None:
    """What a caller wrote cannot become markup of the report; None is shown as —."""
    shown = Table("<b>", ("tenant", "n"), (("<script>alert(1)</script>", 1), (None, 2)))._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "—" in shown
    assert "http" not in shown


def test_the_public_names_are_few_and_sorted() -> None:
    """What a notebook imports from `limner.report` is this list, and each name is there."""
    import limner.report

    assert limner.report.__all__ == [
        "History", "Integrity", "LogNotClean", "ReportError", "Selection", "Wall", "examine", "log_or_sample",
        "make_sample", "open_pictures", "read_history",
    ]  # fmt: skip
    assert all(getattr(limner.report, name) for name in limner.report.__all__)


def test_a_log_that_is_not_clean_names_its_first_findings() -> None:
    """The error shows where to look and how many more there are."""
    error = LogNotClean([f"entry {i}: changed" for i in range(5)])
    assert "entry 0: changed" in str(error)
    assert "and 2 more" in str(error)
    assert len(error.findings) == 5
