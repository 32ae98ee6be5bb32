"""The development certificate: made once, kept private, named as what it is."""

from __future__ import annotations

import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from limner_provenance.credentials import development_signer, keep_anchors, trust_anchors
from limner_provenance.errors import CertificateError

_PRINT_CERTIFICATE = (
    "import sys, pathlib; from limner_provenance.credentials import development_signer; "
    "print(development_signer(pathlib.Path(sys.argv[1])).certificate_sha256)"
)


def test_it_is_made_once(tmp_path: Path) -> None:
    """A second call gives the same certificate, valid for ten years."""
    first, second = development_signer(tmp_path / "keys"), development_signer(tmp_path / "keys")
    assert first.certificate_sha256 == second.certificate_sha256
    assert first.not_after - first.not_before > timedelta(days=3650)


def test_files_are_private(tmp_path: Path) -> None:
    """The folder has mode 0700, the key file 0600, and nothing half-written stays."""
    keys = tmp_path / "state" / "keys"
    development_signer(keys)
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert stat.S_IMODE((keys / "development-signer.pem").stat().st_mode) == 0o600
    assert sorted(path.name for path in keys.iterdir()) == ["anchors", "development-signer.pem"]


def test_its_names_say_development(tmp_path: Path) -> None:
    """Subject and issuer say plainly that this is a development certificate."""
    leaf, authority = x509.load_pem_x509_certificates(development_signer(tmp_path).chain)
    for name in (leaf.subject, leaf.issuer, authority.subject):
        assert "Limner DEVELOPMENT" in name.rfc4514_string()
        assert "not trusted" in name.rfc4514_string()


def test_the_authoritys_key_is_thrown_away(tmp_path: Path) -> None:
    """Only one private key is ever written, and it is the leaf's."""
    development_signer(tmp_path)
    texts = [path.read_text() for path in tmp_path.rglob("*.pem")]
    assert sum(text.count("PRIVATE KEY-----\n") for text in texts) == 2  # one BEGIN line and one END line


def test_processes_that_start_together_share_one(tmp_path: Path) -> None:
    """Four processes at once end with one certificate and one anchor."""
    command = [sys.executable, "-c", _PRINT_CERTIFICATE, str(tmp_path / "keys")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = {process.communicate(timeout=60)[0] for process in started}
    assert [process.returncode for process in started] == [0] * 4
    assert len(answers) == 1
    assert trust_anchors(tmp_path / "keys").count(b"BEGIN CERTIFICATE") == 1


def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where links are refused the file is moved into place, and nothing half-written stays."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    first = development_signer(tmp_path)
    assert development_signer(tmp_path).certificate_sha256 == first.certificate_sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["anchors", "development-signer.pem"]
    assert stat.S_IMODE((tmp_path / "development-signer.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """A key file open to group or world is named with the command that closes it."""
    development_signer(tmp_path)
    bundle = tmp_path / "development-signer.pem"
    bundle.chmod(mode)
    with pytest.raises(CertificateError, match=f"mode {mode:04o}") as caught:
        development_signer(tmp_path)
    assert caught.value.remedy == f"Run: chmod 600 {bundle}"


def test_a_damaged_file_is_named_without_its_content(tmp_path: Path) -> None:
    """A key file that is cut short is an error that names the file and shows nothing of it."""
    development_signer(tmp_path)
    bundle = tmp_path / "development-signer.pem"
    text = bundle.read_text()
    bundle.write_text(text[:100])
    with pytest.raises(CertificateError, match=r"development-signer\.pem") as caught:
        development_signer(tmp_path)
    assert text[40:60] not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """Keys under something that is no folder are refused with a remedy."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CertificateError, match="cannot be written") as caught:
        development_signer(tmp_path / "file" / "keys")
    assert "writable" in caught.value.remedy


def test_old_anchors_are_kept_after_a_rotation(tmp_path: Path) -> None:
    """A new development certificate leaves the anchor of the old one in place."""
    development_signer(tmp_path)
    before = trust_anchors(tmp_path)
    (tmp_path / "development-signer.pem").rename(tmp_path / "old.pem")
    development_signer(tmp_path)
    assert before in trust_anchors(tmp_path)
    assert trust_anchors(tmp_path).count(b"BEGIN CERTIFICATE") == 2


def test_a_lost_anchor_comes_back(tmp_path: Path) -> None:
    """A crash between key and anchor heals at the next start."""
    development_signer(tmp_path)
    for path in (tmp_path / "anchors").iterdir():
        path.unlink()
    assert trust_anchors(tmp_path) == b""
    development_signer(tmp_path)
    assert trust_anchors(tmp_path).count(b"BEGIN CERTIFICATE") == 1


def test_own_anchors_can_be_kept_too(tmp_path: Path, authority: object) -> None:
    """Anchors of other authorities are added once, however often they are given."""
    pem = authority.pem  # type: ignore[attr-defined]  # the fixture's class lives in conftest
    keep_anchors(tmp_path, pem)
    keep_anchors(tmp_path, pem + pem)
    assert trust_anchors(tmp_path) == pem
    with pytest.raises(CertificateError, match="no readable PEM"):
        keep_anchors(tmp_path, b"nonsense")
