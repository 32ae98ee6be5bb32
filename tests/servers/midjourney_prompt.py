"""Read a Midjourney prompt as Midjourney does: image addresses, words, then `--flag value`.

An em dash before a letter counts as `--`, as Midjourney itself takes it (general knowledge): a client that only looks
for two hyphens lets its user's text inject flags. A flag that is unknown, or whose value is out of range, makes the
task fail after it was accepted, with the reason `[Invalid parameter] …`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_FLAG = re.compile(r"(?:--|\u2014)([A-Za-z][A-Za-z0-9]*)")
_SHORT = {"s": "stylize", "c": "chaos", "q": "quality", "v": "version", "aspect": "ar", "w": "weird"}
_SWITCHES = {"tile", "raw", "fast", "relax", "turbo", "video"}
_RANGES = {
    "seed": (0, 4294967295),
    "stylize": (0, 1000),
    "chaos": (0, 100),
    "quality": (0.25, 4),
    "iw": (0, 3),
    "cw": (0, 100),
    "ow": (1, 1000),
    "sw": (0, 1000),
    "weird": (0, 3000),
    "stop": (10, 100),
    "zoom": (1, 2),
    "niji": (4, 7),
    "version": (1, 8),
}
_TEXTS = {"no", "sref", "cref", "oref", "style", "p", "ar"}


@dataclass(slots=True)
class Prompt:
    """A prompt's parts. `flags` have their long names; a switch has the value "". `fault` says what is wrong."""

    words: str
    image_urls: list[str] = field(default_factory=list)
    flags: dict[str, str] = field(default_factory=dict)
    fault: str | None = None

    @property
    def ratio(self) -> float:
        """Width through height; 1 without `--ar`."""
        width, _, height = self.flags.get("ar", "1:1").partition(":")
        return int(width) / int(height)


def read_prompt(text: str) -> Prompt:
    """Split a prompt; never raises, the first fault stands in the result."""
    words: list[str] = []
    prompt = Prompt("")
    flag: str | None = None
    for word in text.split():
        match = _FLAG.fullmatch(word)
        if match is not None:
            flag = _SHORT.get(match[1].lower(), match[1].lower())
            prompt.flags[flag] = ""
        elif flag is not None:
            prompt.flags[flag] = f"{prompt.flags[flag]} {word}".strip()
        elif re.match(r"https?://", word) and not words:
            prompt.image_urls.append(word)
        else:
            words.append(word)
    prompt.words = " ".join(words)
    prompt.fault = next((fault for name in prompt.flags if (fault := _fault(name, prompt.flags[name]))), None)
    if prompt.fault:
        prompt.flags.pop("ar", None)
    return prompt


def _fault(name: str, value: str) -> str | None:
    if name in _SWITCHES:
        wrong = value != ""
    elif name in _RANGES:
        low, high = _RANGES[name]
        wrong = re.fullmatch(r"\d+(\.\d+)?", value) is None or not low <= float(value) <= high
    elif name == "ar":
        wrong = re.fullmatch(r"[1-9]\d{0,3}:[1-9]\d{0,3}", value) is None
    elif name in _TEXTS:
        wrong = value == ""
    else:
        return f"[Invalid parameter] Unrecognized parameter(s): `--{name}`"
    return f"[Invalid parameter] Invalid value provided for argument `--{name}`: `{value}`" if wrong else None
