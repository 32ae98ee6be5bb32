"""Running the stand-alone verifier as a stranger does: one copied file, isolated, in an empty folder, offline."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from limner_provenance import verify_evidence

SCRIPT = Path(verify_evidence.__file__)
# Any socket at all is an error; audit hooks cannot be taken off again.
GUARD = """
import sys, runpy
def hook(event, arguments):
    if event.startswith("socket."):
        raise RuntimeError(f"the verifier touched the network: {event}")
sys.addaudithook(hook)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@functools.cache
def without_network() -> tuple[str, ...]:
    """Give the command that takes the network away from what follows it; nothing where the system cannot do that."""
    for prefix in (("unshare", "-n"), ("unshare", "-rn")):
        if (
            shutil.which("unshare")
            and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
        ):
            return prefix
    return ()


def verify_alone(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Put a copy of the script into a folder, run it there offline, and give its exit code and report."""
    shutil.copy(SCRIPT, folder / "verify_evidence.py")
    command = [*without_network(), sys.executable, "-I", "-c", GUARD, "verify_evidence.py", *arguments, "--json"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={}, timeout=60)
    assert ran.stderr == "", ran.stderr
    return ran.returncode, json.loads(ran.stdout)
