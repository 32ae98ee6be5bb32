"""`limner.yaml`: its shape, its defaults, and where state lives.

Unknown keys are errors with a suggestion, secrets come only as `${ENV}`, relative paths count from the file.
Knows nothing of what the settings mean to a provider: each provider checks its own.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from limner.errors import ConfigInvalid, PolicyFileError
from limner.yaml_values import read_values

FILE_NAME = "limner.yaml"
STATE_FOLDER = ".limner"
_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET = re.compile(r"(^|_)(api_key|secret|token|password|kek)$")
_CREDENTIAL = re.compile(r"(?i)(authorization|cookie|key|token|secret|password|code|sig|signature)$")
"""Headers and query parameters that carry a secret, by the end of their names."""
_URL_PASSWORD = re.compile(r"(?<=:)\$\{([A-Za-z_][A-Za-z0-9_]*)\}(?=@)")
"""A variable that stands for the password of an address."""
_CLEAR_PASSWORD = re.compile(r"://[^/@:]*:(?!\$\{[A-Za-z_][A-Za-z0-9_]*\}@)[^@]+@|[?&](ssl)?password=(?!\$\{)")
"""An address of a database with a password in clear text."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _OpenSection(BaseModel):
    """Settings that are checked by what they are for, and not here."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that is no field of the section, as written."""
        return dict(self.model_extra or {})

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Leave secrets out of what a traceback or a log may show."""
        for name, value in super().__repr_args__():
            yield name, "…" if name and _SECRET.search(name) else value


class ProviderSection(_OpenSection):
    """One provider: its kind, and the settings that this kind checks itself."""

    kind: str


class DetectorSection(_OpenSection):
    """The settings of one detector, which it checks itself."""


class RoutingSection(_Section):
    """How candidates are ordered, and how long one that is busy is waited for.

    Attributes:
        strategy: `priority`: the first one that can do it.
        order: The names of providers, first choice first; none given: as they are written.
        retries: How often a call that did not start is made again, 0 to 10.
        max_wait: The longest wait before such a call, in seconds, 0 to 3600; who asks for a longer one is passed over.
    """

    strategy: Literal["priority"] = "priority"
    order: tuple[str, ...] = ()
    retries: int = Field(default=2, ge=0, le=10)
    max_wait: float = Field(default=60.0, ge=0, le=3600, allow_inf_nan=False)


class AuditSection(_Section):
    """The audit database's SQLAlchemy address, of SQLite or PostgreSQL."""

    url: str = Field(default=f"sqlite:///{STATE_FOLDER}/audit.db", repr=False)  # it may hold a password


class KeysSection(_Section):
    """The data-key database, apart from the audit database, and the key-encryption key (32 bytes as base64 or hex)."""

    url: str = Field(default=f"sqlite:///{STATE_FOLDER}/keys.db", repr=False)
    kek: str | None = Field(default=None, repr=False)


class AssetsSection(_Section):
    """The fsspec address of the store of encrypted pictures."""

    url: str = f"file://{STATE_FOLDER}/assets"


class SignerSection(_OpenSection):
    """A third party's signer, by the entry point `limner.signers`: its kind, and the settings that it checks itself."""

    kind: str


class NextCertificate(_Section):
    """The certificate that follows: what it is, and the day, UTC, from which it signs (`from` in the file)."""

    certificate: Path
    key: Path
    starts: date = Field(alias="from")


class SigningSection(_Section):
    """What signs, whom to trust, and where time-stamps come from.

    Attributes:
        certificate: The signing certificate chain, PEM, leaf first.
        key: Its private key, PEM.
        next: The certificate that takes over on a day, so that one overlaps the other.
        signer: A signer of somebody else, as a key service's, in place of certificate and key.
        trust: One or more PEM files of further trust anchors.
        timestamp: Address of an RFC 3161 time-stamp authority.
        warn_days: How many days before a certificate's end each request says so, 1 to 3650.
    """

    certificate: Path | None = None
    key: Path | None = None
    next: NextCertificate | None = None
    signer: SignerSection | None = None
    trust: Path | tuple[Path, ...] | None = None
    timestamp: str | None = Field(default=None, pattern="^https?://")
    warn_days: int = Field(default=30, ge=1, le=3650)

    @property
    def trust_files(self) -> tuple[Path, ...]:
        """The files of trust anchors, none to many."""
        if self.trust is None:
            return ()
        return self.trust if isinstance(self.trust, tuple) else (self.trust,)


