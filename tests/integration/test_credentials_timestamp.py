"""RFC 3161 time-stamps against a real authority: openssl behind a loopback server of ours."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from limner_provenance.credentials import (
    ManifestFacts,
    SoftwareAgent,
    development_signer,
    read_credentials,
    seal,
    source_type_for,
    trust_anchors,
)
from limner_provenance.errors import SealFailed

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(
    OPENSSL is None and os.environ.get("CI") != "true", reason="openssl is not installed (required when CI=true)"
)

_CONFIG = """
[req]
distinguished_name = dn
[dn]
[tsa]
default_tsa = t
[t]
serial = ./serial
signer_cert = ./tsa.pem
certs = ./ca.pem
signer_key = ./tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def _openssl(folder: Path, command: str) -> None:
    assert OPENSSL is not None, "openssl is required when CI=true"
    subprocess.run([OPENSSL, *command.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A time-stamp authority's keys and certificates."""
    folder = tmp_path_factory.mktemp("tsa")
    (folder / "c").write_text(_CONFIG)
    (folder / "serial").write_text("01")
    _openssl(folder, "req -config c -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=TSA-root "
                     "-days 3000 -extensions ca")  # fmt: skip
    _openssl(folder, "req -config c -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.csr -subj /CN=TSA")
    _openssl(folder, "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tsa.pem -days 2000 "
                     "-extfile c -extensions leaf")  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def url(authority: Path) -> Iterator[str]:
    """The authority's address; `/html` answers with a page instead, `/junk` with nonsense."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/html":
                answer, kind = b"<html>sign in</html>", "text/html"
            elif self.path == "/junk":
                answer, kind = b"junk", "application/timestamp-reply"
            else:
                (authority / "query").write_bytes(query)
                _openssl(authority, "ts -reply -config c -queryfile query -out reply")
                answer, kind = (authority / "reply").read_bytes(), "application/timestamp-reply"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def picture() -> bytes:
    """A small PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, "PNG")
    return buffer.getvalue()


def _facts() -> ManifestFacts:
    return ManifestFacts(
        title="picture",
        mime="image/png",
        software_agent=SoftwareAgent(name="starter"),
        digital_source_type=source_type_for(),
        created=datetime.now(UTC),
        record={"v": 1},
    )


def test_a_trusted_time_stamp_outlives_the_certificate(
    tmp_path: Path, picture: bytes, url: str, authority: Path
) -> None:
    """With a trusted authority nothing stops validating; without its anchor the certificate's end stands."""
    signer = development_signer(tmp_path, timestamp=url)
    sealed = seal(picture, _facts(), signer)
    trust, later = trust_anchors(tmp_path), signer.not_after + timedelta(days=1)

    found = read_credentials(sealed.data, trust=trust + (authority / "ca.pem").read_bytes(), now=later)
    assert (found.state, found.failures) == ("trusted", ())
    assert (found.timestamp_trusted, found.stops_validating) == (True, None)
    assert found.timestamp is not None
    assert abs(found.timestamp - datetime.now(UTC)) < timedelta(minutes=1)
    assert found.manifest_sha256 == sealed.manifest_sha256

    untrusted = read_credentials(sealed.data, trust=trust)
    assert (untrusted.state, untrusted.timestamp_trusted) == ("trusted", False)
    assert untrusted.stops_validating == signer.not_after
    assert "timeStamp.untrusted" in {item.code for item in untrusted.informational}
    assert read_credentials(sealed.data, trust=trust, now=later).state == "invalid"


def test_a_dead_authority_is_a_clear_error(tmp_path: Path, picture: bytes) -> None:
    """Nothing listens: sealing fails at once and names the setting."""
    started = time.monotonic()
    with pytest.raises(SealFailed, match=r"signing\.timestamp") as caught:
        seal(picture, _facts(), development_signer(tmp_path, timestamp="http://127.0.0.1:9/tsa"))
    assert "signing.timestamp" in caught.value.remedy
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("path", ["html", "junk"])
def test_an_authority_that_answers_nonsense_is_a_clear_error(
    tmp_path: Path, picture: bytes, url: str, path: str
) -> None:
    """A captive portal's page and a malformed answer are no time-stamps."""
    with pytest.raises(SealFailed, match=r"signing\.timestamp"):
        seal(picture, _facts(), development_signer(tmp_path, timestamp=url + path))
