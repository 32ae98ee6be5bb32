"""The program's errors.

StarterError            something a person must put right; the message says what and how
├── MissingTool         a program or package that the step needs is not installed
└── BadWorkFolder       the work folder holds something else than this run
"""

from __future__ import annotations


class StarterError(Exception):
    """A step cannot go on; the message names the cause and the remedy."""


class MissingTool(StarterError):
    """A program or package that a step needs is not installed."""


class BadWorkFolder(StarterError):
    """The work folder belongs to another run, or lacks what the step needs."""
