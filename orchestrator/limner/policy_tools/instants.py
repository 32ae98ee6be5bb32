"""Days, instants and stretches of time as they are typed, made comparable with the times of entries."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from limner.errors import ConfigInvalid

_STRETCH = re.compile(r"([1-9]\d{0,4})([hdw])", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def spelled(moment: datetime) -> str:
    """Give an instant as entries write theirs, so that text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def instant(text: str, option: str, *, end_of_day: bool = False) -> str:
    """Read a day or an RFC 3339 instant; a bare day is its first instant UTC, with `end_of_day` its last.

    Raises:
        ConfigInvalid: It is neither, or an instant without its offset from UTC.
    """
    try:
        moment = datetime.fromisoformat(text)
        if _DAY.fullmatch(text):
            moment = moment.replace(tzinfo=UTC)
            return spelled(moment.replace(hour=23, minute=59, second=59, microsecond=999_999) if end_of_day else moment)
        if moment.tzinfo is not None:
            return spelled(moment)
    except (ValueError, OverflowError):
        pass
    raise ConfigInvalid(
        f"{option} {text!r} is no day and no instant.", remedy="Write 2026-11-24 or 2026-11-24T09:30:00Z."
    )


def ending(text: str, option: str) -> str:
    """Read when something ends: with the last instant of a bare day, or at an instant; without an offset it is UTC.

    Raises:
        ConfigInvalid: It is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        bare_day = len(text) <= len("2026-11-25")
        return spelled(moment + timedelta(days=bare_day))
    except (ValueError, OverflowError):
        raise ConfigInvalid(
            f"{option} {text!r} is no date.", remedy="Write a day, 2026-11-25, or a time, 2026-11-25T13:00:00Z."
        ) from None


def ago(text: str, option: str, now: str) -> str:
    """Give the instant that lies a stretch such as `30d`, `12h` or `2w` before `now`.

    Raises:
        ConfigInvalid: It is no such stretch, or reaches back further than calendars do.
    """
    found = _STRETCH.fullmatch(text)
    try:
        if found:
            return spelled(datetime.fromisoformat(now) - timedelta(**{_UNITS[found[2]]: int(found[1])}))
    except OverflowError:
        pass
    raise ConfigInvalid(f"{option} {text!r} is no stretch of time.", remedy="Write 12h, 30d or 2w.")
