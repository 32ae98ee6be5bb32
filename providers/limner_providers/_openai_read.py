"""From the bytes of an answer to its pictures: plain JSON, a stream of events, or what neither should be.

It reads what any server of this dialect may send, and calls nothing a success that holds no picture.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from limner_providers import _http_errors as words
from limner_providers._openai_answer import Base64, NoJson, Row, load, picture_of, piece_of, read_document, settings_of
from limner_providers._openai_errors import Asked, told_in_answer
from limner_providers._openai_stream import EventReader, ServerEvent
from limner_providers.base import OnEvent, PartialImage
from limner_providers.errors import GenerationFailed, OutcomeUnknown, ProviderError

if TYPE_CHECKING:
    from limner_providers._openai_client import Reply


@dataclass(slots=True, kw_only=True)
class Received:
    """What came of one call.

    Attributes:
        rows: its pictures, at least one.
        told: settings that the server says it used.
        usage: what was counted, as it came.
        request_id: the server's id of the call.
        warnings: what the caller should know.
    """

    rows: list[Row] = field(default_factory=list)
    told: Mapping[str, str] = field(default_factory=dict)
    usage: Any = None
    request_id: str | None = None
    warnings: list[str] = field(default_factory=list)


class Reading:
    """Reads the answer of one call; `on_event` is told of unfinished pictures."""

    def __init__(self, asked: Asked, *, pictures: int, on_event: OnEvent | None) -> None:
        self._asked, self._pictures = asked, pictures
        self._tell = _Teller(on_event)

    async def __call__(self, reply: Reply) -> Received:
        """Read it.

        Raises:
            GenerationFailed: it says that it failed, or holds no picture.
            ModerationBlocked: the server's moderation refused.
            OutcomeUnknown: it is no answer of this dialect, or ends too early.
        """
        # By what came and not by what was asked: some servers ignore `stream`.
        received = await (self._stream(reply) if reply.media_type == "text/event-stream" else self._document(reply))
        received.request_id = reply.request_id
        received.warnings += self._tell.warnings
        return received

    async def _document(self, reply: Reply) -> Received:
        body = await reply.read()
        found = None
        with contextlib.suppress(NoJson):  # raised below, so that no body hangs on the exception
            found = read_document(body)
        if found is None:
            what = words.describe(200, reply.headers, bytes(body), self._asked.secrets)
            raise self._unknown(f"{what} That is no answer of this API", reply)
        if found.error is not None:
            raise told_in_answer(found.error, self._asked, request_id=reply.request_id, billed=False)
        if not found.rows:
            raise GenerationFailed(
                f"{self._asked.provider}: its answer is a success without a picture.",
                remedy="Look at the server's log before asking again: it may be billed.",
                provider=self._asked.provider,
                request_id=reply.request_id,
                may_have_billed=True,
            )
        return Received(rows=list(found.rows), told=found.told, usage=found.usage)

    async def _stream(self, reply: Reply) -> Received:
        reader, received = EventReader(), Received()
        async with contextlib.aclosing(reply.chunks()) as chunks:
            async for chunk in chunks:
                for event in reader.feed(chunk):
                    self._event(event, received, reply)
                    # What is still to come are unfinished pictures, or nothing: a cut from here on loses nothing.
                    if len(received.rows) == self._pictures:
                        return received
        self._last(reader, received, reply)
        if not received.rows:
            raise self._unknown("the stream ended before its picture was complete", reply)
        return received

    def _last(self, reader: EventReader, received: Received, reply: Reply) -> None:
        """Take in an event that only lacks its empty line; one that was cut within is none."""
        event = reader.finish()
        if event is None:
            return
        with contextlib.suppress(OutcomeUnknown):
            self._event(event, received, reply)

    def _event(self, event: ServerEvent, received: Received, reply: Reply) -> None:
        value, pieces = self._data(event, reply)
        name = value.get("type") if isinstance(value.get("type"), str) else event.name
        if name == "error" or event.name == "error" or value.get("error"):
            if not received.rows:
                raise told_in_answer(value, self._asked, request_id=reply.request_id, billed=self._tell.told)
            received.warnings.append("the stream ended with an error after its first picture")
        elif str(name).endswith(".completed"):
            received.rows.append(Row(base64=piece_of(value.get("b64_json"), pieces)))
            received.told = settings_of(value)
            received.usage = value.get("usage")
        elif str(name).endswith(".partial_image"):
            self._tell(piece_of(value.get("b64_json"), pieces), value.get("partial_image_index"))

    def _data(self, event: ServerEvent, reply: Reply) -> tuple[dict[str, Any], Any]:
        if event.data.strip() == b"[DONE]":  # other endpoints end so, and some servers copy it
            return {}, ()
        try:
            value, pieces = load(event.data)
        except NoJson:
            value, pieces = None, ()
        if not isinstance(value, dict):
            raise self._unknown("an event of the stream is no JSON", reply)
        return value, pieces

    def _unknown(self, why: str, reply: Reply) -> ProviderError:
        return OutcomeUnknown(
            f"{self._asked.provider}: {why}.",
            remedy=words.UNKNOWN_REMEDY,
            provider=self._asked.provider,
            request_id=reply.request_id,
        )


class _Teller:
    """Tells of unfinished pictures; a listener that raises costs no picture, is not asked again, and that is said."""

    def __init__(self, on_event: Callable[[PartialImage], object] | None) -> None:
        self._on_event = on_event
        self.told = False
        self.warnings: list[str] = []

    def __call__(self, base64: Base64 | None, index: Any) -> None:
        self.told = True
        if self._on_event is None or base64 is None:
            return
        try:
            picture = picture_of(base64)
        except GenerationFailed:
            return  # an unfinished picture that is none is no loss
        number = index if type(index) is int else 0
        try:
            self._on_event(PartialImage(data=picture.data, mime=picture.mime, index=number))
        except Exception as error:  # noqa: BLE001 - the listener is foreign code
            self._on_event = None
            self.warnings.append(f"on_event raised {type(error).__name__} and was not called again")
