"""What every signer has to do, as a test class that its author subclasses; the built-in ones pass it.

```python
from limner_provenance.credentials.conformance import SignerConformance

class TestMySigner(SignerConformance):
    def make(self):
        return MySigner(key="projects/…")

    def trust(self):
        return Path("root.pem").read_bytes()
```

Needs pillow, no test library: any runner that collects methods called `test_…` runs it.
"""

from __future__ import annotations

import hashlib
import io
import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import get_args

from limner_provenance.credentials.keys import Algorithm
from limner_provenance.credentials.manifest import ManifestFacts, SoftwareAgent
from limner_provenance.credentials.reading import read_credentials
from limner_provenance.credentials.sealing import Sealed, seal
from limner_provenance.credentials.signer import Signer, require_in_force
from limner_provenance.credentials.source_types import source_type_for

_FORMATS = ("PNG", "JPEG", "WEBP")


class SignerConformance:
    """Subclass it and write `make` and `trust`."""

    def make(self) -> Signer:
        """A signer, ready to sign; its certificate is in force."""
        raise NotImplementedError("write make() of your subclass: it returns a signer")

    def trust(self) -> bytes:
        """PEM of the authority that issued its certificate."""
        raise NotImplementedError("write trust() of your subclass: it returns the PEM of the root certificate")

    def test_it_states_what_a_signer_states(self) -> None:
        """Name, algorithm and aware dates have the form that outputs and checks rest on, and it is in force today."""
        signer = self.make()
        assert isinstance(signer, Signer), "it lacks attributes of Signer"
        assert signer.name, "it needs a name that people read"
        assert signer.alg in get_args(Algorithm), f"alg is one of {get_args(Algorithm)} and not {signer.alg!r}"
        assert signer.not_before.tzinfo, "not_before needs a time zone"
        assert signer.not_after.tzinfo, "not_after needs a time zone"
        require_in_force(signer.name, signer.not_before, signer.not_after, datetime.now(UTC))

    def test_its_chain_is_pem_leaf_first(self) -> None:
        """The chain is PEM, each certificate issued by the next; digest and dates are those of the first."""
        from cryptography.hazmat.primitives.serialization import Encoding
        from cryptography.x509 import load_pem_x509_certificates

        signer = self.make()
        chain = load_pem_x509_certificates(signer.chain)
        for child, parent in itertools.pairwise(chain):
            child.verify_directly_issued_by(parent)
        digest = hashlib.sha256(chain[0].public_bytes(Encoding.DER)).hexdigest()
        assert signer.certificate_sha256 == digest, "certificate_sha256 is not the digest of the first certificate"
        dates = (chain[0].not_valid_before_utc, chain[0].not_valid_after_utc)
        assert (signer.not_before, signer.not_after) == dates, "the dates are not those of the first certificate"

    def test_what_it_signs_is_trusted_in_each_format(self) -> None:
        """A sealed PNG, JPEG and WebP are trusted under its authority, and merely valid without it."""
        signer, trust = self.make(), self.trust()
        for form in _FORMATS:
            sealed = _sealed(signer, form)
            found = read_credentials(sealed.data, trust=trust)
            assert found.state == "trusted", f"{form}: {found.state}, {[item.code for item in found.failures]}"
            assert found.certificate_sha256 == signer.certificate_sha256, f"{form}: signed by another certificate"
            assert found.development == signer.development, f"{form}: a development certificate has to say so"
            assert read_credentials(sealed.data).state == "valid", f"{form}: trusted without its authority"

    def test_a_changed_byte_is_found(self) -> None:
        """Its signature covers the picture: one changed byte makes the credentials invalid."""
        data = bytearray(_sealed(self.make(), "PNG").data)
        data[data.rindex(b"IDAT") + 6] ^= 1
        assert read_credentials(bytes(data), trust=self.trust()).state == "invalid"

    def test_threads_may_share_it(self) -> None:
        """Eight threads sign at once with one signer."""
        signer, trust = self.make(), self.trust()
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _: _sealed(signer, "PNG").data, range(16)))
        assert all(read_credentials(data, trust=trust).state == "trusted" for data in made)

    def test_its_text_shows_no_key(self) -> None:
        """Neither repr nor str holds a private key."""
        signer = self.make()
        assert "PRIVATE" not in repr(signer) + str(signer)


def _sealed(signer: Signer, form: str) -> Sealed:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 30)).save(buffer, form)
    facts = ManifestFacts(
        title="conformance",
        mime=f"image/{form.lower()}",
        software_agent=SoftwareAgent(name="conformance"),
        digital_source_type=source_type_for(),
        created=datetime.now(UTC),
        record={"v": 1},
    )
    return seal(buffer.getvalue(), facts, signer)
