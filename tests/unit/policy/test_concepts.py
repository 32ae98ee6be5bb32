"""Concepts in a pack: read strictly, told with line and column, looked over, compared and printed, without a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from limner_policy.concepts import Concept
from limner_policy.detectors.choosing import concepts_for
from limner_policy.detectors.clip_scores import Aims, aim
from limner_policy.detectors.embeddings import Embedding
from limner_policy.detectors.registry import check_settings, load_detectors
from limner_policy.detectors.settings import checked_settings
from limner_policy.errors import DetectorError, PolicyFileError, PolicyInputError
from limner_policy.json_schema import policy_schema
from limner_policy.loading import load_pack_bytes
from limner_policy.pack import Pack
from limner_policy.tools.book import book
from limner_policy.tools.comparing import compare
from limner_policy.tools.lint import Setting, lint

WEIGHTS = "ab" * 32
WEAPON = "{positive: [a dagger, a gun], contrast: [a kitchen]}"
ASKS = '{evidence: {detector: clip, category: weapon, at_least: "0.50"}}'
TEXT = """\
policy: house
version: 1
title: House
owner: legal
concepts:
  weapon: WEAPON
rules:
  - id: R-1
    title: No weapon
    says: It is refused.
    why: A test.
    basis: [{cite: A test}]
    severity: high
    stage: image
    when: WHEN
    then: {verdict: deny}
    if_unknown: review
    examples:
      - {evidence: [{detector: clip, category: weapon, score: "0.9"}], expect: deny}
      - {evidence: [{detector: clip, category: weapon, score: "0"}], expect: allow}
      - {evidence: [{detector: clip, category: weapon, score: unknown}], expect: review}
