"""The `limner` command: a thin skin over the SDK; it decides nothing of its own.

Exit codes: 0 good; 1 the answer is no; 2 wrong usage or input; 3 it could not be done.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:] if argv is None else list(argv)))


def run(argv: list[str]) -> int:
    """Run the command line and give its exit code."""
    from limner.cli.output import fail
    from limner.errors import StorageUnavailable

    _prepare_streams()
    try:
        code = _run(argv)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # whoever read the answer went away; typer makes an exit with 1 of that
        _silence()
        return 3
    except OSError as error:  # the commands name what they open; what is left is mostly the output itself
        if error.filename is None:
            _silence()
            failed = StorageUnavailable(f"The answer cannot be written: {error.strerror}.", remedy="Check the output.")
        else:
            failed = StorageUnavailable(f"{error.filename}: {error.strerror}.", remedy="Check the path and its rights.")
        return fail(failed, as_json=error.filename is not None and "--json" in argv)
    return code


def _run(argv: list[str]) -> int:
    from limner.cli import usage
    from limner.cli.app import app
    from limner.cli.output import INTERRUPTED, Interrupted, fail, interrupted
    from limner.errors import EVERY

    as_json = "--json" in argv
    try:
        code = app(_config_first(argv), prog_name="limner", standalone_mode=False)
    except EVERY as error:
        return fail(error, as_json=as_json)
    except usage.KIND as error:
        return usage.show(error, as_json=as_json)
    except Interrupted as error:
        return interrupted(str(error), as_json=as_json)
    if code == INTERRUPTED:  # what typer makes of Ctrl-C
        says = "Stopped. What an engine was already asked for is finished and kept: see `limner audit show`."
        return interrupted(says, more=" Then `limner get RECORD` writes it.", as_json=as_json)
    return code if isinstance(code, int) else 0


def _prepare_streams() -> None:
    """Let no character that the terminal's encoding lacks, and no missing stream, stop a command."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _silence() -> None:
    """Let what is still buffered go nowhere, so that the interpreter does not stumble over it at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _config_first(argv: list[str]) -> list[str]:
    """Move `--config FILE` to the front, so that it may stand anywhere; leave what follows `--` alone."""
    if argv[-1:] == ["--config"] and "--" not in argv:
        return ["--config"]  # which says that its FILE is missing
    end = argv.index("--") if "--" in argv else len(argv)
    front: list[str] = []
    rest: list[str] = []
    i = 0
    while i < end:
        if argv[i] == "--config" and i + 1 < end:
            front += argv[i : i + 2]
            i += 2
            continue
        (front if argv[i].startswith("--config=") else rest).append(argv[i])
        i += 1
    return front + rest + argv[end:]
