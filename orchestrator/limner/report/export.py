"""Runs a report notebook and writes its figures as PNG, one for each cell that draws, named after the cell's id.

python -m limner.report.export notebooks/audit_report.ipynb docs/audit-report
"""

from __future__ import annotations

import argparse
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limner.report.errors import ExtraMissing


def main() -> None:
    """Read the command line and write the figures."""
    parser = argparse.ArgumentParser(prog="limner.report.export", description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("folder", type=Path, help="where the PNG files go")
    parser.add_argument("--html", type=Path, help="also write the executed notebook as one HTML file")
    parser.add_argument("--as-is", action="store_true", help="take the outputs that are there; run nothing")
    asked = parser.parse_args()
    executed = _read(asked.notebook) if asked.as_is else execute(asked.notebook)
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name, png in figures(executed):
        (asked.folder / f"{name}.png").write_bytes(png)
    if asked.html is not None:
        asked.html.write_text(as_html(executed), encoding="utf-8")


def execute(notebook: Path, *, timeout: int = 600) -> Any:
    """Run a notebook in its own folder and give it with its outputs; the file stays as it is.

    Raises:
        ExtraMissing: nbclient is not installed.
        nbclient.exceptions.CellExecutionError: A cell raised, e.g. because the log is not clean.
    """
    try:
        from nbclient import NotebookClient
    except ImportError as error:
        raise ExtraMissing("nbclient") from error
    read = _read(notebook)
    folder = {"metadata": {"path": str(notebook.resolve().parent)}}
    return NotebookClient(read, timeout=timeout, kernel_name="python3", resources=folder).execute()


def _read(notebook: Path) -> Any:
    try:
        import nbformat
    except ImportError as error:
        raise ExtraMissing("nbformat") from error
    return nbformat.read(notebook, as_version=4)


def figures(executed: Any) -> Iterator[tuple[str, bytes]]:
    """Give the id of each cell that drew a picture, with the picture."""
    for cell in executed.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                yield cell.id, base64.b64decode(output.data["image/png"])


def as_html(executed: Any) -> str:
    """Give an executed notebook as one HTML page without its code, which loads nothing from anywhere.

    Raises:
        ExtraMissing: nbconvert is not installed.
    """
    try:
        from nbconvert import HTMLExporter
    except ImportError as error:
        raise ExtraMissing("nbconvert") from error
    exporter: Any = HTMLExporter
    # nbconvert's page asks content networks for scripts unless their addresses are emptied.
    offline = dict.fromkeys(
        ("mathjax_url", "require_js_url", "jquery_url", "mermaid_js_url", "html_manager_semver_range"), ""
    )
    page, _ = exporter(exclude_input=True, exclude_output_prompt=True, embed_images=True, **offline).from_notebook_node(
        executed
    )
    return str(page)


if __name__ == "__main__":
    main()
