"""Which requests a report is about: a span of time and an engine. Knows nothing of logs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from limner.report.errors import ReportError

Moment = str | date | datetime | None


@dataclass(frozen=True)
class Selection:
    """Requests accepted in a span of time, perhaps of one provider only.

    Attributes:
        since: The first instant, inclusive, UTC; None: from the beginning.
        until: The instant to stop before, UTC; None: to the end.
        provider: The configured name of a provider: only requests that were sent to it; None: all requests.
    """

    since: datetime | None = None
    until: datetime | None = None
    provider: str | None = None

    @classmethod
    def of(cls, *, since: Moment = None, until: Moment = None, provider: str | None = None) -> Selection:
        """Read moments as people write them: `2026-11-24`, `2026-11-24T09:30Z`, a date, a datetime; no zone is UTC.

        Raises:
            ReportError: A moment cannot be read, or the span is empty.
        """
        start, stop = _moment("SINCE", since), _moment("UNTIL", until)
        if start is not None and stop is not None and start >= stop:
            raise ReportError(f"SINCE={since} is not before UNTIL={until}.", remedy="Give an earlier SINCE.")
        return cls(start, stop, provider or None)

    def covers(self, accepted: str, providers: set[str]) -> bool:
        """Say whether a request accepted at this instant (as entries write it) and sent to these providers is meant."""
        instant = datetime.fromisoformat(accepted)
        late_enough = self.since is None or instant >= self.since
        early_enough = self.until is None or instant < self.until
        return late_enough and early_enough and (self.provider is None or self.provider in providers)

    def __str__(self) -> str:
        since = f"from {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else "from the beginning"
        until = f"until before {self.until:%Y-%m-%d %H:%M:%S} UTC" if self.until else "to the end"
        whom = f"sent to the provider {self.provider}" if self.provider else "of all providers"
        return f"requests accepted {since} {until}, {whom}"


def _moment(name: str, value: Moment) -> datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ReportError(
                f"{name}={value!r} is no moment.", remedy="Write e.g. 2026-11-24 or 2026-11-24T09:30:00Z."
            ) from None
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
