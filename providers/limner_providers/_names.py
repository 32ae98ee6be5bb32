"""One spelling for names that people write in many ways: `DPM++ 2M`, `dpmpp_2m`, `Euler a`, `euler_a`."""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[\s_\-./]+")


def normal_name(name: str) -> str:
    """Fold case, plus signs (`DPM++` is `dpmpp`) and separators away, for comparing only."""
    return _SEPARATORS.sub("", name.casefold().replace("+", "p"))