"""


def text(concept: str = WEAPON, when: str = ASKS) -> str:
    return TEXT.replace("WEAPON", concept).replace("WHEN", when)


def load(concept: str = WEAPON, when: str = ASKS) -> Pack:
    return load_pack_bytes(text(concept, when).encode(), "house.yaml")


def calibrated(**more: str) -> str:
    given = {"weights": WEIGHTS, "scale": '"12.5"', "offset": '"-1.25"', **more}
    inner = ", ".join(f"{key}: {value}" for key, value in given.items())
    return WEAPON.replace("]}", f"], calibration: {{{inner}}}}}")


def test_a_concept_is_read_as_written() -> None:
    """Prompts keep their order, a template is the prompt alone where none is given, numbers are exact."""
    (found,) = load().concepts
    assert found == Concept("weapon", ("a dagger", "a gun"), ("a kitchen",), ("{}",), None)
    made = load(calibrated(evaluation="e-1")).concepts[0].calibration
    assert made is not None
    assert (made.weights, made.scale, made.offset, made.evaluation) == (
        WEIGHTS,
        Decimal("12.5"),
        Decimal("-1.25"),
        "e-1",
    )


def test_the_packs_digest_covers_the_words() -> None:
    """Another prompt is another pack."""
    assert load().sha256 != load(WEAPON.replace("gun", "rifle")).sha256


@pytest.mark.parametrize(
    ("concept", "line", "column", "told"),
    [
        ("[a dagger]", 6, 11, "concepts.weapon: has to be a concept: a mapping"),
        ("{contrast: [a]}", 6, 11, "a concept has no `positive`"),
        ("{positive: []}", 6, 22, "has 0 items"),
        ("{positive: [a], contrst: [b]}", 6, 27, "contrst: is not a key here. Did you mean contrast?"),
        ("{positive: [a, b, a]}", 6, 11, "`positive` holds 'a' twice"),
        ("{positive: [a], contrast: [a]}", 6, 11, "'a' is both a positive and a contrast prompt"),
        ('{positive: [a], templates: ["a picture"]}', 6, 39, "needs {} once, where the prompt goes"),
        ('{positive: [a], templates: ["{} and {}"]}', 6, 39, "needs {} once"),
        ('{positive: [a], templates: ["{} {x}"]}', 6, 39, "needs {} once"),
        (calibrated(scale='"0"'), 6, 160, "has to be above 0"),
        (calibrated(scale='"-3"'), 6, 160, "has to be above 0"),
        (calibrated(scale="many"), 6, 160, "has to be a number with at most 6 decimals"),
        (calibrated(weights="abc"), 6, 87, "has to be a SHA-256 of 64 small hex digits"),
        (calibrated(prompts=WEIGHTS), 6, 11, "the prompts have changed since the calibration"),
    ],
)
def test_mistakes_are_told_with_their_place(concept: str, line: int, column: int, told: str) -> None:
    """Each with line, column and what to do."""
    with pytest.raises(PolicyFileError) as error:
        load(concept)
    (problem,) = error.value.problems
    assert told in str(problem)
    assert (problem.line, problem.column) == (line, column)


def test_a_calibration_may_name_the_wording_it_was_made_for() -> None:
    """With the digest of these very prompts it loads; the error of another one names the new digest."""
    sha256 = load().concepts[0].prompts_sha256
    assert load(calibrated(prompts=sha256)).concepts[0].prompts_sha256 == sha256
    with pytest.raises(PolicyFileError, match=r"their SHA-256 is [0-9a-f]{64} now"):
        load(calibrated(prompts=sha256).replace("a gun", "a rifle"))


def test_a_rule_names_a_concept_of_its_pack() -> None:
    """Another name is an error where it stands, inside the tree of conditions as in an example."""
    when = f"{{any: [{ASKS.replace('weapon', 'wepon')}, {{not: {ASKS}}}]}}"
    with pytest.raises(PolicyFileError) as error:
        load(WEAPON, when)
    (problem,) = error.value.problems
    assert "names no concept of this pack: wepon. Add it under `concepts`. Did you mean weapon?" in str(problem)
    assert text(WEAPON, when).split("\n")[problem.line - 1][problem.column - 1 :].startswith("wepon")
    with pytest.raises(PolicyFileError, match=r"house.yaml:19:48: rules\[0\].examples: names no concept"):
        load_pack_bytes(
            text().replace('category: weapon, score: "0.9"', 'category: gun, score: "0.9"').encode(), "house.yaml"
        )


def test_only_concepts_that_rules_name_are_asked_for() -> None:
    """A concept that no rule names costs nothing."""
    pack = load(WEAPON + "\n  spare: {positive: [bread], contrast: [a stone]}")
    assert [one.name for one in pack.concepts] == ["spare", "weapon"]
    assert list(concepts_for("clip", [pack])) == ["weapon"]


@pytest.mark.parametrize(
    ("concept", "codes"),
    [
        ("{positive: [a]}", {("no-contrast", False)}),
        ("{positive: [a], calibration: {weights: W, scale: 1, offset: 0, evaluation: e}}", {("no-contrast", True)}),
        (WEAPON, {("no-calibration", True)}),
        (calibrated(), {("no-calibration", True)}),
        (calibrated(evaluation="e-1"), set()),
        (calibrated(evaluation="e-1") + "\n  spare: {positive: [bread]}", {("unused", True)}),
    ],
)
def test_lint_looks_concepts_over(concept: str, codes: set[tuple[str, bool]]) -> None:
    """No contrast without calibration is a finding; the rest are notes."""
    pack = load(concept.replace("W,", f"{WEIGHTS},"))
    found = lint([pack], Setting(date(2026, 11, 25), executed=(), detectors={"clip"}))
    assert {(one.kind, one.note) for one in found} == codes


def test_a_change_of_words_is_told() -> None:
    """The difference names what was added and dropped, and says that decisions may change."""
    (change,) = compare([load()], [load(WEAPON.replace("a gun", "a rifle"))])
    assert [one.text for one in change.sentences] == [
        "concept weapon: positive added (1): “a rifle”",
        "concept weapon: positive dropped (1): “a gun”",
        "rules that ask for it may decide otherwise; `limner policy replay` tells",
    ]
    (change,) = compare([load()], [load(calibrated(evaluation="e-1"))])
    assert change.sentences[0].text == (
        "concept weapon: calibration: none → scale 12.5, offset -1.25 for abababababab…, evaluation e-1"
    )
    (change,) = compare([load()], [load(WEAPON + "\n  spare: {positive: [bread]}")])
    assert [one.text for one in change.sentences] == ["concept spare added"]


def test_the_book_prints_concepts() -> None:
    """What it looks like, as against what, and the calibration with its formula."""
    page = book(load(calibrated(evaluation="e-1")), date(2026, 11, 25))
    for words in ("a dagger; a gun", "a kitchen", "in evaluation e-1", WEIGHTS, "12.5 · margin + -1.25"):
        assert words in page
    assert "no score says how sure" in book(load(), date(2026, 11, 25))


def test_the_schema_knows_them() -> None:
    """An editor is told the keys of a concept, and that a template holds one {}."""
    one = policy_schema()["properties"]["concepts"]["additionalProperties"]
    assert set(one["properties"]) == {"positive", "contrast", "templates", "calibration"}
    assert one["properties"]["templates"]["items"]["pattern"] == r"^[^{}]*\{\}[^{}]*$"


def test_the_margin_is_nearest_less_nearest() -> None:
    """Of several views the highest counts; 0.5 is equally near; the calibration moves it as written."""
    import math

    import numpy as np

    eye = np.eye(3)
    concept = Concept("c", ("a", "b"), ("x",))
    plain = aim(concept, eye, WEIGHTS, 4.0)
    aims = Aims([plain, aim(Concept("alone", ("a",)), eye[:1], WEIGHTS, 4.0)])
    views = np.array([[0.1, 0.3, 0.5], [0.2, 0.9, 0.4]], dtype=np.float32)
    value, nothing = aims.values(views)
    assert value == pytest.approx(1 / (1 + math.exp(-4 * 0.5)), abs=1e-6)
    assert math.isnan(nothing)
    assert Aims([plain]).values(np.array([[0.5, 0.25, 0.5]], dtype=np.float32)) == [0.5]
    assert Aims([]).values(views) == []


def test_embeddings_are_read_bit_for_bit_or_not_at_all() -> None:
    """Through JSON the very floats; with another digest, or broken, an error that repeats no number."""
    import numpy as np

    vectors = np.random.default_rng(7).normal(size=(2, 5)).astype(np.float32)
    data = json.loads(json.dumps(Embedding("clip", "1", WEIGHTS, vectors, image=3, of="input").to_json()))
    found = Embedding.from_json(data)
    assert np.array_equal(found.vectors, vectors)
    assert (found.image, found.of, found.digest) == (3, "input", WEIGHTS)
    for wrong in ({"sha256": WEIGHTS}, {"views": 3}, {"float32": "§"}, {"dimensions": "x"}):
        with pytest.raises(PolicyInputError, match="this embedding"):
            Embedding.from_json(data | wrong)


class Plain:
    """A third party's detector without settings."""

    settings = None


