"""`limner init`: a configuration, a copy of the policy, the log and its keys."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from limner.cli.output import emit_json, out
from limner.cli.shared import AsJson

_CONFIG = """\
# Limner: which engines, which policy, where the records are. Every part is optional; unknown keys are errors.
# Secrets come only from the environment, as "${NAME}". Relative paths count from this file.
providers:
  local: {kind: diffusers, model: starter}   # or a folder, a .safetensors file, a cached hub id
routing: {strategy: priority, order: [local]}
policy: [policy/general.policy.yaml]
audit: {url: "AUDIT"}
keys: {url: "KEYS"}     # data keys, apart from the audit database; back both up, apart
assets: {url: "file://.limner/assets"}
environment: development                     # production refuses the test provider and the development certificate
"""

_AUDIT = "sqlite:///.limner/audit.db"
_KEYS = "sqlite:///.limner/keys.db"


def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to set up.")] = Path(),
    database: Annotated[
        str | None,
        typer.Option(
            help="Keep log and data keys in PostgreSQL, e.g. postgresql+psycopg://USER@HOST/DATABASE; the password "
            "comes from PGPASSWORD or a password file. Without it both are files in .limner/.",
            metavar="URL",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write limner.yaml, a copy of the general policy, the audit log and keys; print the log's key."""
    from limner import Limner
    from limner.config import FILE_NAME
    from limner.errors import ConfigInvalid
    from limner_policy import embedded_pack

    config = context.obj or folder / FILE_NAME
    policy = config.parent / "policy" / "general.policy.yaml"
    for path in (config, policy):
        if path.exists():
            raise ConfigInvalid(
                f"{path} exists already and is left as it is.", remedy="Remove it first, or work with it."
            )
    text = _config(database)
    had_folder = policy.parent.exists()
    try:
        policy.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(text, encoding="utf-8")
        policy.write_bytes(embedded_pack().read_bytes())
    except OSError as error:
        from limner.errors import StorageUnavailable

        _undo(config, policy, folder=not had_folder)
        raise StorageUnavailable(
            f"{error.filename or folder} cannot be written: {error.strerror}.",
            remedy="Choose a folder you may write to.",
        ) from error
    try:
        with Limner.open(config) as limner:
            key = limner.log_key
    except Exception:
        _undo(config, policy, folder=not had_folder)
        raise
    if as_json:
        emit_json({"config": str(config), "policy": str(policy), "log_key": key})
        return
    console = out()
    console.print(f"wrote {config} and {policy}")
    place = "the audit log and its keys in .limner/" if database is None else "the audit log, and its key in .limner/"
    console.print(f"made {place} (a development signing certificate follows on first use)")
    console.print(
        "The log's key; whoever shall verify later should get it from you, today, by another way than the files:"
    )
    console.print(f"  {key}", soft_wrap=True)


def _config(database: str | None) -> str:
    """Give the text of the configuration; log and data keys have a schema each where they share a server."""
    from limner.errors import ConfigInvalid

    audit, keys = (database, database) if database else (_AUDIT, _KEYS)
    if database is not None and (not database.startswith("postgres") or set('"\\\n') & set(database)):
        raise ConfigInvalid(
            "--database is no address of a PostgreSQL database.",
            remedy="Write postgresql+psycopg://USER@HOST/DATABASE.",
        )
    return _CONFIG.replace("AUDIT", audit).replace("KEYS", keys)


def _undo(*files: Path, folder: bool) -> None:
    """Leave nothing half-written, so that the command can simply be given again."""
    with contextlib.suppress(OSError):
        for file in files:
            file.unlink(missing_ok=True)
        if folder:
            files[-1].parent.rmdir()
