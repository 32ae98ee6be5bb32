"""The training program of the starter model: data, training, evaluation, export.

It is a program of the repository and no part of the wheel; it must not import ``limner`` or any of its packages.
Run it with ``python -m limner_starter`` in this folder's parent (``providers/starter``).
"""

from __future__ import annotations

__all__: list[str] = []
