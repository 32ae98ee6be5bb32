"""Policy files: what each mistake is told as, and what a good file becomes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_policy import loading, patterns
from limner_policy.errors import PolicyError, PolicyFileError, Problem
from limner_policy.loading import embedded_pack, load_pack_bytes, load_packs
from limner_policy.pack import Pack
from limner_policy.verdicts import Duty, Verdict

HEADER = "policy: house\nversion: 1.0\ntitle: House\nowner: legal\n"
ProblemsOf = Callable[[str], tuple[Problem, ...]]
WriteRule = Callable[..., str]


def test_a_pack_keeps_its_bytes_digest_and_texts(pack_of: Callable[..., Pack], rule: WriteRule) -> None:
    """A loaded pack can be logged, cited and loaded again from its own bytes."""
    pack = pack_of(
        rule("R-1"), "\n  # a comment\n", rule("R-2", extra="examples:\n  - {prompt: a sword, expect: deny}")
    )
    assert pack.identity == {"name": "house", "version": "1.0", "sha256": hashlib.sha256(pack.source).hexdigest()}
    assert load_pack_bytes(pack.source, "again.yaml") == pack
    text = pack.rule_text("R-2")
    assert text.startswith("  - id: R-2\n")
    assert text.endswith("  - {prompt: a sword, expect: deny}")
    assert text in pack.source.decode()
    with pytest.raises(PolicyError, match=r"no rule 'R-3'. Its rules: R-1, R-2"):
        pack.rule("R-3")


def test_rule_text_is_exact_in_a_windows_file(pack_of: Callable[..., Pack], rule: WriteRule) -> None:
    """CRLF line ends inside a rule stay; byte order marks are no part of it."""
    source = b"\xef\xbb\xbf" + pack_of(rule("R-1"), rule("R-2")).source.replace(b"\n", b"\r\n")
    text = load_pack_bytes(source, "w.yaml").rule_text("R-2")
    assert text.count("\r\n") == text.count("\n") == 8
    assert text.encode() in source


def test_values_are_typed_by_the_language_and_not_by_yaml(pack_of: Callable[..., Pack], rule: WriteRule) -> None:
    """NO is a country, 1.10 is a version, a term may be 007, a threshold needs no quotes and loses no digit."""
    country = rule("R-1", when="{region: {in: [NO, SE]}}")
    number = rule("R-2", when="{terms: {any_of: [007, null character]}}")
    score = rule("R-3", when="{evidence: {detector: nsfw, category: nsfw, at_least: 0.8}}", stage="image")
    pack = pack_of(country, number, score)
    assert pack.rules[0].when.values == frozenset({"no", "se"})  # type: ignore[attr-defined]
    assert pack.rules[1].when.any_of == ("007", "null character")  # type: ignore[attr-defined]
    assert pack.rules[2].when.at_least == "0.800000"  # type: ignore[attr-defined]
    assert pack.version == "1.0"


def test_defaults_come_from_the_pack(pack_of: Callable[..., Pack], rule: WriteRule) -> None:
    """Owner and if_unknown fall back to the pack's; days begin at midnight UTC; duties keep their order."""
    header = (
        "unknown_evidence: review\nsources:\n  law: {cite: The law, url: 'https://example.org', read: 2026-11-24}\n"
    )
    extra = "effective: {from: 2026-12-02, until: 2027-01-01T12:00:00Z}"
    then = "{verdict: review, duties: [no_store, {visible_label: {text: AI, position: top-right}}]}"
    text = rule("R-1", then=then, extra=extra).replace("[{cite: House rule}]", "[law, {cite: Mine}]")
    loaded = pack_of(text, header=header).rules[0]
    assert (loaded.owner, loaded.if_unknown, loaded.mode) == ("legal", Verdict.REVIEW, "enforce")
    assert [source.cite for source in loaded.basis] == ["The law", "Mine"]
    assert loaded.effective.start == datetime(2026, 12, 2, tzinfo=UTC)
    assert loaded.effective.until == datetime(2027, 1, 1, 12, tzinfo=UTC)
    label = Duty("visible_label", (("position", "top-right"), ("text", "AI")))
    assert loaded.duties == (Duty("no_store"), label)


