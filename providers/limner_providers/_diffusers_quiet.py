"""Keeps diffusers and transformers from printing: no progress bars, no warnings, and afterwards as noisy as before."""

from __future__ import annotations

import contextlib
import threading


class _Quiet:
    """Switches progress bars and warnings of diffusers and transformers off while anybody needs them off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._restore = contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._switch_off()

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._restore.close()

    def _switch_off(self) -> None:
        from diffusers.utils import logging as diffusers_logging
        from transformers.utils import logging as transformers_logging

        for library in (diffusers_logging, transformers_logging):
            self._restore.callback(library.set_verbosity, library.get_verbosity())
            if library.is_progress_bar_enabled():
                self._restore.callback(library.enable_progress_bar)
            library.set_verbosity_error()
            library.disable_progress_bar()


quiet = _Quiet()  # one for the process: what it switches is the process's
