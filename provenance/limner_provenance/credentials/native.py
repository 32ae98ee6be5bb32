"""Give c2pa a signer of ours in its own form.

A local key goes in as it is, since c2pa then reserves 9 KB less in each image than for a callback; anything else is
called back. Must not know images or manifests.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

from limner_provenance.credentials.engine import library
from limner_provenance.credentials.keys import cose_signature
from limner_provenance.credentials.signer import LocalSigner, Signer

# Making one checks the key and takes a third of a millisecond. One serves any number of threads and signatures, but
# not a forked child: so they are kept for each signer with the process that made them.
_kept: weakref.WeakKeyDictionary[LocalSigner, dict[tuple[int, bool], Any]] = weakref.WeakKeyDictionary()


def native_signer(signer: Signer, failed: list[BaseException], *, stamped: bool) -> Any:
    """Return c2pa's signer for ours.

    Args:
        signer: Ours.
        failed: Where an error of a signer that is called back is put, since none can cross the native border.
        stamped: Whether to ask the signer's time-stamp authority, if it names one.

    Returns:
        A `c2pa.Signer` that is passed at each sign call and given to no context, which would consume it.
    """
    if not isinstance(signer, LocalSigner):
        return _called_back(signer, failed, signer.timestamp_url if stamped else None)
    kept = _kept.setdefault(signer, {})
    place = (os.getpid(), stamped)
    if place not in kept:
        kept[place] = _local(signer, signer.timestamp_url if stamped else None)
    return kept[place]


def _local(signer: LocalSigner, url: str | None) -> Any:
    c2pa = library()
    info = c2pa.C2paSignerInfo(alg=signer.alg, sign_cert=signer.chain, private_key=signer.private_key, ta_url=url)
    return c2pa.Signer.from_info(info)


def _called_back(signer: Signer, failed: list[BaseException], url: str | None) -> Any:
    c2pa = library()
    algorithm = c2pa.C2paSigningAlg[signer.alg.upper()]
    return c2pa.Signer.from_callback(_callback(signer, failed), algorithm, signer.chain.decode("ascii"), url)


def _callback(signer: Signer, failed: list[BaseException]) -> Callable[[bytes], bytes]:
    def call(data: bytes) -> bytes:
        try:
            return cose_signature(signer.alg, signer.sign(data))
        except Exception as error:  # noqa: BLE001 - kept here, raised again behind the native border
            failed.append(error)
            return b""

    return call
