"""Why a record was decided as it was, or how other packs or another day would decide it: data, no layout.

A judgement is explained from its recorded input where that can be opened, else from what the log says in clear.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from limner.policy_tools.recorded import Judgement, Shelf, counts, judgements, recorded_inputs
from limner.records import Record
from limner_policy.engine import judge
from limner_policy.errors import PolicyError
from limner_policy.tools.tracing import Node, trace
from limner_provenance.errors import ProvenanceError

if TYPE_CHECKING:
    from limner_policy import Pack
    from limner_policy.types import PolicyInput
    from limner_provenance import AuditLog

_AROUND = 24
"""Code points of the prompt that are shown before and after a place."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule matched: the span, and its text with what stands around it where the prompt can be opened."""

    field: str
    start: int
    end: int
    before: str | None = None
    text: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Clause:
    """The rule as its pack writes it: `text` are its exact lines `lines` (first and last, from 1)."""

    says: str
    why: str
    basis: tuple[dict[str, str], ...]
    owner: str
    text: str
    lines: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule of one judgement.

    Attributes:
        rule, pack, title, mode, severity, verdict: As the decision names it.
        role: `decides`; `holds`, where a more severe rule decided; `recorded only`, in audit or warn mode.
        state: `held`, `unknown` (its if_unknown applies) or `failed`.
        places: Where in the texts it matched.
        evidence: Detectors' scores, each beside its threshold.
        licences: What it rests on in the licence facts: part, term, quote, day.
        tree: The rule's condition part by part with what became of each; None where pack or input cannot be opened.
        clause: The rule as written; None where its pack cannot be opened.
    """

    rule: str
    pack: str
    title: str
    severity: str
    mode: str
    verdict: str
    role: str
    state: str
    places: tuple[Place, ...]
    evidence: tuple[Mapping[str, Any], ...]
    clause: Clause | None
    licences: tuple[Mapping[str, Any], ...] = ()
    tree: Node | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """One judgement.

    Attributes:
        judged: `request`, `candidate 0`, `image 0`.
        entry, time: The entry it stands in.
        engine: For a candidate: provider and model.
        recorded: The verdict that was given then.
        verdict: The verdict that is explained; None where it could not be decided again and was asked for.
        input: `opened`, or why the recorded input could not be.
        no_policy: No pack, or no rule, was in force.
        packs: The packs that took part.
        duties: What the decision asks for.
        measured: Detectors' evidence in the recorded input, with the rules that held it against a threshold, if any.
        reasons: Each rule that held or could not be decided, the most severe first.
        handling: What becomes of the pictures of a denial; None where nothing is denied, or nothing was said then.
    """

    judged: str
    entry: int
    time: str
    engine: str | None
    recorded: str
    verdict: str | None
    input: str
    no_policy: bool
    packs: tuple[Mapping[str, str], ...]
    duties: tuple[str, ...]
    measured: tuple[Mapping[str, Any], ...]
    reasons: tuple[Reason, ...]
    handling: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A record's judgements.

    Attributes:
        record: Its id.
        state: How it ended, else its newest step.
        shows: `recorded` (the packs that judged it then), `as of` (those of another instant), `packs` (given ones) or
            `asked` (a request that was never made).
        instant: The instant that stands in the input instead of the recorded one, if it was asked for.
        judgements: In the order of the log.
    """

    record: str
    state: str
    shows: str
    instant: str | None
    judgements: tuple[Explained, ...]

    @property
    def closed(self) -> list[str]:
        """Why inputs could not be opened, each once; empty where all could."""
        return sorted({j.input for j in self.judgements} - {"opened"})

    @property
    def contradicts_log(self) -> bool:
        """Whether deciding again with the very packs and input of then gives another verdict than the log says."""
        return self.shows == "recorded" and any(j.verdict != j.recorded for j in self.judgements)

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON data."""
        return asdict(self)


def explain(
    log: AuditLog, record: str, *, as_of: str | None = None, packs: Sequence[Pack] | None = None
) -> Explanation:
    """Explain every judgement of a record.

    Args:
        log: The log.
        record: The record's id.
        as_of: Decide as of this instant, with the packs that the log had loaded then unless `packs` are given.
        packs: Decide with these.

    Raises:
        RecordNotFound: No entry has this record id.
        PayloadError, KeyUnavailable: A pack that is asked for cannot be opened.
        PolicyFileError: This version cannot read such a pack.
    """
    entries = log.record(record)
    found = list(judgements(entries))
    shelf = Shelf(log)
    other = packs if packs is not None else (shelf.at(as_of) or ()) if as_of is not None else None
    return Explanation(
        record=record,
        state=Record(log, record, subject=None, entries=entries).standing,
        shows="recorded" if other is None else "as of" if packs is None else "packs",
        instant=as_of,
        judgements=tuple(
            _explained(shelf, judgement, facts, as_of, other)
            for judgement, facts in zip(found, recorded_inputs(log, found), strict=True)
        ),
    )


def explained_input(packs: Sequence[Pack], given: PolicyInput) -> Explained:
    """Explain how packs decide an input that stands in no log."""
    leaf = _decided(packs, given, None)
    engine = given.candidate
    return Explained(
        judged=given.stage,
        entry=0,
        time=given.instant,
        engine=", ".join(filter(None, (engine.provider, engine.kind, engine.model))) or None if engine else None,
        recorded=leaf["verdict"],
        verdict=leaf["verdict"],
        input="opened",
        no_policy=bool(leaf.get("no_policy")),
        packs=tuple(leaf["packs"]),
        duties=tuple(_duty(duty) for duty in leaf["duties"]),
        measured=_measured(leaf, given),
        reasons=tuple(_reason(hit, leaf["verdict"], packs, given) for hit in leaf["hits"]),
        handling=leaf.get("handling"),
    )


def _measured(leaf: Mapping[str, Any], given: PolicyInput | None) -> tuple[Mapping[str, Any], ...]:
    """Give every evidence with the rules that held it against a threshold, from the decision, else from the input."""
    from limner_policy.types import Evidence

    weighed = leaf.get("evidence", ())
    if not weighed:
        return tuple(found.model_dump(mode="json") for found in given.evidence) if given else ()
    plain = (Evidence.model_validate({k: v for k, v in one.items() if k != "rules"}) for one in weighed)
    return tuple(
        one.model_dump(mode="json") | {"rules": held["rules"]} for one, held in zip(plain, weighed, strict=True)
    )


def _explained(
    shelf: Shelf, judgement: Judgement, facts: PolicyInput | str, as_of: str | None, other: Sequence[Pack] | None
) -> Explained:
    opened = None if isinstance(facts, str) else facts
    if other is not None:
        known: Sequence[Pack] = other
        leaf = _decided(other, opened, as_of) if opened else {"verdict": None, "hits": [], "packs": []}
    else:
        known = _recorded_packs(shelf, judgement)
        whole = len(known) == len(judgement.packs)
        leaf = _decided(known, opened, None) if opened and whole else judgement.leaf
    hits: Sequence[Mapping[str, Any]] = leaf["hits"]
    return Explained(
        judged=judgement.name,
        entry=judgement.entry.index or 0,
        time=judgement.entry.time,
        engine=_engine(judgement),
        recorded=judgement.verdict,
        verdict=leaf["verdict"],
        input=facts if isinstance(facts, str) else "opened",
        no_policy=bool(leaf.get("no_policy")),
        packs=tuple(leaf.get("packs", judgement.packs)),
        duties=tuple(_duty(duty) for duty in leaf.get("duties", ())),
        measured=_measured(leaf, opened),
        reasons=tuple(_reason(hit, leaf["verdict"], known, opened) for hit in hits),
        handling=leaf.get("handling"),
    )


def _decided(packs: Sequence[Pack], facts: PolicyInput, as_of: str | None) -> Mapping[str, Any]:
    """Decide, and give it in the shape of the log with nothing left out."""
    decision = judge(packs, facts if as_of is None else facts.model_copy(update={"instant": as_of}))
    return decision.to_leaf() | {"hits": [hit.to_json() for hit in decision.hits]}


def _recorded_packs(shelf: Shelf, judgement: Judgement) -> list[Pack]:
    """Give those of a judgement's packs that can be opened."""
    found = []
    for pack in judgement.packs:
        try:
            found.append(shelf.pack(pack["sha256"]))
        except (PolicyError, ProvenanceError):
            continue
    return found


