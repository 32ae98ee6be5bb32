"""Content Credentials as evidence under the name `credentials`: what a given file says of itself, and what it is worth.

It scores no pixels: whoever can read credentials (the orchestrator) says what was found, and this writes it down. Knows
nothing of C2PA.
"""

from __future__ import annotations

from typing import Literal

from limner_policy.detectors.base import unknown
from limner_policy.types import Evidence

NAME = "credentials"
VERSION = "1"
CATEGORIES = ("absent", "do-not-train", "invalid", "trusted", "valid")
"""`valid` is whole, whoever signed; `trusted` is that under a configured anchor; `do-not-train` is a stated refusal of
training or data mining."""

State = Literal["trusted", "valid", "invalid", "absent"]


def from_credentials(state: State, training_mining: str | None) -> tuple[Evidence, ...]:
    """Evidence of one file, one a category, each score 0 or 1.

    Args:
        state: what its credentials are worth.
        training_mining: the choice they state on training and data mining; None where they state none. Of broken
            credentials no word is taken, but a refusal that they state is: it can only make a verdict more severe.
    """
    refused = training_mining is not None and training_mining.lower() != "allowed"
    true = {
        "absent": state == "absent",
        "do-not-train": refused,
        "invalid": state == "invalid",
        "trusted": state == "trusted",
        "valid": state in {"trusted", "valid"},
    }
    return tuple(_evidence(one, true=true[one]) for one in CATEGORIES)


def of_no_file() -> tuple[Evidence, ...]:
    """Evidence for a request that brings no picture: 0 in every category, since nothing was stated."""
    return tuple(_evidence(one, true=False) for one in CATEGORIES)


def unreadable(reason: str) -> tuple[Evidence, ...]:
    """Evidence that a file's credentials could not be read, and why: `unknown` in every category."""
    lost = (unknown(NAME, one, reason, VERSION) for one in CATEGORIES)
    return tuple(one.model_copy(update={"of": "input"}) for one in lost)


def _evidence(category: str, *, true: bool) -> Evidence:
    score = "1.000000" if true else "0.000000"
    return Evidence(detector=NAME, version=VERSION, category=category, score=score, of="input")
