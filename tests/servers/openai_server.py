"""An OpenAI Images server: generations, edits, variations, models and streaming, as strict as the real one.

    with Server(OpenAIApp()) as server:
        client = openai.OpenAI(api_key=server.app.key, base_url=server.url + "/v1", max_retries=0)

`OpenAIApp` options, all changeable while it runs:

* `key`: the one right API key (another gives 401 `invalid_api_key`); None accepts any. Azure's `api-key` header counts.
* `dialect`: `"gpt-image"` (today's host: dall-e and gpt-image-1 are gone, 404 `model_not_found`), `"dall-e"` (a
  compatible server that still serves dall-e-2 and dall-e-3, results as `url` of this server by default) or `"lax"` (a
  careless compatible server: ignores `stream`, takes unknown parameters, any model and bad sizes, errors as a text).
* `usage`: `"full"`, `"inputs"` (no `output_tokens_details`), `"bare"` (no details at all) or `"none"`.
* `pictures`: bytes to deliver in place of drawn pictures, used in turn (a signed PNG, an HTML page, a bomb).
* `fewer`: that many pictures are missing in each answer (paid all the same); `final_first`: a stream's last picture
  comes before all partial ones were sent; `event_gap_s`: seconds between a stream's events.
* `image_bytes`: the fast path for benchmarks: every POST is read and answered with one prepared body, unchecked.

Faults of this vendor: `servers.openai_faults`; of any server: `servers.faults`. Pictures are one colour per prompt; an
edit keeps the first image where its mask is opaque, so that a mask the wrong way round is seen in the result.
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import Any, Literal

if __name__ == "__main__":  # run as a program: make the folder above importable, as pytest's `pythonpath` does
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.path.remove(str(Path(__file__).resolve().parent))

from servers.ledger import Arrival, Upload
from servers.multipart import BadForm, parse_form
from servers.openai_files import check_files
from servers.openai_rules import LEGACY, LIVING, FormText, Job, Kind, Refused, check
from servers.openai_work import CREATED, document, draw, events, usage_of
from servers.pictures import noise_png
from servers.serving import App, arguments, run_forever
from servers.wire import Request, Response

Dialect = Literal["gpt-image", "dall-e", "lax"]
_KINDS: tuple[Kind, ...] = ("generations", "edits", "variations")
_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


class OpenAIApp(App):
    """The server's state and options; see the module's text."""

    def __init__(
        self,
        *,
        dialect: Dialect = "gpt-image",
        key: str | None = "sk-test-0123456789abcdef",
        usage: Literal["full", "inputs", "bare", "none"] = "full",
        image_bytes: int | None = None,
        keep: int | None = None,
    ) -> None:
        super().__init__(keep)
        self.dialect = dialect
        self.key = key
        self.usage: str = usage
        self.pictures: list[bytes] = []
        self.fewer = 0
        self.final_first = False
        self.event_gap_s = 0.0
        self._drawn = 0
        self._files: dict[str, tuple[bytes, str]] = {}
        self._prepared = _prepared(image_bytes) if image_bytes is not None else None

    async def respond(self, request: Request, arrival: Arrival) -> Response:
        """Answer one request."""
        if self._prepared is not None and request.method == "POST":
            return Response(200, {"content-type": "application/json"}, self._prepared)
        if request.path.startswith("/files/"):  # result addresses need no key, as on the vendor's storage
            return self._file(request)
        try:
            self._authorise(request)
            return self._route(request, arrival)
        except Refused as refused:
            return self._refusal(refused)

    def finish(self, request: Request, response: Response) -> Response:
        """Add the request id and the rate-limit headers that stand on every answer, errors included."""
        if self.dialect == "lax" or request.path.startswith("/files/"):
            return response
        extra = {
            "x-request-id": f"req_{uuid.uuid4().hex}",
            "openai-processing-ms": "12",
            "openai-version": "2020-10-01",
            "openai-organization": request.headers.get("openai-organization", "org-test"),
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "499",
            "x-ratelimit-reset-requests": "120ms",
        }
        response.headers = extra | response.headers
        return response

    def _authorise(self, request: Request) -> None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        sent = bearer.strip() if scheme.lower() == "bearer" else request.headers.get("api-key", "")
        if self.key is None or sent == self.key:
            return
        if not sent:
            text = (
                "You didn't provide an API key. You need to provide your API key in an Authorization header "
                "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
            )
            raise Refused(text, None, None, status=401)
        shown = sent[:8] + "*" * 8 + sent[-4:] if len(sent) > 16 else "*" * 8
        text = (
            f"Incorrect API key provided: {shown}. You can find your API key at "
            "https://platform.openai.com/account/api-keys."
        )
        raise Refused(text, None, "invalid_api_key", status=401)

    def _route(self, request: Request, arrival: Arrival) -> Response:
        path = request.path.removeprefix("/openai")  # Azure serves the same paths below /openai
        kind = next((kind for kind in _KINDS if path == f"/v1/images/{kind}"), None)
        if kind is not None:
            if request.method != "POST":
                raise _not_allowed(request)
            return self._images(kind, request, arrival)
        if path == "/v1/models" or path.startswith("/v1/models/"):
            if request.method != "GET":
                raise _not_allowed(request)
            return self._models(path.removeprefix("/v1/models").lstrip("/"))
        raise Refused(f"Invalid URL ({request.method} {request.path})", None, None, status=404)

    def _models(self, name: str) -> Response:
        served = LEGACY if self.dialect == "dall-e" else LIVING
        rows = [{"id": model, "object": "model", "created": CREATED, "owned_by": "system"} for model in served]
        if not name:
            return Response.of_json({"object": "list", "data": rows})
        for row in rows:
            if row["id"] == name:
                return Response.of_json(row)
        raise Refused(f"The model '{name}' does not exist", "model", "model_not_found", status=404)

    def _images(self, kind: Kind, request: Request, arrival: Arrival) -> Response:
        fields, files = _read(kind, request)
        arrival.body, arrival.files = fields, files
        job = _lax_job(kind, fields, files) if self.dialect == "lax" else self._checked(kind, fields, files)
        pictures = [self._picture(job, index) for index in range(job.n)]
        usage = usage_of(job, self.usage, job.n)
        arrival.billed_images += job.n
        arrival.usage = usage
        pictures = pictures[: max(job.n - self.fewer, 0)]
        if job.stream:
            headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
            body = events(job, pictures, usage, final_first=self.final_first)
            return Response(200, headers, body, gap=self.event_gap_s)
        urls = [self._keep(picture, job.output_format, request) for picture in pictures] if job.as_url else None
        return Response.of_json(document(job, pictures, urls, usage))

    def _checked(self, kind: Kind, fields: dict[str, Any], files: list[Upload]) -> Job:
        job = check(kind, fields, files, legacy=self.dialect == "dall-e")
        if kind != "generations":
            check_files(job, files)
        return job

    def _picture(self, job: Job, index: int) -> bytes:
        if not self.pictures:
            return draw(job, index)
        self._drawn += 1
        return self.pictures[(self._drawn - 1) % len(self.pictures)]

    def _keep(self, picture: bytes, kind: str, request: Request) -> str:
        name = f"img-{uuid.uuid4().hex}.{kind}"
        self._files[name] = picture, _TYPES.get(kind, "application/octet-stream")
        return f"{request.base_url}/files/{name}?sig={uuid.uuid4().hex}"

    def _file(self, request: Request) -> Response:
        found = self._files.get(request.path.removeprefix("/files/"))
        if found is None or not request.query.get("sig"):
            return Response.of_text("AuthenticationFailed", 403)
        return Response(200, {"content-type": found[1]}, found[0])

    def _refusal(self, refused: Refused) -> Response:
        if self.dialect == "lax":
            return Response.of_json({"error": str(refused)}, refused.status)
        return Response.of_json({"error": refused.error}, refused.status)


def _read(kind: Kind, request: Request) -> tuple[dict[str, Any], list[Upload]]:
    if kind != "generations":
        if request.media_type != "multipart/form-data":
            text = (
                f"Unsupported content type: '{request.media_type}'. This API method only accepts "
                "'multipart/form-data' requests."
            )
            raise Refused(text, None, "unsupported_content_type", status=415)
        try:
            texts, files = parse_form(request.headers["content-type"], request.body)
        except BadForm as error:
            raise Refused(f"Could not parse multipart form: {error}.", None, None) from error
        twice = next((name for name, value in texts.items() if isinstance(value, list)), None)
        if twice is not None:
            raise Refused(f"Duplicate parameter: '{twice}'.", twice, "duplicate_parameter")
        return {name: FormText(value) for name, value in texts.items()}, files
    if request.media_type != "application/json":
        text = (
            f"Unsupported content type: '{request.media_type}'. This API method only accepts "
            f"'application/json' requests, but you specified the header 'Content-Type: {request.media_type}'."
        )
        raise Refused(text, None, "unsupported_content_type", status=415)
    try:
        fields = request.json()
    except ValueError as error:
        text = "We could not parse the JSON body of your request."
        raise Refused(text, None, None) from error
    if not isinstance(fields, dict):
        raise Refused("Invalid type: expected an object.", None, "invalid_type")
    return fields, []


def _lax_job(kind: Kind, fields: dict[str, Any], files: list[Upload]) -> Job:
    """What a careless server understands: it takes what it knows, and drops or defaults the rest without a word."""
    prompt = fields.get("prompt")
    if kind != "variations" and not prompt:
        raise Refused("prompt is required", "prompt", None)
    job = Job(kind, str(fields.get("model") or "local"), str(prompt or ""), size=(512, 512))
    width, _, height = str(fields.get("size", "")).partition("x")
    if (
        width.isdigit()
        and height.isdigit()
        and int(width) % 8 == 0
        and int(height) % 8 == 0
        and int(width) * int(height)
    ):
        job.size = int(width), int(height)
    if str(fields.get("n", "1")).isdigit():
        job.n = min(max(int(fields.get("n", 1)), 1), 8)
    job.as_url = fields.get("response_format") == "url"
    job.images = [upload for upload in files if upload.field in {"image", "image[]"}]
    job.mask = next((upload for upload in files if upload.field == "mask"), None)
    return job


def _not_allowed(request: Request) -> Refused:
    text = f"Not allowed to {request.method} on {request.path}."
    return Refused(text, None, "method_not_supported", status=405)


def _prepared(image_bytes: int) -> bytes:
    job = Job("generations", "gpt-image-2", "a red apple", size=(1024, 1024))
    return Response.of_json(document(job, [noise_png(image_bytes)], None, usage_of(job, "full", 1))).body  # type: ignore[return-value]


def main() -> None:
    """Run the server from the command line."""
    parser = arguments("An OpenAI Images server for tests, demos and benchmarks.")
    parser.add_argument("--dialect", choices=("gpt-image", "dall-e", "lax"), default="gpt-image")
    parser.add_argument("--key", help="the one right API key (default: any is right)")
    parser.add_argument(
        "--image-bytes", type=int, help="answer every POST with one prepared picture of about this size"
    )
    options = parser.parse_args()
    keep = 0 if options.image_bytes is not None else None
    app = OpenAIApp(dialect=options.dialect, key=options.key, image_bytes=options.image_bytes, keep=keep)
    run_forever(app, options.port)


if __name__ == "__main__":
    main()
