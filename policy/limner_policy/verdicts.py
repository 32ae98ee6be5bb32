"""What a judgement says: the verdict lattice, the hits of rules, and the decision made of them.

Knows nothing of policy files or of how a rule is evaluated; what goes to the audit log never holds a prompt's text.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

from limner_policy.handling import Handling, combined
from limner_policy.types import Evidence

LEAF_BYTES = 40_960
"""Upper bound of a decision's leaf, so that it fits a log entry (64 KiB) beside the entry's other fields."""


@functools.total_ordering
class Verdict(Enum):
    """`allow < allow_with_duties < review < deny`; combining takes the most severe."""

    ALLOW = "allow"
    ALLOW_WITH_DUTIES = "allow_with_duties"
    REVIEW = "review"
    DENY = "deny"

    @property
    def rank(self) -> int:
        """0 for allow to 3 for deny."""
        return _RANKS[self.value]

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Verdict):
            return NotImplemented
        return self.rank < other.rank

    def __str__(self) -> str:
        return self.value

    @staticmethod
    def combine(verdicts: Iterable[Verdict]) -> Verdict:
        """The most severe of `verdicts`; `allow` where there is none."""
        return max(verdicts, default=Verdict.ALLOW)


_RANKS = {verdict.value: rank for rank, verdict in enumerate(Verdict)}


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Where a rule matched: code points `start` to `end` (exclusive) of the original text of `field`.

    `entity` is the id of what a name on a list stands for. It tells what was written, so it never goes to the log.
    """

    field: str
    start: int
    end: int
    entity: str = ""

    def to_json(self) -> dict[str, Any]:
        """The span as canonical JSON data."""
        return {"field": self.field, "start": self.start, "end": self.end}


@dataclass(frozen=True, slots=True)
class EvidenceUse:
    """A detector's evidence as a rule used it: the score beside the threshold it was held against (6 decimals).

    With `review_from`, scores from there up to the threshold are for a person to decide.
    """

    evidence: Evidence
    threshold: str
    review_from: str = ""

    @property
    def comparison(self) -> str:
        """`reached`, `between` (from `review_from` up to the threshold), `below`, or `unknown`."""
        score = self.evidence.score
        if score is None:
            return "unknown"
        # Texts of 6 decimals from 0 to 1 sort as numbers.
        return "reached" if score >= self.threshold else "between" if score >= self.lowest else "below"

    @property
    def lowest(self) -> str:
        """The least score that is not simply passed."""
        return self.review_from or self.threshold

    def against(self) -> dict[str, str]:
        """Threshold, band and outcome as canonical JSON data, without the evidence itself."""
        band = {"review_from": self.review_from} if self.review_from else {}
        return {"threshold": self.threshold, **band, "comparison": self.comparison}

    def to_json(self) -> dict[str, Any]:
        """Score, threshold and the detector's identity as canonical JSON data."""
        return {**self.evidence.model_dump(mode="json", exclude_defaults=True), **self.against()}


@dataclass(frozen=True, slots=True)
class Looked:
    """A rule that held one evidence against its threshold, whether it came to hold or not."""

    pack: str
    rule: str
    mode: str
    use: EvidenceUse

    def to_json(self) -> dict[str, str]:
        """The rule and its comparison as canonical JSON data."""
        return {"rule": self.rule, "pack": self.pack, "mode": self.mode, **self.use.against()}


@dataclass(frozen=True, slots=True, order=True)
class LicenceUse:
    """What a rule rests on in the licence facts: which part, under which licence, says what of which term, and where.

    `says` is yes, no or unknown; `because` says why where the quote alone does not.
    """

    part: str
    role: str
    term: str
    says: str
    licence: str = ""
    because: str = ""
    section: str = ""
    quote: str = ""
    read: str = ""
    via: str = ""

    def to_json(self) -> dict[str, str]:
        """The use as canonical JSON data; what is empty is left out."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name))}

    def __str__(self) -> str:
        read = f"read {self.read}" + (f" by way of {self.via}" if self.via else "") if self.read else ""
        where = ", ".join(filter(None, (self.role, self.licence, self.section, read)))
        quote = f": “{self.quote}”" if self.quote else ""
        why = f"; {self.because}" if self.because else ""
        return f"{self.term} {self.says} by {self.part} ({where}){quote}{why}"


@dataclass(frozen=True, slots=True, order=True)
class Duty:
    """Something that has to be done because of a decision: a known name and its parameters, sorted by name."""

    name: str
    params: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The duty as canonical JSON data."""
        return {"name": self.name, "params": dict(self.params)}


