"""`limner policy lint | test | diff | book | explain --prompt` and what a repository runs: exit codes and answers."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner.cli import run
from limner.policy_tools.abilities import EXECUTED_DUTIES, installed_detectors
from limner_policy.duties import KNOWN_DUTIES
from limner_policy.yaml_reading import Mapping, Scalar, Sequence, read_yaml

ROOT = Path(__file__).parents[3]
GENERAL = ROOT / "policy" / "examples" / "general.policy.yaml"
EU = ROOT / "policy" / "examples" / "eu-marketing.policy.yaml"
DAY = ("--as-of", "2026-11-25")
HOUSE = """\
policy: house
version: "1"
title: House
owner: o@example.com
sources:
  s: {cite: S, read: 2026-11-01}
rules:
  - id: H-1
    title: No swords
    says: A request for a sword is refused.
    why: W.
    basis: [s]
    severity: high
    stage: request
    when: {all: [{terms: {any_of: [sword]}}, {audience: {in: [children]}}]}
    then: {verdict: deny}
    if_unknown: review
    examples:
      - {prompt: a sword, audience: children, expect: deny}
      - {prompt: a sword, audience: adults, expect: allow}
      - {prompt: a sword, expect: review}
      - {prompt: a pear, audience: children, expect: allow}
"""

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Give a runner of `limner policy …` in an empty folder that gives exit code and everything printed."""
    monkeypatch.chdir(tmp_path)

    def runner(*arguments: str | Path) -> tuple[int, str]:
        capsys.readouterr()
        code = run(["policy", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return runner


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Give a good policy file."""
    return write(tmp_path / "house.policy.yaml", HOUSE)


def write(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def document(answer: tuple[int, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer[1])
    return found


@pytest.mark.parametrize("pack", [GENERAL, EU], ids=["general", "eu-marketing"])
def test_the_packs_that_are_shipped_pass_lint_and_test(command: Command, pack: Path) -> None:
    """Both have no finding but notes on the day they were written, and examples for every rule and date."""
    code, answer = command("lint", pack, *DAY, "--json")
    assert code == 0
    assert all(one["note"] for one in json.loads(answer)["findings"])
    code, answer = command("test", pack, "--fail-under", "100", "--json")
    assert code == 0
    [covered] = json.loads(answer)["coverage"]
    assert (covered["coverage_percent"], covered["failures"], covered["gaps"]) == (100, [], [])


def test_lint_tells_a_mistake_from_a_finding(command: Command, house: Path, tmp_path: Path) -> None:
    """A broken file is exit code 2 with file, line and column; a finding is 1 with file and line; notes are 0."""
    assert command("lint", house, *DAY)[0] == 0
    broken = write(tmp_path / "broken.yaml", HOUSE.replace("severity: high", "severity: hihg"))
    code, answer = command("lint", broken, *DAY)
    assert code == 2
    assert f"{broken}:13:15: rules[0].severity" in answer
    code, answer = command("lint", house, "--as-of", "2028-01-01")
    assert code == 1
    assert "house.policy.yaml:6: source s is of 2026-11-01" in answer
    assert command("lint", house, "--as-of", "2028-01-01", "--stale-after", "1000")[0] == 0
    noted = write(tmp_path / "noted.yaml", HOUSE.replace("rules:", "  x: {cite: X, read: 2026-11-01}\nrules:"))
    code, answer = command("lint", noted, *DAY)
    assert code == 0
    assert "note: no rule rests on source x [unused]" in answer


def test_lint_gives_json(command: Command, tmp_path: Path) -> None:
    """Each finding has file, line, rule, kind, message and remedy."""
    shadowed = HOUSE + HOUSE[HOUSE.index("  - id") :].replace("H-1", "H-2").replace("[sword]", "[long sword]")
    code, answer = command("lint", write(tmp_path / "two.yaml", shadowed), *DAY, "--json")
    assert code == 1
    [one] = json.loads(answer)["findings"]
    assert (one["line"], one["rule"], one["kind"], one["note"]) == (23, "H-2", "shadowed", False)
    assert one["remedy"]


def test_test_shows_coverage_and_fails_under(command: Command, house: Path, tmp_path: Path) -> None:
    """The table counts both sides and dates; a gap lowers the percentage, which --fail-under asks for."""
    code, answer = command("test", house)
    assert code == 0
    assert "1 of 1 rules fired and not fired, 0 of 0 date borders crossed: 100 % covered." in answer
    dated = write(tmp_path / "dated.yaml", HOUSE.replace("    when:", "    effective: {from: 2026-06-01}\n    when:"))
    assert command("test", dated)[0] == 0
    code, answer = command("test", dated, "--fail-under", "100")
    assert code == 1
    assert "dated.yaml:8: H-1: no example with an `as_of` before effective.from 2026-06-01" in answer


def test_mutate_shows_what_no_example_notices(command: Command, house: Path, tmp_path: Path) -> None:
    """All small changes of the good file are noticed; without one example two survive and are named."""
    code, answer = command("test", house, "--mutate", "--fail-under", "100", "--json")
    assert code == 0
    assert json.loads(answer)["mutation"][0]["survivors"] == []
    bare = write(tmp_path / "bare.yaml", HOUSE.replace("      - {prompt: a sword, expect: review}\n", ""))
    code, answer = command("test", bare, "--mutate")
    assert code == 0
    assert "no example notices: H-1 (line 8): if_unknown review → allow" in answer
    assert command("test", bare, "--mutate", "--fail-under", "100")[0] == 1


def test_a_failing_example_is_the_answer_no(command: Command, tmp_path: Path) -> None:
    """An example that comes out differently is told with file and line, and exit code 1."""
    wrong = write(
        tmp_path / "wrong.yaml", HOUSE.replace("audience: adults, expect: allow", "audience: adults, expect: deny")
    )
    code, answer = command("test", wrong)
    assert code == 1
    assert "wrong.yaml:20: house/H-1: expected deny, got allow" in answer


def test_diff_has_exit_codes_like_diff(command: Command, house: Path, tmp_path: Path) -> None:
    """0 where nothing differs, 1 where something does, 2 where a file is none; the page is written as asked."""
    copy = write(tmp_path / "copy.yaml", HOUSE)
    assert command("diff", house, copy) == (0, "Nothing differs: the packs are the same byte for byte.\n")
    new = write(tmp_path / "new.yaml", HOUSE.replace("[sword]", "[sword, lance]"))
    code, answer = command("diff", house, new, "--output", "redline.html")
    assert code == 1
    assert "H-1 No swords (line 8) changed: stricter than before" in answer
    assert "~ when: terms added (1): “lance”" in answer
    assert "“lance”" in (tmp_path / "redline.html").read_text(encoding="utf-8")
    found = document(command("diff", house, new, "--json"))
    assert found["differs"]
    assert found["packs"][0]["rules"][0]["effect"] == "tightened"
    assert command("diff", house, tmp_path / "nowhere.yaml")[0] == 2


def test_diff_shows_no_control_characters(command: Command, house: Path, tmp_path: Path) -> None:
    """A title with direction characters is spelled out, so that it cannot turn the red-line around."""
    new = write(tmp_path / "new.yaml", HOUSE.replace("title: House\n", 'title: "House \\u202eesuoH"\n'))
    assert "\\u202e" in command("diff", house, new)[1]


def test_book_writes_one_page(command: Command, house: Path, tmp_path: Path) -> None:
    """The page stands where it was asked for and carries the digest; without its folder it is wrong input."""
    code, answer = command("book", house, "--output", "book.html", *DAY)
    assert (code, answer) == (0, "house 1, 1 rules: book.html\n")
    page = (tmp_path / "book.html").read_text(encoding="utf-8")
    digest = document(command("lint", house, *DAY, "--json"))["packs"][0]["sha256"]
    assert digest in page
    assert "mutation score" in page
    assert command("book", house, "--output", "nowhere/book.html")[0] == 2


def test_book_of_several_packs_needs_a_folder(command: Command, house: Path, tmp_path: Path) -> None:
    """Each pack of a folder is a book of its own in the folder of the output."""
    write(tmp_path / "other.yaml", HOUSE.replace("policy: house", "policy: other"))
    (tmp_path / "books").mkdir()
    code, _ = command("book", tmp_path, "--output", "books", "--quick", *DAY)
    assert code == 0
    assert sorted(file.name for file in (tmp_path / "books").iterdir()) == ["house.html", "other.html"]
    code, answer = command("book", tmp_path, "--output", "one.html", "--quick", *DAY)
    assert code == 2
    assert "no folder" in answer


def test_explain_a_prompt_that_nobody_sent(command: Command, house: Path, tmp_path: Path) -> None:
    """Verdict, rule and the condition part by part; exit code 1 where it is not allowed; nothing is written."""
    code, answer = command("explain", "--pack", house, "--prompt", "a golden sword", "--audience", "children", *DAY)
    assert code == 1
    assert "request: refused" in answer
    assert "how     [yes] all of these hold" in answer
    assert "[yes] the prompt names “sword” — found »sword«" in answer
    code, answer = command("explain", "--pack", house, "--prompt", "a golden sword", *DAY)
    assert "request: a person has to decide" in answer
    assert "[?] the audience is children" in answer
    assert command("explain", "--pack", house, "--prompt", "a pear", *DAY)[0] == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["house.policy.yaml"]


def test_explain_judges_the_stages_that_are_spoken_of(command: Command) -> None:
    """An engine adds the candidate's judgement with its licence, a score the picture's."""
    engine = ("--kind", "diffusers", "--model", "black-forest-labs/FLUX.1-dev")
    answer = command(
        "explain", "--pack", GENERAL, "--prompt", "a pear", *engine, "--score", "nsfw/nsfw=0.9", "--json", *DAY
    )
    judged = {one["judged"]: one for one in document(answer)["judgements"]}
    assert {name: one["verdict"] for name, one in judged.items()} == {
        "request": "allow",
        "candidate": "deny",
        "image": "deny",
    }
    assert judged["candidate"]["reasons"][0]["licences"]
    unknown = command("explain", "--pack", GENERAL, "--prompt", "x", "--score", "nsfw/nsfw=unknown", "--json")
    assert document(unknown)["judgements"][1]["reasons"][0]["state"] == "unknown"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("0123", "--prompt", "x"),
        ("--prompt", "x", "--score", "nsfw=2"),
        ("--prompt", "x", "--input", "photo"),
        ("--prompt", "x", "--as-of", "yesterday"),
    ],
)
def test_explain_names_wrong_arguments(command: Command, arguments: tuple[str, ...]) -> None:
    """Neither or both of record and prompt, a score or a picture that is none, a day that is none: wrong input."""
    assert command("explain", *arguments)[0] == 2


def test_what_this_version_can_do_is_said_rightly() -> None:
    """Duties said to be carried out are known ones, and the shipped detector is installed."""
    assert set(KNOWN_DUTIES) >= EXECUTED_DUTIES
    assert "nsfw" in installed_detectors()


@pytest.mark.parametrize(("duty", "held_back"), [("disclose_prompt", False), ("watermark", True)])
def test_lint_knows_which_duties_are_carried_out(command: Command, tmp_path: Path, duty: str, held_back: bool) -> None:
    """A duty that the pipeline fulfils is no finding; one that holds every picture back is."""
    text = HOUSE.replace("verdict: deny}", f"verdict: allow_with_duties, duties: [{duty}]}}")
    (tmp_path / "duties.policy.yaml").write_text(text)
    _, said = command("lint", "duties.policy.yaml", "--json")
    told = [f["message"] for f in json.loads(said)["findings"] if f["kind"] == "no-executor"]
    assert told == ([f"nothing carries out the duty {duty} in this version"] if held_back else [])


def _hooks() -> dict[str, str]:
    root, problems = read_yaml((ROOT / ".pre-commit-hooks.yaml").read_bytes(), file="hooks")
    assert problems == []
    assert isinstance(root, Sequence)
    found = {}
    for item in root.items:
        assert isinstance(item, Mapping)
        keys = {key.text: value.text for key, value in item.pairs if isinstance(value, Scalar)}
        assert keys["language"] == "python"
        found[keys["id"]] = keys["entry"]
    return found


def test_the_pre_commit_hooks_run(command: Command, house: Path, tmp_path: Path) -> None:
    """Each hook's command passes for good files and fails for bad ones, with the files as further arguments."""
    hooks = _hooks()
    assert set(hooks) == {"limner-policy-lint", "limner-policy-test"}
    overdue = write(tmp_path / "overdue.yaml", HOUSE.replace("rules:", "review_by: 2020-01-01\nrules:", 1))
    lint, test = (shlex.split(hooks[f"limner-policy-{name}"])[2:] for name in ("lint", "test"))
    assert [command(*test, house)[0], command(*test, house, overdue)[0]] == [0, 0]
    assert command(*lint, house, overdue, *DAY)[0] == 1
    assert command(*lint, house, *DAY)[0] == 0
    wrong = write(
        tmp_path / "wrong.yaml", HOUSE.replace("a pear, audience: children, expect: allow", "a pear, expect: deny")
    )
    assert command(*test, house, wrong)[0] == 1


class _Repository:
    """A git repository with a policy on its main branch, in which the action's script runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "policy").mkdir()
        write(folder / "policy" / "house.policy.yaml", HOUSE)
        self.git("init", "-q", "-b", "main")
        self.git("add", ".")
        self.git("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", "first")

    def git(self, *arguments: str) -> None:
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        subprocess.run(["git", *arguments], cwd=self.folder, check=True, env=environment, capture_output=True)

    def check(self, **setting: str) -> subprocess.CompletedProcess[str]:
        """Run the script as the action does."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "POLICY_PATH": "policy", **setting}
        script = ROOT / "policy" / "hooks" / "check.sh"
        return subprocess.run(
            ["bash", str(script)], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )


def test_the_action_lints_tests_and_writes_the_red_line(tmp_path: Path) -> None:
    """Its script passes for a good change and writes what changed; it stops at a finding or a failing example."""
    repository, summary = _Repository(tmp_path), tmp_path / "summary.md"
    file = tmp_path / "policy" / "house.policy.yaml"
    # Far in the future every source is stale, so this one never is.
    write(
        file,
        HOUSE.replace(", read: 2026-11-01", "").replace("a pear, audience: children", "a plum, audience: children"),
    )
    done = repository.check(BASE="main", GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 0, done.stderr
    assert "100 % covered" in done.stdout
    assert "      H-1 No swords (line 8) changed: decides as before" in summary.read_text(encoding="utf-8")
    write(
        file,
        HOUSE.replace(", read: 2026-11-01", "").replace(
            "a pear, audience: children, expect: allow", "a pear, expect: deny"
        ),
    )
    assert repository.check(BASE="main", GITHUB_STEP_SUMMARY=str(summary)).returncode == 1
    write(file, HOUSE.replace("severity: high", "severity: hihg"))
    assert repository.check().returncode == 2
    write(file, HOUSE.replace(", read: 2026-11-01", ""))
    gone = repository.check(BASE="nowhere", GITHUB_STEP_SUMMARY=str(summary))
    assert (gone.returncode, "fetch-depth 0" in gone.stderr) == (2, True)


def test_the_action_calls_its_script_with_its_inputs() -> None:
    """Every input of the action reaches the script through its environment, never as a part of a command's text."""
    text = (ROOT / "policy" / "hooks" / "action.yml").read_text(encoding="utf-8")
    root, problems = read_yaml(text.encode(), file="action.yml")
    assert problems == []
    assert isinstance(root, Mapping)
    assert {"name", "description", "inputs", "runs"} == {key.text for key, _ in root.pairs}
    runs = [line for line in text.splitlines() if line.strip().startswith("run:")]
    assert len(runs) == 2
    assert not any("${{" in line for line in runs)
    assert "check.sh" in runs[1]


_LIGHT = """
import sys
from limner.cli import run
pack = sys.argv[1]
codes = [
    run(["policy", "lint", pack, "--as-of", "2026-11-25"]), run(["policy", "test", pack, "--mutate"]),
    run(["policy", "diff", pack, pack]), run(["policy", "explain", "--pack", pack, "--prompt", "a pear"]),
    run(["policy", "book", pack, "--output", sys.argv[2]]),
]
heavy = {"torch", "diffusers", "transformers", "httpx", "openai", "PIL", "onnxruntime", "c2pa", "sqlalchemy", "numpy"}
sys.exit(f"{codes} {heavy & set(sys.modules)}" if any(codes) or heavy & set(sys.modules) else 0)
"""


def test_the_lawyers_tools_need_no_engine_and_no_database(house: Path, tmp_path: Path) -> None:
    """Lint, test, diff, explain and book load neither engines, pictures, the network nor the log."""
    done = subprocess.run(
        [sys.executable, "-c", _LIGHT, str(house), str(tmp_path / "book.html")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
