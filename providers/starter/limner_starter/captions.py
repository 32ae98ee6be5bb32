"""Turns a name and its keywords into the varied captions that the model is trained on.

All randomness comes from the generator that is handed in.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

FRAMES = (
    *["{}"] * 8,
    *["a {}"] * 2,
    *("the {}", "one {}", "{} emoji", "an emoji of a {}", "emoji of {}", "picture of a {}", "a picture of a {}"),
    *("a photo of a {}", "photo of {}", "a drawing of a {}", "an illustration of a {}", "an image of a {}"),
    *("{} icon", "icon of a {}", "a cute {}", "a small {}", "{} on a white background", "a {} on white"),
    *("cartoon {}", "a simple {}", "painting of a {}", "a beautiful {}", "a rendering of a {}", "clip art of a {}"),
    "a close up of a {}",
)
"""Sentences around a name; the plain name is the commonest."""

ENDINGS = (
    *[""] * 14,
    *(", high quality", ", white background", ", detailed", ", digital art", ", emoji style", ", best quality"),
    *(", 4k", ", simple, centered", ", masterpiece"),
)
"""What people hang behind a prompt and what must not change the picture."""

_NAME_ONLY = 0.62
_NAME_AND_TAGS = 0.84
_EMPTY = 0.1


class Captioner:
    """Writes captions for a training set."""

    def __init__(self, names: Sequence[str], tags: Sequence[Sequence[str]]) -> None:
        self._names = names
        self._tags = tags
        self._uses = Counter(tag for row in tags for tag in row)

    def caption(self, index: int, rng: random.Random) -> str:
        """A caption of picture ``index``: mostly its name, sometimes name and keywords, sometimes keywords alone."""
        draw, name, tags = rng.random(), self._names[index], self._tags[index]
        if draw < _NAME_ONLY or not tags:
            return framed(name, rng) + rng.choice(ENDINGS)
        if draw < _NAME_AND_TAGS:
            chosen = rng.sample(tags, min(len(tags), rng.choice([1, 1, 2, 3])))
            return f"{framed(name, rng)}, {rng.choice([', ', ' ']).join(chosen)}"
        return self._keywords(tags, rng)

    def training_caption(self, index: int, rng: random.Random) -> str:
        """Like ``caption``, but empty one time in ten, which is what classifier-free guidance needs."""
        return "" if rng.random() < _EMPTY else self.caption(index, rng)

    def _keywords(self, tags: Sequence[str], rng: random.Random) -> str:
        if rng.random() < 0.7:
            # A keyword of few pictures says more about this one.
            rarity = [1 / self._uses[tag] for tag in tags]
            return framed(rng.choices(tags, rarity)[0], rng)
        return " ".join(rng.sample(tags, min(len(tags), rng.choice([2, 3]))))


def framed(words: str, rng: random.Random) -> str:
    """``words`` in a random frame, with "an" before a vowel."""
    return re.sub(r"\ba ([aeiou])", r"an \1", rng.choice(FRAMES).format(words))
