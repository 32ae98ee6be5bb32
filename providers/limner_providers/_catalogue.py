"""Facts about local models and pipelines from a data file: name, licence, defaults, the parts a pipeline needs."""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import Any


@functools.cache
def _data() -> dict[str, dict[str, dict[str, Any]]]:
    text = files("limner_providers").joinpath("data/models.json").read_text("utf-8")
    data: dict[str, dict[str, dict[str, Any]]] = json.loads(text)
    return data


def model_facts(name: str) -> dict[str, Any]:
    """Give what is known of a model by `starter` or its hub id; empty where nothing is."""
    return _data()["models"].get(name, {})


def pipelines() -> dict[str, dict[str, Any]]:
    """Give the pipeline classes that can be run, each with `components` and `defaults`."""
    return _data()["pipelines"]
