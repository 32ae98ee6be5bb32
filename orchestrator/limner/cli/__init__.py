"""The `limner` command: a thin skin over the SDK; it decides nothing of its own.

Exit codes: 0 good; 1 the answer is no; 2 wrong usage or input; 3 it could not be done.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:] if argv is None else list(argv)))


def run(argv: list[str]) -> int:
    """Run the command line and give its exit code."""
    from limner.cli.app import app
    from limner.cli.output import fail
    from limner.errors import EVERY

    try:
        app(_config_first(argv), prog_name="limner")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except EVERY as error:
        return fail(error, as_json="--json" in argv)
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        return 130
    return 0


def _config_first(argv: list[str]) -> list[str]:
    """Move `--config FILE` to the front, so that it may stand anywhere; leave what follows `--` alone."""
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
