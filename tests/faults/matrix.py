"""The fault matrix: what each test of an attack or accident promises, and the table of docs/audit.md made from that.

A test wears `@attack(…)` and takes the fixture `row` (tests/faults/conftest.py); the fixture fails a test that never
confirmed that what the row promises was said. `python tests/faults/matrix.py --write` puts the table into the page;
`test_matrix_page.py` holds page and tests together.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "audit.md"
MODULES = ("attacks_entries", "attacks_history", "attacks_evidence", "accidents", "audit_killed")
"""The test modules that hold lines, in the order of the table."""
BEGIN, END = "<!-- fault matrix: begin -->", "<!-- fault matrix: end -->"

ANYTHING = "…"
"""Said differently by column; the place is what the test asserts."""

Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(slots=True)
class Row:
    """One line of the matrix.

    Attributes:
        attack: what is done.
        who: who can do it.
        by: what finds it (a command), or what holds.
        said: what is said, as it is said; `…` stands for anything.
        confirmed: whether the running test saw that.
    """

    attack: str
    who: str
    by: str
    said: str
    confirmed: bool = field(default=False, compare=False)

    def confirm(self, text: str) -> None:
        """Assert that a message holds what the row promises."""
        assert self._pattern().search(text), f"said {text!r}, promised {self.said!r}"
        self.confirmed = True

    def confirm_finding(self, report: Any, table: str, key: object = None, column: str | None = None) -> None:
        """Assert that a verification is INVALID and one of its errors says what the row promises, at that place."""
        assert report.verdict == "INVALID", report.findings
        errors = [finding for finding in report.findings if finding.severity == "error"]
        said = [finding for finding in errors if self._pattern().search(finding.what)]
        places = [(finding.table, finding.key, finding.column) for finding in said]
        wanted = (table, None if key is None else str(key), column)
        found = any(all(w in (None, p) for w, p in zip(wanted, place, strict=True)) for place in places)
        assert found, f"{self.said!r} was not said of {wanted}, but: {[str(item) for item in report.findings[:5]]}"
        self.confirmed = True

    def _pattern(self) -> re.Pattern[str]:
        return re.compile(".*".join(re.escape(part) for part in self.said.split("…")), re.DOTALL)


def attack(what: str, *, who: str, by: str, said: str) -> Callable[[Test], Test]:
    """Say of a test what line of the matrix it holds."""

    def mark(test: Test) -> Test:
        test.row = Row(what, who, by, said)  # type: ignore[attr-defined]
        return test

    return mark


def rows() -> list[tuple[Row, str]]:
    """Give every line with the test that holds it, in the order of modules and of tests in them."""
    found = []
    for module in MODULES:
        path = ROOT / "tests" / "faults" / f"test_{module}.py"
        for name, value in vars(_load(path)).items():
            if name.startswith("test_") and hasattr(value, "row"):
                found.append((value.row, f"{path.stem}::{name}"))
    return found


def _load(path: Path) -> Any:
    """Load a test module by its path, apart from what pytest loaded."""
    spec = importlib.util.spec_from_file_location(f"_matrix_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def table(lines: Iterable[tuple[Row, str]]) -> str:
    """Write the lines as a Markdown table."""
    text = ["| attack or accident | who can do it | found by | what is said | test |", "|---|---|---|---|---|"]
    for row, test in lines:
        said = "table, row and column are named" if row.said == ANYTHING else f"“{row.said}”"
        text.append(f"| {row.attack} | {row.who} | {row.by} | {said} | `{test.partition('::')[2]}` |")
    return "\n".join(text)


def page_with(lines: Iterable[tuple[Row, str]]) -> str:
    """Give the page with its table replaced."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table(lines)}\n{END}{after}"


def main() -> None:
    """Print the table, or write it into the page."""
    parser = argparse.ArgumentParser(description="The fault matrix of docs/audit.md, made from the tests.")
    parser.add_argument("--write", action="store_true", help="put it into docs/audit.md")
    if parser.parse_args().write:
        PAGE.write_text(page_with(rows()), encoding="utf-8")
    else:
        sys.stdout.write(table(rows()) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    main()
