"""Finds signers of third parties by the entry-point group `limner.signers`, and tries each before it signs anything.

Knows names and import paths, not what a signer does. Settings may be secrets: no message repeats a value.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args

from limner_provenance.credentials.keys import Algorithm
from limner_provenance.credentials.sealing import trial
from limner_provenance.credentials.signer import Signer, require_in_force
from limner_provenance.errors import CertificateError, SealFailed

GROUP = "limner.signers"
_GIVEN = ("timestamp", "base_folder")


def load_signer(
    kind: str, settings: Mapping[str, Any], *, timestamp: str | None = None, base_folder: Path | None = None
) -> Signer:
    """Make a signer of a third party, and let it sign and read back a trial image.

    Args:
        kind: Its name in the group `limner.signers`.
        settings: What its factory takes as keyword arguments.
        timestamp: Address of an RFC 3161 authority; passed on where the factory takes `timestamp`.
        base_folder: The folder that relative paths count from; passed on where the factory takes it.

    Returns:
        The signer.

    Raises:
        CertificateError: no installed distribution offers it, a setting is wrong or missing, what it makes is no
            signer, its certificate is not in force, or C2PA does not accept what it signs.
    """
    factory = _factory(kind)
    signer: Signer = _made(kind, factory, _arguments(kind, factory, settings, timestamp, base_folder))
    _require_signer(kind, signer)
    require_in_force(signer.name, signer.not_before, signer.not_after, datetime.now(UTC))
    try:
        trial(signer)
    except SealFailed as error:
        raise _wrong(kind, f"signed a trial image that C2PA does not accept: {error}") from error
    return signer


def _factory(kind: str) -> Callable[..., Any]:
    offered = {entry.name: entry for entry in entry_points(group=GROUP)}
    if kind not in offered:
        near = difflib.get_close_matches(kind, list(offered), n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        known = ", ".join(sorted(offered)) or "none is installed"
        raise CertificateError(
            f"signing.signer: no installed package offers the kind {kind!r}.", remedy=f"{hint}Known: {known}."
        )
    try:
        loaded: Callable[..., Any] = offered[kind].load()
    except (ImportError, AttributeError) as error:
        missing = getattr(error, "name", None) or "what it needs"
        raise CertificateError(
            f"signing.signer: the kind {kind!r} cannot be loaded.", remedy=f"Install {missing}."
        ) from error
    return loaded


def _arguments(
    kind: str, factory: Callable[..., Any], settings: Mapping[str, Any], timestamp: str | None, folder: Path | None
) -> dict[str, Any]:
    parameters = inspect.signature(factory).parameters.values()
    named = {p.name: p for p in parameters if p.kind in {p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD}}
    offered = [name for name in named if name not in _GIVEN]
    for name in settings:
        if name not in offered:
            near = difflib.get_close_matches(name, offered, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise _wrong(kind, f"has no setting {name!r}", f"{hint}Known: {', '.join(offered) or 'none'}.")
    for name in offered:
        if named[name].default is inspect.Parameter.empty and name not in settings:
            raise _wrong(kind, f"needs the setting {name!r}", f"Write it below signing.signer, beside kind: {kind}.")
    if timestamp and "timestamp" not in named:
        raise _wrong(kind, "takes no time-stamp authority", "Remove signing.timestamp, or use a signer that takes one.")
    given = {"timestamp": timestamp, "base_folder": folder}
    return dict(settings) | {name: value for name, value in given.items() if name in named}


def _made(kind: str, factory: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        return factory(**arguments)
    except CertificateError:
        raise
    except Exception as error:
        # Its text may repeat a setting, and settings may be secrets: only the kind of error is shown.
        raise _wrong(kind, f"cannot be made: {type(error).__name__}", "Check its settings; see the cause.") from error


def _require_signer(kind: str, signer: Any) -> None:
    if not isinstance(signer, Signer):
        raise _wrong(kind, f"makes a {type(signer).__name__}, which is no signer", "It lacks attributes of `Signer`.")
    if signer.alg not in get_args(Algorithm):
        raise _wrong(kind, f"signs with {str(signer.alg)[:20]!r}", f"Known: {', '.join(get_args(Algorithm))}.")
    for name in ("not_before", "not_after"):
        moment = getattr(signer, name)
        if not isinstance(moment, datetime) or moment.tzinfo is None:
            raise _wrong(kind, f"states {name} without a time zone", "Give an aware datetime in UTC.")


def _wrong(kind: str, what: str, remedy: str = "Run its conformance test.") -> CertificateError:
    return CertificateError(f"signing.signer: the kind {kind!r} {what}.", remedy=remedy)
