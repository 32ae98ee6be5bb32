"""Which certificate signs: rotation with overlap, warnings, trust files, signers of others, and never on the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from foreign_credentials import Authority

from limner import AsyncLimner, Limner, verify_file
from limner.cli import run
from limner.config import Config, load_config
from limner.errors import CertificateError, ConfigInvalid
from limner.reading import open_log
from limner.signing import open_signing
from limner_provenance.credentials import read_credentials

NOW = datetime.now(UTC)
House = Callable[..., Config]


def _write(folder: Path, name: str, authority: Authority, start: int, end: int) -> dict[str, str]:
    """Write a certificate that is in force between two days from now, and give the settings that name it."""
    key, leaf = authority.issue(name, start=NOW + timedelta(days=start), end=NOW + timedelta(days=end))
    (folder / f"{name}.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    (folder / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / f"{name}.key").chmod(0o600)
    return {"certificate": f"{name}.pem", "key": f"{name}.key"}


def _day(days: int) -> str:
    return f"{NOW + timedelta(days=days):%Y-%m-%d}"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A house's own authority, its root in root.pem."""
    made = Authority.new("House")
    (tmp_path / "root.pem").write_bytes(made.pem)
    return made


@pytest.fixture
def signing(house: House, tmp_path: Path) -> Callable[..., Config]:
    """Give a maker of configurations with a `signing` section."""
    return lambda **section: house().model_copy(
        update={"signing": Config.model_validate({"signing": section}).signing, "root": tmp_path}
    )


def test_an_own_authority_is_trusted_and_named(
    signing: Callable[..., Config], authority: Authority, tmp_path: Path
) -> None:
    """With its root as trust file the picture is trusted, and the anchor is named; that stays so without the file."""
    config = signing(**_write(tmp_path, "first", authority, -1, 300), trust="root.pem")
    with Limner.open(config) as limner:
        file = limner.generate("red apple", seed=7).images[0].save(tmp_path / "a.png")
    found = verify_file(file, config=config)
    assert (found.verdict, found.credentials.common_name) == ("trusted", "first")
    assert found.credentials.anchor is not None
    assert (found.credentials.anchor.name, found.credentials.anchor.development) == ("House root", False)
    assert "trust anchor House root" in found.steps[1].says
    (tmp_path / "root.pem").unlink()
    assert verify_file(file, config=signing()).verdict == "trusted"  # anchors once used are kept for ever


def test_a_rotation_overlaps_and_old_pictures_stay_trusted(
    signing: Callable[..., Config], authority: Authority, tmp_path: Path
) -> None:
    """Before the day the first signs, from that day on the second; both verify, and the log notes the change."""
    first = _write(tmp_path, "first", authority, -30, 20)
    then = _write(tmp_path, "second", authority, -1, 300)
    files = []
    for number, day in enumerate((_day(5), _day(0))):
        config = signing(**first, next={**then, "from": day}, trust="root.pem")
        with Limner.open(config) as limner:
            result = limner.generate("red apple", seed=7)
            assert result.warnings == ()  # that the first ends soon needs no word: the second is there
            files.append(result.images[0].save(tmp_path / f"{number}.png"))
    found = [verify_file(file, config=signing(trust="root.pem")) for file in files]
    assert [(f.verdict, f.credentials.common_name) for f in found] == [("trusted", "first"), ("trusted", "second")]
    with open_log(config) as log:
        names = [entry.data["signer"]["name"] for entry in log.entries(steps=["opened"])]
    assert names == ["first", "second"]


def test_one_process_changes_over_at_the_moment(
    signing: Callable[..., Config], authority: Authority, tmp_path: Path
) -> None:
    """The signer is asked for anew at each image: a process that lives over the change signs with the second."""
    then = {**_write(tmp_path, "second", authority, 2, 300), "from": _day(3)}
    found = open_signing(signing(**_write(tmp_path, "first", authority, -30, 20), next=then))
    assert found.starts is not None
    moments = (found.starts - timedelta(seconds=1), found.starts)
    assert [found.at(moment).name for moment in moments] == ["first", "second"]


@pytest.mark.parametrize(("ends", "begins", "day"), [(20, 10, 25), (20, 10, 5), (20, 30, 25)])
def test_a_rotation_with_a_gap_is_refused(
    signing: Callable[..., Config], authority: Authority, tmp_path: Path, ends: int, begins: int, day: int
) -> None:
    """A day on which only one of the two is in force, or none, is refused before anything is signed."""
    first = _write(tmp_path, "first", authority, -30, ends)
    then = {**_write(tmp_path, "second", authority, begins, 300), "from": _day(day)}
    with pytest.raises((ConfigInvalid, CertificateError), match=r"leaves a gap|not valid before"):
        open_signing(signing(**first, next=then))


