"""Pick what we report out of the library's two JSON reports.

crJSON is the source for contents, since the older report turns short lists of integers into base64. Must not judge.
Everything is hostile input: a value of an unexpected type counts as not there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from limner_provenance.credentials.manifest import NOTICE, RECORD, TRAINING
from limner_provenance.credentials.report import Finding
from limner_provenance.credentials.signer import DEVELOPMENT_ORGANISATION


def manifest(report: dict[str, Any], label: str | None) -> dict[str, Any]:
    """Return the crJSON manifest with a label, or an empty one."""
    for item in sequence(report.get("manifests")):
        if isinstance(item, dict) and item.get("label") == label:
            return item
    return {}


def statuses(report: dict[str, Any]) -> dict[str, Any]:
    """Return failed and informational codes of the active manifest, and whether its time-stamp is trusted."""
    results = mapping(mapping(report.get("validation_results")).get("activeManifest"))
    passed = {item.code for item in findings(results.get("success"))}
    return {
        "failures": findings(results.get("failure")),
        "informational": findings(results.get("informational")),
        "timestamp_trusted": "timeStamp.trusted" in passed,
    }


def findings(value: object) -> tuple[Finding, ...]:
    """Turn a list of status entries into findings."""
    entries = [item for item in sequence(value) if isinstance(item, dict)]
    return tuple(
        Finding(
            code=text(item.get("code")) or "",
            explanation=text(item.get("explanation")) or "",
            url=text(item.get("url")),
        )
        for item in entries
    )


def signature(item: dict[str, Any]) -> dict[str, Any]:
    """Return who signed, how, and when."""
    signed = mapping(item.get("signature"))
    certificate = mapping(signed.get("certificateInfo"))
    subject, issuer = mapping(certificate.get("subject")), mapping(certificate.get("issuer"))
    ends = moment(mapping(certificate.get("validity")).get("notAfter"))
    return {
        "algorithm": text(signed.get("algorithm")),
        "common_name": text(subject.get("CN")),
        "organisation": text(subject.get("O")),
        "issuer": ", ".join(part for part in (text(issuer.get("CN")), text(issuer.get("O"))) if part) or None,
        "development": text(issuer.get("O")) == DEVELOPMENT_ORGANISATION,
        "timestamp": moment(mapping(signed.get("timeStampInfo")).get("timestamp")),
        "certificate_ends": ends,
        "stops_validating": ends,
    }


def claim(item: dict[str, Any]) -> dict[str, Any]:
    """Return what the claim says of the file and of what wrote it."""
    body = mapping(item.get("claim.v2") or item.get("claim"))
    generator = body.get("claim_generator_info")
    first = mapping(generator[0] if isinstance(generator, list) and generator else generator)
    return {
        "instance_id": text(body.get("instanceID")),
        "title": text(body.get("dc:title")),
        "claim_generator": named(first) or text(body.get("claim_generator")),
    }


def statements(item: dict[str, Any]) -> dict[str, Any]:
    """Return what the assertions state: actions, source, model, record, choice about training."""
    assertions = mapping(item.get("assertions"))
    stated = assertions.get("c2pa.actions.v2") or assertions.get("c2pa.actions")
    actions = tuple(entry for entry in sequence(mapping(stated).get("actions")) if isinstance(entry, dict))
    uses = mapping(mapping(assertions.get(TRAINING)).get("entries")).values()
    return {
        "actions": actions,
        "digital_source_type": first_text(entry.get("digitalSourceType") for entry in actions),
        "software_agent": first_text(agent(entry.get("softwareAgent")) for entry in actions),
        "record": record(item),
        "test_provider": mapping(assertions.get(NOTICE)).get("test_provider") is True,
        "training_mining": first_text(mapping(use).get("use") for use in uses),
    }


def record(item: dict[str, Any]) -> dict[str, Any] | None:
    """Return the assertion `limner.record` of a manifest, or None."""
    value = mapping(item.get("assertions")).get(RECORD)
    return value if isinstance(value, dict) else None


def agent(value: object) -> str | None:
    """Name a software agent, which older manifests write as plain text."""
    return named(value) if isinstance(value, dict) else text(value)


def named(value: dict[str, Any]) -> str | None:
    """Join name and version."""
    return " ".join(part for part in (text(value.get("name")), text(value.get("version"))) if part) or None


def mapping(value: object) -> dict[str, Any]:
    """Return `value` where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list[Any]:
    """Return `value` where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str | None:
    """Return `value` where it is text, else None."""
    return value if isinstance(value, str) else None


def first_text(values: Any) -> str | None:
    """Return the first text among values, or None."""
    return next((value for value in values if isinstance(value, str)), None)


def moment(value: object) -> datetime | None:
    """Parse RFC 3339 text with an offset; None for anything else."""
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return parsed if parsed and parsed.tzinfo else None