def _engine(judgement: Judgement) -> str | None:
    if judgement.entry.step != "planned":
        return None
    return f"{judgement.leaf['provider']}, {judgement.leaf['model']['name']}"


def _duty(duty: Mapping[str, Any]) -> str:
    params = ", ".join(f"{name}: {value}" for name, value in duty["params"].items())
    return f"{duty['name']} ({params})" if params else str(duty["name"])


def _reason(hit: Mapping[str, Any], verdict: str | None, packs: Sequence[Pack], facts: PolicyInput | None) -> Reason:
    rule = next(
        ((p, r) for p in packs if p.name == hit["pack"] for r in p.rules if r.id == hit["rule"]),
        None,
    )
    clause = None
    if rule:
        pack, written = rule
        basis = tuple({k: v for k, v in asdict(source).items() if v is not None} for source in written.basis)
        lines = pack.rule_text(written.id)
        clause = Clause(written.says, written.why, basis, written.owner, lines, written.lines)
    return Reason(
        rule=hit["rule"],
        pack=hit["pack"],
        title=hit.get("title", rule[1].title if rule else ""),
        severity=hit.get("severity", rule[1].severity if rule else ""),
        mode=hit["mode"],
        verdict=hit["verdict"],
        role="recorded only" if not counts(hit) else "decides" if hit["verdict"] == verdict else "holds",
        state="failed" if hit.get("failed") else "unknown" if hit.get("unknown") else "held",
        places=tuple(_place(span, facts) for span in hit.get("spans", ())),
        evidence=tuple(hit.get("evidence", ())),
        clause=clause,
        licences=tuple(hit.get("licences", ())),
        tree=trace(*rule, facts) if rule and facts and not hit.get("failed") else None,
    )


def _place(span: Mapping[str, Any], facts: PolicyInput | None) -> Place:
    name, start, end = span["field"], span["start"], span["end"]
    if facts is None:
        return Place(name, start, end)
    text = str(getattr(facts.request, name))
    before, after = text[max(0, start - _AROUND) : start], text[end : end + _AROUND]
    # A word that is cut in two helps nobody: begin and end with whole ones.
    if start > _AROUND:
        before = "…" + re.sub(r"^\S*\s", "", before)
    if end + _AROUND < len(text):
        after = re.sub(r"\s\S*$", "", after) + "…"
    return Place(name, start, end, before, text[start:end], after)
