"""The settings of an `openai` provider, checked once: whose host it is, what goes out, what may never be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from limner_providers._openai_catalogue import Dialect, models, vendor
from limner_providers.errors import ConfigurationInvalid

_RESERVED = frozenset({
    "host", "content-length", "content-type", "transfer-encoding", "connection", "accept", "accept-encoding", "cookie",
})  # fmt: skip
_SHORTEST_SECRET = 8  # characters; to hide shorter texts would only garble messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Whom the calls go to.

    Attributes:
        base_url: without a slash at its end.
        is_vendor: it is the vendor's own, so that its catalogue of models and prices holds.
        headers: names in lower case; credentials included.
        query: added to every call's address.
        secrets: what may never be shown.
    """

    base_url: str
    is_vendor: bool
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def host_of_settings(
    name: str,
    *,
    base_url: str | None,
    api_key: str | None,
    organization: str | None,
    project: str | None,
    headers: Mapping[str, str],
    query: Mapping[str, str],
) -> Host:
    """Check the settings that say whom to call and who calls.

    Raises:
        ConfigurationInvalid: a wrong address, a header that cannot be sent, or no key for the vendor's own host.
    """
    from limner_providers._http import check_base_url

    url = check_base_url(vendor().base_url if base_url is None else base_url, provider=name)
    is_vendor = _is_vendor(url)
    given = {key.lower(): value for key, value in headers.items()}
    for key in given:
        if key in _RESERVED:
            raise _wrong(name, f"headers.{key} is set by every call itself.", "Leave it out.")
    sent = {"openai-organization": organization, "openai-project": project}
    sent["authorization"] = f"Bearer {api_key.strip()}" if api_key and api_key.strip() else None
    ours = {key: value for key, value in sent.items() if value} | given
    _check_headers(name, ours)
    if is_vendor and not {"authorization", "api-key"} & ours.keys():
        remedy = 'Write api_key: "${OPENAI_API_KEY}" and set that variable, or name another base_url.'
        raise _wrong(name, "api_key is missing, and the vendor's host takes no call without one.", remedy)
    if is_vendor and url.startswith("http://"):
        raise _wrong(name, "base_url would send the key to the vendor unencrypted.", "Write https://.")
    hidden = [api_key or "", *given.values(), *query.values()]
    hidden += [value.rpartition(" ")[2] for value in given.values()]  # a server may repeat a key without its scheme
    secrets = tuple(dict.fromkeys(text.strip() for text in hidden if len(text.strip()) >= _SHORTEST_SECRET))
    return Host(base_url=url, is_vendor=is_vendor, headers=ours, query=dict(query), secrets=secrets)


def dialect_of(model: str | None, setting: str, *, is_vendor: bool) -> Dialect:
    """Say which parameters are sent for a model.

    As the configuration says; else as catalogued; else what the vendor's new models (or models that are called so)
    speak, and the older parameters, which more servers understand, for everything at other hosts.
    """
    if setting in {"gpt-image", "dall-e"}:
        return "gpt-image" if setting == "gpt-image" else "dall-e"
    facts = models().get(model or "")
    if facts is not None:
        return facts.dialect
    bare = (model or "").rpartition("/")[2]
    return "gpt-image" if is_vendor or bare.startswith("gpt-image") else "dall-e"


def _is_vendor(url: str) -> bool:
    host = (urlsplit(url).hostname or "").rstrip(".")
    return host == vendor().host or host.endswith(f".{vendor().host}")


def _check_headers(name: str, headers: Mapping[str, str]) -> None:
    for key, value in headers.items():
        if not re.fullmatch(r"[a-z0-9-]+", key) or not re.fullmatch(r"[\x20-\x7e]+", value):
            what = "api_key" if key == "authorization" else f"headers.{key}"
            remedy = "Look for a line break or a quote in its variable."
            raise _wrong(name, f"{what} is empty, or holds a character that no header can have.", remedy)


def _wrong(name: str, what: str, remedy: str) -> ConfigurationInvalid:
    return ConfigurationInvalid(f"providers.{name}: {what}", remedy=remedy, provider=name)
