"""Deciding a log again beside deciding alone: `python benchmarks/replay.py [--judgements 4000]`.

Issue 6 asks for at least 4,000 decisions/s with 200 rules, 10,000 terms and 50 patterns. Both run turn by
turn in one process, so that a busy machine slows both; the CPU time hardly knows of other programs.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from limner.policy_tools.impact import replay_log
from limner_policy import Pack, PolicyInput, RequestFacts, judge, load_pack_bytes
from limner_provenance import AuditLog

HEADER = "policy: bench\nversion: 1\ntitle: bench\nowner: bench\nrules:\n"
RULE = (
    "  - {{id: R-{number}, title: t, says: s, why: w, basis: [{{cite: c}}], severity: low, stage: request,"
    " when: {when}, then: {{verdict: deny}}}}\n"
)
RULES, PATTERNS, TERMS, ROUNDS = 200, 50, 10_000, 5


def vocabulary(count: int, seed: int) -> list[str]:
    """Made-up words of 5 to 9 letters, each once."""
    chance = random.Random(seed)
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(chance.choices("abcdefghijklmnoprstuvwy", k=chance.randint(5, 9)))] = None
    return list(words)


def pack_of(terms: list[str]) -> Pack:
    """A pack whose terms are spread over its rules, the last of which have a pattern each."""
    share = len(terms) // (RULES - PATTERNS)
    whens = [
        f"{{terms: {{any_of: [{', '.join(terms[i * share : (i + 1) * share])}]}}}}" for i in range(RULES - PATTERNS)
    ]
    pairs = zip(terms[:PATTERNS], terms[PATTERNS:], strict=False)
    whens += [rf"{{re2: {{pattern: '(?i)\b{a}\s+(?:\w+\s+){{0,3}}{b}\b'}}}}" for a, b in pairs]
    rules = (RULE.format(number=number, when=when) for number, when in enumerate(whens))
    return load_pack_bytes((HEADER + "".join(rules)).encode(), "bench.yaml")


def inputs(count: int, length: int, words: list[str], terms: list[str]) -> list[PolicyInput]:
    """Requests of `length` words, one in ten with a term."""
    chance = random.Random(1)
    found = []
    for number in range(count):
        prompt = chance.choices(words, k=length)
        if number % 10 == 0:
            prompt[3] = chance.choice(terms)
        request = RequestFacts(prompt=" ".join(prompt), task="txt2img")
        found.append(PolicyInput(instant="2026-11-24T00:00:00Z", stage="request", request=request))
    return found


def fill(log: AuditLog, pack: Pack, given: list[PolicyInput]) -> None:
    """Write each judgement as the pipeline does."""
    for number, one in enumerate(given):
        log.append(
            "judged",
            record=f"0198f000-0000-7000-8000-{number:012d}",
            data=judge([pack], one).to_leaf(),
            payloads={"input": one.to_json()},
            subject=f"user-{number % 50}",
        )
    log.flush()


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of CPU time."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


def main() -> None:
    """Fill logs of short and of long prompts, decide them again, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judgements", type=int, default=4_000)
    count = parser.parse_args().judgements
    words = vocabulary(TERMS + 5_000, seed=7)
    pack = pack_of(words[:TERMS])
    for length in (20, 60):
        compare(pack, inputs(count, length, words[TERMS:], words[:TERMS]), length)


def compare(pack: Pack, given: list[PolicyInput], length: int) -> None:
    """Print decisions a second of a replay and of `judge` alone, the best of some rounds of each."""
    count = len(given)
    replays, bares = [], []
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with AuditLog.open(f"sqlite:///{state / 'audit.db'}", state=state) as log:
            fill(log, pack, given)
            for _ in range(ROUNDS):
                replays.append(timed(lambda: replay_log(log, [pack])))
                bares.append(timed(lambda: [judge([pack], one) for one in given]))
            found = replay_log(log, [pack])
            assert (found.replayed, found.changes) == (count, []), "the pack against its own history changes nothing"
    for name, of in (("clock", 0), ("CPU", 1)):
        replay, bare = (count / min(times[of] for times in rounds) for rounds in (replays, bares))
        print(
            f"replay, {count:,} prompts of {length} words, {RULES} rules, {TERMS:,} terms, {PATTERNS} patterns, {name}:"
            f" {replay:,.0f} decisions/s (bar 4,000); bare judge {bare:,.0f}/s; ratio {replay / bare:.2f}"
        )


if __name__ == "__main__":
    main()
