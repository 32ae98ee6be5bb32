"""List files: what they hold, what each mistake is told as, and that a pack's bytes and digest hold them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given as such
from hypothesis import strategies as st

from limner_policy import Pack, PolicyFileError, judge, listing, load_pack_bytes, load_packs
from limner_policy.bundles import MAGIC, BrokenBundle, bundle, unbundle
from limner_policy.list_files import MAX_LIST_BYTES, MAX_ROWS, MAX_TOLD, read_list_file
from limner_policy.types import PolicyInput
from limner_policy.wordlists import Entity

HEADER = "policy: house\nversion: 1\ntitle: House\nowner: legal\n"
WriteRule = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path, rule: WriteRule) -> Path:
    """A pack with two list files beside it."""
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "words.txt").write_bytes("\ufeff# swords\r\nsword\r\n\r\n  long bow  \r\nСабля\r\n".encode())
    (tmp_path / "lists" / "artists.csv").write_text(
        "id,name,aliases,kind,near,unless_near,ambiguous,note\n"
        'artist:doe,"Doe, Jane",JQ Doe|J. Doe,artist,,,,"said ""no"""\n'
        "artist:rose,Rose,,artist,style of|by,rose garden,yes,\n"
    )
    lists = (
        "lists:\n  words: {file: lists/words.txt, owner: safety, refreshed: 2026-11-01, max_age_days: 90}\n"
        "  artists: {file: lists/artists.csv}\n"
    )
    rules = rule("R-1", when="{terms: {list: words, inflect: [plural]}}") + rule(
        "R-2", when="{entity: {list: artists}}"
    )
    (tmp_path / "house.policy.yaml").write_text(f"{HEADER}{lists}rules:\n{rules}")
    return tmp_path


def load(folder: Path) -> Pack:
    """The pack of that folder."""
    return load_packs([folder / "house.policy.yaml"])[0]


def told(folder: Path) -> str:
    """What loading the folder's pack says is wrong."""
    with pytest.raises(PolicyFileError) as caught:
        load(folder)
    return str(caught.value).replace(f"{folder}/", "")


def test_lists_are_read_and_searched(folder: Path, given: Callable[..., PolicyInput]) -> None:
    """Byte order marks, CRLF, comments, quoted cells and aliases; rules find terms and names."""
    pack = load(folder)
    artists, words = pack.lists
    assert words.terms == ("sword", "long bow", "Сабля")
    assert (words.owner, words.refreshed, words.max_age_days) == ("safety", "2026-11-01", 90)
    assert artists.entities == (
        Entity("artist:doe", ("Doe, Jane", "JQ Doe", "J. Doe"), "artist"),
        Entity("artist:rose", ("Rose",), "artist", ("style of", "by"), ("rose garden",), ambiguous=True),
    )
    assert [hit.rule for hit in judge([pack], given("two Swords by JQ Doe")).hits] == ["R-1", "R-2"]
    assert judge([pack], given("a rose, swordfish")).hits == ()


def test_a_packs_bytes_and_digest_hold_its_lists(folder: Path, given: Callable[..., PolicyInput]) -> None:
    """The log's bytes alone give the same pack; a changed list is another pack; the pack's own file is inside."""
    pack = load(folder)
    again = load_pack_bytes(pack.source, "house")
    assert (again.sha256, again.source, again.lists[1].sha256) == (pack.sha256, pack.source, pack.lists[1].sha256)
    assert pack.sha256 == hashlib.sha256(pack.source).hexdigest()
    assert pack.document == (folder / "house.policy.yaml").read_bytes()
    assert pack.rule_text("R-1") == again.rule_text("R-1")
    assert judge([again], given("a sword")).to_leaf() == judge([pack], given("a sword")).to_leaf()
    (folder / "lists" / "words.txt").write_text("bow\n")
    changed = load(folder)
    assert changed.sha256 != pack.sha256
    assert changed.document == pack.document


def test_a_bundle_file_can_be_loaded_from_disk(folder: Path) -> None:
    """What an auditor wrote out of the log loads as it is, without the folder."""
    pack = load(folder)
    file = folder / "elsewhere.yaml"
    file.write_bytes(pack.source)
    assert load_packs([file])[0].sha256 == pack.sha256