def test_the_end_of_a_certificate_is_told_in_time(
    signing: Callable[..., Config], authority: Authority, tmp_path: Path
) -> None:
    """`warn_days` says how early; the warning names certificate, day and days, and the result carries it."""
    own = _write(tmp_path, "first", authority, -30, 40)
    with Limner.open(signing(**own)) as limner:
        assert limner.generate("red apple", seed=7).warnings == ()
    with Limner.open(signing(**own, warn_days=60)) as limner:
        (warning,) = limner.generate("red apple", seed=7).warnings
    assert "'first' ends on" in warning
    assert "in 39 days" in warning or "in 40 days" in warning


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"certificate": "a.pem"}, "signing.key is missing"),
        (
            {"next": {"certificate": "a.pem", "key": "a.key", "from": "2030-01-01"}},
            "signing.next has nothing to follow",
        ),
        ({"signer": {"kind": "x"}, "certificate": "a", "key": "b"}, "stands beside a certificate"),
        ({"trust": ["gone.pem"]}, "signing.trust: .*gone.pem cannot be read"),
        ({"signer": {"kind": "nowhere"}}, "no installed package offers the kind 'nowhere'"),
    ],
)
def test_contradictions_are_refused(signing: Callable[..., Config], section: dict[str, Any], says: str) -> None:
    """Each names the setting and the remedy, before anything is signed."""
    with pytest.raises((ConfigInvalid, CertificateError), match=says):
        open_signing(signing(**section))


def test_the_file_says_it_in_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The section reads as documented; a signer's secret in clear text is refused, one from the environment is not."""
    text = (
        "signing:\n  certificate: a.pem\n  key: a.key\n  next: {certificate: b.pem, key: b.key, from: 2030-01-01}\n"
        "  trust: [one.pem, two.pem]\n  warn_days: 45\n"
    )
    (tmp_path / "limner.yaml").write_text(text)
    found = load_config(folder=tmp_path).signing
    assert found.next is not None
    assert (f"{found.next.starts}", found.warn_days, len(found.trust_files)) == ("2030-01-01", 45, 2)
    (tmp_path / "limner.yaml").write_text("signing: {signer: {kind: vault, token: abc}}")
    with pytest.raises(ConfigInvalid, match=r"signing\.signer\.token holds a secret in clear text"):
        load_config(folder=tmp_path)
    monkeypatch.setenv("VAULT", "abc")
    (tmp_path / "limner.yaml").write_text('signing: {signer: {kind: vault, token: "${VAULT}"}}')
    signer = load_config(folder=tmp_path).signing.signer
    assert signer is not None
    assert signer.settings == {"token": "abc"}
    assert "abc" not in repr(signer)


def test_signing_never_blocks_the_event_loop(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a slow key service signs, the loop goes on turning; it signs in another thread than the loop's."""
    import threading

    from limner_provenance.credentials import keys, native, signer

    threads = []

    def slow(pem: bytes, alg: Any, data: bytes) -> bytes:
        threads.append(threading.current_thread())
        time.sleep(0.4)
        return keys.sign(pem, alg, data)

    monkeypatch.setattr(signer, "sign", slow)
    monkeypatch.setattr(native, "LocalSigner", int)  # so that it is called back, as a key service is

    async def scenario() -> float:
        longest, before = 0.0, time.perf_counter()
        async with AsyncLimner.open(house()) as limner:
            await limner.generate("first", seed=1)  # what opens once is opened
            task = asyncio.ensure_future(limner.generate("red apple", seed=7))
            before = time.perf_counter()
            while not task.done():
                await asyncio.sleep(0.01)
                longest, before = max(longest, time.perf_counter() - before), time.perf_counter()
            await task
        return longest

    longest = asyncio.run(scenario())
    assert len(threads) == 2
    assert all(thread is not threading.main_thread() for thread in threads)
    assert longest < 0.4  # less than one signature: the loop was never held by it


def test_each_output_names_the_development_certificate(
    tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    """Generate, get, verify and the evidence page all say that a development certificate signed."""
    code, said, _ = command("generate", "red apple", "--seed", "7", "--output", "a.png")
    assert code == 0
    outputs = {"generate": said}
    outputs["verify"] = command("verify", "a.png")[1]
    outputs["verify --json"] = command("verify", "a.png", "--json")[1]
    assert run(["audit", "evidence", "a.png", "--output", "a.evidence"]) == 0
    outputs["evidence"] = (tmp_path / "a.evidence").read_text(encoding="utf-8")
    record = str((read_credentials(tmp_path / "a.png").record or {})["record"])
    outputs["get"] = command("get", record, "--output", "b.png")[1]
    assert [name for name, text in outputs.items() if "development" not in text.lower()] == []


def test_a_certificate_of_the_authority_is_a_certificate(authority: Authority) -> None:
    """The tests' own authority issues what X.509 readers take."""
    _, leaf = authority.issue("leaf")
    assert isinstance(leaf, x509.Certificate)
    leaf.verify_directly_issued_by(authority.certificate)