@dataclass(frozen=True, slots=True)
class RuleHit:
    """One rule that held, could not be decided (`unknown`), or broke while it was evaluated (`failed`).

    `between` says that a score lies from `review_from` up to the threshold, so that a person decides. `handling` is
    there where the hit denies.

    `verdict` is what this hit asks for: the rule's own, its `if_unknown`, or `deny` after a failure.
    `combined` says whether it counts: rules in `audit` or `warn` mode are recorded and do not.
    """

    rule: str
    pack: str
    title: str
    says: str
    severity: str
    stage: str
    mode: str
    verdict: Verdict
    spans: tuple[Span, ...] = ()
    evidence: tuple[EvidenceUse, ...] = ()
    duties: tuple[Duty, ...] = ()
    unknown: bool = False
    failed: bool = False
    licences: tuple[LicenceUse, ...] = ()
    between: bool = False
    handling: Handling | None = None

    @property
    def combined(self) -> bool:
        """True where the hit takes part in the decision; a failure always does."""
        return self.failed or self.mode == "enforce"

    def sort_key(self) -> tuple[int, str, str]:
        """Most severe first, then by pack and rule: the order never depends on the order of files."""
        return (-self.verdict.rank, self.pack, self.rule)

    def to_json(self) -> dict[str, Any]:
        """The hit as canonical JSON data without any matched text."""
        flags: dict[str, Any] = {name: True for name in ("unknown", "failed", "between") if getattr(self, name)}
        if self.licences:
            flags["licences"] = [use.to_json() for use in self.licences]
        return {
            "rule": self.rule,
            "pack": self.pack,
            "title": self.title,
            "severity": self.severity,
            "stage": self.stage,
            "mode": self.mode,
            "verdict": self.verdict.value,
            "spans": [span.to_json() for span in self.spans],
            "evidence": [use.to_json() for use in self.evidence],
            **flags,
        }

    def reason(self) -> str:
        """One sentence for people who may see the policy."""
        name = f"{self.pack}/{self.rule} ({self.title})"
        if self.failed:
            return f"{self.verdict}: {name}: engine failure while this rule was evaluated"
        told = f"{self.verdict}: {name}: {self.says}"
        if self.unknown:
            why = _missing(self.evidence)
            told = f"{self.verdict}: {name}: could not be decided{why}, so the rule's if_unknown applies"
        elif self.between:
            told = f"{self.verdict}: {name}: a person decides, as {'; '.join(map(_measured, self.evidence))}."
        elif self.evidence:
            told += " " + "; ".join(_measured(use) for use in self.evidence) + "."
        if self.licences:
            told += " " + "; ".join(map(str, self.licences[:_MOST_LICENCES_TOLD])) + "."
        return told if self.combined else f"{told} [{self.mode} mode: recorded, not combined]"


_MOST_LICENCES_TOLD = 3


def _measured(use: EvidenceUse) -> str:
    given = use.evidence
    where = f" on given picture {given.image + 1}" if given.of == "input" else ""
    scored = f"{given.detector}/{given.category} scored {given.score or 'nothing'}{where}"
    band = f"review from {use.review_from}, " if use.review_from else ""
    weights = f", weights {given.digest[:12]}" if given.digest else ""
    return f"{scored} ({band}threshold {use.threshold}, version {given.version}{weights})"


