"""The toolkit for writers of providers: its names are held here, and asking for one loads only its module."""

from __future__ import annotations

import subprocess
import sys

import pytest

from limner_providers import toolkit


def test_its_names_are_the_listed_ones_and_all_are_there() -> None:
    """Others build on them: adding or losing one is a decision."""
    assert toolkit.__all__ == sorted(toolkit.__all__)
    assert toolkit.__all__ == [
        "Answer", "Http", "Job", "Timeouts", "Worker", "canonical_decimal", "check_base_url", "check_picture",
        "check_seeds", "download", "encode", "picture_from_base64", "redact", "require", "segment", "within",
    ]  # fmt: skip
    assert all(callable(getattr(toolkit, name)) for name in dir(toolkit))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As with any module."""
    with pytest.raises(AttributeError, match="no attribute 'Htpp'"):
        _ = toolkit.Htpp


def test_checks_need_no_http_library() -> None:
    """An engine on this machine uses the toolkit without httpx."""
    code = (
        "import sys; from limner_providers import toolkit; toolkit.require, toolkit.check_seeds, toolkit.Worker\n"
        "print([name for name in ('httpx', 'openai', 'torch', 'PIL', 'numpy') if name in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert child.stdout.strip() == "[]"
