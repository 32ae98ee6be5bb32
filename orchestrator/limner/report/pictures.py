"""The pictures behind a history: opened from the encrypted store, their credentials read again, erased ones told.

What is not opened (of another person's key, erased, over the limit) is a row that says so, never a gap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from limner.reading import open_log
from limner.report.payloads import opened
from limner.verification_trust import anchors

if TYPE_CHECKING:
    from limner.report.history import History
    from limner_provenance import AuditLog
    from limner_provenance.credentials import Credentials


@dataclass(frozen=True)
class Picture:
    """One produced picture as the report shows it.

    Attributes:
        record: Its record.
        image: Its place in the record, from 0.
        seed: The seed that made it, as text; None where the engine has none.
        verdict: What policy said of it; None where it was not judged yet.
        provider: Who made it.
        state: `opened`, `erased`, `not opened`, `broken`, or `withheld`: never sealed, so there is nothing to open.
        data: Its bytes as sealed; empty unless opened.
        credentials: What its Content Credentials are worth now; None unless opened.
    """

    record: str
    image: int
    seed: str | None
    verdict: str | None
    provider: str
    state: str
    data: bytes = field(default=b"", repr=False)
    credentials: Credentials | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Wall:
    """Pictures of a history, newest last, and how many older ones are not among them."""

    pictures: tuple[Picture, ...]
    not_shown: int


def open_pictures(history: History, *, limit: int = 60) -> Wall:
    """Open the newest pictures of a history.

    Args:
        history: The history.
        limit: How many at most; the others are counted.

    Raises:
        ConfigInvalid: The trust anchors cannot be read.
    """
    rows = history.images.tail(limit).iter_rows(named=True)
    with open_log(history.integrity.config) as log:
        trust = anchors(history.integrity.config)
        pictures = tuple(_picture(log, history, row, trust) for row in rows)
    return Wall(pictures, max(0, history.images.height - limit))


def _picture(log: AuditLog, history: History, row: dict[str, Any], trust: bytes | None) -> Picture:
    from limner_provenance.credentials import read_credentials
    from limner_provenance.errors import ImageUnreadable

    about = {name: row[name] for name in ("record", "image", "seed", "verdict", "provider")}
    ref = history.assets.get((row["record"], row["image"]))
    if ref is None:
        return Picture(**about, state="withheld" if row["verdict"] in {"deny", "review"} else "not sealed")
    state, data = next(opened(log, [ref]))
    if data is None:
        return Picture(**about, state=state)
    try:
        return Picture(**about, state=state, data=data, credentials=read_credentials(data, trust=trust))
    except ImageUnreadable:
        return Picture(**about, state="broken")


def credential_rows(wall: Wall) -> Any:
    """Count the wall's pictures by what their credentials are worth: state, issuer, development, stops, images.

    A picture that was withheld was never signed; one that was erased cannot be checked any more; both are counted so.
    """
    from collections import Counter

    from limner.report.libraries import polars

    pl = polars()
    counted = Counter(_credential(picture) for picture in wall.pictures)
    columns = {"state": pl.String, "issuer": pl.String, "development": pl.Boolean, "stops": pl.String}
    rows = [(*key, number) for key, number in sorted(counted.items(), key=lambda item: (-item[1], str(item[0])))]
    return pl.DataFrame(rows, schema=columns | {"images": pl.Int64}, orient="row")


def _credential(picture: Picture) -> tuple[str, str | None, bool | None, str | None]:
    found = picture.credentials
    if found is None:
        return (picture.state, None, None, None)
    stops = found.stops_validating
    return (found.state, found.issuer, found.development, stops.date().isoformat() if stops else None)
