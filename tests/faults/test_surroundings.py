"""Full and read-only disks, locked databases, wrong certificates: a clear no, and nothing half-written."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from limner.cli import run
from limner.config import Config
from limner.reading import open_log
from limner_provenance.audit import verify as verify_log

Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Give a runner of commands in a folder, with the test provider configured there."""

    def runner(folder: Path, *arguments: str, more: str = "") -> tuple[int, str]:
        config = tmp_path / "limner.yaml"
        config.write_text("providers: {fake: {kind: test}}\n" + more.replace("FOLDER", str(folder)), encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        code = run([*arguments, "--config", str(config)])
        return code, capsys.readouterr().err

    return runner


IN_FOLDER = """\
audit: {url: "sqlite:///FOLDER/audit.db"}
keys: {url: "sqlite:///FOLDER/keys.db"}
assets: {url: "file://FOLDER/assets"}
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 1 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False).returncode == 0
    )
    if not mounted:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def test_a_full_disk_is_exit_3_and_what_was_kept_stays_true(say: Say, small_disk: Path, tmp_path: Path) -> None:
    """Where there is no room left the request fails with exit code 3; the log opens and proves itself afterwards."""
    codes = [say(small_disk, "generate", "red apple", "--size", "256x256", more=IN_FOLDER) for _ in range(1)]
    for _ in range(40):
        codes.append(say(small_disk, "generate", "red apple", "--size", "256x256", more=IN_FOLDER))
        if codes[-1][0] != 0:
            break
    assert codes[0][0] == 0, codes[0][1]
    code, message = codes[-1]
    assert code == 3, message
    assert "disk" in message or "room" in message or "full" in message, message
    assert not [p for p in small_disk.rglob("*") if p.name.endswith((".part", ".tmp"))]
    remount(small_disk, "size=8m")
    config = Config.model_validate(
        {
            "root": tmp_path,
            "audit": {"url": f"sqlite:///{small_disk}/audit.db"},
            "keys": {"url": f"sqlite:///{small_disk}/keys.db"},
            "assets": {"url": f"file://{small_disk}/assets"},
        }
    )
    assert say(small_disk, "generate", "red apple", more=IN_FOLDER)[0] == 0
    with open_log(config) as log:
        report = verify_log(log)
    assert report.ok, report.findings


def test_a_read_only_disk_is_exit_3(say: Say, small_disk: Path) -> None:
    """A folder that cannot be written is named; reading still works."""
    assert say(small_disk, "generate", "red apple", more=IN_FOLDER)[0] == 0
    remount(small_disk, "ro")
    code, message = say(small_disk, "generate", "red apple", more=IN_FOLDER)
    assert code == 3
    assert str(small_disk) in message
    assert say(small_disk, "audit", "show", more=IN_FOLDER)[0] == 0


def test_a_locked_database_is_exit_3(say: Say, tmp_path: Path) -> None:
    """Where another program holds the database for too long, the request ends with exit code 3 and says so."""
    assert say(tmp_path, "generate", "red apple")[0] == 0
    other = sqlite3.connect(tmp_path / ".limner" / "audit.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        code, message = say(tmp_path, "generate", "red apple")
    finally:
        other.close()
    assert code == 3
    assert "lock" in message
    assert say(tmp_path, "audit", "verify")[0] == 0


def certificate(folder: Path, *, days: int = 30, usage: bool = True) -> tuple[Path, Path]:
    """Write a certificate that ends in `days` days, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "Acme"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme")]
    )
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(7)
        .not_valid_before(now - dt.timedelta(days=60))
        .not_valid_after(now + dt.timedelta(days=days))
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    made = builder.sign(key, hashes.SHA256())
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encryption = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    private.chmod(0o600)
    return chain, private


SIGNING = "signing: {certificate: chain.pem, key: key.pem}\n"


def test_an_expired_certificate_spends_nothing(say: Say, tmp_path: Path) -> None:
    """The date is named, exit code 3, and no engine was asked."""
    certificate(tmp_path, days=-1)
    code, message = say(tmp_path, "generate", "red apple", more=SIGNING)
    assert code == 3
    assert "expired" in message
    with open_log(Config(root=tmp_path)) as log:
        assert not list(log.entries(steps=["attempted"]))


@pytest.mark.parametrize("wrong", ["other key", "no certificate", "missing key", "readable key"])
def test_a_wrong_certificate_or_key_is_named(say: Say, tmp_path: Path, wrong: str) -> None:
    """A key that does not fit or is readable by others, a file that is none or is missing: named, exit code 3."""
    chain, private = certificate(tmp_path)
    if wrong == "other key":
        kept = chain.read_bytes()
        certificate(tmp_path)
        chain.write_bytes(kept)
    elif wrong == "no certificate":
        chain.write_text("hello")
    elif wrong == "missing key":
        private.unlink()
    else:
        private.chmod(0o644)
    code, message = say(tmp_path, "generate", "red apple", more=SIGNING)
    assert code == 3, message
    assert ("chain.pem" in message) or ("key.pem" in message)
    assert "PRIVATE" not in message


def test_half_a_signing_section_is_exit_2(say: Say, tmp_path: Path) -> None:
    """A certificate without its key is a mistake of the configuration."""
    certificate(tmp_path)
    code, message = say(tmp_path, "generate", "red apple", more="signing: {certificate: chain.pem}\n")
    assert code == 2
    assert "signing.key" in message


def test_a_log_that_grows_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that commits, and moves the anchor on, while a log is opened is no rolled-back disk."""
    from limner_provenance import AuditLog, opening

    real, url = opening._own, f"sqlite:///{tmp_path / 'audit.db'}"
    with AuditLog.open(url, state=tmp_path) as other:

        def check(chain: Any, signer: Any, paths: Any) -> Any:
            other.append("opened", data={"n": 1}).wait(10)
            return real(chain, signer, paths)

        monkeypatch.setattr(opening, "_own", check)
        with AuditLog.open(url, state=tmp_path) as log:
            assert log.head().size == 2
