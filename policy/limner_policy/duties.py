"""The duties that a policy may ask for: names and parameters. Knows nothing of how, or by whom, they are carried out.

A known duty without an executor is still a duty: the orchestrator must not release what it cannot fulfil.
"""

from __future__ import annotations

KNOWN_DUTIES: dict[str, tuple[str, ...]] = {
    "blur": ("radius",),
    "disclose_prompt": ("fields",),
    "human_review": ("queue", "reviewers"),
    "metadata": ("standard", "fields"),
    "no_store": ("keep",),
    "notify": ("sink", "subject"),
    "attribution": ("text",),
    "retention": ("class", "days"),
    "visible_label": ("text", "position", "min_height_ratio", "languages"),
    "watermark": ("method",),
}
"""Duty name → the parameters it takes; each parameter is a text."""
