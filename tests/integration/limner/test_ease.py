"""What makes the SDK and the commands easy: names people know, pictures shown and fetched again, hints that help."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from limner import Config, ImageRequest, ImageResult, Limner
from limner.errors import ConfigInvalid, InvalidRequest, UnsupportedRequest

Command = Callable[..., tuple[int, str, str]]


def documents(found: tuple[int, str, str]) -> dict[str, Any]:
    """Give a command's JSON document, after it went well."""
    code, out, err = found
    assert code == 0, out + err
    made: dict[str, Any] = json.loads(out)
    return made


def pixels(result: ImageResult) -> bytes:
    """Give the first image without its credentials, which name its own record."""
    return Image.open(io.BytesIO(result.images[0].data)).tobytes()


def test_the_prompt_follows_the_picture_in_every_task(limner: Limner) -> None:
    """What reads as `edit(image, prompt)` works for outpaint and variation too."""
    start = limner.generate("red apple", seed=7).images[0]
    assert limner.outpaint(start, "a table", right=16).images[0].width == start.width + 16
    assert limner.variation(start, "a pear").images


def test_a_whole_result_is_not_taken_for_a_picture(limner: Limner) -> None:
    """The error says how to name one of its images."""
    result = limner.generate("red apple", seed=7)
    with pytest.raises(ConfigInvalid, match=r"result\.images\[0\]"):
        limner.edit(result, "a pear")


@pytest.mark.parametrize(
    ("name", "ours"),
    [("steps", "num_inference_steps"), ("cfg_scale", "guidance_scale"), ("width", "size"), ("sampler", "scheduler")],
)
def test_a_field_by_its_name_elsewhere_is_recognised(limner: Limner, name: str, ours: str) -> None:
    """Who comes from another library is told what the field is called here."""
    options: dict[str, Any] = {name: 7}
    with pytest.raises(InvalidRequest, match=f"Did you mean {ours}"):
        limner.generate("red apple", **options)


@pytest.mark.parametrize(("kind", "meant"), [("opnai", "openai"), ("fake", "test")])
def test_options_for_a_kind_that_there_is_none_of_are_refused(limner: Limner, kind: str, meant: str) -> None:
    """A misspelt kind, or a provider's name in its place, would be read by nobody."""
    with pytest.raises(ConfigInvalid, match=f"extra.{kind} .*Did you mean '{meant}'"):
        limner.generate("red apple", extra={kind: {"pattern": "rings"}})


def test_an_option_of_one_kind_is_no_matter_of_the_others(limner: Limner) -> None:
    """Where a kind lacks its own option, nobody else is named as able to take it."""
    with pytest.raises(UnsupportedRequest) as caught:
        limner.generate("red apple", extra={"test": {"no_such": 1}})
    assert caught.value.able == ()


def test_who_could_do_it_is_told_truly(house: Callable[..., Config]) -> None:
    """Who takes no references at all is not named for a use of one, nor who takes no foreign picture for its task."""
    proxy = {"kind": "midjourney", "base_url": "https://proxy.example", "dialect": "novicezk"}
    shop = {"kind": "openai", "base_url": "https://shop.example/v1", "dialect": "gpt-image", "model": "gpt-image-2"}
    old = {"kind": "openai", "base_url": "https://old.example/v1", "dialect": "dall-e"}
    config = house(providers={"shop": shop, "old": old, "mj": proxy})
    picture = Image.new("RGB", (64, 64), "red")
    with Limner.open(config) as limner:
        with pytest.raises(UnsupportedRequest) as style:
            limner.generate("apple", references=[{"image": picture, "use": "style"}], provider="shop")
        with pytest.raises(UnsupportedRequest) as upscale:
            limner.upscale(picture, provider="shop")
        with pytest.raises(UnsupportedRequest, match="quality is left out"):
            limner.generate("apple", quality="ultra", provider="shop")
    assert "old" not in style.value.able
    assert "mj" not in upscale.value.able


def test_a_reference_can_be_a_bare_picture(limner: Limner) -> None:
    """A list of pictures is enough; it is the same request as the long form, and no picture is named as such."""
    one = limner.generate("red apple", seed=7).images[0]
    bare = limner.generate("red apple", seed=7, references=[one, one.data])
    spelled = limner.generate("red apple", seed=7, references=[{"image": one}, {"image": one.data}])
    alone = limner.generate("red apple", seed=7)
    assert pixels(bare) == pixels(spelled) != pixels(alone)
    with pytest.raises(InvalidRequest, match=r"references\.0\.image=\(int\) is no picture"):
        limner.generate("red apple", references=[3])


def test_results_and_jobs_show_themselves(limner: Limner) -> None:
    """A notebook shows the signed pictures; a job's repr names its record."""
    job = limner.submit(ImageRequest(prompt="red apple", n=2, seed=7))
    result = job.wait()
    assert repr(job) == f"<Job {result.record_id}, ended>"
    page = result._repr_html_()
    assert page.count("data:image/png;base64,") == 2
    assert result.record_id in page
    assert "red apple" not in page


