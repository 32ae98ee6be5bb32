"""From what came of a call to a provider's answer: pictures decoded or fetched, the bill, and what was really used.

Pictures that came are never thrown away for one that did not; whoever asked sees how many there are, and why.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import anyio
from anyio import lowlevel

from limner_providers._openai_answer import Row, picture_of
from limner_providers._openai_bill import bill_of
from limner_providers._openai_client import Call, File
from limner_providers._openai_read import Received
from limner_providers._openai_wire import Target
from limner_providers._sniff import Picture
from limner_providers.base import ModelIdentity, ProducedImage, ProviderAnswer
from limner_providers.errors import GenerationFailed, ProviderError
from limner_providers.types import MIME, ImageRequest

_LEAST_FETCH = 30.0  # seconds for fetching a result that is paid, however late it is
_MOST_SURPLUS = 10  # pictures beyond those asked for: a server that gives more is broken, or wants our memory
_TOLD = ("size", "quality", "background", "output_format")
_NEVER_TOLD = frozenset({"prompt", "model", "n", "user", "safety_identifier", "stream", "response_format"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was ordered of whom, and what is needed to take the results in."""

    request: ImageRequest
    target: Target
    fields: Mapping[str, Any]
    model: ModelIdentity
    provider: str
    base_url: str
    allowed_hosts: tuple[str, ...]
    tls: ssl.SSLContext | None
    left: float
    warnings: tuple[str, ...]


def call_of(path: str, fields: Mapping[str, Any], files: Sequence[File], *, most: int) -> Call:
    """Make the one call of a request; `most` bytes may come back."""
    return Call(method="POST", path=path, fields=fields, files=files, most=most)


async def answer_of(received: Received, order: Order, started: float) -> ProviderAnswer:
    """Take the pictures in and write down what was used and counted.

    Raises:
        ProviderError: not one picture could be taken; the first one's error.
    """
    came, most = len(received.rows), order.request.n + _MOST_SURPLUS
    del received.rows[most:]
    with anyio.CancelScope(shield=True):  # they are paid for: who gives up now still gets them into his record
        taken = await _pictures(received, order)
    pictures = [(row, found) for row, found in zip(received.rows, taken, strict=True) if isinstance(found, Picture)]
    failures = [found for found in taken if isinstance(found, ProviderError)]
    if not pictures:
        raise failures[0]
    rule, inputs = order.target.able.cost, bool(order.request.inputs())
    bill = bill_of(received.usage, rule, images=len(received.rows), inputs=inputs)
    return ProviderAnswer(
        images=tuple(_produced(row, picture) for row, picture in pictures),
        model=order.model,
        parameters=_parameters(order, received, pictures[0][1]),
        cost=bill.cost,
        timings={"generate": round((time.perf_counter() - started) * 1_000_000)},
        request_id=received.request_id,
        usage=bill.usage,
        warnings=(
            *order.warnings,
            *received.warnings,
            *_shortfall(order, len(pictures), failures),
            *([f"{came} results came, of which {most} were looked at"] if came > most else ()),
            *_differences(order, [picture for _, picture in pictures]),
            *bill.warnings,
        ),
    )


async def _pictures(received: Received, order: Order) -> list[Picture | ProviderError | None]:
    """Decode what came, and fetch side by side what lies elsewhere."""
    found: list[Picture | ProviderError | None] = [None] * len(received.rows)
    elsewhere = []
    for index, row in enumerate(received.rows):
        if row.base64 is None and row.url is not None and not row.url.lower().startswith("data:"):
            elsewhere.append(index)
            continue
        found[index] = _decoded(row, received, order)
        await lowlevel.checkpoint()  # megabytes of base64 are milliseconds in which nobody else works
    if elsewhere:
        deadline = max(order.left, _LEAST_FETCH)

        async def fetch(index: int) -> None:
            found[index] = await _fetched(received.rows[index].url or "", received, order, deadline)

        async with anyio.create_task_group() as group:
            for index in elsewhere:
                group.start_soon(fetch, index)
    return found


def _decoded(row: Row, received: Received, order: Order) -> Picture | ProviderError:
    try:
        return picture_of(row.base64 or row.url or "", provider=order.provider, request_id=received.request_id)
    except GenerationFailed as error:
        return error


async def _fetched(url: str, received: Received, order: Order, timeout: float) -> Picture | ProviderError:
    from limner_providers._download import download
    from limner_providers._http import host_of

    if "://" not in url[:16]:  # some servers give only the path on their own host
        url = urljoin(f"{order.base_url}/", url)
    try:
        return await download(
            url,
            provider=order.provider,
            allowed_hosts=(host_of(order.base_url), *order.allowed_hosts),
            timeout=timeout,
            request_id=received.request_id,
            tls=order.tls,
        )
    except ProviderError as error:
        return error


def _produced(row: Row, picture: Picture) -> ProducedImage:
    metadata = {} if row.revised_prompt is None else {"revised_prompt": row.revised_prompt}
    return ProducedImage(
        data=picture.data, mime=picture.mime, width=picture.width, height=picture.height, metadata=metadata
    )


def _parameters(order: Order, received: Received, first: Picture) -> dict[str, str]:
    """Write what was really used: as sent, over it what the server says, over that what the picture itself shows."""
    sent = {name: str(value) for name, value in order.fields.items() if name not in _NEVER_TOLD}
    used = sent | {name: word for name, word in received.told.items() if name in _TOLD}
    used |= {"size": f"{first.width}x{first.height}", "output_format": first.mime.removeprefix("image/")}
    used["dialect"] = order.target.dialect
    if order.target.able.uncatalogued:
        used["uncatalogued"] = "true"
    return used


def _shortfall(order: Order, came: int, failures: Sequence[ProviderError]) -> list[str]:
    told = [f"a picture that came could not be taken: {error}" for error in failures]
    if came < order.request.n:
        told.append(f"{came} of {order.request.n} pictures came")
    return told


def _differences(order: Order, pictures: Sequence[Picture]) -> list[str]:
    """Say where a server made something else than it was asked, as some do without a word."""
    told = [picture.note for picture in pictures if picture.note]
    asked = order.fields.get("size")
    sizes = {f"{picture.width}x{picture.height}" for picture in pictures}
    if asked is not None and sizes != {asked}:
        told.append(f"size {asked} was asked for, and {', '.join(sorted(sizes))} came")
    wanted = MIME[order.request.output_format]
    others = {picture.mime for picture in pictures} - {wanted}
    if others:
        told.append(f"{wanted} was asked for, and {', '.join(sorted(others))} came")
    return told
