"""Checks signatures of checkpoints in a process of its own, beside a long verification.

Ed25519 is a quarter of a verification's work and holds Python's lock, so a thread would not run beside the rest. The
worker only ever confirms: whoever hears of anything else checks again by himself. Knows nothing of databases.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import BinaryIO

from limner_provenance.checkpoint import Verifier
from limner_provenance.errors import ProvenanceError

_READY = b"ready\n"
_GOOD = b"good\n"
_LENGTH_BYTES = 4


class SignatureWorker:
    """The parent's side: hands notes over, and asks once at the end whether all were good."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._input, self._output = process.stdin, process.stdout
        self._vkey = ""
        self._broken = False

    def check(self, vkey: str, note: str) -> None:
        """Hand over one checkpoint to be checked against a verifier key; returns at once."""
        parts = [note] if vkey == self._vkey else [f"key {vkey}", note]
        self._vkey = vkey
        try:
            for part in parts:
                data = part.encode()
                self._input.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
        except (OSError, ValueError):
            self._broken = True

    def all_good(self) -> bool:
        """Wait for the worker and say whether it confirmed every signature; False also where it broke."""
        with contextlib.suppress(OSError):
            self._input.close()
        said = self._output.read()
        return self._process.wait() == 0 and said == _GOOD and not self._broken

    def stop(self) -> None:
        """End the worker, whatever it is doing."""
        self._process.kill()
        for stream in (self._input, self._output):
            with contextlib.suppress(OSError):
                stream.close()
        self._process.wait()


@contextlib.contextmanager
def signature_worker(*, wanted: bool) -> Iterator[SignatureWorker | None]:
    """Give a worker for the block, or None where it is not wanted, there is one core, or no process can be started."""
    worker = _start() if wanted and _cores() > 1 else None
    try:
        yield worker
    finally:
        if worker is not None:
            worker.stop()


def _cores() -> int:
    """Give the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start() -> SignatureWorker | None:
    """Start the worker and wait until it stands."""
    command = [sys.executable, "-I", "-m", "limner_provenance.signature_worker"]
    try:
        process = subprocess.Popen(  # noqa: S603 - this interpreter and this module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=1 << 16
        )
    except OSError:
        return None
    worker = SignatureWorker(process)
    if process.stdout is None or process.stdout.readline() != _READY:
        worker.stop()
        return None
    return worker


def check_stream(stream: BinaryIO) -> bool:
    """Check everything in a stream of keys and notes, and say whether all of it was good."""
    verifier: Verifier | None = None
    good = True
    while head := stream.read(_LENGTH_BYTES):
        text = stream.read(int.from_bytes(head, "big")).decode()
        try:
            if text.startswith("key "):
                verifier = Verifier(text.removeprefix("key "))
            elif verifier is None:
                good = False
            else:
                verifier.verify(text)
        except ProvenanceError:
            good = False
    return good


def main() -> None:
    """Be the worker."""
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    sys.stdout.buffer.write(_GOOD if check_stream(sys.stdin.buffer) else b"bad\n")


if __name__ == "__main__":
    main()