def test_settings_belong_to_detectors_that_have_some() -> None:
    """Unknown names, unknown keys and wrong values are told with the key; one without settings takes none."""
    with pytest.raises(DetectorError, match=r"detectors.clip.modle is no setting. Did you mean model\?"):
        check_settings({"clip": {"modle": "x"}})
    with pytest.raises(DetectorError, match=r"clip.device \('tpu'\): Input should be 'cpu', 'cuda' or 'auto'"):
        check_settings({"clip": {"device": "tpu"}})
    with pytest.raises(DetectorError, match=r"detectors\.clip\.weights_sha256"):
        check_settings({"clip": {"weights_sha256": "12"}})
    with pytest.raises(DetectorError, match="detector 'plain' has no settings"):
        checked_settings("plain", Plain, {"a": 1})
    with pytest.raises(DetectorError, match="no detector is called 'clp'"):
        check_settings({"clp": {}})
    with pytest.raises(DetectorError, match="detector 'near-duplicate' has no settings"):
        load_detectors(["near-duplicate"], settings={"near-duplicate": {"threads": 2}})


WriteRule = Callable[..., str]
EXAMPLES = Path(__file__).parents[3] / "policy" / "examples"


def test_the_embedded_pack_asks_for_no_concept() -> None:
    """The base installation has no torch, so the pack that comes with it names no detector that needs it."""
    pack = load_pack_bytes((EXAMPLES / "general.policy.yaml").read_bytes(), "general", folder=EXAMPLES)
    assert pack.concepts == ()
    assert all("clip" not in rule.detectors for rule in pack.rules)
