"""The 200 common names that the card's figure is about, and the 48 of the contact sheet."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import resources

_CONTACT = 48

WORDING = {
    "free words": ("car", "burger", "dog", "fruit", "weapon", "spaceship"),
    "other colours": ("blue apple", "green car", "purple rocket", "pink elephant"),
    "two things": ("apple and banana", "two dogs", "cat riding a bicycle"),
    "sentences": (
        "a photo of a red apple on a wooden table, studio light",
        "sunset over the sea",
        "portrait of a woman with red hair",
    ),
    "nonsense": ("xyzzy", ""),
}
"""Prompts that are no training names, for the sheet that shows the model's limits."""


def common_names() -> list[str]:
    """200 everyday names, those of the contact sheet first."""
    text = resources.files("limner_starter").joinpath("common_names.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def contact_names(known: Collection[str]) -> list[str]:
    """The names of the contact sheet that are among ``known``."""
    return [name for name in common_names()[:_CONTACT] if name in known]


def positions(names: Collection[str]) -> Mapping[str, int]:
    """Name → its place in the training set."""
    return {name: index for index, name in enumerate(names)}
