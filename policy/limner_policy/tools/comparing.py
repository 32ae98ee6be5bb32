"""Two versions of a policy side by side, as a lawyer's red-line: what was added, removed, loosened, tightened.

Knows packs as they are loaded and nothing of traffic; what a change would have done is `limner policy replay`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from limner_policy.pack import Example, Pack, Rule, Source
from limner_policy.tools.concept_diff import concept_changes
from limner_policy.tools.condition_diff import condition_changes
from limner_policy.tools.phrases import MODES, dates, duty_words, modes, moment, outcome, phrase, source_words
from limner_policy.tools.reach import as_strict
from limner_policy.tools.shape import shape
from limner_policy.tools.timeline import Span, spans
from limner_policy.verdicts import Verdict

Effect = Literal["tightened", "loosened", "both", "not told", "same"]
EFFECTS: dict[str, str] = {
    "tightened": "stricter than before",
    "loosened": "milder than before",
    "both": "stricter in some cases and milder in others",
    "not told": "whether stricter or milder cannot be told by machine",
    "same": "decides as before",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One difference: `sign` is `+` (new), `-` (gone) or `~` (changed), `about` its key, `text` the sentence."""

    sign: str
    about: str
    text: str


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What became of one rule: `kind` is added, removed, renamed or changed; `effect` says in which direction."""

    rule: str
    title: str
    kind: str
    effect: Effect
    sentences: tuple[Sentence, ...]
    old_line: int | None = None
    new_line: int | None = None


@dataclass(frozen=True, slots=True)
class PackChange:
    """What became of one pack; `old` or `new` is None where there was none, else name, version, sha256 and file."""

    name: str
    old: dict[str, str] | None
    new: dict[str, str] | None
    sentences: tuple[Sentence, ...]
    rules: tuple[RuleChange, ...]

    @property
    def summary(self) -> str:
        """Count what happened, in one sentence."""
        counted = {kind: sum(one.kind == kind for one in self.rules) for kind in ("added", "removed", "renamed")}
        changed = [one for one in self.rules if one.kind == "changed"]
        counted |= {effect: sum(one.effect == effect for one in changed) for effect in EFFECTS}
        words = {
            "both": "changed both ways",
            "not told": "changed",
            "same": "reworded or otherwise as strict as before",
        }
        told = [f"{n} {words.get(kind, kind)}" for kind, n in counted.items() if n]
        return f"rules: {', '.join(told)}" if told else "no rule differs"

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON data."""
        return asdict(self) | {"summary": self.summary}


def compare(old: Sequence[Pack], new: Sequence[Pack]) -> list[PackChange]:
    """Compare packs: one with one whatever their names, else by name. Packs of the same bytes are left out."""
    if len(old) == 1 and len(new) == 1:
        pairs: list[tuple[Pack | None, Pack | None]] = [(old[0], new[0])]
    else:
        before, after = {p.name: p for p in old}, {p.name: p for p in new}
        pairs = [(before.get(name), after.get(name)) for name in sorted(before.keys() | after.keys())]
    return [_pack(was, now) for was, now in pairs if was is None or now is None or was.sha256 != now.sha256]


def _pack(old: Pack | None, new: Pack | None) -> PackChange:
    some = new or old
    assert some is not None
    return PackChange(
        name=some.name,
        old=_named(old),
        new=_named(new),
        sentences=tuple(_header(old, new)) if old and new else (),
        rules=tuple(_rules(old, new)),
    )


def _named(pack: Pack | None) -> dict[str, str] | None:
    return {**pack.identity, "file": pack.file, "title": pack.title} if pack else None


def _header(old: Pack, new: Pack) -> Iterator[Sentence]:
    for about in ("name", "version", "title", "owner"):
        yield from _replaced(about, getattr(old, about), getattr(new, about))
    yield from _replaced("effective", dates(old.effective), dates(new.effective))
    yield from _replaced("review_by", _day(old.review_by), _day(new.review_by))
    was, now = (asdict(one.organisation) if one.organisation else {} for one in (old, new))
    for claim in sorted(was.keys() | now.keys()):
        yield from _replaced(f"organisation.{claim}", _claimed(was.get(claim)), _claimed(now.get(claim)))
    yield from _lists(old, new)
    yield from (Sentence(*told) for told in concept_changes(old, new))
    yield from _handlings(old, new)


