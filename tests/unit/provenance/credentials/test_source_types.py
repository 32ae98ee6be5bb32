"""The digital source type of each of our cases, and that the page shows the same table."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from limner_provenance.credentials import DigitalSourceType, source_type_for, start_of
from limner_provenance.credentials.source_types import CASES, Engine, Start

_PAGE = Path(__file__).parents[4] / "docs" / "credentials.md"
_TRAINED = DigitalSourceType.TRAINED_ALGORITHMIC_MEDIA


def test_every_engine_with_every_start_is_one_row() -> None:
    """The table is complete and has no row twice, so that no case falls back on a guess."""
    pairs = [(case.engine, case.start) for case in CASES]
    assert sorted(pairs) == sorted((engine, start) for engine in get_args(Engine) for start in get_args(Start))


def test_the_page_shows_the_table() -> None:
    """Each row of the data is a row of docs/credentials.md, and the other way round."""
    rows = [line.split("|")[1:4] for line in _PAGE.read_text(encoding="utf-8").splitlines() if "`start: " in line]
    shown = [tuple(cell.strip().strip("`") for cell in row) for row in rows]
    assert shown == [(case.engine, f"start: {case.start}", case.type.rpartition("/")[2]) for case in CASES]


@pytest.mark.parametrize(
    ("state", "stated", "start"),
    [
        ("trusted", _TRAINED, "model"),
        ("valid", _TRAINED, "model"),
        ("valid", DigitalSourceType.ALGORITHMIC_MEDIA, "algorithm"),
        ("valid", DigitalSourceType.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA, "other"),
        ("valid", "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture", "other"),
        ("valid", None, "other"),
        ("invalid", _TRAINED, "other"),
        ("absent", None, "other"),
    ],
)
def test_only_whole_credentials_are_believed(state: str, stated: str | None, start: str) -> None:
    """A picture counts as a model's only where whole credentials say so; of all others a photograph may be in it."""
    assert start_of(state, stated) == start


def test_plain_cases() -> None:
    """Text to image is trained media, a photograph edited by a model a composite, a test picture neither."""
    assert source_type_for() is _TRAINED
    assert source_type_for(start="other") is DigitalSourceType.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA
    assert source_type_for(test_provider=True) is DigitalSourceType.ALGORITHMIC_MEDIA
    assert "trained" not in source_type_for(start="other", test_provider=True).lower()
