"""Makes the training program importable: it is a program of the repository and no installed package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(_ROOT / "providers" / "starter"))


@pytest.fixture(scope="session")
def shipped() -> Path:
    """The model folder that the wheel carries."""
    return _ROOT / "providers" / "limner_providers" / "starter"


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """A folder with our own shapes in the format of the npm packages."""
    from limner_starter.shapes import write_shapes

    return write_shapes(tmp_path / "shapes")
