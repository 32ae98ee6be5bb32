"""The vocabulary file of open_clip's own ``SimpleTokenizer``, with merges learned from our words.

open_clip's usual vocabulary has 49,408 entries, of which the words of 1,087 names need a tenth. The rest would be the
larger half of a small model.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from limner_starter.merges import learn_merges
from limner_starter.workspace import replaced

VOCABULARY = "vocabulary.txt.gz"
"""Its name in the model folder; ``open_clip_config.json`` names it as ``bpe_path``."""

_SUFFIX = "</w>"
_CHARACTERS = 256
_SPECIAL = 2
_HEAD = "#version: 0.2"


def write_vocabulary(texts: Iterable[str], file: Path) -> int:
    """Learns merges from ``texts`` and writes the file, the same bytes every time; returns the vocabulary's size."""
    merges = learn_merges(word_counts(texts), at_least=2)
    # No line break at the end: open_clip would read one as an empty merge.
    text = "\n".join([_HEAD, *(f"{left} {right}" for left, right in merges)])
    with replaced(file) as temporary:
        # Without a time, so that the digest depends on the words alone.
        temporary.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    return 2 * _CHARACTERS + len(merges) + _SPECIAL


def tokenizer(file: Path | None, context: int) -> Any:
    """The open_clip tokenizer of a vocabulary file; of open_clip's own where none is given."""
    from open_clip import SimpleTokenizer

    return SimpleTokenizer(context_length=context, **({"bpe_path": str(file)} if file else {}))


def word_counts(texts: Iterable[str]) -> Counter[tuple[str, ...]]:
    """How often each word occurs, as symbols, split and spelled as open_clip's tokenizer does."""
    import re

    from open_clip.tokenizer import bytes_to_unicode

    split = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+")
    spelled = bytes_to_unicode()
    counts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        for word in split.findall(text.lower()):
            symbols = [spelled[byte] for byte in word.encode()]
            counts[(*symbols[:-1], symbols[-1] + _SUFFIX)] += 1
    return counts