class Config(_Section):
    """The whole configuration; `Config()` is the embedded default: starter model, SQLite, local folder, no network.

    Attributes:
        providers: A name of the user's own to one kind and its settings; none given: `local`, the starter model.
        routing: The order of providers.
        policy: Policy files or folders; none given: the embedded general pack.
        detectors: A detector's name to its settings; a detector that no rule names is not loaded all the same.
        audit: Where the log is.
        keys: Where the data keys are.
        assets: Where the encrypted pictures are.
        signing: What signs; nothing given: a development certificate made on first use.
        environment: `production` refuses the test provider and the development certificate.
        root: The folder that relative paths count from (not a key of the file).
        digest: SHA-256 of the file as written, so without the secrets it refers to (not a key of the file).
        unset: Providers that need a variable which is not set, with its name; only where `load_config` was told that
            engines are not needed (not a key of the file).
    """

    providers: dict[str, ProviderSection] = Field(default_factory=dict)
    routing: RoutingSection = RoutingSection()
    policy: tuple[str, ...] = ()
    detectors: dict[str, DetectorSection] = Field(default_factory=dict)
    audit: AuditSection = AuditSection()
    keys: KeysSection = KeysSection()
    assets: AssetsSection = AssetsSection()
    signing: SigningSection = SigningSection()
    environment: Literal["development", "production"] = "development"
    root: Path = Field(default_factory=Path.cwd, exclude=True)
    digest: str = Field(default=hashlib.sha256(b"").hexdigest(), exclude=True)
    unset: dict[str, str] = Field(default_factory=dict, exclude=True)

    @property
    def state(self) -> Path:
        """The folder of all state and keys, beside the configuration file."""
        return self.root / STATE_FOLDER

    @property
    def audit_url(self) -> str:
        """The audit database's address, absolute."""
        return _absolute_url(self.audit.url, self.root)

    @property
    def keys_url(self) -> str:
        """The key database's address, absolute."""
        return _absolute_url(self.keys.url, self.root)

    @property
    def assets_url(self) -> str:
        """The asset store's address, absolute."""
        return _absolute_url(self.assets.url, self.root)

    def path(self, value: str | Path) -> Path:
        """Make a path of the file absolute."""
        return self.root / Path(value).expanduser()

    def policy_paths(self) -> list[Path]:
        """The policy files and folders; the embedded pack where none is configured."""
        from limner_policy import embedded_pack

        return [self.path(p) for p in self.policy] or [embedded_pack()]

    def provider_sections(self) -> dict[str, ProviderSection]:
        """Every provider, those of the routing order first; the embedded default where none is configured."""
        sections = self.providers or {
            "local": ProviderSection.model_validate({"kind": "diffusers", "model": "starter"})
        }
        order = self.routing.order or tuple(sections)
        unknown = [name for name in order if name not in sections]
        if unknown:
            raise ConfigInvalid(
                f"routing.order names {unknown[0]!r}, which is not under providers.",
                remedy=f"Use one of: {', '.join(sections)}.{_suggest(unknown[0], list(sections))}",
            )
        return {name: sections[name] for name in (*order, *(name for name in sections if name not in order))}

    def detector_settings(self) -> dict[str, dict[str, Any]]:
        """What each configured detector is set to, as written."""
        return {name: section.settings for name, section in self.detectors.items()}

    def routed(self) -> tuple[str, ...]:
        """The providers that are asked without being named; one outside `routing.order` has to be."""
        return self.routing.order or tuple(self.provider_sections())


def load_config(path: str | Path | None = None, *, folder: Path | None = None, engines: bool = True) -> Config:
    """Read `path`; without one `limner.yaml` of `folder` (the working folder); without that the embedded default.

    Args:
        path: The file.
        folder: Where to look for `limner.yaml`.
        engines: False where no engine will be asked, as an auditor verifies: the engines' secrets may be missing then.

    Raises:
        ConfigInvalid: The file is not there, is no YAML 1.2, or holds a wrong key or value; names field and remedy.
    """
    folder = (folder or Path.cwd()).absolute()
    if path is not None and not isinstance(path, str | os.PathLike):
        raise ConfigInvalid(
            f"The configuration {path!r} is no file's name.",
            remedy="Name a file, or build one with Config.model_validate.",
        )
    if path is None:
        candidate = folder / FILE_NAME
        if not candidate.exists():
            return Config(root=folder)
        path = candidate
    file = Path(path).expanduser().absolute()
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigInvalid(
            f"The configuration {file} cannot be read: {error.strerror}.",
            remedy="Name another file, or make one with `limner init`.",
        ) from error
    return _Reader(file, data, engines=engines).config()


