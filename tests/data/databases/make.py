"""Make the fixture database of a release: `python tests/data/databases/make.py NAME`.

Run it once, when a release is made, and never again for that release: every later version has to open what it wrote
then. Its keys are public, derived from a text, and sign nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from unittest import mock

from limner_provenance import schema
from limner_provenance.audit import verify
from limner_provenance.log import AuditLog

HERE = Path(__file__).parent
SEED = sha256(b"a test log of Limner; this key is public").digest()
KEK = sha256(b"a test key-encryption key of Limner; this key is public").hexdigest()


def write(log: AuditLog) -> None:
    """Write what every release has to read: records of each ending, payloads of both kinds, an erasure, a full tile."""
    for number in range(40):
        record, subject = f"0198f000-0000-7000-8000-{number:012d}", f"user-{number % 4}"
        log.append("accepted", record=record, payloads={"prompt": f"äpple {number}"}, subject=subject)
        log.append("judged", record=record, data={"stage": "request", "verdict": "allow"})
        log.append("planned", record=record)
        log.append("attempted", record=record, data={"attempt": "1"}).wait(10)
        image = {"image": bytes([number]) * 30} if number % 10 == 0 else {}
        log.append("produced", record=record, data={"attempt": "1"}, payloads=image, subject=subject)
        log.append("judged", record=record, data={"stage": "image", "image": 0, "verdict": "allow"})
        log.append("sealed", record=record, data={"image": 0}, payloads={"manifest": "M"}, subject=subject)
        log.append("delivered", record=record).wait(10)
    log.erase(subject="user-3")


def main() -> None:
    """Write the folder NAME."""
    target, random = HERE / sys.argv[1], os.urandom
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with (
            mock.patch("limner_provenance.opening.os.urandom", lambda size: SEED if size == 32 else random(size)),
            AuditLog.open(f"sqlite:///{state / 'audit.db'}", state=state, kek=KEK) as log,
        ):
            write(log)
            report = verify(log)
            assert report.ok, report.findings
            told = {
                "revision": schema.HEAD,
                "size": report.size,
                "root": report.root,
                "key": log.vkey,
                "checkpoint": log.head().note,
                "opened": report.payloads_opened,
                "erased": report.payloads_erased,
            }
        target.mkdir()
        for name in ("audit.db", "keys.db", "anchor"):
            shutil.copy(state / name, target / name)
        shutil.copytree(state / "assets", target / "assets")
    (target / "index.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
