"""The page on credentials is true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

_PAGE = Path(__file__).parents[4] / "docs" / "credentials.md"


def test_the_example_runs(
    picture: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page's Python example works as it stands."""
    monkeypatch.chdir(tmp_path)
    Path("apple.png").write_bytes(picture("PNG"))
    (code,) = re.findall(r"```python\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, str(_PAGE), "exec"), {})
    assert re.search(r"the certificate is good\ntrusted starter 1 stops validating on 20\d\d", capsys.readouterr().out)


def test_every_code_of_ours_is_explained() -> None:
    """Each `limner.manifest.` code that the package can report stands on the page."""
    import limner_provenance.credentials as package

    sources = [path.read_text(encoding="utf-8") for path in Path(package.__file__).parent.glob("*.py")]
    codes = {code for text in sources for code in re.findall(r'code="(limner\.[a-z.]+)"', text)}
    internal = {"limner.manifest.absent"}  # never reported: the state says it
    page = _PAGE.read_text(encoding="utf-8")
    assert codes - internal
    assert [code for code in codes - internal if f"`{code}`" not in page] == []
