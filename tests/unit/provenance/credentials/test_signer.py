"""The signer port and the check before money is spent."""

from __future__ import annotations

from datetime import timedelta

import pytest

from limner_provenance.credentials import Signer, check
from limner_provenance.errors import CertificateError


def test_the_local_signer_is_a_signer(signer: Signer) -> None:
    """The development signer fulfils the port."""
    assert isinstance(signer, Signer)
    assert signer.alg == "es256"
    assert signer.development
    assert signer.timestamp_url is None


def test_a_fresh_certificate_passes_quietly(signer: Signer) -> None:
    """A certificate of ten years needs no word."""
    assert check(signer, signer.not_before + timedelta(days=1)) is None


def test_a_certificate_near_its_end_warns(signer: Signer) -> None:
    """Within 30 days of the end the warning names date and days."""
    warning = check(signer, signer.not_after - timedelta(days=29, hours=12))
    assert warning is not None
    assert "in 29 days" in warning
    assert f"{signer.not_after:%Y-%m-%d}" in warning
    assert check(signer, signer.not_after - timedelta(days=31)) is None


def test_an_expired_certificate_is_refused_before_anything_is_spent(signer: Signer) -> None:
    """After its end the error names the date and the remedy."""
    with pytest.raises(CertificateError, match=f"expired on {signer.not_after:%Y-%m-%d}") as caught:
        check(signer, signer.not_after + timedelta(seconds=1))
    assert "development-signer.pem" in caught.value.remedy


def test_a_certificate_of_tomorrow_is_refused(signer: Signer) -> None:
    """Before its start the error names the date."""
    with pytest.raises(CertificateError, match=f"not valid before {signer.not_before:%Y-%m-%d}"):
        check(signer, signer.not_before - timedelta(seconds=1))


def test_a_signers_text_shows_no_key(signer: Signer) -> None:
    """Neither repr nor str of a signer holds key material."""
    assert "PRIVATE" not in f"{signer!r}{signer}"
    assert "-----" not in repr(signer)
