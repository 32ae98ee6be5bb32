"""Evidence files: one record, told and proven in one document that a stranger checks alone, offline.

`docs/evidence-format.md` is the specification; `limner_provenance.verify_evidence` is the stand-alone verifier.
"""

from __future__ import annotations

from limner_provenance.evidence.building import FORMAT, MAX_DOCUMENT, build, disclosable

__all__ = ["FORMAT", "MAX_DOCUMENT", "build", "disclosable"]