def _handlings(old: Pack, new: Pack) -> Iterator[Sentence]:
    before, after = ({one.name: one for one in pack.handling} for pack in (old, new))
    for name in sorted(before.keys() | after.keys()):
        was, now = (one.told if one else "nothing of its own" for one in (before.get(name), after.get(name)))
        yield from _replaced(f"handling.{name}", was, now)


def _claimed(value: object) -> str:
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "nothing"
    return "not said" if value is None else str(value)


def _lists(old: Pack, new: Pack) -> Iterator[Sentence]:
    before, after = {one.name: one for one in old.lists}, {one.name: one for one in new.lists}
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was is None or now is None:
            word = "added" if was is None else "removed"
            yield Sentence("+" if was is None else "-", f"lists.{name}", f"list {name} {word}")
        elif shape(was) != shape(now):
            yield Sentence("~", f"lists.{name}", f"list {name}: {len(was):,} → {len(now):,} rows")
        if was and now:
            yield from _replaced(f"lists.{name}.owner", was.owner or "none", now.owner or "none")
            yield from _replaced(f"lists.{name}.refreshed", was.refreshed or "not said", now.refreshed or "not said")


def _day(by: datetime | None) -> str:
    return moment(by) if by else "none"


def _replaced(about: str, old: str, new: str) -> Iterator[Sentence]:
    if old != new:
        yield Sentence("~", about, f"{about.replace('_', ' ')}: {old} → {new}")


def _rules(old: Pack | None, new: Pack | None) -> Iterator[RuleChange]:
    before = {rule.id: rule for rule in old.rules} if old else {}
    after = {rule.id: rule for rule in new.rules} if new else {}
    gone = [rule for key, rule in before.items() if key not in after]
    for rule in new.rules if new else ():
        if rule.id in before:
            assert old is not None
            assert new is not None
            changed = _changed(old, before[rule.id], new, rule)
            yield from [changed] if changed else []
            continue
        twin = next((one for one in gone if _same_rule(one, rule)), None)
        if twin is not None and old is not None and new is not None:
            gone.remove(twin)
            yield _renamed(old, twin, new, rule)
        else:
            yield _whole("+", new, rule)
    for rule in gone:
        yield _whole("-", old, rule)


def _same_rule(old: Rule, new: Rule) -> bool:
    return (old.stage, old.verdict, shape(old.when)) == (new.stage, new.verdict, shape(new.when))


def _renamed(old: Pack, was: Rule, new: Pack, now: Rule) -> RuleChange:
    first = Sentence("~", "id", f"{was.id} is now called {now.id}")
    rest = tuple(_sentences(was, now))
    return RuleChange(
        now.id, now.title, "renamed", _effect(old, was, new, now), (first, *rest), was.lines[0], now.lines[0]
    )


def _whole(sign: str, pack: Pack | None, rule: Rule) -> RuleChange:
    assert pack is not None
    counts = any(span.mode == "enforce" for span in spans(pack, rule))
    restrains = counts and max(rule.verdict, rule.if_unknown) > Verdict.ALLOW
    told = [
        ("says", rule.says),
        ("why", rule.why),
        ("when", phrase(rule.when).line),
        ("then", outcome(rule.verdict, rule.duties)),
        ("if_unknown", f"where that cannot be decided: {outcome(rule.if_unknown)}"),
        ("mode", modes(rule)),
        ("effective", dates(rule.effective)),
        *(("basis", source_words(source)) for source in rule.basis),
    ]
    added = sign == "+"
    effect: Effect = ("tightened" if added else "loosened") if restrains else "same"
    return RuleChange(
        rule.id,
        rule.title,
        "added" if added else "removed",
        effect,
        tuple(Sentence(sign, about, text) for about, text in told),
        None if added else rule.lines[0],
        rule.lines[0] if added else None,
    )


def _changed(old: Pack, was: Rule, new: Pack, now: Rule) -> RuleChange | None:
    sentences = tuple(_sentences(was, now))
    effect = _effect(old, was, new, now)
    if not sentences and effect == "same":
        return None
    return RuleChange(now.id, now.title, "changed", effect, sentences, was.lines[0], now.lines[0])