def test_a_pack_without_list_files_is_its_own_bytes(pack_of: Callable[..., Pack], rule: WriteRule) -> None:
    """Lists inside the pack change nothing of that."""
    pack = pack_of(rule("R-1", when="{terms: {list: few}}"), header="lists:\n  few: {terms: [sword]}\n")
    assert pack.source == pack.document
    assert pack.sha256 == hashlib.sha256(pack.document).hexdigest()


def test_bytes_alone_cannot_name_files(folder: Path) -> None:
    """A pack's YAML without its lists is refused, whatever lies in the working folder."""
    with pytest.raises(PolicyFileError, match="the list's file is not at hand"):
        load_pack_bytes((folder / "house.policy.yaml").read_bytes(), "house")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("words.txt", "sword\n?!\n", "lists/words.txt:2:1: holds no letter and no digit (found ?!)"),
        ("words.txt", "", "lists/words.txt:1:1: the list is empty"),
        ("words.txt", "# nothing\n\n", "the list is empty"),
        ("words.txt", "a\n" + "b" * 201, "lists/words.txt:2:1: the row has 201 characters and may have 200"),
        ("words.txt", "sword\nlong\tbow\n", "lists/words.txt:2:5: the sign U+0009 is not shown"),
        ("words.txt", "sword\n\u202edrows\n", "lists/words.txt:2:1: the sign U+202E is not shown"),
        ("words.txt", "a\rb\n", "lists/words.txt:1:2: line ends like U+000D are not accepted. Use LF or CRLF"),
        ("words.txt", "a\x00b\n", "the sign U+0000 is not shown"),
        ("artists.csv", "id;name\na;b\n", "the columns are separated by ;. Save the table with commas"),
        ("artists.csv", "id,nam\na,b\n", "lists/artists.csv:1:1: is no column (found nam). Did you mean name?"),
        ("artists.csv", "id,id,name\na,b,c\n", "the column stands twice (found id)"),
        ("artists.csv", "name,kind\na,b\n", "the first line names no column id"),
        ("artists.csv", "id,name\na\n", "lists/artists.csv:2:1: the row has 1 columns and the first line 2"),
        ("artists.csv", 'id,name\na,"b\nc"\nd,e,f\n', "lists/artists.csv:4:1: the row has 3 columns"),
        ("artists.csv", 'id,name\na,"b" c\n', "this is no row of a table"),
        ("artists.csv", "id,name\na b,c\n", "is no id (found a b)"),
        ("artists.csv", "id,name\na,b\na,c\n", "lists/artists.csv:3:1: the id stands in line 2 too (found a)"),
        ("artists.csv", "id,name,ambiguous\na,b,maybe\n", "`ambiguous` is yes, no or empty (found maybe)"),
        ("artists.csv", "id,name,near\na,b,c|?\n", "holds no letter and no digit (found ?)"),
        ("artists.csv", "term\nsword\n", "is a list of terms, not of entities"),
    ],
)
def test_each_mistake_of_a_list_is_told_with_its_line(folder: Path, name: str, content: str, message: str) -> None:
    """File, line, column, what is wrong and what to do."""
    (folder / "lists" / name).write_text(content, newline="")
    assert message in told(folder)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfes\x00", "the list is UTF-16. Save it as UTF-8"),
        ("sword\nGrün".encode("latin-1"), "lists/words.txt:2:3: the list is not UTF-8 here"),
    ],
)
def test_other_encodings_are_told(folder: Path, data: bytes, message: str) -> None:
    """With the place of the first wrong byte."""
    (folder / "lists" / "words.txt").write_bytes(data)
    assert message in told(folder)


def test_many_mistakes_are_told_by_the_first_ones(folder: Path) -> None:
    """A list that is something else altogether does not flood the reader."""
    (folder / "lists" / "words.txt").write_text("?\n" * 10_000)
    assert len(told(folder).splitlines()) == MAX_TOLD


