"""The one door to the c2pa library: import, settings and per-process contexts.

Every setting that keeps it offline and lean stands here. Must not know what a manifest says.
"""

from __future__ import annotations

import functools
import json
import os
from typing import Any

from limner_provenance.errors import CredentialError

# A manifest store that inflates beyond this is hostile: real ones are kilobytes.
_MAX_MANIFEST_MB = 32
_OFFLINE = {"remote_manifest_fetch": False, "ocsp_fetch": False}


def library() -> Any:
    """Import c2pa.

    Raises:
        CredentialError: the package is missing or its native library does not load here.
    """
    try:
        import c2pa
    except (ImportError, OSError, RuntimeError) as error:
        raise CredentialError(
            "Content Credentials need the package c2pa-python, which cannot be imported here.",
            remedy="Install it with: pip install 'limner[all]' (or c2pa-python alone).",
        ) from error
    return c2pa


def sealing_context() -> Any:
    """Return this process's context for signing: no thumbnail, no second read, no network."""
    return _sealing_context(os.getpid())


def reading_context(trust: bytes | None) -> Any:
    """Return this process's context for reading.

    Args:
        trust: PEM anchors that make a certificate trusted, added to none; or None.
    """
    return _reading_context(os.getpid(), trust or b"")


# Contexts are shared between threads and keyed by process id: a forked child cannot use its parent's.
@functools.lru_cache(maxsize=2)
def _sealing_context(_pid: int) -> Any:
    settings = {
        "builder": {"thumbnail": {"enabled": False}, "generate_c2pa_archive": False},
        "verify": {**_OFFLINE, "verify_after_sign": False},
    }
    return library().Context.from_json(json.dumps(settings))


@functools.lru_cache(maxsize=16)
def _reading_context(_pid: int, trust: bytes) -> Any:
    settings: dict[str, Any] = {
        # No host at all: a second lock beside _OFFLINE, for whatever a later library version might fetch.
        "core": {"max_decompressed_manifest_size_in_mb": _MAX_MANIFEST_MB, "allowed_network_hosts": []},
        "verify": {**_OFFLINE, "verify_trust": True},
    }
    if trust:
        settings["trust"] = {"user_anchors": trust.decode("ascii", "replace")}
    try:
        return library().Context.from_json(json.dumps(settings))
    except library().C2paError as error:
        raise CredentialError(
            "The trust anchors cannot be used.", remedy="Give PEM certificates of the authorities you trust."
        ) from error
