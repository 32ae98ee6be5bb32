"""Build the tree of what went into a picture from the library's report.

Each node tells what its own credentials were worth when it was taken in. Bounded in depth and size, since the input
is hostile. Must not judge the outer manifest.
"""

from __future__ import annotations

from typing import Any

from limner_provenance.credentials.crjson import findings, first_text, mapping, record, sequence, text
from limner_provenance.credentials.crjson import manifest as manifest_of
from limner_provenance.credentials.manifest import MODEL_TYPE
from limner_provenance.credentials.report import BROKEN, Finding, IngredientNode, State

_DEEPEST = 32
_MOST = 1000
_UNTRUSTED = "signingCredential.untrusted"
_ELSEWHERE = "manifest.inaccessible"  # named, not embedded; nothing is fetched
_TRUSTED = "signingCredential.trusted"


def tree(report: dict[str, Any], full: dict[str, Any]) -> tuple[IngredientNode, ...]:
    """Return the ingredients of the active manifest, each with its own.

    Args:
        report: The library's `Reader.json()`, parsed.
        full: Its `Reader.crjson()`, parsed, for the records in it.

    Returns:
        At most 1,000 nodes, 32 generations deep; beyond that the tree ends.
    """
    return _Walk(report, full).children(text(report.get("active_manifest")), ())


class _Walk:
    def __init__(self, report: dict[str, Any], full: dict[str, Any]) -> None:
        self.full = full
        self.manifests = mapping(report.get("manifests"))
        self.trusted = _trusted_now(report)
        self.left = _MOST

    def children(self, label: str | None, path: tuple[str, ...]) -> tuple[IngredientNode, ...]:
        if label is None or label in path or len(path) >= _DEEPEST:
            return ()
        entries = sequence(mapping(self.manifests.get(label)).get("ingredients"))
        made = [self.node(entry, (*path, label)) for entry in entries if isinstance(entry, dict) and self.take()]
        return tuple(sorted(made, key=lambda node: node.model))  # pictures first, then models

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def node(self, entry: dict[str, Any], path: tuple[str, ...]) -> IngredientNode:
        label = text(entry.get("active_manifest"))
        manifest = mapping(self.manifests.get(label or ""))
        failures = self.failures(entry, label)
        return IngredientNode(
            title=text(entry.get("title")),
            description=text(entry.get("description")),
            mime=text(entry.get("format")),
            relationship=text(entry.get("relationship")) or "componentOf",
            state=self.state(label, failures),
            failures=failures,
            manifest=label,
            signed_by=text(mapping(manifest.get("signature_info")).get("common_name")),
            digital_source_type=_source(manifest),
            record=record(manifest_of(self.full, label)),
            ingredients=self.children(label, path),
            model=_is_model(entry),
        )

    def failures(self, entry: dict[str, Any], label: str | None) -> tuple[Finding, ...]:
        recorded = mapping(mapping(entry.get("validation_results")).get("activeManifest")).get("failure")
        said = text(entry.get("description")) or ""
        if label is None and said.startswith(BROKEN):
            return (Finding(code="limner.manifest.unreadable", explanation=said),)
        found = findings(recorded if recorded is not None else entry.get("validation_status"))
        # Trust is a question of today's anchors; the other findings are facts of the day it was taken in.
        return tuple(item for item in found if not (item.code == _UNTRUSTED and label in self.trusted))

    def state(self, label: str | None, failures: tuple[Finding, ...]) -> State:
        if any(item.code not in {_UNTRUSTED, _ELSEWHERE} for item in failures):
            return "invalid"
        if label is None:
            return "absent"
        return "trusted" if label in self.trusted else "valid"


def _trusted_now(report: dict[str, Any]) -> frozenset[str]:
    deltas = sequence(mapping(report.get("validation_results")).get("ingredientDeltas"))
    passed = [
        found
        for delta in deltas
        for found in findings(mapping(mapping(delta).get("validationDeltas")).get("success"))
        if found.code == _TRUSTED and found.url
    ]
    return frozenset(found.url.split("/c2pa/")[-1].split("/")[0] for found in passed if found.url)


def _is_model(entry: dict[str, Any]) -> bool:
    kinds = (text(mapping(kind).get("type")) or "" for kind in sequence(entry.get("data_types")))
    return any(kind.startswith(MODEL_TYPE) for kind in kinds)


def _source(manifest: dict[str, Any]) -> str | None:
    for assertion in sequence(manifest.get("assertions")):
        if isinstance(assertion, dict) and str(assertion.get("label")).startswith("c2pa.actions"):
            actions = sequence(mapping(assertion.get("data")).get("actions"))
            return first_text(mapping(action).get("digitalSourceType") for action in actions)
    return None