@pytest.mark.parametrize(
    ("parts", "place", "message"),
    [
        ({"extra": "wenn: x"}, "15:5", "rules[0].wenn: is not a key here. Did you mean when?"),
        ({"extra": "mode: no"}, "15:11", "there are no booleans, and none of this list (found no). Write one of: off"),
        ({"extra": "mode: enforced"}, "15:11", "Did you mean enforce?"),
        ({"extra": "mode:"}, "15:5", "rules[0].mode: has to be one word (found ''). Write one of"),
        ({"extra": "owner: ~"}, "15:12", "rules[0].owner: is empty and has to be a text (found ~)"),
        ({"extra": "owner: [a]"}, "15:12", "has to be a text (found a list)"),
        ({"extra": "effective: {from: 2026-12-02, until: 2026-12-01}"}, "15:16", "ends before it begins"),
        ({"extra": "effective: {from: 2026-02-30}"}, "15:23", "is no date of the calendar"),
        ({"extra": "effective: {from: tomorrow}"}, "15:23", "has to be a date (found tomorrow). Write 2026-12-02"),
        ({"extra": "examples: [{expect: maybe}]"}, "15:25", "rules[0].examples[0].expect: is not a word of this list"),
        ({"then": "{verdict: denny}"}, "14:21", "Did you mean deny?"),
        ({"then": "{verdict: deny, duties: [blurr]}"}, "14:36", "is no known duty (found blurr). Did you mean blur?"),
        (
            {"then": "{verdict: deny, duties: [{blur: {radus: 3}}]}"},
            "14:44",
            "radus: is not a key here. Did you mean radius?",
        ),
        ({"then": "{verdict: allow, duties: [blur]}"}, "14:11", "`allow` has no duties"),
        ({"then": "{verdict: allow_with_duties}"}, "14:11", "`allow_with_duties` names no duty"),
        ({"stage": "prompt"}, "12:12", "is not a word of this list (found prompt). Write one of: request, candidate"),
        ({"when": "{}"}, "13:11", "has to be a condition"),
        ({"when": "{terms: {any_of: [a]}, task: {in: [b]}}"}, "13:11", "has 2 keys and a condition has one"),
        ({"when": "{all: [{any: [{termz: x}]}]}"}, "13:26", "`termz` is no condition. Did you mean terms?"),
        ({"when": "{all: []}"}, "13:17", "has 0 items"),
        ({"when": "{terms: {any_of: ['!!!']}}"}, "13:29", "holds no letter and no digit"),
        ({"when": "{terms: {any_of: sword}}"}, "13:28", "has to be terms (found sword). Write [one, two]"),
        ({"when": "{terms: {any_of: [a], fields: [promt]}}"}, "13:42", "Did you mean prompt?"),
        ({"when": "{re2: {pattern: '(?=a)b'}}"}, "13:27", "invalid perl operator: (?= at character 1"),
        ({"when": "{re2: {pattern: 'a('}}"}, "13:27", "is no RE2 pattern: missing )"),
        ({"when": "{re2: {pattern: '(a{1000}){1000}'}}"}, "13:27", "invalid repetition size: {1000} at character 3"),
        ({"when": "{re2: {pattern: 'a*'}}"}, "13:27", "matches the empty text"),
        ({"when": "{task: {in: [a], not_in: [b]}}"}, "13:18", "needs exactly one of `in` and `not_in`"),
        (
            {"when": "{licence: {in: [mit]}}"},
            "13:11",
            "`licence` is not known at the stage request. Write `stage: candidate`",
        ),
        (
            {"when": "{evidence: {detector: nsfw, category: nsfw, at_least: 80}}", "stage": "image"},
            "13:65",
            "has to be a number from 0 to 1",
        ),
        (
            {"when": "{evidence: {detector: nsfw, category: nsfw, at_least: 0.5}}"},
            "13:11",
            "`evidence` is known at the stages image and release",
        ),
    ],
)
def test_each_mistake_is_told_where_it_stands(
    problems_of: ProblemsOf, rule: WriteRule, parts: dict[str, str], place: str, message: str
) -> None:
    """File, line, column, key path, value and remedy."""
    (problem,) = problems_of(HEADER + "rules:\n" + rule("R-1", **parts))
    assert message in str(problem)
    assert f"{problem.line}:{problem.column}" == place, str(problem)


def test_all_mistakes_of_a_file_are_told_together_and_sorted(problems_of: ProblemsOf, rule: WriteRule) -> None:
    """Structure, header, rules, doubled ids and missing sources in one answer."""
    text = (
        "policy: House Rules\nversion: &v 1\ntitel: x\nowner: legal\nrules:\n"
        + rule("R-1").replace("[{cite: House rule}]", "[lwa]")
        + rule("R-1", then="{verdict: no}")
        + "  - id: R-2\n"
    )
    told = [str(problem) for problem in problems_of(text)]
    expected = [
        "house.yaml:1:9: policy: has to be a name of small letters, digits and - (found House Rules)",
        "house.yaml:2:10: anchors (&name) are not accepted (found &v). Write the value out",
        "house.yaml:3:1: titel: is not a key here. Did you mean title?",
        "house.yaml:10:13: rules[0].basis[0]: names no source of this pack (found lwa).",
        "house.yaml:16:9: rules[1].id: is the id of another rule too, in line 6 (found R-1). Give each its own",
        "house.yaml:24:21: rules[1].then.verdict: is a plain word here, as there are no booleans",
        "house.yaml:26:5: rules[2]: a rule has no `title`, `says`, `why`, `basis`, `severity`, `stage`, `when`,",
    ]
    assert len(told) == len(expected)
    assert all(one.startswith(start) for one, start in zip(told, expected, strict=True)), told


