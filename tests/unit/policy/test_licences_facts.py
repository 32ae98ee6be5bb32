"""Facts files: what they may hold, what each mistake is told as, and that the embedded ones cover what Limner knows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from limner_policy.detectors.registry import BUILT_IN
from limner_policy.errors import PolicyFileError
from limner_policy.licences import embedded_book, facts_for, load_book, parts_of, remarks
from limner_policy.licences.book import FOLDER, Book
from limner_policy.licences.checking import claims
from limner_policy.licences.listing import every_row
from limner_policy.licences.reading import read_facts
from limner_policy.licences.terms import TERMS
from limner_policy.loading import load_pack_bytes
from limner_providers.registry import provider_kinds

DAY = date(2026, 11, 25)
HEAD = "facts: own\nversion: 1\ntitle: Own facts\nowner: legal\n"
LICENCE = """\
licences:
  - id: LicenseRef-Own
    aliases: [own-licence]
    title: Own licence
    text: {cite: The contract, read: 2026-11-01}
    terms:
      commercial_use: {says: yes, quote: may be used commercially}
    silent: [revenue_ceiling]
"""
SUBJECT = """\
subjects:
  - {id: own/model, role: model, licences: [LicenseRef-Own], source: {cite: card, read: 2026-11-01}}
"""


def told(text: str) -> list[str]:
    with pytest.raises(PolicyFileError) as caught:
        read_facts((HEAD + text).encode(), "own.facts.yaml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        (
            "says: maybe",
            "says: yes",
            "own.facts.yaml:11:30: licences[0].terms.commercial_use.says: is not a word of this",
        ),
        (
            "comercial_use:",
            "commercial_use:",
            "11:7: licences[0].terms.comercial_use: is not a key here. Did you mean comm",
        ),
        ("{says: yes}", "{says: yes, quote: may be used commercially}", "has neither a quote nor a note"),
        ("silent: [commercial_use]", "silent: [revenue_ceiling]", "calls its text silent on it"),
        ("silent: [revenue]", "silent: [revenue_ceiling]", "Did you mean revenue_ceiling?"),
        ("{cite: The contract}", "{cite: The contract, read: 2026-11-01}", "the text has no `read`"),
        ("read: 2026-13-01", "read: 2026-11-01}\n    terms", "is no date of the calendar"),
        ("id: Licence Ref", "id: LicenseRef-Own", "has to be a licence id"),
        ("&x ", "LicenseRef-Own\n    aliases", "anchors"),
    ],
)
def test_each_mistake_is_told_with_its_place(wrong: str, right: str, message: str) -> None:
    """Unknown words, missing days, quotes that are missing and silence that is none: line, column, remedy."""
    text = LICENCE
    if wrong == "read: 2026-13-01":
        text = LICENCE.replace("read: 2026-11-01", wrong)
    elif wrong == "&x ":
        text = LICENCE.replace("title: Own", "title: &x Own")
    else:
        assert right in LICENCE
        text = LICENCE.replace(right, wrong)
    assert any(message in line for line in told(text)), told(text)


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (f"attribution: {{says: yes, quote: {'word ' * 26}}}", "has 26 words. Quote at most 25 words"),
        ("revenue_ceiling: {usd: 1000000, quote: q}", "has no `border`"),
        ("revenue_ceiling: {users: 1, border: exclusive, quote: q}", "users: is not a key here"),
        ("user_ceiling: {users: 1e6, border: exclusive, quote: q}", "has to be a whole number"),
        ("revenue_ceiling: {usd: 1, border: excluding, quote: q}", "Write one of: exclusive, inclusive"),
        ("territory_exclude: {excluded: [Europe], quote: q}", "is no code of a country or region"),
        ("territory_exclude: {excluded: [], quote: q}", "has 0 items"),
        ("registration: {says: yes, quote: q, unless_held: [The Plan]}", "has to be a name of small letters"),
    ],
)
def test_terms_are_held_to_their_shape(term: str, message: str) -> None:
    """Amounts, borders, codes and quotes that are too long are refused where they stand."""
    text = LICENCE.replace("    silent", f"      {term}\n    silent").replace("[revenue_ceiling]", "[ai_disclosure]")
    assert any(message in line for line in told(text)), told(text)


def test_a_row_stands_once_unless_dates_tell_apart() -> None:
    """Two rows of one licence are a mistake; two of one model with dates are its history."""
    assert "stands in line" in told(LICENCE + LICENCE.removeprefix("licences:\n"))[0]
    twice = SUBJECT + SUBJECT.removeprefix("subjects:\n")
    assert "(`effective`)" in told(LICENCE + twice)[0]
    dated = SUBJECT.replace("role:", "effective: {until: 2026-06-01}, role:") + SUBJECT.removeprefix(
        "subjects:\n"
    ).replace("role:", "effective: {from: 2026-06-01}, role:").replace("LicenseRef-Own", "MIT")
    book = Book([("own", (HEAD + LICENCE + dated).encode())])

    def licence_on(instant: str) -> str:
        (part,) = facts_for(model="own/model", instant=instant, book=book)
        return part.licences[0].id

    assert licence_on("2026-05-31T23:59:59Z") == "LicenseRef-Own"
    assert licence_on("2026-06-01T00:00:00Z") == "MIT"


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ("role: model, hosts_all: yes", "`hosts_all` is for the role provider"),
        ("role: model, hosted_by: openai, licences: [MIT]", "has both `licences` and `hosted_by`"),
        ("role: model, effective: {from: '2026-06-01T12:00:00Z'}", "has dates with a time of day"),
        ("role: modell", "Did you mean model?"),
        ("role: model, licenses: [MIT]", "Did you mean licences?"),
    ],
)
def test_subjects_are_held_to_their_shape(subject: str, message: str) -> None:
    """A model hosts nothing, is under one kind of terms, and has keys spelt as the language spells them."""
    line = f"subjects:\n  - {{id: a, {subject}, source: {{cite: c, read: 2026-11-01}}}}\n"
    assert any(message in one for one in told(line)), told(line)


def test_looking_up_reads_only_the_files_that_are_needed() -> None:
    """A broken file in which the name does not stand is not read; one in which it stands is an error, never unknown."""
    good = HEAD + LICENCE + SUBJECT
    broken = "facts: [\n# something/else\n"
    book = Book([("good", good.encode()), ("broken", broken.encode())])
    assert facts_for(model="own/model", book=book)[0].licences[0].id == "LicenseRef-Own"
    with pytest.raises(PolicyFileError, match="broken"):
        facts_for(model="something/else", book=book)
    with pytest.raises(PolicyFileError, match="broken"):
        book.files()


def test_a_name_inside_a_longer_one_is_another() -> None:
    """`own` is not found in `own/model`, nor MIT in "limited"."""
    book = Book([("good", (HEAD + LICENCE + SUBJECT).encode())])
    assert book.subject("own") is None
    assert book.licence("Own") is None
    assert book.subject("OWN/MODEL") is not None


def test_ones_own_rows_go_before_the_embedded_ones(tmp_path: Path) -> None:
    """A lawyer's file replaces a row of ours and adds others; two own files may not contradict each other."""
    own = HEAD + LICENCE + SUBJECT.replace("own/model", "limner-starter")
    (tmp_path / "own.facts.yaml").write_text(own)
    book = load_book([tmp_path])
    assert facts_for(model="limner-starter", book=book)[0].licences[0].id == "LicenseRef-Own"
    assert facts_for(model="limner-starter", book=book)[0].source.startswith("own 1 sha256:")
    assert facts_for(model="gpt-image-2", book=book)[0].name == "openai"
    (tmp_path / "twin.facts.yaml").write_text(own)
    with pytest.raises(PolicyFileError, match=r"limner-starter stands in .*own\.facts\.yaml:\d+ too"):
        load_book([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(PolicyFileError, match=r"the folder holds no \*\.facts\.yaml file"):
        load_book([tmp_path / "empty"])
    with pytest.raises(PolicyFileError, match="there is no such facts file"):
        load_book([tmp_path / "missing.facts.yaml"])


# ------------------------------------------------------------------------------------------------ what is resolved


def test_a_generation_becomes_its_parts() -> None:
    """Model, provider, LoRA and detector each are a part; an engine on one's own machine adds none."""
    parts = facts_for(kind="diffusers", model="sdxl", loras=["unheard-of"], detectors=["nsfw"])
    assert [(part.role, part.name) for part in parts] == [
        ("model", "stabilityai/stable-diffusion-xl-base-1.0"),
        ("lora", "unheard-of"),
        ("detector", "nsfw"),
    ]
    assert parts[1].licences == ()
    assert facts_for() == ()


def test_a_hosted_model_is_under_its_providers_terms() -> None:
    """One part, not two; a model that the provider's row does not name is unknown unless its terms govern them all."""
    stated = "LicenseRef-OpenAI-Terms"
    assert [part.name for part in facts_for(kind="openai", model="gpt-image-2", licence=stated)] == ["openai"]
    parts = facts_for(kind="openai", model="a-model-of-tomorrow", licence=stated)
    assert [part.name for part in parts] == ["openai", "a-model-of-tomorrow"]
    assert [part.name for part in facts_for(kind="midjourney", model="midjourney-99")] == ["midjourney"]
    assert facts_for(kind="a-third-partys-kind")[0].licences == ()


@pytest.mark.parametrize("licence", [None, "Apache-2.0"])
def test_somebody_elses_server_is_not_under_the_makers_terms(licence: str | None) -> None:
    """An engine that states another licence, or none, talks to another server: whose terms those are nobody knows."""
    provider, model = facts_for(kind="openai", model="gpt-image-2", licence=licence)
    assert (provider.role, provider.licences) == ("provider", ())
    assert "not its maker's" in provider.name
    assert (model.role, model.name) == ("model", "gpt-image-2")
    assert [one.id for one in model.licences] == ([licence] if licence else [])
    assert [part.name for part in parts_of(["gpt-image-2"])[0]] == ["openai"]


def test_a_licence_that_contradicts_the_facts_binds_too() -> None:
    """What the weights' own data state is added to what the facts know, and the contradiction is told."""
    (agreeing,) = facts_for(model="sdxl", licence="openrail++")
    assert agreeing.conflict == ""
    (part,) = facts_for(model="sdxl", licence="CC-BY-NC-4.0")
    assert [one.id for one in part.licences] == ["LicenseRef-CreativeML-OpenRAIL-PlusPlus-M", "CC-BY-NC-4.0"]
    assert part.conflict.endswith(
        "the model's own data state CC-BY-NC-4.0, the facts name LicenseRef-CreativeML-OpenRAIL-PlusPlus-M"
    )


def test_an_unlisted_model_is_under_the_licence_it_states() -> None:
    """A folder of somebody's own is judged by the licence its data name; without one nothing is known."""
    (part,) = facts_for(kind="diffusers", model="my-folder", licence="flux-1-dev-non-commercial-license")
    assert (part.name, part.licences[0].id) == ("my-folder", "LicenseRef-FLUX-1-dev-Non-Commercial")
    (unread,) = facts_for(model="my-folder", licence="LicenseRef-Nobody-Read-It")
    assert unread.licences[0].terms == ()


def test_asking_again_gives_the_very_same_objects() -> None:
    """Facts are resolved once for a candidate, however many requests follow."""
    asked: dict[str, Any] = {"kind": "diffusers", "model": "sdxl", "instant": "2026-11-25T10:00:00Z"}
    assert facts_for(**asked) is facts_for(**{**asked, "instant": "2026-11-25T23:00:00.5Z"})


# ------------------------------------------------------------------------------------------------ the embedded facts


def test_the_embedded_files_are_whole_and_no_name_stands_twice() -> None:
    """Every file reads, every name is in one row only, and a lazy look-up finds what reading all gives."""
    book = embedded_book()
    seen: dict[tuple[str, str], str] = {}
    for file in book.files():
        for row in file.rows:
            kind = type(row).__name__ + getattr(row, "role", "")
            for name in row.names:
                assert (kind, name.casefold()) not in seen, name
                seen[kind, name.casefold()] = file.file
    lazy = Book([(str(file), file.read_bytes()) for file in sorted(FOLDER.glob("*.facts.yaml"))])
    for licence in (one for file in book.files() for one in file.licences):
        for name in licence.names:
            found = lazy.licence(name)
            assert found is not None
            assert found[0].facts == licence.facts
    for subject in (one for file in book.files() for one in file.subjects):
        for name in subject.names:
            found_subject = lazy.subject(name, (subject.role,))
            assert found_subject is not None
            assert found_subject[0].id == subject.id


def test_what_the_embedded_rows_refer_to_is_there() -> None:
    """No row names a licence or a provider without a row, and no source was read in the future."""
    found = [one for one in remarks(embedded_book(), DAY) if one.what in ("no_row", "read_later", "stale")]
    assert [str(one) for one in found] == []


def test_no_row_is_called_signed_off() -> None:
    """Every row is provisional until a person has confirmed it: the program does not sign for anybody."""
    assert all(row.signed_off is None for row in every_row(embedded_book(), DAY, 180))


def test_every_term_is_quoted_or_explained_and_dated() -> None:
    """Each stated term has a quote or a note, and the day on which it was read."""
    for file in embedded_book().files():
        for licence in file.licences:
            for fact in licence.facts.terms:
                assert fact.quote or fact.note, (licence.facts.id, fact.term)
                assert date.fromisoformat(fact.read) <= DAY
                assert fact.term in TERMS


@pytest.mark.parametrize(("licence", "file"), [("Apache-2.0", "LICENSE"), ("MIT", "NOTICE")])
def test_quotes_of_texts_that_lie_here_are_their_words(licence: str, file: str) -> None:
    """Where the text itself is in the repository, each quote stands in it, and its digest is the recorded one."""
    data = files("limner_providers").joinpath("starter", file).read_bytes()
    text = " ".join(data.decode().split())
    found = embedded_book().licence(licence)
    assert found is not None
    row, _ = found
    assert row.text_sha256 in ("", hashlib.sha256(data).hexdigest())
    quotes = [fact.quote for fact in row.facts.terms if fact.quote]
    assert len(quotes) >= 2
    assert [quote for quote in quotes if quote not in text] == []


def catalogued() -> Iterator[tuple[str, str | None]]:
    """The models of every catalogue of the providers, with the licence each states."""
    for file in sorted(files("limner_providers").joinpath("data").iterdir(), key=lambda one: one.name):
        data = json.loads(file.read_text("utf-8")) if file.name.endswith(".json") else {}
        models = data.get("models", [])
        rows = models.values() if isinstance(models, dict) else models
        for key, row in zip(models, rows, strict=True):
            fallback = key if isinstance(key, str) else ""
            yield row.get("name", fallback), row.get("licence", data.get("licence"))


def test_every_catalogued_model_has_its_row() -> None:
    """What a provider's data name is known to the facts, under the licence that the data state."""
    names = list(catalogued())
    assert len(names) >= 4
    parts, unknown = parts_of([name for name, _ in names])
    assert unknown == ()
    assert all(part.licences for part in parts)
    for name, licence in names:
        for part in facts_for(model=name, licence=licence):
            assert "own data state" not in part.conflict, name


def test_every_kind_of_provider_and_every_detector_has_its_row() -> None:
    """The kinds that can be configured and the detectors that are built in are subjects of the facts."""
    book = embedded_book()
    assert [kind for kind in provider_kinds() if book.subject(kind, ("provider",)) is None] == []
    assert [name for name in BUILT_IN if book.subject(name, ("detector",)) is None] == []


def test_starter_and_nsfw_may_be_used_commercially() -> None:
    """What comes with Limner passes its own licence rules without anything being claimed of the organisation."""
    from limner_policy.licences import Answers

    answers = Answers(facts_for(kind="diffusers", model="limner-starter", licence="Apache-2.0", detectors=["nsfw"]))
    assert answers.allowed("commercial_use").truth is True
    assert answers.allowed("commercial_outputs").truth is True
    assert answers.conflict().truth is False
    assert answers.known().truth is True


# ------------------------------------------------------------------------------------------------ what lint can tell


def test_remarks_tell_old_unsigned_and_incomplete_rows(tmp_path: Path) -> None:
    """A row's age, the missing sign-off, gaps and a licence that has no row, each with file and line."""
    text = HEAD + LICENCE + SUBJECT.replace("[LicenseRef-Own]", "[LicenseRef-Own, LicenseRef-Gone]")
    book = Book([("own", text.encode())])
    found = {(one.row, one.what): one for one in remarks(book, date(2027, 11, 1), max_age_days=364)}
    assert set(found) == {
        ("LicenseRef-Own", "stale"),
        ("LicenseRef-Own", "unsigned"),
        ("LicenseRef-Own", "gap"),
        ("own/model", "stale"),
        ("own/model", "unsigned"),
        ("own/model", "no_row"),
    }
    assert str(found["LicenseRef-Own", "stale"]).startswith("own:6: LicenseRef-Own: was read 365 days ago")
    assert "user_ceiling, territory_exclude" in found["LicenseRef-Own", "gap"].message
    signed = text.replace("    silent", "    signed_off: {by: J. Doe, on: 2026-11-02}\n    silent")
    fewer = remarks(Book([("own", signed.encode())]), date(2026, 11, 2))
    assert ("LicenseRef-Own", "unsigned") not in {(one.row, one.what) for one in fewer}


def test_old_claims_are_told() -> None:
    """What an organisation claimed long ago is to be confirmed; a pack without claims has none to be old."""
    text = "policy: p\nversion: 1\ntitle: t\nowner: o\n{}rules:\n  - {{id: R, title: t, says: s, why: w,"
    text += (
        " basis: [{{cite: c}}], severity: low, stage: request, when: {{task: {{in: [x]}}}}, then: {{verdict: deny}}}}\n"
    )
    claimed = "organisation: {as_of: 2026-01-01, claimed_by: cfo}\n"
    packs = [load_pack_bytes(text.format(lines).encode(), name) for lines, name in ((claimed, "a"), ("", "b"))]
    assert claims(packs, date(2026, 6, 30)) == []
    (old,) = claims(packs, date(2026, 7, 1))
    assert str(old) == "a:1: organisation: is claimed as of 181 days ago by cfo: have it confirmed"


@pytest.mark.parametrize("name", ["", "ünïcode", "\udcff", "a" * 10_000, "(", "*", "\\"])
def test_odd_names_are_unknown_names(name: str) -> None:
    """Whatever is typed is looked up as text, never as a pattern, and is simply not there."""
    assert parts_of([name]) == ((), (name,))


def test_asking_for_facts_costs_nothing_until_somebody_asks(run_python: Callable[[str], str]) -> None:
    """Importing the package, loading a pack with licence rules and judging an input reads no facts file."""
    program = (
        "import limner_policy as p, limner_policy.licences.book as book;"
        "packs = p.load_packs([p.embedded_pack()]);"
        "given = p.PolicyInput(instant='2026-11-25T00:00:00Z', stage='candidate',"
        " request=p.RequestFacts(task='txt2img'), candidate=p.CandidateFacts(licence='Apache-2.0'));"
        "print(p.judge(packs, given).verdict, book.embedded_book.cache_info().currsize)"
    )
    assert run_python(program) == "allow 0"


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Run a program in a process of its own and give what it prints."""
    import subprocess
    import sys

    def run(program: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.strip()

    return run
