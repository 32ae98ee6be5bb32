"""`limner providers`, `limner models`, and requests to engines of the network, by the command line as a user does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import openai_faults
from servers.pictures import noise_png

from limner.cli import run

ROOT = Path(__file__).parents[3]
CANARY = "sk-canary-0123456789abcdef"


def configure(**providers: dict[str, Any]) -> None:
    """Write a `limner.yaml` into the working folder."""
    lines = [f"  {name}: {json.dumps(section)}" for name, section in providers.items()]
    Path("limner.yaml").write_text("providers:\n" + "\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def limner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Give the command line in an empty folder; it answers the exit code and the JSON document."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THE_KEY", CANARY)
    monkeypatch.setenv("WRONG_KEY", "sk-of-somebody-else")

    def call(*argv: str) -> tuple[int, dict[str, Any]]:
        code = run([*argv, "--json"])
        captured = capsys.readouterr()
        assert CANARY not in captured.out + captured.err
        return code, json.loads(captured.out)

    return call


def shop(server: Any) -> dict[str, Any]:
    """Give the section of a provider that speaks to this server, whose one key is the canary."""
    server.app.key = CANARY
    return {"kind": "openai", "base_url": f"{server.url}/v1", "api_key": "${THE_KEY}", "model": "gpt-image-2"}


def kept_bytes() -> bytes:
    """Everything that the state's folder holds."""
    return b"".join(path.read_bytes() for path in Path(".limner").rglob("*") if path.is_file())


def test_an_openai_server_gives_a_signed_and_audited_picture(limner: Callable[..., Any], openai_server: Any) -> None:
    """A picture from a compatible server is judged, signed and recorded, billed once, and the key is nowhere."""
    configure(shop=shop(openai_server))
    code, made = limner("generate", "a red apple", "--provider", "shop", "--output", "a.png")
    assert (code, made["provider"]) == (0, "shop")
    assert len(openai_server.ledger.calls("/v1/images/generations")) == 1
    assert limner("verify", "a.png")[0] == 0
    assert limner("audit", "verify")[0] == 0
    assert CANARY.encode() not in kept_bytes()


def test_a_midjourney_proxy_gives_signed_and_audited_pictures(
    limner: Callable[..., Any], midjourney_server: Any
) -> None:
    """One picture is asked for, four come: one is the result, three are kept with the record, all from one submit."""
    app = midjourney_server.app
    settings = {"kind": "midjourney", "base_url": midjourney_server.url, "secret": "${THE_KEY}", "dialect": app.dialect}
    configure(mj=settings)
    app.secret = CANARY
    code, made = limner("generate", "a red apple", "--provider", "mj", "--output", "a.png")
    assert code == 0
    assert len(made["images"]) == 1
    assert len(made["surplus"]) == 3
    assert len(midjourney_server.ledger.calls("/mj/submit/imagine")) == 1
    assert limner("verify", "a.png")[0] == 0
    assert limner("audit", "verify")[0] == 0


def test_a_refusal_by_moderation_is_not_fallen_back_around(limner: Callable[..., Any], openai_server: Any) -> None:
    """The next engine is not asked for what the first one's moderation refused, and the record says why."""
    configure(shop=shop(openai_server), fake={"kind": "test"})
    openai_server.script.always(openai_faults.moderation_blocked(stage="output", categories=("sexual",)))
    code, told = limner("generate", "a red apple")
    assert (code, told["error"]) == (3, "ModerationBlocked")
    _, shown = limner("audit", "show", told["record_id"])
    steps = [entry["step"] for entry in shown["entries"]]
    assert steps.count("attempted") == 1
    assert "sexual" in json.dumps(shown)