def test_get_writes_the_pictures_of_a_record_again(command: Command, tmp_path: Path) -> None:
    """Same bytes, also the ones beyond the number asked for; no engine is asked."""
    (tmp_path / "limner.yaml").write_text("providers: {fake: {kind: test, call_gives: 3}}\n", encoding="utf-8")
    made = documents(command("generate", "red apple", "--output", "a.png", "--json"))
    assert [one["file"] for one in made["surplus"]] == [None, None]
    _, _, err = command("generate", "red apple", "--output", "b.png")
    assert "limner get --surplus" in err
    again = documents(command("get", made["record_id"], "--output", "c.png", "--surplus", "--json"))
    files = [one["file"] for one in (*again["images"], *again["surplus"])]
    assert files == ["c-1.png", "c-2.png", "c-3.png"]
    assert (tmp_path / "c-1.png").read_bytes() == (tmp_path / "a.png").read_bytes()
    assert again["images"][0]["sha256"] == made["images"][0]["sha256"]
    code, _, err = command("get", made["record_id"], "--output", "d.gif")
    assert (code, "image/png" in err) == (2, True)
    assert command("get", "0190-nothing")[0] == 1


def test_generate_writes_surplus_pictures_where_it_is_told(command: Command, tmp_path: Path) -> None:
    """With `--surplus` every paid picture is a file at once, and no note asks for a second command."""
    (tmp_path / "limner.yaml").write_text("providers: {fake: {kind: test, call_gives: 2}}\n", encoding="utf-8")
    code, out, err = command("generate", "red apple", "--output", "a.png", "--surplus")
    assert code == 0
    assert "a-2.png" in out
    assert "limner get" not in err
    assert command("verify", "a-2.png")[0] == 0


def test_verify_shows_what_a_picture_was_made_from(command: Command) -> None:
    """An edit of an edit names both generations with their records, for people and for scripts."""
    records = [documents(command("generate", "red apple", "--output", "0.png", "--json"))["record_id"]]
    for i in (1, 2):
        made = command("edit", f"{i - 1}.png", "a pear", "--output", f"{i}.png", "--json")
        records.append(documents(made)["record_id"])
    _, out, _ = command("verify", "2.png")
    assert out.index(f"record {records[1]}") < out.index(f"record {records[0]}")
    found = documents(command("verify", "2.png", "--json"))
    parent = found["made_from"][0]
    assert (parent["record_id"], parent["made_from"][0]["record_id"]) == (records[1], records[0])
    assert parent["relationship"] == "parentOf"
    assert "…" not in json.dumps(found["states"], ensure_ascii=False)


def test_messages_use_the_words_of_the_command_line(command: Command) -> None:
    """A remedy can be typed as it stands."""
    (_, _, err) = command("generate", "red apple", "--steps", "2000")
    assert "--steps=2000" in err
    _, _, err = command("generate", "red apple", "--size", "4096x4096")
    assert "Or say --on-unsupported adapt: size becomes" in err
    _, _, err = command("generate", "red apple", "--size", "big")
    assert "for example --size 512x512" in err
    _, _, err = command("generate", "red apple", "--aspect-ratio", "16/9")
    assert "for example --aspect-ratio 16:9" in err


def test_pictures_that_came_are_fetched_as_the_message_says(command: Command, tmp_path: Path) -> None:
    """Where fewer came than were asked for, the error names the command once, and the command writes them."""
    (tmp_path / "limner.yaml").write_text("providers: {fake: {kind: test, fail: short}}\n", encoding="utf-8")
    code, _, err = command("generate", "red apple", "--n", "2")
    (record,) = re.findall(r"`limner get (\S+)` gives them", err)
    assert (code, "recover --finish" in err) == (3, False)
    assert command("get", record, "--output", "one.png")[0] == 0
    assert (tmp_path / "one.png").exists() or (tmp_path / "one-1.png").exists()


def test_a_file_of_an_engine_that_keeps_its_pictures_can_be_worked_on(
    command: Command, tmp_path: Path, midjourney_server: Any
) -> None:
    """The file's credentials name the record, which knows the picture's name at the proxy; a changed file has none."""
    app = midjourney_server.app
    app.pace = 0.01
    section = f"kind: midjourney, base_url: '{midjourney_server.url}', dialect: {app.dialect}, poll: [0.02, 0.05]"
    app.secret = None
    (tmp_path / "limner.yaml").write_text(f"providers: {{mj: {{{section}}}}}\n", encoding="utf-8")
    assert command("generate", "red apple", "--output", "g.png", "--surplus")[0] == 0
    assert command("upscale", "g-2.png", "--output", "big.png")[0] == 0
    Image.open(tmp_path / "g-2.png").save(tmp_path / "copy.png")
    code, _, err = command("upscale", "copy.png")
    assert (code, "made itself" in err) == (2, True)


def test_an_auditor_needs_no_engines_key(command: Command, tmp_path: Path) -> None:
    """Reading and verifying work without the variables of the engines; making a picture says what is missing."""
    record = documents(command("generate", "red apple", "--output", "a.png", "--json"))["record_id"]
    (tmp_path / "limner.yaml").write_text(
        'providers: {fake: {kind: test}, o: {kind: openai, api_key: "${NO_SUCH_VARIABLE}"}}\n', encoding="utf-8"
    )
    for words in (
        ("verify", "a.png"),
        ("audit", "show", record),
        ("audit", "verify"),
        ("audit", "recover"),
        ("get", record),
    ):
        assert command(*words)[0] == 0, words
    code, out, _ = command("providers", "list")
    assert (code, "needs the variable NO_SUCH_VARIABLE" in out) == (0, True)
    code, _, err = command("generate", "red apple")
    assert (code, "NO_SUCH_VARIABLE" in err) == (2, True)


def test_limner_runs_as_a_module() -> None:
    """`python -m limner` is the command line."""
    child = subprocess.run([sys.executable, "-m", "limner", "--version"], capture_output=True, text=True, check=True)
    assert child.stdout.startswith("limner ")
