"""How `evidence` conditions are written: one threshold, or stricter ones by audience and region, and a band for people.

What is written by audience and region is read as the `any` and `all` that it means, so that every tool already
understands it: with a default of 0.70 and 0.40 for children, either the score reaches 0.70, or the audience is children
and it reaches 0.40. An audience that was not said is unknown, and so is what depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from limner_policy import yaml_reading as nodes
from limner_policy.amounts import RegionWithin
from limner_policy.conditions import AllOf, AnyOf, Condition, EvidenceAtLeast, FactIn, folded_fact
from limner_policy.licences.territory import is_code
from limner_policy.shapes import Fraction, Key, Notes, Reading, Record, Shape, Text, Unreadable

MAX_STRICTER = 300
_SCORE = Fraction()


@dataclass(frozen=True)
class Stricter:
    """A score for those whose audience, or region, is named."""

    fact: str
    name: str
    score: str

    def applies(self) -> Condition:
        """The condition that it is about them."""
        if self.fact == "region":
            return RegionWithin((self.name,))
        return FactIn(self.fact, frozenset({folded_fact(self.name)}))


@dataclass(frozen=True)
class ByName:
    """A mapping from names of one fact to scores."""

    fact: str

    def read(self, node: nodes.Node, path: str, notes: Notes) -> tuple[Stricter, ...]:
        """Read it."""
        if not isinstance(node, nodes.Mapping) or not 1 <= len(node.pairs) <= MAX_STRICTER:
            raise notes.fail(node, path, f"has to be scores by {self.fact}: a mapping", 'Write {name: "0.40"}')
        found: list[Stricter] = []
        broken = False
        for key, value in node.pairs:
            try:
                found.append(self._one(key, value, f"{path}.{key.text}", notes))
            except Unreadable:
                broken = True
        if broken:
            raise Unreadable
        return tuple(found)

    def _one(self, key: nodes.Scalar, value: nodes.Node, path: str, notes: Notes) -> Stricter:
        name = Text(f"the name of a {self.fact}", 200).read(key, path, notes)
        if self.fact == "region" and not is_code(name):
            raise notes.fail(key, path, "is no code of a country or region", "Write DE, US-CA or EU")
        name = name.upper() if self.fact == "region" else name
        return Stricter(self.fact, name, _SCORE.read(value, path, notes))


@dataclass(frozen=True)
class Threshold:
    """The score that counts for everybody, and lower ones for some."""

    default: str
    stricter: tuple[Stricter, ...] = ()


def _threshold(read: Reading) -> Threshold:
    stricter = (*read.values.get("audience", ()), *read.values.get("region", ()))
    if not stricter:
        raise read.fail("has only a default", 'Write the score alone: at_least: "0.70"')
    default = read.values["default"]
    for one in stricter:
        if one.score >= default:
            told = f"{one.score[:4]} for the {one.fact} {one.name} is no stricter than the default {default[:4]}"
            remedy = "The strictest score that applies wins: make the default the highest one, or leave this out"
            raise read.fail(told, remedy)
    return Threshold(default, stricter)


THRESHOLDS = Record(
    "thresholds",
    {
        "default": Key(_SCORE, required=True, help="The score that counts where nothing stricter applies."),
        "audience": Key(ByName("audience"), help='Lower scores by audience: {children: "0.40"}.'),
        "region": Key(ByName("region"), help='Lower scores by country or region: {DE: "0.60"}.'),
    },
    _threshold,
)


class AtLeast:
    """One score, or a default with stricter ones."""

    def read(self, node: nodes.Node, path: str, notes: Notes) -> Threshold:
        """Read it."""
        if isinstance(node, nodes.Mapping):
            return THRESHOLDS.read(node, path, notes)
        return Threshold(_SCORE.read(node, path, notes))


def _evidence(read: Reading) -> Condition:
    detector, category = read.values["detector"], read.values["category"]
    threshold: Threshold = read.values["at_least"]
    review_from = read.values.get("review_from", "")
    if review_from and review_from >= threshold.default:
        told = f"`review_from` {review_from[:4]} does not lie below the threshold {threshold.default[:4]}"
        raise read.fail(told, "A person decides between the two: write a lower score, or leave it out")
    everybody = EvidenceAtLeast(detector, category, threshold.default, review_from)
    if not threshold.stricter:
        return everybody
    some = (AllOf((one.applies(), EvidenceAtLeast(detector, category, one.score))) for one in threshold.stricter)
    return AnyOf((everybody, *some))


EVIDENCE: Shape[Condition] = Record(
    "an evidence condition",
    {
        "detector": Key(Text("a detector's name", 64), required=True),
        "category": Key(Text("a category", 64), required=True),
        "at_least": Key(AtLeast(), required=True, help="A score, or {default: …, audience: {…}, region: {…}}."),
        "review_from": Key(_SCORE, help="From this score up to the threshold a person decides."),
    },
    _evidence,
)