def test_a_huge_list_is_refused_by_its_size_alone(folder: Path) -> None:
    """50 MB are never read; the message names the size and the bound."""
    with (folder / "lists" / "words.txt").open("wb") as stream:
        stream.truncate(50 * 1024 * 1024)
    said = told(folder)
    assert (
        "lists.words.file: has 52,428,800 bytes and a list may have 8,388,608 (found lists/words.txt). Split it" in said
    )
    found = read_list_file(b"a\n" * (MAX_ROWS + 1), "a.txt")
    assert [str(p) for p in found.problems] == [
        "a.txt:200001:1: the list has more than 200,000 rows. Split it into several lists"
    ]
    assert "may have 8,388,608" in str(read_list_file(b"a" * (MAX_LIST_BYTES + 1), "a.txt").problems[0])


def test_all_lists_together_are_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred lists of the allowed size each are too much for one pack."""
    size = (folder / "lists" / "words.txt").stat().st_size
    monkeypatch.setattr(listing, "MAX_TOTAL_BYTES", size)
    assert f"and together they may have {size} (found lists/artists.csv). Split the pack" in told(folder)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../words.txt", "leads out of the pack's folder with .."),
        ("lists/../../words.txt", "leads out of the pack's folder with .."),
        ("/etc/passwd.txt", "is no path inside the pack's folder"),
        ("C:/words.txt", "is no path inside the pack's folder"),
        ("lists\\\\words.txt", "is no path inside the pack's folder"),
        ("lists//words.txt", "is not the shortest way to write this path"),
        ("./lists/words.txt", "is not the shortest way to write this path"),
        ("house.policy.yaml", "does not end in .txt or .csv"),
        ("lists/word.txt", "there is no such file (found 'lists/word.txt'). Put it there: lists/word.txt"),
        ("lists", "does not end in .txt or .csv"),
        ("lists/folder.txt", "is no plain file"),
        ("lists/pipe.txt", "is no plain file"),
        ("lists/circle.txt", "links"),
        ("lists/out.txt", "is a link that leads out of the pack's folder"),
        ("outside/words.txt", "is a link that leads out of the pack's folder"),
    ],
)
def test_a_list_lies_inside_the_packs_folder(
    folder: Path, path: str, message: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No way up, no absolute path, no link out, no circle of links, no pipe that never ends."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "words.txt").write_text("secret\n")
    (folder / "lists" / "folder.txt").mkdir()
    os.mkfifo(folder / "lists" / "pipe.txt")
    (folder / "lists" / "circle.txt").symlink_to("other.txt")
    (folder / "lists" / "other.txt").symlink_to("circle.txt")
    (folder / "lists" / "out.txt").symlink_to(outside / "words.txt")
    (folder / "outside").symlink_to(outside)
    pack = folder / "house.policy.yaml"
    pack.write_text(pack.read_text().replace("{file: lists/words.txt,", f'{{file: "{path}",'))
    said = told(folder)
    assert "house.policy.yaml:6:17: lists.words.file: " in said
    assert message in said
    assert "secret" not in said


def test_a_link_inside_the_folder_is_followed(folder: Path) -> None:
    """Kubernetes mounts files as links into a folder beside them."""
    (folder / "lists" / "words.txt").rename(folder / "real.txt")
    (folder / "lists" / "words.txt").symlink_to("../real.txt")
    assert load(folder).lists[1].terms[0] == "sword"


def test_a_pack_in_a_folder_may_not_be_a_link_out_of_it(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A folder of packs holds its packs; a pipe is no pack."""
    other = tmp_path_factory.mktemp("packs")
    (other / "a.yaml").symlink_to(folder / "house.policy.yaml")
    with pytest.raises(PolicyFileError, match="is a link that leads out of its folder"):
        load_packs([other])
    os.mkfifo(other / "pipe.yaml")
    with pytest.raises(PolicyFileError, match="this is no plain file"):
        load_packs([other / "pipe.yaml"])