def test_a_wrong_key_is_told_and_the_next_engine_asked(limner: Callable[..., Any], openai_server: Any) -> None:
    """A wrong key is no reason to ask again, but the next engine can do it; the result says what happened."""
    configure(shop=shop(openai_server) | {"api_key": "${WRONG_KEY}"}, fake={"kind": "test"})
    code, made = limner("generate", "a red apple", "--output", "a.png")
    assert (code, made["provider"]) == (0, "fake")
    assert [(a["provider"], a["error"]) for a in made["attempts"]] == [("shop", "AccessDenied"), ("fake", None)]
    assert any("AccessDenied" in warning for warning in made["warnings"])


def test_providers_list_names_kinds_with_tasks_and_models(limner: Callable[..., Any]) -> None:
    """Each built-in kind is listed with what it can do; nothing is contacted."""
    configure(nowhere={"kind": "openai", "base_url": "http://127.0.0.1:9/v1"}, broken={"kind": "test", "delya": 3})
    code, listed = limner("providers", "list")
    kinds = {kind["kind"]: kind for kind in listed["kinds"]}
    assert code == 0
    assert {"diffusers", "midjourney", "openai", "test"} <= kinds.keys()
    assert kinds["diffusers"]["tasks"] == ["txt2img", "img2img", "inpaint", "outpaint", "upscale", "variation"]
    assert "gpt-image-2" in kinds["openai"]["models"]
    named = {one["name"]: one for one in listed["configured"]}
    assert named["nowhere"]["error"] is None
    assert "Did you mean delay" in named["broken"]["error"]["message"]


def test_providers_check_contacts_each_one(limner: Callable[..., Any], openai_server: Any) -> None:
    """One that is there is told with its latency; one that is not makes the exit code 3, with the reason."""
    configure(shop=shop(openai_server), fake={"kind": "test"})
    code, checked = limner("providers", "check")
    assert code == 0
    assert checked["providers"][0]["latency_ms"] > 0
    assert not openai_server.ledger.calls("/v1/images/generations")
    configure(gone={"kind": "openai", "base_url": "http://127.0.0.1:9/v1"})
    code, checked = limner("providers", "check")
    assert code == 3
    assert checked["providers"][0]["error"]["type"] == "EngineUnavailable"


def test_models_tell_status_price_and_licence(limner: Callable[..., Any]) -> None:
    """A retired model names its successor; the day on which that is told can be chosen."""
    code, told = limner("models", "--kind", "openai")
    by_name = {model["name"]: model for model in told["models"]}
    assert code == 0
    assert by_name["dall-e-3"]["status"] == "retired"
    assert by_name["dall-e-3"]["successors"]
    assert by_name["gpt-image-2"]["prices"]["rates"]
    assert all(model["licence"] and model["source"] and model["read_on"] for model in told["models"])
    _, before = limner("models", "--kind", "openai", "--as-of", "2026-01-01")
    assert {m["name"]: m["status"] for m in before["models"]}["dall-e-3"] != "retired"
    assert limner("models", "--as-of", "yesterday")[0] == 2
    assert limner("models", "--kind", "nobody")[0] == 2


def test_the_table_of_the_readme_is_that_of_the_capability_data(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`limner providers list --markdown` gives the README's table, row by row."""
    monkeypatch.chdir(tmp_path)
    assert run(["providers", "list", "--markdown"]) == 0
    assert capsys.readouterr().out.strip() in (ROOT / "README.md").read_text(encoding="utf-8")
    assert not list(tmp_path.iterdir())  # looking leaves nothing behind


def test_a_server_that_chooses_its_own_size_is_found_out(limner: Callable[..., Any], openai_server: Any) -> None:
    """Some compatible servers take a size they cannot make and give another: the picture is kept, and that is said."""
    settings = shop(openai_server)
    configure(shop=settings)
    openai_server.app.pictures = [noise_png(5_000)]
    code, made = limner("generate", "a red apple", "--size", "1024x1536", "--output", "a.png")
    assert code == 0
    got = made["images"][0]["size"]
    assert f"shop gave {got} where 1024x1536 was asked for" in made["warnings"]