def _sentences(was: Rule, now: Rule) -> Iterator[Sentence]:
    for about in ("title", "says", "why", "owner", "severity", "stage"):
        yield from _replaced(about, getattr(was, about), getattr(now, about))
    yield from (Sentence("~", "when", told) for told in condition_changes(was.when, now.when))
    if was.verdict is not now.verdict:
        yield Sentence("~", "then", f"outcome: {outcome(was.verdict)} → {outcome(now.verdict)}")
    if was.handling != now.handling:
        yield Sentence("~", "then", f"denied pictures: {was.handling.told} → {now.handling.told}")
    for duty in sorted(set(was.duties) - set(now.duties)):
        yield Sentence("-", "then", f"duty dropped: {duty_words(duty)}")
    for duty in sorted(set(now.duties) - set(was.duties)):
        yield Sentence("+", "then", f"duty added: {duty_words(duty)}")
    if was.if_unknown is not now.if_unknown:
        told = f"where it cannot be decided: {outcome(was.if_unknown)} → {outcome(now.if_unknown)}"
        yield Sentence("~", "if_unknown", told)
    yield from _replaced("mode", modes(was) if was.mode_from else MODES[was.mode], modes(now))
    yield from _replaced("effective", dates(was.effective), dates(now.effective))
    yield from _replaced("review_by", _day(was.review_by), _day(now.review_by))
    yield from _sources(was.basis, now.basis)
    yield from _examples(was.examples, now.examples)


def _sources(old: Sequence[Source], new: Sequence[Source]) -> Iterator[Sentence]:
    before, after = {one.cite: one for one in old}, {one.cite: one for one in new}
    for cite in sorted(before.keys() | after.keys()):
        if cite not in after:
            yield Sentence("-", "basis", f"no longer rests on {cite}")
        elif cite not in before:
            yield Sentence("+", "basis", f"rests on {source_words(after[cite])}")
        else:
            was, now = before[cite], after[cite]
            for name in ("read", "via", "url", "quote"):
                given = (getattr(one, name) or "nothing" for one in (was, now))
                yield from (Sentence("~", "basis", f"{cite}: {one.text}") for one in _replaced(name, *given))


def _examples(old: Sequence[Example], new: Sequence[Example]) -> Iterator[Sentence]:
    before, after = ({_case(one) for one in examples} for examples in (old, new))
    for sign, word, found in (("+", "added", after - before), ("-", "dropped", before - after)):
        if found:
            yield Sentence(sign, "examples", f"examples {word}: {len(found)}")


def _case(example: Example) -> str:
    return repr(
        (
            example.expect,
            sorted(example.facts.items()),
            sorted(example.scores.items(), key=str),
            example.as_of,
            example.parts,
            example.tags,
            example.inputs,
            sorted(example.organisation.items(), key=str),
        )
    )


def _effect(old: Pack, was: Rule, new: Pack, now: Rule) -> Effect:
    stricter = _reaches(new, now, old, was)
    milder = _reaches(old, was, new, now)
    if stricter and milder:
        return "same"
    if stricter or milder:
        # The other direction may be unknown, and then all that is sure is this one.
        sure = (milder if stricter else stricter) is False
        return ("tightened" if stricter else "loosened") if sure else "not told"
    return "both" if stricter is False and milder is False else "not told"


def _reaches(strict_pack: Pack, strict: Rule, mild_pack: Pack, mild: Rule) -> bool | None:
    """Whether `strict` counts whenever `mild` does, and asks for at least as much then; None: not known."""
    theirs = [span for span in spans(mild_pack, mild) if span.mode == "enforce"]
    if not theirs or (mild.verdict is Verdict.ALLOW and mild.if_unknown is Verdict.ALLOW):
        return True
    ours = list(spans(strict_pack, strict))
    instants = {
        s.start
        for s in (*theirs, *ours)
        if any(t.start <= s.start and (t.until is None or s.start < t.until) for t in theirs)
    }
    if not all(_mode_in(ours, instant) == "enforce" for instant in instants):
        return False
    return as_strict(strict, mild)


def _mode_in(found: Sequence[Span], instant: datetime) -> str:
    return next(s.mode for s in found if s.start <= instant and (s.until is None or instant < s.until))
