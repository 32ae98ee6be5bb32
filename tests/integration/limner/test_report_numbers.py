"""Every number of the audit report, recomputed by plain SQL on the same database."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from limner.report import (
    History,
    Wall,
    charts,
    charts_cost,
    charts_wall,
    examine,
    make_sample,
    numbers,
    open_pictures,
    page,
    read_history,
)
from limner.report.libraries import polars
from limner.report.pictures import credential_rows

pytest.importorskip("polars")
pytest.importorskip("matplotlib")

Sql = Callable[..., list[tuple[Any, ...]]]

OUTCOME = """
    SELECT record, CASE
        WHEN SUM(step = 'delivered') THEN 'delivered' WHEN SUM(step = 'denied') THEN 'denied'
        WHEN SUM(step = 'failed') THEN 'failed' WHEN SUM(step = 'unknown') THEN 'unknown'
        WHEN SUM(step = 'cancelled') THEN 'cancelled' WHEN SUM(step = 'in_review') THEN 'in_review'
        ELSE 'unfinished' END AS outcome
    FROM entry WHERE record IS NOT NULL GROUP BY record"""
MICROSECONDS = "CAST(strftime('%s', substr({0}, 1, 19)) AS INTEGER) * 1000000 + CAST(substr({0}, 21, 6) AS INTEGER)"
FIGURES = (
    charts.requests_over_time,
    charts.verdicts_by_stage,
    charts.rules_that_fired,
    charts_cost.where_the_time_goes,
    charts_cost.costs_by_currency,
    charts_cost.scores_and_thresholds,
)
UNITS = {"s": 1, "m": 60, "h": 3600}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the report's own sample history, without the starter model, and give its folder."""
    folder = tmp_path_factory.mktemp("sample")
    make_sample(folder, starter=False)
    return folder


@pytest.fixture(scope="module")
def history(sample: Path) -> History:
    """Read the sample's history."""
    return read_history(examine(sample / "limner.yaml"))


@pytest.fixture(scope="module")
def wall(history: History) -> Wall:
    """Open the sample's pictures."""
    return open_pictures(history, limit=1000)


@pytest.fixture(scope="module")
def sql(sample: Path) -> Iterator[Sql]:
    """Give a function that asks the audit database by plain SQL."""
    connection = sqlite3.connect(f"file:{sample / '.limner' / 'audit.db'}?mode=ro", uri=True)

    def ask(query: str, *values: Any) -> list[tuple[Any, ...]]:
        return connection.execute(query, values).fetchall()

    yield ask
    connection.close()


def test_the_sample_shows_every_kind_of_end(history: History) -> None:
    """The sample holds what a report has to be able to show: an empty figure would prove nothing."""
    assert set(history.requests["outcome"]) == {"delivered", "denied", "failed", "unknown", "in_review", "unfinished"}
    assert set(history.hits["stage"]) >= {"request", "candidate"}
    assert history.integrity.verdict == "VALID-WITH-ERASURE"


def test_outcomes(history: History, sql: Sql) -> None:
    """Requests by outcome equal a CASE over each record's steps, and their shares are of the total."""
    expected: dict[str, int] = dict(sql(f"SELECT outcome, COUNT(*) FROM ({OUTCOME}) GROUP BY outcome"))
    found = numbers.outcomes(history)
    assert dict(found.select("outcome", "requests").rows()) == expected
    assert found["share"].sum() == pytest.approx(1)
    for requests, share in found.select("requests", "share").rows():
        assert share == pytest.approx(requests / sum(expected.values()))


def test_over_time(history: History, sql: Sql) -> None:
    """Bars of time equal a GROUP BY over the seconds of the `accepted` entries."""
    width = numbers.bucket(history)
    seconds = int(width[:-1]) * UNITS[width[-1]]
    expected = sql(
        f"""SELECT CAST(strftime('%s', substr(time, 1, 19)) AS INTEGER) / ? * ? AS start, outcome, COUNT(*)
        FROM entry JOIN ({OUTCOME}) AS ended USING (record) WHERE step = 'accepted' GROUP BY start, outcome""",
        seconds,
        seconds,
    )
    found = numbers.over_time(history)
    assert sorted((int(s.timestamp()), o, n) for s, o, n in found.rows()) == sorted(expected)