def test_a_lists_digest_can_be_pinned(folder: Path) -> None:
    """With `sha256` a list that was not reviewed is refused, and the message gives the digest to write."""
    digest = hashlib.sha256((folder / "lists" / "words.txt").read_bytes()).hexdigest()
    pack = folder / "house.policy.yaml"
    text = pack.read_text()
    pack.write_text(text.replace("owner: safety", f"sha256: {digest}"))
    load(folder)
    pack.write_text(text.replace("owner: safety", f"sha256: {'0' * 64}"))
    assert f"the file's SHA-256 is {digest}, not the one that stands here" in told(folder)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ("[a]", "lists: has to be lists by name: a mapping"),
        ("{Words: {terms: [a]}}", "has to be a name of small letters"),
        ("{words: {}}", "needs exactly one of `file`, `terms` and `entities`"),
        ("{words: {terms: [a], file: a.txt}}", "needs exactly one of `file`, `terms` and `entities`"),
        ("{words: {terms: [a], sha256: " + "0" * 64 + "}}", "`sha256` belongs to a file"),
        ("{words: {terms: [a], max_age_days: soon}}", "has to be a number of days from 1 to 3650 (found soon)"),
        ("{words: {term: [a]}}", "is not a key here. Did you mean terms?"),
        ("{words: {entities: [{id: a}]}}", "an entity has no `name`"),
    ],
)
def test_each_mistake_under_lists_is_told(
    lists: str, message: str, problems_of: Callable[[str], Iterable[object]], rule: WriteRule
) -> None:
    """And a rule that names the broken list is not blamed too."""
    problems = problems_of(f"{HEADER}lists: {lists}\nrules:\n" + rule("R-1"))
    assert message in "\n".join(map(str, problems))


def test_a_broken_list_is_told_once(folder: Path) -> None:
    """The rules that use it add nothing."""
    (folder / "lists" / "words.txt").write_text("")
    assert len(told(folder).splitlines()) == 1


def test_bundles_give_back_exactly_what_went_in() -> None:
    """Empty files, any bytes, any order of the files given: one bundle, and back."""
    files = {"b.txt": b"", "a/ü.csv": bytes(range(256))}
    data = bundle(b"pack", files)
    assert unbundle(data) == (b"pack", files)
    assert bundle(b"pack", dict(reversed(files.items()))) == data
    assert unbundle(b"policy: x") == (b"policy: x", {})


@pytest.mark.parametrize(
    "broken",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data.replace(b"sword", b"swore"),
        lambda data: data.replace(b'"path":""', b'"path":"x"'),
        lambda data: MAGIC,
        lambda data: MAGIC + b"{}\n",
        lambda data: MAGIC + b"[" * 100_000,
        lambda data: data.replace(b'"files"', b'"file"'),
    ],
)
def test_a_broken_bundle_is_no_pack(broken: Callable[[bytes], bytes]) -> None:
    """Missing, added and changed bytes and a header of another shape are refused."""
    data = broken(bundle(b"policy: x\n", {"a.txt": b"sword\n"}))
    with pytest.raises(BrokenBundle):
        unbundle(data)
    with pytest.raises(PolicyFileError, match="bundle"):
        load_pack_bytes(data, "house")


PIECES = st.sampled_from(
    [
        "id,name\n",
        "term\n",
        "a,b\n",
        '"',
        '""',
        "|",
        ",",
        "\n",
        "\r\n",
        "\r",
        "#",
        "é",
        "裸",
        "\u202e",
        "\x00",
        "\ufeff",
        "?",
    ]
)


@such(st.binary(max_size=60) | st.lists(PIECES | st.text(max_size=4), max_size=20).map(lambda p: "".join(p).encode()))
def test_any_bytes_are_a_list_or_told(data: bytes) -> None:
    """Whatever a list file holds, reading it ends in rows or in problems with places, and in nothing else."""
    for name in ("a.txt", "a.csv"):
        found = read_list_file(data, name)
        assert found.terms or found.entities or found.problems
        assert all(problem.line >= 1 and problem.column >= 1 and problem.remedy for problem in found.problems)


@such(st.binary(max_size=80))
def test_any_bytes_behind_a_bundles_beginning_are_told(data: bytes) -> None:
    """A bundle that is none is a problem of the file, never another error."""
    with pytest.raises(PolicyFileError):
        load_pack_bytes(MAGIC + data, "house")
