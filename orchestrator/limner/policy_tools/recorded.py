"""What the log holds of judgements: each with its recorded input, and the packs by digest and by instant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limner_policy.errors import PolicyInputError
from limner_policy.loading import load_pack_bytes
from limner_policy.types import PolicyInput
from limner_provenance.errors import KeyUnavailable, PayloadCorrupt, PayloadErased, PayloadMissing, ProvenanceError

if TYPE_CHECKING:
    from limner_policy import Pack
    from limner_provenance import AuditLog
    from limner_provenance.entries import Entry, PayloadRef

ERASED, MISSING, DAMAGED, LOCKED, FORMAT = "erased", "missing", "damaged", "not opened", "another format"
_CLOSED = {PayloadErased: ERASED, PayloadMissing: MISSING, PayloadCorrupt: DAMAGED, KeyUnavailable: LOCKED}
JUDGING = ("judged", "planned")
"""The steps whose entries hold judgements."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One judgement as the log has it.

    `number` is that of the image or candidate, None for the request; `leaf` is what the entry says of it in clear.
    """

    entry: Entry
    stage: str
    number: int | None
    leaf: Mapping[str, Any]
    packs: Sequence[Mapping[str, str]]
    ref: PayloadRef | None

    @property
    def name(self) -> str:
        """How people call it: `request`, `candidate 0`, `image 0`."""
        return self.stage if self.number is None else f"{self.stage} {self.number}"

    @property
    def verdict(self) -> str:
        """The verdict that was given."""
        return str(self.leaf["verdict"])

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that made it, as `pack/rule`, sorted."""
        hits = (h for h in self.leaf["hits"] if counts(h) and h["verdict"] == self.verdict)
        return tuple(sorted({f"{h['pack']}/{h['rule']}" for h in hits}))


def counts(hit: Mapping[str, Any]) -> bool:
    """Say whether a hit, as the log writes it, took part in its decision."""
    return hit["mode"] == "enforce" or bool(hit.get("failed"))


def judgements(entries: Iterable[Entry]) -> Iterator[Judgement]:
    """Give the judgements that entries hold, in their order."""
    for entry in entries:
        data, refs = entry.data, entry.payloads
        if entry.step == "judged":
            yield Judgement(entry, data["stage"], data.get("image"), data, data.get("packs", ()), refs.get("input"))
        elif entry.step == "planned":
            for i, leaf in enumerate(data["candidates"]):
                yield Judgement(entry, "candidate", i, leaf, data.get("packs", ()), refs.get(f"input-{i}"))


def recorded_inputs(log: AuditLog, found: Sequence[Judgement]) -> Iterator[PolicyInput | str]:
    """Open the input of each judgement; where that cannot be done, say why in one of this module's words.

    Raises:
        StorageUnavailable, DatabaseUnavailable: The log itself cannot be read.
    """
    values = log.payloads([judgement.ref for judgement in found if judgement.ref])
    for judgement in found:
        yield _read(next(values)) if judgement.ref else FORMAT


def _read(value: Any) -> PolicyInput | str:
    """Read what `AuditLog.payloads` gave."""
    if isinstance(value, ProvenanceError):
        for kind, word in _CLOSED.items():
            if isinstance(value, kind):
                return word
        raise value
    try:
        return PolicyInput.from_json(value) if isinstance(value, dict) else FORMAT
    except PolicyInputError:
        return FORMAT


class Shelf:
    """The packs of a log, byte for byte as they were loaded, and which of them applied at an instant."""

    def __init__(self, log: AuditLog) -> None:
        """Read what was loaded and opened; the packs themselves are read when they are asked for."""
        self._log = log
        house = list(log.entries(steps=["policy_loaded", "opened"]))
        self.opened = [e for e in house if e.step == "opened"]
        self.loaded: dict[str, Entry] = {}
        for entry in house:
            if entry.step == "policy_loaded":
                self.loaded.setdefault(entry.data["sha256"], entry)
        self._packs: dict[str, Pack] = {}

    def pack(self, sha256: str) -> Pack:
        """Give the pack of that digest.

        Raises:
            PayloadMissing: The log never loaded it.
            PayloadErased, PayloadCorrupt, KeyUnavailable: Its bytes cannot be opened.
            PolicyFileError: This version cannot read it.
        """
        if sha256 not in self._packs:
            if sha256 not in self.loaded:
                raise PayloadMissing(f"The log holds no pack {sha256}.", remedy="Run `limner audit verify`.")
            entry = self.loaded[sha256]
            self._packs[sha256] = load_pack_bytes(self._log.payload(entry.payloads["source"]), entry.data["name"])
        return self._packs[sha256]

    def packs(self, digests: Iterable[str]) -> tuple[Pack, ...]:
        """Give the packs of these digests; raises what `pack` raises."""
        return tuple(self.pack(sha256) for sha256 in sorted(set(digests)))

    def at(self, instant: str) -> tuple[Pack, ...] | None:
        """Give the packs that were loaded at an instant; None before the log's first. Raises what `pack` raises."""
        before = bisect_right([e.time for e in self.opened], instant)
        return self.packs(self.opened[before - 1].data["packs"]) if before else None
