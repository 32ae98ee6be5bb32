"""Figures of licence facts: `python benchmarks/licences.py`. Each line has a ratio to a plain peer of the same run.

The bounds asked for: 50 µs to combine a candidate's parts, 50 ms for the facts of a first candidate.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from limner_policy import CandidateFacts, PolicyInput, RequestFacts, embedded_pack, judge, load_packs
from limner_policy.licences import Answers, Organisation, embedded_book, facts_for
from limner_policy.licences.book import Book
from limner_policy.licences.terms import COMMERCIAL, DUTIES
from limner_policy.types import PartFacts

ORGANISATION = Organisation(
    as_of="2026-11-24", annual_revenue_usd=2_000_000, monthly_users=10_000, principal_place="DE"
)


def best(work: Callable[[], object], *, repeat: int = 7, number: int = 1) -> float:
    """Seconds of one call: the best of `repeat` rounds of `number` calls."""
    rounds = []
    for _ in range(repeat):
        began = time.perf_counter()
        for _ in range(number):
            work()
        rounds.append((time.perf_counter() - began) / number)
    return min(rounds)


def report(name: str, seconds: float, peer: str, peer_seconds: float) -> None:
    """One line a figure."""
    print(f"{name:<58} {seconds * 1e3:9.3f} ms   {seconds / peer_seconds:8.3f} × {peer} ({peer_seconds * 1e3:.3f} ms)")


def contents() -> list[tuple[str, bytes]]:
    """The embedded facts files."""
    from limner_policy.licences.book import FOLDER

    return [(str(file), file.read_bytes()) for file in sorted(FOLDER.glob("*.facts.yaml"))]


def bench_loading() -> None:
    """The facts of one candidate from cold, and all rows, beside a bare ruamel load of all files."""
    from ruamel.yaml import YAML

    files = contents()
    bare = best(lambda: [YAML(typ="safe", pure=True).load(data) for _, data in files], repeat=3)
    for kind, model in (
        ("diffusers", "limner-starter"),
        ("diffusers", "stabilityai/stable-diffusion-xl-base-1.0"),
        ("midjourney", "midjourney-7"),
    ):
        cold = best(lambda kind=kind, model=model: facts_for(kind=kind, model=model, book=Book(files)), repeat=5)  # type: ignore[misc]
        report(f"facts from cold: {model}", cold, "bare ruamel load of all", bare)
    size = sum(len(data) for _, data in files) // 1024
    report(f"all rows of all files ({size} KiB)", best(lambda: Book(files).files(), repeat=3), "bare ruamel load", bare)
    facts_for(kind="openai", model="gpt-image-2", licence="LicenseRef-OpenAI-Terms")
    warm = best(lambda: facts_for(kind="openai", model="gpt-image-2", licence="LicenseRef-OpenAI-Terms"), number=2_000)
    report("facts when they were asked for before", warm, "from cold", bare)


def plain(parts: tuple[PartFacts, ...]) -> set[str]:
    """What one writes first: does any part forbid something?"""
    return {fact.term for part in parts for one in part.licences for fact in one.terms if fact.says == "no"}


def parts() -> tuple[PartFacts, ...]:
    """Base, LoRA, ControlNet, adapter, provider and two detectors."""
    return facts_for(
        kind="midjourney",
        model="stabilityai/stable-diffusion-3.5-large",
        loras=["some-lora"],
        controls=["some-control"],
        adapters=["insightface"],
        detectors=["nsfw", "text"],
        book=embedded_book(),
    )


def bench_combining() -> None:
    """What the general pack asks of seven parts; every answer there is; beside a plain pass over the terms."""
    seven = parts()
    peer = best(lambda: plain(seven), number=500)

    def asked() -> None:
        answers = Answers(seven, ORGANISATION)
        for permission in COMMERCIAL:
            _ = answers.allowed(permission).truth
        _ = answers.allowed("automated_access").truth, answers.over().truth, answers.excluded("DE").truth
        _ = answers.conflict().truth, answers.known().truth

    def everything() -> None:
        answers = Answers(seven, ORGANISATION)
        for duty in DUTIES:
            _ = answers.required(duty).truth
        asked()

    report(f"combine {len(seven)} parts: seven questions", best(asked, number=500), "plain pass", peer)
    report("  every question there is", best(everything, number=500), "plain pass", peer)


def bench_judging() -> None:
    """The general pack on a candidate with its parts, beside the same candidate without any."""
    packs = load_packs([embedded_pack()])

    def given(found: tuple[PartFacts, ...]) -> PolicyInput:
        return PolicyInput(
            instant="2026-11-24T00:00:00Z",
            stage="candidate",
            request=RequestFacts(prompt="a red apple", task="txt2img"),
            candidate=CandidateFacts(kind="diffusers", model="limner-starter", licence="Apache-2.0", parts=found),
        )

    local, several = given(facts_for(kind="diffusers", model="limner-starter")), given(parts())
    bare = given(())
    peer = best(lambda: judge(packs, bare), number=500)
    report("judge a candidate: the starter", best(lambda: judge(packs, local), number=500), "without parts", peer)
    report("judge a candidate: seven parts", best(lambda: judge(packs, several), number=500), "without parts", peer)
    report("its input as JSON", best(several.to_json, number=500), "without parts", best(bare.to_json, number=500))


if __name__ == "__main__":
    bench_loading()
    bench_combining()
    bench_judging()
