"""What packs would decide of a request that nobody made: inputs of what a person types, explained like a record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from limner.errors import ConfigInvalid
from limner.policy_tools.explaining import Explanation, explained_input
from limner_policy.amounts import INPUT_KINDS
from limner_policy.licences.resolving import facts_for, parts_of
from limner_policy.types import CandidateFacts, ContextFacts, Evidence, PartFacts, PolicyInput, RequestFacts

if TYPE_CHECKING:
    from limner_policy import Pack

_SCORE = re.compile(r"([^/=\s]+)/([^/=\s]+)=(unknown|0(?:\.\d{1,6})?|1(?:\.0{1,6})?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody might ask for.

    Attributes:
        prompt, negative_prompt, task, size, n: The request; `size` as WIDTHxHEIGHT.
        inputs: Kinds of pictures that come with it: image, mask, reference, control.
        engine: Any of provider, kind, model, licence; then engines are judged too.
        parts: Further parts whose licences count.
        context: Any of tenant, project, purpose, audience, region.
        tags: The context's tags.
        scores: Detectors' scores as `detector/category=0.70` or `=unknown`; then a picture is judged too.
    """

    prompt: str = ""
    negative_prompt: str = ""
    task: str = "txt2img"
    size: str | None = None
    n: int = 1
    inputs: Sequence[str] = ()
    engine: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[str] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    scores: Sequence[str] = ()


def ask(packs: Sequence[Pack], question: Question, instant: str) -> Explanation:
    """Judge a question at every stage that it says something of, and explain each judgement.

    Raises:
        ConfigInvalid: A score or a kind of picture is none.
    """
    inputs = list(_inputs(question, instant))
    return Explanation(
        record="none",
        state="asked about, not made; nothing is recorded",
        shows="asked",
        instant=instant,
        judgements=tuple(explained_input(packs, given) for given in inputs),
    )


def _inputs(question: Question, instant: str) -> Iterator[PolicyInput]:
    for kind in question.inputs:
        if kind not in INPUT_KINDS:
            raise ConfigInvalid(
                f"--input {kind} is no kind of picture.", remedy=f"Write one of {', '.join(INPUT_KINDS)}."
            )
    common: dict[str, Any] = {
        "instant": instant,
        "request": RequestFacts(
            prompt=question.prompt,
            negative_prompt=question.negative_prompt,
            task=question.task,
            size=question.size,
            n=str(question.n),
            inputs=tuple(question.inputs),
        ),
        "context": ContextFacts(**question.context, tags=tuple(question.tags)),
    }
    candidate = _candidate(question)
    yield PolicyInput(stage="request", **common)
    if candidate:
        yield PolicyInput(stage="candidate", candidate=candidate, **common)
    if question.scores:
        yield PolicyInput(stage="image", candidate=candidate, evidence=tuple(map(_evidence, question.scores)), **common)


def _candidate(question: Question) -> CandidateFacts | None:
    engine = dict(question.engine)
    if not engine and not question.parts:
        return None
    known = facts_for(kind=engine.get("kind"), model=engine.get("model"), licence=engine.get("licence"))
    named, unknown = parts_of(question.parts)
    parts = (*known, *named, *(PartFacts(role="model", name=name) for name in unknown))
    return CandidateFacts(**engine, parts=parts)


def _evidence(text: str) -> Evidence:
    found = _SCORE.fullmatch(text)
    if found is None:
        raise ConfigInvalid(f"--score {text} is no score.", remedy="Write nsfw/nsfw=0.70, or nsfw/nsfw=unknown.")
    detector, category, score = found.groups()
    if score == "unknown":
        return Evidence(detector=detector, category=category, status="unknown", reason="the question says so")
    whole, _, decimals = score.partition(".")
    return Evidence(detector=detector, category=category, score=f"{whole}.{decimals:0<6}")
