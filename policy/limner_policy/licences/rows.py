"""The rows of a facts file as read: licences, and the subjects (models, providers, detectors, …) under them."""

from __future__ import annotations

from dataclasses import dataclass

from limner_policy.pack import ALWAYS, Effective, Source
from limner_policy.types import LicenceFacts


@dataclass(frozen=True, slots=True)
class SignOff:
    """The person who confirmed a row, and the day."""

    by: str
    on: str


@dataclass(frozen=True, slots=True)
class Licence:
    """One licence, or a provider's terms.

    Attributes:
        facts: Its terms as judgements use them; `facts.id` is an SPDX identifier or `LicenseRef-…`.
        aliases: Other names for it: the model hub's, another catalogue's.
        title: Its name for people.
        text: Where it was read, and when.
        text_sha256: Digest of the text that was read, lower-case hex; empty where none was at hand.
        note: What a reader has to know beside the terms.
        signed: Who signed the row off; None: provisional.
        line: Where the row begins, counted from 1.
    """

    facts: LicenceFacts
    aliases: tuple[str, ...]
    title: str
    text: Source
    text_sha256: str
    note: str
    signed: SignOff | None
    line: int

    @property
    def names(self) -> tuple[str, ...]:
        """Its id and its aliases."""
        return (self.facts.id, *self.aliases)


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that takes part in a generation.

    Attributes:
        id, aliases: Its names: of the hub, of the catalogue, of the provider's kind.
        role: `model`, `lora`, `control`, `adapter`, `provider` or `detector`.
        licences: Ids of the licences that bind, all of them; empty: not known.
        source: Where that was read.
        conflict: What contradicts what in the sources; empty: nothing known to.
        hosted_by: The provider whose terms govern it; then it has no licence of its own.
        hosts_all: A provider whose terms govern each of its models, named here or not.
        only_stated: A provider whose terms apply only where the engine itself states their licence: the same program
            can talk to somebody else's server.
        own_machine: A provider that is software of one's own machine, with no terms beside its models'.
        effective: When the row applies; rows of one id with other dates may stand beside it.
        note, signed, line: As of a licence.
    """

    id: str
    aliases: tuple[str, ...]
    role: str
    licences: tuple[str, ...]
    source: Source
    conflict: str
    hosted_by: str
    hosts_all: bool
    only_stated: bool
    own_machine: bool
    note: str
    signed: SignOff | None
    line: int
    effective: Effective = ALWAYS

    @property
    def names(self) -> tuple[str, ...]:
        """Its id and its aliases."""
        return (self.id, *self.aliases)


@dataclass(frozen=True, slots=True)
class FactsFile:
    """One facts file: its head, its rows, its name and digest."""

    name: str
    version: str
    title: str
    owner: str
    licences: tuple[Licence, ...]
    subjects: tuple[Subject, ...]
    file: str
    sha256: str

    @property
    def rows(self) -> tuple[Licence | Subject, ...]:
        """Licences, then subjects."""
        return (*self.licences, *self.subjects)

    @property
    def identity(self) -> str:
        """Name, version and the digest's beginning, as parts of a recorded input carry it."""
        return f"{self.name} {self.version} sha256:{self.sha256[:16]}"