def test_a_source_needs_the_day_it_was_read(problems_of: ProblemsOf, rule: WriteRule) -> None:
    """An address without a date proves nothing."""
    (problem,) = problems_of(HEADER + "sources: {law: {cite: x, url: 'https://e.org'}}\nrules:\n" + rule("R-1"))
    assert "sources.law: has a url and no `read`" in str(problem)


def test_loading_is_all_or_nothing(tmp_path: Path, pack_of: Callable[..., Pack], rule: WriteRule) -> None:
    """A folder loads sorted; one broken file among them gives the problems of all files and no pack."""
    for name in ("b", "a"):
        (tmp_path / f"{name}.policy.yaml").write_bytes(pack_of(rule(), name=name).source)
    (tmp_path / "notes.txt").write_text("no policy")
    assert [pack.name for pack in load_packs([tmp_path])] == ["a", "b"]
    (tmp_path / "c.yml").write_text("policy: c\n")
    (tmp_path / "d.yml").write_text("policy:\td\n  x")
    with pytest.raises(PolicyFileError) as caught:
        load_packs([tmp_path, tmp_path / "missing.yaml"])
    assert [Path(problem.file).name for problem in caught.value.problems] == ["c.yml", "d.yml", "missing.yaml"]
    assert caught.value.line == 1


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    """Missing files, empty folders and huge files are errors with a remedy, and a huge file is not read whole."""
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as stream:
        stream.truncate(50 * 1024 * 1024)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PolicyFileError) as caught:
        load_packs([huge, tmp_path / "none.yaml", tmp_path / "empty"])
    told = str(caught.value)
    assert "may have 1,048,576" in told
    assert "there is no such policy file" in told
    assert "holds no *.yaml" in told


def test_patterns_too_large_together_are_told_at_loading(
    problems_of: ProblemsOf, rule: WriteRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pack whose patterns exceed the memory bound is refused as a whole."""
    monkeypatch.setattr(patterns, "SET_MEMORY", 1 << 14)
    rules = "".join(rule(f"R-{size}", when=f"{{re2: {{pattern: '[a-q][^u-z]{{{size}}}x'}}}}") for size in (10, 11, 12))
    (problem,) = problems_of(HEADER + "rules:\n" + rules)
    assert "bytes together" in str(problem)


def test_the_embedded_pack_is_found_in_a_checkout_and_in_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the module first (a wheel), then beside the package (a checkout); else an error that says so."""
    assert embedded_pack().is_file()
    module = tmp_path / "limner_policy" / "loading.py"
    monkeypatch.setattr(loading, "__file__", str(module))
    with pytest.raises(PolicyFileError, match="Reinstall limner"):
        embedded_pack()
    for folder in (tmp_path / "examples", tmp_path / "limner_policy" / "examples"):
        folder.mkdir(parents=True)
        (folder / "general.policy.yaml").write_text("x")
        assert embedded_pack().parent == folder


yaml_like = st.recursive(
    st.sampled_from(["a", "deny", "no", "~", "0.5", "prompt", "{", "'x'", "2026-01-01", "(", "&a b", "*a"]),
    lambda child: (
        st.lists(child, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(
            st.sampled_from(
                ["policy", "rules", "id", "when", "then", "terms", "any_of", "re2", "all", "verdict", "basis"]
            ),
            child,
            max_size=4,
        ).map(lambda pairs: f"{{{', '.join(f'{key}: {value}' for key, value in pairs.items())}}}")
    ),
    max_leaves=12,
)


@settings(max_examples=100)
@given(yaml_like, yaml_like, yaml_like)
def test_no_file_breaks_the_loader(when: str, then: str, rules: str) -> None:
    """Whatever stands in a file, loading gives a pack or problems with places."""
    head = "id: A, title: t, says: s, why: w, basis: [{cite: c}], severity: low, stage: image"
    rule = f"  - {{{head}, when: {when}, then: {then}}}"
    for text in (f"{HEADER}rules:\n{rule}\n", f"{HEADER}rules: {rules}\n", rules):
        problems: tuple[Problem, ...] = ()
        try:
            load_pack_bytes(text.encode(), "f.yaml")
        except PolicyFileError as error:
            problems = error.problems
        assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in problems)
