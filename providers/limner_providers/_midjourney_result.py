"""From a finished task to pictures: fetched at once, since addresses expire, and a grid cut into its four.

A grid is cut exactly in the middle, without a pixel lost; a single picture stays the file that came where its format is
the one asked for, with whatever its maker wrote into it.
"""

from __future__ import annotations

import io
import ssl
import urllib.parse
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio import to_thread

from limner_providers._download import Picture, download
from limner_providers._encode import encode
from limner_providers._midjourney_wire import Task
from limner_providers.base import ProducedImage
from limner_providers.errors import GenerationFailed, ProviderError
from limner_providers.types import MIME, ImageRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

_GRACE = 10.0  # seconds that fetching a finished, paid picture may always take


class Results:
    """Fetches pictures of one provider."""

    def __init__(
        self,
        provider: str,
        base_url: str,
        *,
        allowed_hosts: Collection[str],
        connect: float,
        tls: ssl.SSLContext | None,
    ) -> None:
        """Keep how downloads are limited; see `_download.download`."""
        self._provider, self._base_url = provider, base_url
        self._limits: dict[str, Any] = {"allowed_hosts": tuple(allowed_hosts), "connect": connect, "tls": tls}

    async def fetch(self, task: Task, request: ImageRequest, deadline: float) -> tuple[list[ProducedImage], list[str]]:
        """Fetch a task's pictures, and tell what the caller should know.

        Raises:
            ResultRefused, GenerationFailed: what was made is not there, no picture or not safe to take; names the job.
            OutcomeUnknown: it was made and could not be fetched; names the job.
        """
        warnings: list[str] = []
        if task.is_grid and len(task.image_urls) > 1:
            singles = await self._singles(task, request, deadline, warnings)
            if singles:
                return singles, warnings
        url = task.image_url or task.image_urls[0]
        picture = await self._download(url, task.job, deadline)
        _note(picture, warnings)
        if not task.is_grid:
            single = await to_thread.run_sync(_single, picture, request, task.job, 1)
            return [single], warnings
        return await self._split(picture, request, task.job), warnings

    async def _singles(
        self, task: Task, request: ImageRequest, deadline: float, warnings: list[str]
    ) -> list[ProducedImage]:
        """Fetch the single pictures side by side; where one does not come, the grid has to do."""
        found = await _side_by_side(
            [lambda url=url: self._download(url, task.job, deadline) for url in task.image_urls]  # type: ignore[misc]
        )
        failed = next((one for one in found if isinstance(one, ProviderError)), None)
        if failed is not None:
            if task.image_url is None:
                raise failed
            warnings.append("single pictures could not be fetched; they were cut out of the grid")
            return []
        pictures = [one for one in found if isinstance(one, Picture)]
        for picture in pictures:
            _note(picture, warnings)
        return await _in_threads([
            lambda i=i, one=one: _single(one, request, task.job, i)  # type: ignore[misc]
            for i, one in enumerate(pictures, 1)
        ])  # fmt: skip

    async def _download(self, url: str, job: str, deadline: float) -> Picture:
        try:
            return await download(
                urllib.parse.urljoin(f"{self._base_url}/", url) if url.startswith("/") else url,
                provider=self._provider,
                timeout=max(deadline - anyio.current_time(), _GRACE),
                job=job,
                **self._limits,
            )
        except ProviderError as error:
            # It was made, and paid for, whatever became of fetching it.
            error.job, error.may_have_billed, error.retry_safe = job, True, False
            raise

    async def _split(self, picture: Picture, request: ImageRequest, job: str) -> list[ProducedImage]:
        if min(picture.width, picture.height) < 2:
            raise GenerationFailed(
                f"{self._provider}: the result of {picture.width}x{picture.height} pixels is no grid of four.",
                remedy="Look at the proxy before asking again.",
                provider=self._provider,
                job=job,
                may_have_billed=True,
            )
        pixels = await to_thread.run_sync(_pixels, picture.data)
        return await _in_threads([
            lambda i=i, one=one: _encoded(one, request, job, i)  # type: ignore[misc]
            for i, one in enumerate(quadrants(pixels), 1)
        ])  # fmt: skip


def quadrants(grid: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Cut a grid of shape (height, width, 3) into its four pictures: upper left, upper right, lower left, lower right.

    Every pixel is in exactly one; where a side is odd, the right and the lower pictures have one more.
    """
    height, width = grid.shape[0] // 2, grid.shape[1] // 2
    return [grid[:height, :width], grid[:height, width:], grid[height:, :width], grid[height:, width:]]


def _single(picture: Picture, request: ImageRequest, job: str, index: int) -> ProducedImage:
    """Give a picture as it came where its format is the one asked for, else encode it anew."""
    if picture.mime != MIME[request.output_format] or request.output_compression is not None:
        return _encoded(_pixels(picture.data), request, job, index)
    return ProducedImage(
        data=picture.data, mime=picture.mime, width=picture.width, height=picture.height, job=job, job_index=index
    )


def _encoded(pixels: NDArray[np.uint8], request: ImageRequest, job: str, index: int) -> ProducedImage:
    import numpy as np

    own = np.ascontiguousarray(pixels)
    own.flags.writeable = False
    return ProducedImage(
        data=encode(own, request.output_format, request.output_compression),
        mime=MIME[request.output_format],
        width=own.shape[1],
        height=own.shape[0],
        pixels=own,
        job=job,
        job_index=index,
    )


def _pixels(data: bytes) -> NDArray[np.uint8]:
    """Decode a file that was checked already; transparent pixels are laid on white."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
            ground = Image.new("RGBA", image.size, "white")
            ground.alpha_composite(image.convert("RGBA"))
            return np.array(ground.convert("RGB"))
        return np.array(image.convert("RGB"))


async def _side_by_side(works: Sequence[Callable[[], Awaitable[T]]]) -> list[T | ProviderError]:
    """Await several, and give what each gave or how it failed, in order."""
    found: list[T | ProviderError | None] = [None] * len(works)

    async def run(place: int) -> None:
        try:
            found[place] = await works[place]()
        except ProviderError as error:
            found[place] = error

    async with anyio.create_task_group() as group:
        for place in range(len(works)):
            group.start_soon(run, place)
    return [one for one in found if one is not None]


async def _in_threads(works: Sequence[Callable[[], T]]) -> list[T]:
    """Work in several threads (encoding lets go of the interpreter); the first failure is raised."""
    done = await _side_by_side([lambda work=work: to_thread.run_sync(work) for work in works])  # type: ignore[misc]
    for one in done:
        if isinstance(one, ProviderError):
            raise one
    return [one for one in done if not isinstance(one, ProviderError)]


def _note(picture: Picture, warnings: list[str]) -> None:
    if picture.note is not None and picture.note not in warnings:
        warnings.append(picture.note)
