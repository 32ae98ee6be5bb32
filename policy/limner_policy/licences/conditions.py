"""What a rule can ask of the licences of all parts together (`licence: {…}`). Pure, like every condition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from limner_policy.conditions import NO, Case, Finding
from limner_policy.licences.answers import Answer, Answers


@dataclass(frozen=True, slots=True, eq=False)
class LicenceCondition:
    """One question to the combined licences: `key` with its `values` as the pack writes them."""

    key: str
    values: tuple[str, ...]

    def find(self, case: Case) -> Finding:
        """Ask, and name the parts, terms and quotes that the answer rests on."""
        answer = QUESTIONS[self.key](case, case.licences, self.values)
        if answer.truth is False:
            return NO
        return Finding(answer.truth, licences=answer.uses)


def _allows(_: Case, answers: Answers, values: tuple[str, ...]) -> Answer:
    return answers.allowed(values[0])


def _forbids(_: Case, answers: Answers, values: tuple[str, ...]) -> Answer:
    return _opposite(answers.allowed(values[0]))


def _requires(_: Case, answers: Answers, values: tuple[str, ...]) -> Answer:
    return answers.required(values[0])


def _over(_: Case, answers: Answers, values: tuple[str, ...]) -> Answer:
    return answers.over(values)


def _excludes(case: Case, answers: Answers, values: tuple[str, ...]) -> Answer:
    place = case.given.context.region if values[0] == "region" else case.organisation.principal_place
    return answers.excluded(place)


def _states(_: Case, answers: Answers, values: tuple[str, ...]) -> Answer:
    return answers.states(values[0])


def _conflict(_: Case, answers: Answers, values: tuple[str, ...]) -> Answer:
    return _wanted(answers.conflict(), values)


def _known(_: Case, answers: Answers, values: tuple[str, ...]) -> Answer:
    return _wanted(answers.known(), values)


def _signed_off(_: Case, answers: Answers, values: tuple[str, ...]) -> Answer:
    return _wanted(answers.signed_off(), values)


def _any_of(_: Case, answers: Answers, values: tuple[str, ...]) -> Answer:
    return answers.under(frozenset(value.casefold() for value in values))


def _wanted(answer: Answer, values: tuple[str, ...]) -> Answer:
    return answer if values[0] == "yes" else _opposite(answer)


def _opposite(answer: Answer) -> Answer:
    return answer if answer.truth is None else Answer(not answer.truth, answer.claims)


QUESTIONS: dict[str, Callable[[Case, Answers, tuple[str, ...]], Answer]] = {
    "allows": _allows,
    "forbids": _forbids,
    "requires": _requires,
    "over": _over,
    "excludes": _excludes,
    "states": _states,
    "conflict": _conflict,
    "known": _known,
    "signed_off": _signed_off,
    "any_of": _any_of,
}
"""Key of `licence:` → the question that it is."""