def test_verdicts(history: History, sql: Sql) -> None:
    """Verdicts by stage equal a count over `judged` entries and the candidates of `planned` entries."""
    expected = sql(
        """SELECT json_extract(leaf, '$.data.stage'), json_extract(leaf, '$.data.verdict'), COUNT(*)
        FROM entry WHERE step = 'judged' GROUP BY 1, 2
        UNION ALL
        SELECT 'candidate', json_extract(c.value, '$.verdict'), COUNT(*)
        FROM entry, json_each(leaf, '$.data.candidates') AS c WHERE step = 'planned' GROUP BY 2"""
    )
    assert sorted(numbers.verdicts(history).rows()) == sorted(expected)


def test_rule_firings(history: History, sql: Sql) -> None:
    """Rules that fired equal a count over the hits of judgements and of candidates; shares are of the stage."""
    fired = sql(
        """SELECT json_extract(h.value, '$.pack'), json_extract(h.value, '$.rule'),
            json_extract(h.value, '$.stage'), json_extract(h.value, '$.mode'),
            COUNT(*), SUM(json_extract(h.value, '$.mode') = 'enforce' OR h.value LIKE '%"failed":true%')
        FROM entry, json_each(leaf, '$.data.hits') AS h WHERE step = 'judged' GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT json_extract(h.value, '$.pack'), json_extract(h.value, '$.rule'), 'candidate',
            json_extract(h.value, '$.mode'), COUNT(*), SUM(json_extract(h.value, '$.mode') = 'enforce')
        FROM entry, json_each(leaf, '$.data.candidates') AS c, json_each(c.value, '$.hits') AS h
        WHERE step = 'planned' GROUP BY 1, 2, 4"""
    )
    found = numbers.rule_firings(history)
    columns = ("pack", "rule", "stage", "mode", "fired", "decided")
    assert sorted(row for row in found.select(columns).rows() if row[4]) == sorted(fired)
    judged: Counter[str] = Counter(
        dict(sql("SELECT json_extract(leaf, '$.data.stage'), COUNT(*) FROM entry WHERE step='judged' GROUP BY 1"))
    )
    judged["candidate"] = sql("SELECT COUNT(*) FROM entry, json_each(leaf, '$.data.candidates') WHERE step='planned'")[
        0
    ][0]
    for stage, hits, share in found.select("stage", "fired", "share").rows():
        assert share == pytest.approx(hits / judged[stage])


def test_rules_that_never_fired_are_not_forgotten(history: History) -> None:
    """A rule that was in force and never fired is a row with 0, by its name in the pack."""
    quiet = numbers.rule_firings(history).filter(polars().col("fired") == 0)
    assert quiet.select("rule", "title").rows() == [("S-130", "No politicians")]


def test_rules_of_one_name_in_two_packs_are_two_rules(history: History) -> None:
    """Hits of packs that use the same id are counted apart."""
    pl = polars()
    twin = history.rules.filter(pl.col("rule") == "S-200").with_columns(pack=pl.lit("other"), title=pl.lit("Other"))
    doubled = dataclasses.replace(history, rules=pl.concat([history.rules, twin]))
    found = numbers.rule_firings(doubled).filter(pl.col("rule") == "S-200")
    fired = history.hits.filter(pl.col("rule") == "S-200").height
    assert sorted(found.select("pack", "fired").rows(), key=str) == [("other", 0), ("sample-house", fired)]


