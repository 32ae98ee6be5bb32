"""This installation's version, looked up once: metadata is a file that is slow to read."""

from __future__ import annotations

import functools


@functools.cache
def limner_version() -> str:
    """Give the version of the installed distribution."""
    from importlib.metadata import version

    return version("limner")
