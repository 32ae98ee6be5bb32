"""What a file proves.

    1. The file is a whole PNG, JPEG or WebP.
    2. Its Content Credentials: trusted, valid, invalid or absent, by whom, under which anchor, and until when.
    3. Its record: the credentials name one, and this log holds it.
    4. The bytes are the record's, to the last one; where they are not, what differs.
    5. The log includes the record's `sealed` entry under its newest signed checkpoint.

Steps 3 to 5 need the log; without one they are skipped and said to be. They are in `verification_log`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from limner.config import Config, load_config
from limner.differences import Difference
from limner.errors import ConfigInvalid, StorageUnavailable
from limner.verification_trust import anchors
from limner_provenance.errors import DatabaseUnavailable, ImageUnreadable

if TYPE_CHECKING:
    from limner_provenance import AuditLog
    from limner_provenance.credentials import Credentials
    from limner_provenance.credentials.report import IngredientNode

Outcome = Literal["good", "bad", "skipped"]


@dataclass(frozen=True)
class Step:
    """One numbered step: what was looked at, how it came out, and what that says."""

    title: str
    result: Outcome
    says: str


@dataclass(frozen=True)
class Verification:
    """What a file proves.

    Attributes:
        file: The file.
        sha256: Of its bytes.
        steps: The five steps, in order.
        credentials: What its Content Credentials say.
        record_id: The record that they name, if any.
        warnings: What the reader should know, e.g. until when the credentials validate.
        differences: What differs from the record's file, where the record has one and the bytes are not its.
    """

    file: Path
    sha256: str
    steps: tuple[Step, ...]
    credentials: Credentials
    record_id: str | None
    warnings: tuple[str, ...]
    differences: tuple[Difference, ...] = ()

    @property
    def good(self) -> bool:
        """True where every step that could be taken came out good."""
        return all(step.result != "bad" for step in self.steps)

    @property
    def verdict(self) -> str:
        """The credentials' state where all is good; else `invalid`, or `absent` where there are no credentials."""
        return self.credentials.state if self.good or self.credentials.state == "absent" else "invalid"

    @property
    def first_bad(self) -> Step | None:
        """The first step that came out bad, or None."""
        return next((step for step in self.steps if step.result == "bad"), None)

    @property
    def states(self) -> dict[str, str]:
        """What whole credentials state of the picture; those of a forgery are not repeated."""
        found = self.credentials
        if found.state in {"absent", "invalid"}:
            return {}
        record = found.record or {}
        model = record.get("model") or {}
        said = {
            "made by": found.software_agent,
            "weights": f"sha256 {model['sha256']}" if model.get("sha256") else None,
            "source type": (found.digital_source_type or "").rpartition("/")[2],
            "seed": record.get("seed"),
            "prompt": f"commitment {record['commitments']['prompt']}" if "commitments" in record else None,
            "written by": found.claim_generator,
        }
        return {name: value for name, value in said.items() if value}

    @property
    def made_from(self) -> tuple[IngredientNode, ...]:
        """What went into this picture, each with what went into that; none of a forgery."""
        return self.credentials.ingredients if self.states else ()

    def to_json(self) -> dict[str, Any]:
        """Everything as one JSON document."""
        return {
            "file": str(self.file),
            "sha256": self.sha256,
            "verdict": self.verdict,
            "good": self.good,
            "credentials": _credentials_json(self.credentials),
            "states": self.states,
            "made_from": [_ingredient_json(node) for node in self.made_from],
            "record_id": self.record_id,
            "steps": [{"number": number, **vars(step)} for number, step in enumerate(self.steps, start=1)],
            "differences": [vars(difference) for difference in self.differences],
            "warnings": list(self.warnings),
        }


def _credentials_json(found: Credentials) -> dict[str, Any]:
    return {
        "state": found.state,
        "codes": [finding.code for finding in found.failures],
        "signed_by": found.common_name,
        "organisation": found.organisation,
        "issuer": found.issuer,
        "development": found.development,
        "anchor": found.anchor.model_dump(mode="json") if found.anchor else None,
        "timestamp": found.timestamp.isoformat() if found.timestamp else None,
        "timestamp_trusted": found.timestamp_trusted,
        "stops_validating": found.stops_validating.isoformat() if found.stops_validating else None,
    }


