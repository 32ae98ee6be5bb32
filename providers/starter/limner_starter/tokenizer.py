"""Builds the tokenizer: CLIP's byte-level BPE with merges learned from the names, keywords and caption frames.

Every known word becomes one token, so a small text encoder need not learn spelling.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from limner_starter.captions import ENDINGS, FRAMES
from limner_starter.merges import learn_merges
from limner_starter.pictures import TrainingSet
from limner_starter.recipe import TEXT_LENGTH
from limner_starter.workspace import write_text

_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_SUFFIX = "</w>"


def build_tokenizer(data: TrainingSet) -> Any:
    """The ``CLIPTokenizer`` of the training set's words."""
    from transformers import CLIPTokenizer

    with TemporaryDirectory() as folder:
        write_tokenizer(data, Path(folder))
        return CLIPTokenizer.from_pretrained(folder, model_max_length=TEXT_LENGTH, local_files_only=True)


def write_tokenizer(data: TrainingSet, folder: Path) -> None:
    """Learns the merges and writes ``vocab.json`` and ``merges.txt`` into ``folder``."""
    merges = learn_merges(_word_counts(data), at_least=2)
    write_text(folder / "vocab.json", json.dumps(_vocabulary(merges), ensure_ascii=False))
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    write_text(folder / "merges.txt", "\n".join(lines) + "\n")


def encode_texts(tokenizer: Any, texts: list[str]) -> Any:
    """Token ids ``int64 [len(texts), 32]``, padded and cut."""
    return tokenizer(
        texts, padding="max_length", max_length=TEXT_LENGTH, truncation=True, return_tensors="pt"
    ).input_ids


def _corpus(data: TrainingSet) -> Iterator[str]:
    for name, tags in zip(data.names, data.tags, strict=True):
        yield from [name] * 4
        yield from tags
    yield from [frame.format("") for frame in FRAMES + ENDINGS] * 20


def _alphabet() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _word_counts(data: TrainingSet) -> Counter[tuple[str, ...]]:
    from tokenizers import Regex, normalizers, pre_tokenizers

    # The same steps as CLIP's own tokenizer, so that CLIPTokenizer splits prompts as the merges were learned.
    normal = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    counts: Counter[tuple[str, ...]] = Counter()
    for text in _corpus(data):
        for word, _ in split.pre_tokenize_str(normal.normalize_str(text)):
            counts[(*word[:-1], word[-1] + _SUFFIX)] += 1
    return counts


def _vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    characters = _alphabet()
    words = ["".join(pair) for pair in merges]
    tokens = [*characters, *(c + _SUFFIX for c in characters), *words, "<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}
