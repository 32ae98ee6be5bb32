"""The store of result pictures: signed addresses that can expire, as a chat service's attachments have."""

from __future__ import annotations

import dataclasses
import secrets
from typing import TYPE_CHECKING

from servers.pictures import encode
from servers.wire import Request, Response

if TYPE_CHECKING:
    from PIL.Image import Image

    from servers.pictures import Size

_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


@dataclasses.dataclass(frozen=True, slots=True)
class _Stored:
    data: bytes
    media_type: str
    signature: str | None


class Cdn:
    """Pictures by path. `expired` makes every signed address a 404."""

    def __init__(self) -> None:
        self._stored: dict[str, _Stored] = {}
        self.expired = False

    def put(self, path: str, data: bytes, kind: str, *, signed: bool = True) -> str:
        """Keep a picture below /cdn/ and give its path and query."""
        signature = secrets.token_hex(16) if signed else None
        self._stored[f"/cdn/{path}"] = _Stored(data, _TYPES[kind], signature)
        return f"/cdn/{path}" + (f"?ex=67000000&is=66ffffff&hm={signature}&" if signed else "")

    def put_picture(
        self, path: str, picture: Image, kind: str, *, signed: bool = True, size: Size | None = None
    ) -> str:
        """Encode and keep a picture; see `put`."""
        return self.put(path, encode(picture.resize(size) if size else picture, kind), kind, signed=signed)

    def answer(self, request: Request) -> Response:
        """Serve a picture; 404 without the right signature."""
        found = self._stored.get(request.path)
        if found is None or (found.signature and (self.expired or request.query.get("hm") != found.signature)):
            return Response.of_text("This content is no longer available.", 404)
        return Response(200, {"content-type": found.media_type}, found.data)
