"""The store of encrypted pictures: objects named by the SHA-256 of their ciphertext, written once, never changed.

Knows nothing of keys or entries; what it stores it cannot read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from limner_provenance.entries import is_digest
from limner_provenance.errors import PayloadMissing, StorageUnavailable
from limner_provenance.files import TEMPORARY, make_folder, sync_folder, unavailable, write_durably


class AssetStore(Protocol):
    """Where stored objects lie."""

    def write(self, name: str, data: bytes) -> None:
        """Store an object durably under its name; raises StorageUnavailable."""

    def read(self, name: str) -> bytes:
        """Give an object; raises PayloadMissing or StorageUnavailable."""

    def remove(self, name: str) -> None:
        """Remove an object; one that is not there is no error."""

    def has(self, name: str) -> bool:
        """Say whether an object is there; raises StorageUnavailable."""

    def names(self) -> Iterator[str]:
        """Give the names of everything in the store, strange names included, in no order."""

    def sweep(self) -> None:
        """Remove what interrupted writes left; only called while nobody else writes."""


def open_assets(url: str) -> AssetStore:
    """Open the store at an fsspec address (`file://…`, `s3://…`, `memory://…`); nothing is made yet.

    Raises:
        StorageUnavailable: no such kind of store, or its package is not installed.
    """
    if url.startswith("file://"):
        return FileAssets(Path(url.removeprefix("file://")))
    if "://" not in url:
        message = f"The asset address {url!r} has no scheme."
        raise StorageUnavailable(message, remedy="Write assets.url as file://FOLDER or another fsspec address.")
    return FsspecAssets(url)


class FileAssets:
    """Objects in a local folder, in 256 folders by their first two digits."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def write(self, name: str, data: bytes) -> None:
        """Store an object: temporary name, fsync, rename, fsync of the folder."""
        path = self._path(name)
        if path.exists():
            return
        fresh = not path.parent.is_dir()
        make_folder(self._folder, private=True)
        make_folder(path.parent, private=True)
        try:
            if fresh:
                sync_folder(self._folder)
            write_durably(path, data, mode=0o600)
        except OSError as error:
            raise unavailable(path, error) from error

    def read(self, name: str) -> bytes:
        """Give an object."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            raise _missing(name) from None
        except OSError as error:
            raise unavailable(self._path(name), error) from error

    def remove(self, name: str) -> None:
        """Remove an object and make that durable."""
        try:
            self._path(name).unlink()
            sync_folder(self._path(name).parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise unavailable(self._path(name), error) from error

    def has(self, name: str) -> bool:
        """Look whether the file is there."""
        try:
            return self._path(name).is_file()
        except OSError as error:
            raise unavailable(self._path(name), error) from error

    def names(self) -> Iterator[str]:
        """Walk the folder."""
        if not self._folder.is_dir():
            return
        try:
            for shelf in os.scandir(self._folder):
                if not shelf.is_dir(follow_symlinks=False):
                    yield shelf.name
                    continue
                for item in os.scandir(shelf.path):
                    tidy = is_digest(item.name) and item.name[:2] == shelf.name
                    yield item.name if tidy else f"{shelf.name}/{item.name}"
        except OSError as error:
            raise unavailable(self._folder, error) from error

    def sweep(self) -> None:
        """Remove files under temporary names."""
        if self._folder.is_dir():
            for path in self._folder.glob(f"??/{TEMPORARY}*"):
                with contextlib.suppress(OSError):
                    path.unlink()


class FsspecAssets:
    """Objects in any store that fsspec knows; a store's own put is what makes an object whole there."""

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs

            self._files, self._root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            message = f"The asset store {url.split('://', 1)[0]}:// cannot be used: {error}."
            raise StorageUnavailable(message, remedy="Install the fsspec package of that store.") from error

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name[:2]}/{name}"

    def write(self, name: str, data: bytes) -> None:
        """Store an object."""
        try:
            self._files.makedirs(f"{self._root.rstrip('/')}/{name[:2]}", exist_ok=True)
            self._files.pipe_file(self._path(name), data)
        except Exception as error:
            raise StorageUnavailable(f"The object {name} cannot be stored: {type(error).__name__}.") from error

    def read(self, name: str) -> bytes:
        """Give an object."""
        try:
            data: Any = self._files.cat_file(self._path(name))
            return bytes(data)
        except FileNotFoundError:
            raise _missing(name) from None
        except Exception as error:
            raise StorageUnavailable(f"The object {name} cannot be read: {type(error).__name__}.") from error

    def remove(self, name: str) -> None:
        """Remove an object."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def has(self, name: str) -> bool:
        """Ask the store whether the object is there."""
        try:
            return bool(self._files.exists(self._path(name)))
        except Exception as error:
            raise StorageUnavailable(f"The object {name} cannot be looked for: {type(error).__name__}.") from error

    def names(self) -> Iterator[str]:
        """Ask the store for all its names."""
        try:
            found = self._files.find(self._root)
        except FileNotFoundError:
            return
        for path in found:
            yield path.rsplit("/", 1)[-1]

    def sweep(self) -> None:
        """Nothing to do: such a store has no half-written objects."""


def checked(name: str, data: bytes) -> bool:
    """Say whether an object is the one its name says."""
    return sha256(data).hexdigest() == name


def _missing(name: str) -> PayloadMissing:
    return PayloadMissing(f"The stored object {name} is missing.", remedy="Restore the asset store from a backup.")