def test_models(history: History, sql: Sql) -> None:
    """Attempts, pictures and deliveries by engine equal counts over `attempted`, `produced` and `delivered`."""
    expected = sql(
        """SELECT json_extract(a.leaf, '$.data.provider'), COUNT(*), COUNT(p.idx),
            COALESCE(SUM(json_array_length(p.leaf, '$.data.images')), 0),
            COALESCE(SUM(json_array_length(d.leaf, '$.data.images')), 0)
        FROM entry AS a LEFT JOIN entry AS p ON p.record = a.record AND p.step = 'produced'
            LEFT JOIN entry AS d ON d.record = a.record AND d.step = 'delivered'
        WHERE a.step = 'attempted' GROUP BY 1"""
    )
    found = numbers.models(history).select("provider", "attempts", "produced", "images", "delivered")
    assert sorted(found.rows()) == sorted(expected)


def test_seeds(history: History, sql: Sql) -> None:
    """Each produced picture is listed with the seed, size and model digest of its entry."""
    expected = sql(
        """SELECT record, json_extract(i.value, '$.image'), json_extract(i.value, '$.seed'),
            json_extract(leaf, '$.data.model.sha256'), json_extract(i.value, '$.size')
        FROM entry, json_each(leaf, '$.data.images') AS i WHERE step = 'produced'"""
    )
    found = numbers.seeds(history)
    assert sorted(found.select("record", "image", "seed", "sha256", "size").rows()) == sorted(expected)
    assert found["again"].to_list() == [
        s is not None and d is not None for s, d in found.select("seed", "sha256").rows()
    ]


def test_costs(history: History, sql: Sql) -> None:
    """Sums by currency are exact, and what nobody named is counted as unknown and summed nowhere."""
    stated = sql(
        """SELECT json_extract(leaf, '$.data.cost.currency'),
            SUM(CAST(ROUND(json_extract(leaf, '$.data.cost.amount') * 1000000) AS INTEGER)), COUNT(*)
        FROM entry WHERE step = 'produced' AND json_extract(leaf, '$.data.cost.amount') IS NOT NULL GROUP BY 1"""
    )
    ((attempts,),) = sql("SELECT COUNT(*) FROM entry WHERE step = 'attempted'")
    ((nothing,),) = sql(
        "SELECT COUNT(*) FROM entry WHERE step = 'attempt_failed' AND NOT json_extract(leaf, '$.data.may_have_billed')"
    )
    rows = {currency: (amount, count) for currency, amount, count in numbers.costs(history).rows()}
    assert {c: (Decimal(a) * 1_000_000, n) for c, (a, n) in rows.items() if a is not None} == {
        currency: (Decimal(micro), count) for currency, micro, count in stated
    }
    assert rows["nothing"] == (None, nothing)
    assert rows["unknown"] == (None, attempts - nothing - sum(count for _, _, count in stated))
    assert rows["unknown"][1] > 0


def test_step_times(history: History, sql: Sql) -> None:
    """The time of each step equals the differences between an entry's time and that of the one before it."""
    micro = MICROSECONDS.format("time")
    rows = sql(
        f"""WITH timed AS (
            SELECT record, step, json_extract(leaf, '$.data.stage') AS stage, {micro} - LAG({micro})
                OVER (PARTITION BY record ORDER BY idx) AS us
            FROM entry WHERE record IS NOT NULL)
        SELECT CASE step WHEN 'planned' THEN 'plan' WHEN 'attempted' THEN 'check' WHEN 'produced' THEN 'commit, attempt'
            WHEN 'attempt_failed' THEN 'commit, attempt' WHEN 'sealed' THEN 'seal'
            WHEN 'delivered' THEN 'commit, deliver'
            ELSE 'judge ' || CASE stage WHEN 'image' THEN 'images' ELSE stage END END AS name,
            COUNT(DISTINCT record), SUM(us)
        FROM timed WHERE us IS NOT NULL AND (stage IS NOT NULL AND step = 'judged'
            OR step IN ('planned', 'attempted', 'produced', 'attempt_failed', 'sealed', 'delivered')) GROUP BY name"""
    )
    found = numbers.step_times(history).cast({"step": polars().String})
    assert {
        step: (n, round(total * 1000)) for step, n, total in found.select("step", "requests", "total_ms").rows()
    } == {name: (n, us) for name, n, us in rows}
    assert found["share"].sum() == pytest.approx(1)