def _ingredient_json(node: IngredientNode) -> dict[str, Any]:
    return {
        "title": node.title,
        "description": node.description,
        "relationship": node.relationship,
        "kind": "model" if node.model else "picture",
        "state": None if node.model else node.state,
        "codes": [finding.code for finding in node.failures],
        "signed_by": node.signed_by,
        "source_type": (node.digital_source_type or "").rpartition("/")[2] or None,
        "record_id": (node.record or {}).get("record"),
        "made_from": [_ingredient_json(child) for child in node.ingredients],
    }


class Verifier:
    """Verifies files against one configuration; its log is opened once, and several threads may use it."""

    def __init__(self, config: str | Path | Config | None = None, *, trust: str | Path | None = None) -> None:
        """Read configuration and trust anchors, and open the log where there is one.

        Args:
            config: Which log to look in; None: that of the working folder.
            trust: Further trust anchors, a PEM file.

        Raises:
            ConfigInvalid: The configuration or the trust file is wrong.
        """
        from limner.reading import open_log

        self.config = config if isinstance(config, Config) else load_config(config, engines=False)
        self.anchors = anchors(self.config, trust)
        self.log: AuditLog | None = None
        self._no_log = f"no audit log here ({self.config.state})"
        try:
            self.log = open_log(self.config)
        except DatabaseUnavailable as error:
            if not self.config.audit_url.startswith("sqlite:"):  # one that is elsewhere, and perhaps only just now
                self._no_log = f"the audit log is not at hand: {error}"

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the log."""
        if self.log is not None:
            self.log.close()

    def verify(self, file: str | Path) -> Verification:
        """Say what a file proves, in the five steps of this module's docstring.

        Raises:
            StorageUnavailable: The file cannot be read.
            ImageUnreadable: It is no whole PNG, JPEG or WebP.
            ConfigInvalid: There is no such file.
        """
        from limner.verification_log import record_steps
        from limner_provenance.credentials import read_credentials

        path = Path(file)
        data = _read(path)
        try:
            credentials = read_credentials(data, trust=self.anchors)
        except ImageUnreadable as error:  # 1
            raise ImageUnreadable(f"{path}: {error}") from error
        found = record_steps(self.log or self._no_log, credentials, data)  # 3, 4, 5
        steps = (
            Step("file", "good", f"a whole {credentials.mime} of {len(data):,} bytes"),
            _credentials_step(credentials),  # 2
            *found.steps,
        )
        return Verification(
            file=path,
            sha256=hashlib.sha256(data).hexdigest(),
            steps=steps,
            credentials=credentials,
            record_id=(credentials.record or {}).get("record"),
            warnings=_warnings(credentials),
            differences=found.differences,
        )


def verify_file(
    file: str | Path, *, config: str | Path | Config | None = None, trust: str | Path | None = None
) -> Verification:
    """Say what a file proves, in the five steps of this module's docstring.

    Args:
        file: An image.
        config: Which log to look in; None: that of the working folder.
        trust: Further trust anchors, a PEM file.

    Raises:
        StorageUnavailable: The file cannot be read.
        ImageUnreadable: It is no whole PNG, JPEG or WebP.
        ConfigInvalid: There is no such file, or the configuration or the trust file is wrong.
    """
    with Verifier(config, trust=trust) as verifier:
        return verifier.verify(file)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ConfigInvalid(f"{path} cannot be read: {error.strerror}.", remedy="Name an image file.") from error
    except OSError as error:
        raise StorageUnavailable(f"{path} cannot be read: {error.strerror}.", remedy="Name an image file.") from error


def _credentials_step(found: Credentials) -> Step:
    """Step 2."""
    if found.state == "absent":
        return Step("credentials", "bad", "absent: this file carries no Content Credentials")
    if found.state == "invalid":
        codes = ", ".join(dict.fromkeys(f.code for f in found.failures))
        return Step("credentials", "bad", f"invalid: {codes}")
    where = " on this machine only" if found.development else ""
    signer = ", ".join(name for name in (found.common_name, found.organisation) if name)
    under = "" if found.anchor is None else f"; trust anchor {found.anchor.name} (sha256 {found.anchor.sha256})"
    return Step("credentials", "good", f"{found.state}{where}, signed by {signer or found.issuer}{under}")


def _warnings(found: Credentials) -> tuple[str, ...]:
    warnings = []
    if found.development and found.state in {"valid", "trusted"}:
        warnings.append("a development certificate shows integrity on this machine, not who signed")
    if found.stops_validating and found.state in {"valid", "trusted"}:
        warnings.append(f"no trusted time-stamp: stops validating on {found.stops_validating:%Y-%m-%d}")
    return tuple(warnings)
