"""Everything that can go wrong with policy files, recorded inputs and detectors.

    PolicyError
    ├── PolicyFileError        a policy file cannot be taken into force; carries every problem with file, line, column
    ├── PolicyInputError       a recorded judgement input is not one that this version can read
    ├── EvaluationInvalid      a data set, table of scores or setting of an evaluation is wrong; names file, row, column
    ├── EvaluationUnavailable  an optional dependency of evaluations is missing; names the extra to install
    └── DetectorError          a detector is unknown, doubled, or was given something that is no picture
        ├── DetectorUnavailable    its optional dependency is missing; names the extra to install
        └── WeightsMismatch        its weights are not the ones whose digest is known

A *running* detector that fails raises none of these: it becomes evidence with status `unknown`, and the policy decides.
Messages never contain prompt texts; `remedy` repeats what to do alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class PolicyError(Exception):
    """Base of this package's errors; `record_id` names the record it happened in, where a request had begun."""

    record_id: str | None = None

    def __init__(self, message: str, *, remedy: str = "") -> None:
        """Keep `message` (what is wrong) and `remedy` (what to do) apart, and show both."""
        super().__init__(f"{message} {remedy}".strip())
        self.remedy = remedy


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a policy file. Lines and columns count from 1, columns in code points."""

    file: str
    line: int
    column: int
    path: str
    message: str
    value: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        key = f" {self.path}:" if self.path else ""
        value = f" (found {self.value})" if self.value else ""
        remedy = f". {self.remedy}" if self.remedy else ""
        return f"{where}:{key} {self.message}{value}{remedy}"


class PolicyFileError(PolicyError):
    """A policy file is not a policy; `problems` lists everything found, sorted by place, one line each when printed."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keep at least one problem; the attributes `file`, `line`, … are those of the first."""
        self.problems = tuple(sorted(problems))
        first = self.problems[0]
        self.file, self.line, self.column = first.file, first.line, first.column
        self.path, self.value = first.path, first.value
        super().__init__("\n".join(map(str, self.problems)))
        self.remedy = first.remedy


class PolicyInputError(PolicyError):
    """A judgement's input cannot be read back."""


class EvaluationInvalid(PolicyError):
    """What an evaluation was given is wrong: its data set, its table of scores, or a setting."""


class EvaluationUnavailable(PolicyError):
    """What an evaluation calculates or draws with is not installed."""


class DetectorError(PolicyError):
    """A detector cannot be used as asked."""


class DetectorUnavailable(DetectorError):
    """A detector's optional dependency is not installed."""


class WeightsMismatch(DetectorError):
    """A detector's weights file is not the known one."""
