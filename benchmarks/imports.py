"""Time and memory of `from limner import Limner, ImageRequest`, beside `import pydantic` alone, in fresh processes.

Bar: at most 0.15 s and 60 MB, without torch, sqlalchemy, httpx, PIL or numpy.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

_MEASURE = """
import resource, sys, time
started = time.perf_counter()
{statement}
spent = time.perf_counter() - started
heavy = [m for m in ("torch", "sqlalchemy", "httpx", "PIL", "numpy", "c2pa", "diffusers") if m in sys.modules]
print(spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, ",".join(heavy) or "none")
"""


def measure(statement: str, rounds: int = 9) -> tuple[float, float, str]:
    """Give the median seconds, the largest memory in MiB, and which heavy modules were loaded."""
    code = _MEASURE.format(statement=statement)
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(rounds)
    ]
    return statistics.median(float(r[0]) for r in runs), max(float(r[1]) for r in runs), runs[0][2]


def main() -> None:
    """Measure both and print them."""
    base, base_memory, _ = measure("import pydantic; from pydantic import BaseModel")
    ours, memory, heavy = measure("from limner import Limner, ImageRequest")
    print(f"import pydantic: {base * 1000:.0f} ms, {base_memory:.0f} MiB")
    print(f"from limner import Limner, ImageRequest: {ours * 1000:.0f} ms, ratio {ours / base:.2f} (bar: 150 ms)")
    print(f"  memory {memory:.0f} MiB, ratio {memory / base_memory:.2f} (bar: 60 MB); heavy modules loaded: {heavy}")


if __name__ == "__main__":
    main()