def test_part_times(history: History, sql: Sql) -> None:
    """Durations that entries state are summed once, the detectors' once a request and not once a picture."""
    stated = sql(
        "SELECT t.key, COUNT(*), SUM(t.value) FROM entry, json_each(leaf, '$.data.timings_us') AS t GROUP BY t.key"
    )
    detectors = sql(
        """SELECT 'detectors', COUNT(*), SUM(us)
        FROM (SELECT DISTINCT record, json_extract(leaf, '$.data.detectors_us') AS us
        FROM entry WHERE step = 'judged' AND us IS NOT NULL)"""
    )
    found = numbers.part_times(history).select("part", "requests", "total_ms")
    expected = sorted((part, n, us) for part, n, us in stated + detectors if n)
    assert sorted((part, n, round(total * 1000)) for part, n, total in found.rows()) == expected


def test_scores(history: History, sql: Sql) -> None:
    """Scores stand for every judged image whose input is not erased, and equal those that hits name in clear."""
    ((judged,),) = sql(
        "SELECT COUNT(*) FROM entry WHERE step = 'judged' AND json_extract(leaf, '$.data.stage') = 'image'"
    )
    ((erased,),) = sql(
        """SELECT COUNT(*) FROM entry WHERE step = 'judged' AND json_extract(leaf, '$.data.stage') = 'image'
        AND json_extract(leaf, '$.payloads.input.id') IN (SELECT id FROM erasure)"""
    )
    shown = history.evidence.filter(polars().col("payload") == "opened").select("record", "image").unique()
    assert (shown.height, history.evidence.select("record", "image").unique().height) in {
        (judged - erased, judged),
        (0, erased),  # no detector is installed, so there is no score to show
    }
    assert erased > 0
    used = sql(
        """SELECT entry.record, json_extract(leaf, '$.data.image'), json_extract(e.value, '$.score')
        FROM entry, json_each(leaf, '$.data.hits') AS h, json_each(h.value, '$.evidence') AS e
        WHERE step = 'judged' AND json_extract(leaf, '$.payloads.input.id') NOT IN (SELECT id FROM erasure)"""
    )
    assert set(used) <= set(history.evidence.select("record", "image", "score").rows())
    assert sum(numbers.scores(history)["images"]) == history.evidence["detector"].drop_nulls().len()


def test_claims_and_purposes(history: History, sql: Sql) -> None:
    """Claims are counted with the erased ones apart, purposes as entries hold them in clear."""
    ((erased,),) = sql(
        """SELECT COUNT(*) FROM entry WHERE step = 'accepted'
        AND json_extract(leaf, '$.payloads.context.id') IN (SELECT id FROM erasure)"""
    )
    tenants = dict(numbers.claims(history).select("tenant", "requests").rows())
    assert tenants["(erased)"] == erased > 0
    assert sum(tenants.values()) == sql("SELECT COUNT(DISTINCT record) FROM entry WHERE record IS NOT NULL")[0][0]
    assert {"Northwind", "Fabrikam"} < set(tenants)
    expected = sql(
        f"""SELECT json_extract(leaf, '$.data.claimed.purpose'), COUNT(*), SUM(outcome = 'delivered'),
            SUM(outcome = 'denied'), SUM(outcome = 'in_review')
        FROM entry JOIN ({OUTCOME}) AS ended USING (record) WHERE step = 'accepted' GROUP BY 1"""
    )
    assert sorted(numbers.purposes(history).rows()) == sorted(expected)


