"""Makes a hash list of a folder of pictures: `python -m limner_policy.detectors.phash FOLDER > blocked.csv`.

The list holds hashes and file names, nothing of the pictures; it goes beside a pack and under its `lists:`.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from limner_policy.detectors import perceptual
from limner_policy.detectors.pictures import SUFFIXES, decode
from limner_policy.errors import DetectorError

_USAGE = "usage: python -m limner_policy.detectors.phash FOLDER [--no-names]"


def hash_file(path: Path) -> str:
    """The hash of a picture file, 64 hex digits.

    Raises:
        DetectorError: it cannot be read, or shows one colour only, so that its hash would be noise.
    """
    found = perceptual.hashes(decode(path))
    if found is None:
        raise DetectorError(f"{path} shows one colour only; its hash would be like any.", remedy="Leave it out.")
    return perceptual.to_hex(found[0])


def hash_folder(folder: Path) -> Iterator[tuple[Path, str | DetectorError]]:
    """Every picture below a folder, in the order of its path, with its hash or what is wrong with it.

    Raises:
        DetectorError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DetectorError(f"{folder} is no folder.", remedy="Name a folder of pictures.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise DetectorError(f"{folder} holds no picture.", remedy=f"Pictures end in {', '.join(SUFFIXES)}.")
    return ((path.relative_to(folder), _hash_or_error(path)) for path in files)


def _hash_or_error(path: Path) -> str | DetectorError:
    try:
        return hash_file(path)
    except DetectorError as error:
        return error


def write_list(folder: Path, out: TextIO, err: TextIO, *, names: bool = True) -> int:
    """Write the list of a folder as a table of `term` (the hash) and `note` (the file's name).

    Returns:
        How many pictures could not be hashed; each is told on `err`.
    """
    found_in = hash_folder(folder)
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["term", "note"] if names else ["term"])
    failed = 0
    seen: set[str] = set()
    for path, found in found_in:
        if isinstance(found, DetectorError):
            failed += 1
            err.write(f"{found}\n")
        elif found not in seen:
            seen.add(found)
            rows.writerow([found, path.as_posix()] if names else [found])
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the list; exit code 0, or 1 where a picture could not be hashed, or 2 for wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    names = "--no-names" not in given
    folders = [one for one in given if one != "--no-names"]
    if len(folders) != 1 or folders[0].startswith("-"):
        sys.stderr.write(f"{_USAGE}\n")
        return 2
    try:
        return 1 if write_list(Path(folders[0]), sys.stdout, sys.stderr, names=names) else 0
    except DetectorError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