class _Reader:
    """One configuration file on its way to a `Config`; every complaint names file, line and column."""

    def __init__(self, file: Path, data: bytes, *, engines: bool) -> None:
        self.file = file
        self.engines = engines
        self.unset: dict[str, str] = {}
        try:
            written, self.places = read_values(data, file=str(file)) if data.strip() else ({}, {})
        except PolicyFileError as error:  # the same reader; here it reads no policy
            raise ConfigInvalid(f"{error}.") from None
        if not isinstance(written, dict):
            raise ConfigInvalid(f"{file} holds no keys and values.", remedy="Write e.g. `providers:`.")
        self.written = written

    def config(self) -> Config:
        """Validate what was written, with the environment's values in place of `${NAME}`."""
        for hidden in ("root", "digest", "unset"):
            if hidden in self.written:
                raise ConfigInvalid(f"{self.where((hidden,))}: {hidden!r} is no key of this file.", remedy="Remove it.")
        self.refuse_literal_secrets(self.written, ())
        values = self.substituted(self.written, ())
        digest = hashlib.sha256(json.dumps(self.written, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
        try:
            inner = {"root": self.file.parent, "digest": digest, "unset": self.unset}
            return Config.model_validate({**values, **inner})
        except ValidationError as error:
            raise ConfigInvalid("\n".join(self.explain(e) for e in error.errors())) from None

    def where(self, path: tuple[str | int, ...]) -> str:
        """Name a key's place as `file:line:column`."""
        line, column = next(
            (self.places[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.places), (1, 1)
        )
        return f"{self.file}:{line}:{column}"

    def explain(self, error: Any) -> str:
        """Say one pydantic error as: place, field, value (unless it may be secret), remedy."""
        path: tuple[str | int, ...] = error["loc"]
        name = ".".join(str(part) for part in path)
        if error["type"] == "extra_forbidden":
            return f"{self.where(path)}: unknown key {name!r}.{_suggest(str(path[-1]), _known_keys(path[:-1]))}"
        value = error["input"]
        shown = "" if _SECRET.search(name) or isinstance(value, dict | list) else f" ({value!r})"
        remedy = " Write names with their values below it, or between { and }." if "dict" in error["type"] else ""
        return f"{self.where(path)}: {name}{shown}: {error['msg']}.{remedy}"

    def refuse_literal_secrets(self, value: Any, path: tuple[str | int, ...]) -> None:
        """Let secrets come from the environment only."""
        if isinstance(value, dict):
            for key, item in value.items():
                self.refuse_literal_secrets(item, (*path, key))
        elif path and value is not None and _is_secret(path, str(value)):
            name = re.sub(r"\W", "_", str(path[-1])).upper()
            remedy = f'Put it into the environment and write "${{{name}}}" here.'
            if path[-1] == "url":
                remedy = "Leave the password out and set PGPASSWORD, or write :${NAME}@ in its place."
            raise ConfigInvalid(
                f"{self.where(path)}: {'.'.join(map(str, path))} holds a secret in clear text.", remedy=remedy
            )

    def substituted(self, value: Any, path: tuple[str | int, ...]) -> Any:
        """Put the environment's values in place of `${NAME}`."""
        if isinstance(value, dict):
            return {key: self.substituted(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.substituted(item, (*path, i)) for i, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        if path[-1:] == ("url",):
            # Whatever signs a password has, the address stays one.
            value = _URL_PASSWORD.sub(lambda match: quote(self.environment(match[1], path), safe=""), value)
        return _ENV.sub(lambda match: self.environment(match[1], path), value)

    def environment(self, name: str, path: tuple[str | int, ...]) -> str:
        """Give an environment variable's value."""
        found = os.environ.get(name)
        if found is None and not self.engines and path[0] == "providers":
            self.unset[str(path[1])] = name
            return ""
        if found is None:
            raise ConfigInvalid(
                f"{self.where(path)}: {'.'.join(map(str, path))} needs the variable {name}, which is not set.",
                remedy=f"Set it, e.g. `export {name}=…`.",
            )
        return found


def _known_keys(path: tuple[Any, ...]) -> list[str]:
    model: Any = Config
    for part in path:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        model = field.annotation if field is not None else None
    fields = getattr(model, "model_fields", {})
    return [name for name, field in fields.items() if not field.exclude]


def _is_secret(path: tuple[str | int, ...], value: str) -> bool:
    """Say whether a value is a secret that stands in the file itself, by its own name or as a header's or query's."""
    if _SECRET.search(str(path[-1])):
        return not _ENV.fullmatch(value)
    if path in (("audit", "url"), ("keys", "url")):
        return value.startswith("postgres") and bool(_CLEAR_PASSWORD.search(value))
    carried = len(path) > 1 and path[-2] in {"headers", "query"} and _CREDENTIAL.search(str(path[-1]))
    return bool(carried) and not _ENV.search(value)  # "Bearer ${KEY}" holds none


def _suggest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else (f" Known: {', '.join(known)}." if known else "")


def _absolute_url(url: str, root: Path) -> str:
    """Make the path of a sqlite or file address absolute; leave other addresses alone."""
    for scheme in ("sqlite:///", "file://"):
        if url.startswith(scheme):
            return scheme + str(root / url.removeprefix(scheme))
    return url
