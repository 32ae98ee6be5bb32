"""Evidence of records that release 0.1 wrote, entry by entry, put into a log of today."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limner.config import Config
from limner.evidence import make_evidence
from limner_provenance import AuditLog
from limner_provenance.verify_evidence import Verification

House = Callable[..., Config]
FILE = Path(__file__).parents[1] / "data" / "records-0.1.json"


@pytest.fixture
def old(house: House) -> tuple[Config, dict[str, Any]]:
    """Write the entries of the fixture, and give the configuration of their log and the fixture."""
    config, written = house(), json.loads(FILE.read_text(encoding="utf-8"))
    with AuditLog.open(
        config.audit_url, state=config.state, keys_url=config.keys_url, assets_url=config.assets_url
    ) as log:
        for entry in written["entries"]:
            payloads = {
                name: base64.b64decode(kept["base64"]) if "base64" in kept else kept["json"]
                for name, kept in entry["payloads"].items()
            }
            log.append(entry["step"], record=entry["record"], data=entry["data"], payloads=payloads, subject="ann")
        log.flush()
    return config, written


def test_every_old_record_has_evidence(old: tuple[Config, dict[str, Any]]) -> None:
    """Records of every outcome are told and proven; what was sealed is held against its manifest.

    The fixture was copied into another log, so its leaf hashes are others than the manifests name: that is found.
    """
    config, written = old
    verdicts = {}
    for outcome, record in written["ids"].items():
        made = make_evidence(record, config=config, disclose=["all"])
        report = Verification().run(made.document, [])
        verdicts[outcome] = report["verdict"]
        sealed = any(e["record"] == record and e["step"] == "sealed" for e in written["entries"])
        if sealed:
            assert report["where"] == "images[0]"
            assert "manifest" in report["says"]
        else:
            assert (outcome, report["verdict"], report["missing"]) == (outcome, "VALID", [])
    assert set(verdicts.values()) == {"VALID", "INVALID"}
