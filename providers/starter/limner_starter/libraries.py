"""Keeps the libraries' own progress bars and notices out of the program's output."""

from __future__ import annotations


def quiet_libraries() -> None:
    """Silences diffusers' and transformers' bars and remarks; their errors are still raised."""
    import diffusers.utils.logging as diffusers_logging
    import transformers.utils.logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()
        logging.set_verbosity_error()
