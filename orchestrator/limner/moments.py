"""Days and instants as people write them on the command line, turned into the log's own way of writing time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from limner.errors import ConfigInvalid


def instant(option: str, text: str, *, end: bool = False) -> str:
    """Give a day (`2026-11-25`) or an RFC 3339 time as entries write times: UTC with microseconds.

    Args:
        option: The option it came from, for the message.
        text: What was given; a time without a zone counts as UTC.
        end: Whether a bare day means the end of that day and not its beginning.

    Raises:
        ConfigInvalid: It is neither.
    """
    try:
        found = datetime.fromisoformat(text)
        day = len(text) == len("2026-11-25")
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        found += timedelta(days=1) if day and end else timedelta()
    except (ValueError, OverflowError):
        raise ConfigInvalid(
            f"{option} {text!r} is no date.", remedy="Write a day, 2026-11-25, or a time, 2026-11-25T13:00:00Z."
        ) from None
    return found.isoformat(timespec="microseconds").replace("+00:00", "Z")
