"""What the licences of some parts come to for an organisation, as data for people and scripts. Pure; prints nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from limner_policy.licences.answers import Answer, Answers
from limner_policy.licences.organisation import Organisation
from limner_policy.licences.terms import CEILINGS, DUTIES, PERMISSIONS, TERMS
from limner_policy.types import PartFacts


@dataclass(frozen=True, slots=True)
class Line:
    """One question, its answer, and what decides it.

    Attributes:
        term: The term's name, or `territory_exclude` with the place that was asked for in `asked`.
        asks: The question in plain words.
        answer: `yes`, `no` or `unknown`.
        deciding: The parts, licences and quotes that decide, as canonical data.
    """

    term: str
    asks: str
    answer: str
    deciding: tuple[dict[str, str], ...]
    asked: str = ""


@dataclass(frozen=True, slots=True)
class LicenceReport:
    """Everything about some parts together.

    Attributes:
        commercial: Whether they may be used for commercial work by this organisation: yes, no, unknown.
        because: The lines that keep it from being yes.
        parts: The parts with their licences.
        organisation: What was claimed of it; what was not said is absent.
        permissions, limits, duties: The answers.
        conflicts: What contradicts what, a line a part.
        signed_off: Whether a person confirmed every row.
    """

    commercial: str
    because: tuple[Line, ...]
    parts: tuple[PartFacts, ...]
    organisation: dict[str, object]
    permissions: tuple[Line, ...]
    limits: tuple[Line, ...]
    duties: tuple[Line, ...]
    conflicts: tuple[dict[str, str], ...]
    signed_off: bool

    def to_json(self) -> dict[str, object]:
        """The report as JSON data."""
        data = asdict(self)
        data["parts"] = [part.model_dump(mode="json", exclude_defaults=True) for part in self.parts]
        return data


_CEILINGS = {
    "revenue_ceiling": "the organisation is over a ceiling on annual revenue",
    "user_ceiling": "the organisation is over a ceiling on monthly users",
}
_PLACES = {
    "principal_place": "a licence does not reach the organisation's principal place",
    "region": "a licence does not reach the region of use",
}


def licence_report(
    parts: Iterable[PartFacts], organisation: Organisation, *, region: str | None = None
) -> LicenceReport:
    """Answer every question about these parts.

    Commercial use is allowed where weights (or service), pictures and access by a program are, no stated territory
    excludes the organisation's place or `region`, and no part's sources contradict each other. What nobody recorded of
    ceilings and territories does not make it unknown; `checking.remarks` tells such gaps.

    Args:
        parts: from `facts_for` or `parts_of`.
        organisation: the claims.
        region: where the pictures will be used, as a code; None: not said.
    """
    answers = Answers(parts, organisation)
    permissions = tuple(_line(name, answers.allowed(name)) for name in PERMISSIONS if _concerns(answers, name))
    limits = [_line(name, answers.over((name,)), _ceiling(answers, name)) for name in CEILINGS]
    places = {"principal_place": organisation.principal_place, "region": region}
    territories = [
        _line("territory_exclude", answers.excluded(place), _PLACES[what], what)
        for what, place in places.items()
        if what == "principal_place" or place
    ]
    conflict = answers.conflict()
    hindering = [line for line in permissions if line.answer != "yes"]
    if answers.states("territory_exclude").truth:
        hindering += [line for line in territories if line.answer != "no"]
    if conflict.truth:
        hindering.append(_line("conflict", Answer(None, conflict.claims), "the sources agree"))
    refused = any(line.answer == ("yes" if line.term == "territory_exclude" else "no") for line in hindering)
    return LicenceReport(
        commercial="no" if refused else "unknown" if hindering or not answers.parts else "yes",
        because=tuple(hindering),
        parts=answers.parts,
        organisation=_said(organisation),
        permissions=permissions,
        limits=(*limits, *territories),
        duties=tuple(_line(name, answers.required(name)) for name in DUTIES if _concerns(answers, name)),
        conflicts=tuple(use.to_json() for use in conflict.uses) if conflict.truth else (),
        signed_off=bool(answers.signed_off().truth),
    )


def _ceiling(answers: Answers, name: str) -> str:
    return _CEILINGS[name] if answers.states(name).truth else f"no row states one; asked: {_CEILINGS[name]}"


def _line(term: str, answer: Answer, asks: str = "", asked: str = "") -> Line:
    return Line(term, asks or TERMS[term].title, answer.word, tuple(use.to_json() for use in answer.uses), asked)


def _concerns(answers: Answers, term: str) -> bool:
    return any(part.role not in TERMS[term].not_for for part in answers.parts)


def _said(organisation: Organisation) -> dict[str, object]:
    said = {name: value for name, value in asdict(organisation).items() if value is not None}
    return said | ({"holds": sorted(said["holds"])} if "holds" in said else {})
