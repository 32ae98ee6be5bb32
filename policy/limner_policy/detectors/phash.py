"""Makes a hash list of a folder of pictures: `python -m limner_policy.detectors.phash FOLDER > blocked.csv`.

The list holds hashes and file names, nothing of the pictures; it goes beside a pack and under its `lists:`. A crop
moves a hash, so that with `--crops` the middle parts of each picture get rows of their own.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from limner_policy.detectors import perceptual
from limner_policy.detectors.base import Pixels
from limner_policy.detectors.pictures import SUFFIXES, decode
from limner_policy.errors import DetectorError

CROPS = tuple(share / 100 for share in range(4, 29, 3))
"""Shares of each side that `--crops` leaves out."""
_FLAGS = ("--no-names", "--crops")
_USAGE = "usage: python -m limner_policy.detectors.phash FOLDER [--no-names] [--crops]"


def hash_file(path: Path, *, crops: bool = False) -> list[str]:
    """The hash of a picture file, 64 hex digits; with `crops` those of its middle parts behind it, by `CROPS`.

    Raises:
        DetectorError: it cannot be read, or shows one colour only, so that its hash would be noise.
    """
    image = decode(path)
    whole = perceptual.hashes(image)
    if whole is None:
        raise DetectorError(f"{path} shows one colour only; its hash would be like any.", remedy="Leave it out.")
    parts = [perceptual.hashes(_middle(image, share)) for share in CROPS] if crops else []
    return [perceptual.to_hex(found[0]) for found in (whole, *parts) if found is not None]


def _middle(image: Pixels, share: float) -> Pixels:
    height, width = image.shape[:2]
    top, left = round(height * share / 2), round(width * share / 2)
    return image[top : height - top, left : width - left].copy()


def hash_folder(folder: Path, *, crops: bool = False) -> Iterator[tuple[Path, list[str] | DetectorError]]:
    """Every picture below a folder, in the order of its path, with its hashes or what is wrong with it.

    Raises:
        DetectorError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DetectorError(f"{folder} is no folder.", remedy="Name a folder of pictures.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise DetectorError(f"{folder} holds no picture.", remedy=f"Pictures end in {', '.join(SUFFIXES)}.")
    return ((path.relative_to(folder), _hash_or_error(path, crops=crops)) for path in files)


def _hash_or_error(path: Path, *, crops: bool) -> list[str] | DetectorError:
    try:
        return hash_file(path, crops=crops)
    except DetectorError as error:
        return error


def write_list(folder: Path, out: TextIO, err: TextIO, *, names: bool = True, crops: bool = False) -> int:
    """Write the list of a folder as a table of `term` (the hash) and `note` (the file's name).

    Returns:
        How many pictures could not be hashed; each is told on `err`.
    """
    found_in = hash_folder(folder, crops=crops)
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["term", "note"] if names else ["term"])
    failed = 0
    seen: set[str] = set()
    for path, found in found_in:
        if isinstance(found, DetectorError):
            failed += 1
            err.write(f"{found}\n")
            continue
        for one in found:
            if one not in seen:
                seen.add(one)
                rows.writerow([one, path.as_posix()] if names else [one])
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the list; exit code 0, or 1 where a picture could not be hashed, or 2 for wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    names, crops = "--no-names" not in given, "--crops" in given
    folders = [one for one in given if one not in _FLAGS]
    if len(folders) != 1 or folders[0].startswith("-"):
        sys.stderr.write(f"{_USAGE}\n")
        return 2
    try:
        return 1 if write_list(Path(folders[0]), sys.stdout, sys.stderr, names=names, crops=crops) else 0
    except DetectorError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
