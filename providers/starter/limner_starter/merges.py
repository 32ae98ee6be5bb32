"""Learns byte-pair merges, the same ones every time.

The ``tokenizers`` package breaks ties between equally frequent pairs in an order that changes from run to run; token
numbers would then change too, and a resumed run would read its own text weights wrongly. Here ties go by the alphabet.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise

Pair = tuple[str, str]


def learn_merges(words: Mapping[tuple[str, ...], int], *, at_least: int) -> list[Pair]:
    """Merges for ``words`` (symbols of a word → how often it occurs), most frequent pair first.

    Args:
        words: The corpus; a word's last symbol carries the end-of-word mark.
        at_least: A pair that occurs less often is not merged.
    """
    learner = _Learner(words)
    merges = []
    while (pair := learner.best(at_least)) is not None:
        merges.append(pair)
        learner.merge(pair)
    return merges


class _Learner:
    """Words as they are now, the count of every pair, and the words it occurs in."""

    def __init__(self, words: Mapping[tuple[str, ...], int]) -> None:
        self._words = [list(word) for word in words]
        self._uses = list(words.values())
        self._counts: Counter[Pair] = Counter()
        self._places: defaultdict[Pair, set[int]] = defaultdict(set)
        self._queue: list[tuple[int, Pair]] = []
        for index in range(len(self._words)):
            self._count(index, 1)
        for pair in list(self._counts):
            self._push(pair)

    def best(self, at_least: int) -> Pair | None:
        while self._queue:
            count, pair = self._queue[0]
            if -count < at_least:
                return None
            heapq.heappop(self._queue)
            if self._counts[pair] == -count:  # else it is an old entry: the pair's count has changed since
                return pair
        return None

    def merge(self, pair: Pair) -> None:
        touched: set[Pair] = set()
        for index in sorted(self._places.pop(pair)):
            touched |= self._count(index, -1)
            self._words[index] = _merged(self._words[index], pair)
            touched |= self._count(index, 1)
        for other in touched:
            self._push(other)

    def _count(self, index: int, sign: int) -> set[Pair]:
        pairs = list(pairwise(self._words[index]))
        for pair in pairs:
            self._counts[pair] += sign * self._uses[index]
            self._places[pair].add(index)
        return set(pairs)

    def _push(self, pair: Pair) -> None:
        if self._counts[pair] > 0:
            heapq.heappush(self._queue, (-self._counts[pair], pair))


def _merged(word: list[str], pair: Pair) -> list[str]:
    result: list[str] = []
    position = 0
    while position < len(word):
        if tuple(word[position : position + 2]) == pair:
            result.append(pair[0] + pair[1])
            position += 2
        else:
            result.append(word[position])
            position += 1
    return result