def _missing(evidence: tuple[EvidenceUse, ...]) -> str:
    reasons = sorted({f"{use.evidence.detector}: {use.evidence.reason}" for use in evidence if use.evidence.reason})
    return f" ({'; '.join(reasons)})" if reasons else ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of one judgement.

    `hits` are all rules that held or could not be decided, most severe first; `packs` those that were in force, each
    as {name, version, sha256}; `no_policy` is True where nothing was in force, which denies. `evidence` is that of
    every detector that ran, and `looked` says which rules held it against which threshold, whatever came of it.
    """

    verdict: Verdict
    stage: str
    hits: tuple[RuleHit, ...] = ()
    duties: tuple[Duty, ...] = ()
    packs: tuple[Mapping[str, str], ...] = field(default=())
    no_policy: bool = False
    evidence: tuple[Evidence, ...] = ()
    looked: tuple[Looked, ...] = ()

    @property
    def allowed(self) -> bool:
        """True for `allow` and `allow_with_duties`."""
        return self.verdict <= Verdict.ALLOW_WITH_DUTIES

    @property
    def handling(self) -> Handling | None:
        """What becomes of pictures; None where nothing is denied."""
        if self.verdict is not Verdict.DENY:
            return None
        return combined(hit.handling for hit in self.deciding if hit.handling)

    @property
    def deciding(self) -> tuple[RuleHit, ...]:
        """The combined hits that ask for exactly this verdict."""
        return tuple(hit for hit in self.hits if hit.combined and hit.verdict is self.verdict)

    @property
    def reasons(self) -> tuple[str, ...]:
        """One sentence a hit, for operators, reviewers and the log's reader."""
        if self.no_policy:
            return ("deny: no policy is in force: no pack, or none whose dates and rules apply at this instant",)
        return tuple(hit.reason() for hit in self.hits)

    @property
    def user_message(self) -> str:
        """What an end user may be shown: what was decided and under which title, never terms, places or thresholds."""
        if self.allowed:
            return "This request is allowed."
        told = (
            "was declined" if self.verdict is Verdict.DENY else "has to be reviewed by a person before it is released"
        )
        what = "This request" if self.stage in ("request", "candidate") else "This image"
        if self.no_policy:
            return f"{what} {told}: no policy is in force."
        return f"{what} {told}: {'; '.join(_shown(hit) for hit in self.deciding[:3])}."

    def to_leaf(self) -> dict[str, Any]:
        """The decision as canonical JSON data for the audit log: no matched text, at most `LEAF_BYTES`.

        Where very many rules hit, spans and then the mildest hits are left out and counted (`spans_left_out`,
        `hits_left_out`); the full decision can be made again from the recorded input and packs.
        """
        leaf: dict[str, Any] = {
            "verdict": self.verdict.value,
            "stage": self.stage,
            "hits": [hit.to_json() for hit in self.hits],
            "duties": [duty.to_json() for duty in self.duties],
            "packs": [dict(pack) for pack in self.packs],
        }
        if self.no_policy:
            leaf["no_policy"] = True
        if self.handling:
            leaf["handling"] = self.handling.to_json()
        if self.evidence:
            leaf["evidence"] = [self._weighed(one) for one in self.evidence]
        return _bounded(leaf)

    def _weighed(self, evidence: Evidence) -> dict[str, Any]:
        """One evidence with every rule that held it against a threshold."""
        rules = [look.to_json() for look in self.looked if look.use.evidence == evidence]
        return {**evidence.model_dump(mode="json", exclude_defaults=True), "rules": rules}


def _shown(hit: RuleHit) -> str:
    if hit.failed:
        return f"it could not be checked (rule {hit.rule})"
    if hit.unknown:
        return f"it could not be checked under “{hit.title}” (rule {hit.rule})"
    return f"{hit.title} (rule {hit.rule})"


def _size(leaf: Mapping[str, Any]) -> int:
    return len(json.dumps(leaf, ensure_ascii=False, separators=(",", ":")).encode())


def _bounded(leaf: dict[str, Any]) -> dict[str, Any]:
    if _size(leaf) <= LEAF_BYTES:
        return leaf
    leaf["spans_left_out"] = sum(len(hit["spans"]) for hit in leaf["hits"])
    leaf["hits"] = [{**hit, "spans": []} for hit in leaf["hits"]]
    if _size(leaf) > LEAF_BYTES and "evidence" in leaf:
        leaf = {**_fewer({**leaf, "hits": []}, "evidence", LEAF_BYTES // 2), "hits": leaf["hits"]}
    return leaf if _size(leaf) <= LEAF_BYTES else _fewer(leaf, "hits", LEAF_BYTES)


def _fewer(leaf: dict[str, Any], name: str, limit: int) -> dict[str, Any]:
    """The leaf with as many of a list as keep it under the limit, and the number of the others."""
    room, kept = limit - _size({**leaf, name: [], f"{name}_left_out": 10**6}), 0
    for one in leaf[name]:
        room -= _size(one) + 1
        if room < 0:
            break
        kept += 1
    if kept < len(leaf[name]):
        leaf |= {f"{name}_left_out": len(leaf[name]) - kept, name: leaf[name][:kept]}
    return leaf
