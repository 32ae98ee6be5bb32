"""Detectors that send pictures away are asked last, and not at all about a picture that may not leave the house.

Knows which detectors send, and nothing of why a picture may not be sent: that is asked of a rule's handling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from limner_policy.detectors.base import Detector, Pixels, unknown
from limner_policy.detectors.running import Inspection, inspect_pictures
from limner_policy.types import Evidence
from limner_policy.verdicts import Decision, RuleHit

NOT_ASKED = "it was not asked: no picture is sent on"

Stop = Callable[[int, tuple[Evidence, ...]], bool]
"""Whether picture `n` may not be sent on, after what the detectors that send nothing found in it."""


def sends(detector: Detector) -> bool:
    """Whether a detector gives pictures to another party: its attribute `remote`; without it, it sends nothing."""
    return bool(getattr(detector, "remote", False))


def inspect_in_turn(detectors: Sequence[Detector], images: Sequence[Pixels], stop: Stop) -> list[Inspection]:
    """Score all pictures, first with the detectors that send nothing; raises what `inspect_pictures` raises.

    Args:
        detectors: each name once.
        images: uint8 arrays of shape (height, width, 3), RGB.
        stop: asked for each picture where there are detectors that send.

    Returns:
        What came of each picture; where it was stopped, the others' evidence is `unknown`.
    """
    far = [detector for detector in detectors if sends(detector)]
    found = inspect_pictures([detector for detector in detectors if not sends(detector)], images)
    if not far:
        return found
    going = [number for number, one in enumerate(found) if not stop(number, one.evidence)]
    more = dict(zip(going, inspect_pictures(far, [images[number] for number in going]), strict=True))
    return [_both(number, one, more.get(number) or _not_asked(far)) for number, one in enumerate(found)]


def _both(number: int, near: Inspection, far: Inspection) -> Inspection:
    evidence = (*near.evidence, *(one.model_copy(update={"image": number}) for one in far.evidence))
    vectors = tuple(one.about(number, one.of) for one in far.embeddings)
    return Inspection(tuple(sorted(evidence, key=lambda one: (one.detector, one.category))), near.embeddings + vectors)


def _not_asked(far: Iterable[Detector]) -> Inspection:
    return Inspection(
        tuple(
            unknown(one.name, category, NOT_ASKED, one.version, one.digest)
            for one in far
            for category in one.categories
        )
    )


def forbids_sending(decision: Decision, remote: Iterable[str]) -> bool:
    """Whether a rule's handling says that no picture is sent on.

    A rule that could not be decided counts as one that holds, unless it waits for the detectors in `remote` alone.
    """
    waiting = set(remote)
    return any(not hit.handling.send_on and not _waits(hit, waiting) for hit in decision.hits if hit.handling)


def _waits(hit: RuleHit, remote: set[str]) -> bool:
    return hit.unknown and {use.evidence.detector for use in hit.evidence} <= remote
