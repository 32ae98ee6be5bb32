"""Settings of detectors, from `detectors:` of the configuration: each detector declares and checks its own.

Knows no detector and no file of settings; who reads them hands them on as plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from limner_policy.errors import DetectorError
from limner_policy.shapes import suggestion


class DetectorSettings(BaseModel):
    """Base of a detector's settings: closed, frozen, every value with a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ThreadSettings(DetectorSettings):
    """What detectors of onnxruntime let be set: the threads for one picture."""

    threads: int = Field(default=2, ge=1, le=256)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a detector finds things: relative paths count from `folder`; what it may keep on disk goes to `cache`."""

    folder: Path = Path()
    cache: Path | None = None


@runtime_checkable
class ConfigurableDetector(Protocol):
    """A detector that can be set otherwise than as it is made."""

    settings: ClassVar[type[DetectorSettings]]

    def with_settings(self, settings: Any, place: Place) -> Self:
        """Make the detector with these settings, an instance of its own `settings`; nothing is loaded yet.

        Raises:
            DetectorError: they do not go together, or name something that is not there.
        """
        ...


def checked_settings(name: str, maker: Any, values: Mapping[str, Any]) -> DetectorSettings:
    """Check the settings that somebody wrote for a detector.

    Args:
        name: the detector's name.
        maker: what makes it: its class.
        values: as written.

    Raises:
        DetectorError: it has none, or one is unknown or wrong; names the setting and what to do.
    """
    model = getattr(maker, "settings", None)
    if not (isinstance(model, type) and issubclass(model, DetectorSettings)):
        raise DetectorError(f"detector {name!r} has no settings.", remedy=f"Delete detectors.{name}.")
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        told = [_told(name, model, one) for one in error.errors(include_url=False, include_context=False)]
        raise DetectorError("\n".join(told)) from None


def _told(name: str, model: type[DetectorSettings], error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"detectors.{name}.{key} is no setting. {suggestion(key, model.model_fields)}"
    return f"detectors.{name}.{key} ({error['input']!r}): {error['msg']}."