def test_unended(history: History, sql: Sql) -> None:
    """Requests without a known end are exactly those that no step of theirs ends as known."""
    expected = sql(f"SELECT record, outcome FROM ({OUTCOME}) WHERE outcome IN ('unfinished', 'unknown', 'in_review')")
    assert sorted(numbers.unended(history).select("record", "outcome").rows()) == sorted(expected)
    assert {outcome for _, outcome in expected} == {"unfinished", "unknown", "in_review"}


def test_credentials(wall: Wall, sql: Sql) -> None:
    """Credentials are counted for every sealed picture; erased and withheld ones are told apart."""
    ((sealed,),) = sql("SELECT COUNT(*) FROM entry WHERE step = 'sealed'")
    ((erased,),) = sql(
        """SELECT COUNT(*) FROM entry WHERE step = 'sealed'
        AND json_extract(leaf, '$.payloads.asset.id') IN (SELECT id FROM erasure)"""
    )
    ((produced,),) = sql("SELECT COUNT(*) FROM entry, json_each(leaf, '$.data.images') WHERE step = 'produced'")
    states: Counter[str] = Counter()
    for state, number in credential_rows(wall).select("state", "images").rows():
        states[state] += number
    assert states == {"trusted": sealed - erased, "erased": erased, "withheld": produced - sealed}
    assert wall.not_shown == 0
    assert unexplained(wall) == []


def unexplained(wall: Wall) -> list[str]:
    """Name the pictures that are neither shown nor explained."""
    return [p.record for p in wall.pictures if not p.data and p.state not in {"erased", "withheld"}]


def test_a_selection_counts_what_it_leaves_out(sample: Path, history: History, sql: Sql) -> None:
    """Only requests of the period and provider are counted; the others are a number, not a silence."""
    times = [row[0] for row in sql("SELECT time FROM entry WHERE step = 'accepted' ORDER BY idx")]
    middle = times[len(times) // 2]
    later = read_history(history.integrity, since=middle)
    earlier = read_history(history.integrity, until=middle)
    assert later.requests.height == sum(time >= middle for time in times) == earlier.left_out
    assert earlier.requests.height == sum(time < middle for time in times) == later.left_out
    studio = read_history(history.integrity, provider="studio")
    assert (
        studio.requests.height
        == sql(
            "SELECT COUNT(*) FROM entry WHERE step = 'attempted' AND json_extract(leaf, '$.data.provider') = 'studio'"
        )[0][0]
    )
    assert set(studio.images["provider"]) == {"studio"}


def test_an_empty_period_draws_and_says_so(history: History) -> None:
    """A period without requests gives empty figures with a title, not an error and not a figure of something else."""
    empty = read_history(history.integrity, since="2999-01-01")
    wall = open_pictures(empty)
    titles = [draw(empty).title for draw in FIGURES] + [charts_wall.picture_wall(wall).title]
    assert titles[0] == "0 of 0 requests delivered"
    assert all(title and "nan" not in title for title in titles)
    assert empty.left_out == history.requests.height
    tables = (page.open_requests_table(empty), page.seeds_table(empty), page.scope_table(empty, wall))
    assert all(made._repr_html_() for made in tables)


def test_figures_state_what_the_numbers_say(history: History, wall: Wall) -> None:
    """Each figure is a PNG, and its title repeats the numbers that the tests above recompute."""
    ended = dict(numbers.outcomes(history).select("outcome", "requests").rows())
    made = [draw(history) for draw in FIGURES] + [charts_wall.picture_wall(wall)]
    assert all(chart.png().startswith(b"\x89PNG") for chart in made)
    assert made[0].title.startswith(f"{ended['delivered']} of {history.requests.height} requests delivered")
    assert f"{ended['denied']} denied" in made[0].title
    money = {c: a for c, a, _ in numbers.costs(history).rows() if a is not None}
    assert all(f"{Decimal(amount):,f} {currency}" in made[4].title for currency, amount in money.items())
