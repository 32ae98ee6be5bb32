"""Licence and terms facts: dated, sourced data; how the parts of a picture combine; what that means for one house.

    facts = facts_for(kind="diffusers", model="stabilityai/stable-diffusion-xl-base-1.0")   # parts for CandidateFacts
    answers = Answers(facts, organisation)                                                  # pure: what follows of them

The facts are YAML files in `data/licences/`; `book.py` reads those of them that are asked for. Not legal advice.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner_policy.licences.answers import Answer, Answers
    from limner_policy.licences.book import Book, embedded_book, load_book
    from limner_policy.licences.checking import Remark, remarks
    from limner_policy.licences.organisation import Organisation
    from limner_policy.licences.resolving import asks_for_licences, facts_for, parts_of

_HOMES = {
    "Answer": "answers",
    "Answers": "answers",
    "Book": "book",
    "Organisation": "organisation",
    "Remark": "checking",
    "asks_for_licences": "resolving",
    "embedded_book": "book",
    "facts_for": "resolving",
    "load_book": "book",
    "parts_of": "resolving",
    "remarks": "checking",
}

__all__ = [
    "Answer",
    "Answers",
    "Book",
    "Organisation",
    "Remark",
    "asks_for_licences",
    "embedded_book",
    "facts_for",
    "load_book",
    "parts_of",
    "remarks",
]


def __getattr__(name: str) -> Any:
    """Bring a public name from its module when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
