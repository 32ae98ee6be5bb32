"""Stored objects: durable, whole or not there, in a folder or in any fsspec store."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from limner_provenance.assets import AssetStore, open_assets
from limner_provenance.errors import PayloadMissing, StorageUnavailable

DATA = b"ciphertext"
NAME = sha256(DATA).hexdigest()


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> AssetStore:
    """Give a store of each kind."""
    return open_assets(f"file://{tmp_path}/assets" if request.param == "file" else f"memory://{tmp_path.name}")


def test_an_object_comes_back(store: AssetStore) -> None:
    """What is written is read, listed, and gone after removal; removing it twice is fine."""
    assert list(store.names()) == []
    store.write(NAME, DATA)
    store.write(NAME, DATA)
    assert store.read(NAME) == DATA
    assert list(store.names()) == [NAME]
    store.remove(NAME)
    store.remove(NAME)
    assert list(store.names()) == []
    with pytest.raises(PayloadMissing, match=NAME):
        store.read(NAME)


def test_half_written_objects_are_swept(tmp_path: Path) -> None:
    """Temporary files of a killed writer go, whole objects stay."""
    store = open_assets(f"file://{tmp_path}")
    store.write(NAME, DATA)
    (tmp_path / NAME[:2] / ".part-1-abcd-rest").write_bytes(b"half")
    store.sweep()
    assert [path.name for path in (tmp_path / NAME[:2]).iterdir()] == [NAME]


def test_a_store_in_a_file_is_refused(tmp_path: Path) -> None:
    """A path that cannot be a folder is a clear error."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageUnavailable, match="cannot be used"):
        open_assets(f"file://{tmp_path}/file").write(NAME, DATA)


@pytest.mark.parametrize("url", ["assets", "nosuchscheme://x"])
def test_unknown_stores_are_refused(url: str) -> None:
    """An address without a scheme, or of a store nobody knows, is refused with what to do."""
    with pytest.raises(StorageUnavailable) as caught:
        open_assets(url)
    assert caught.value.remedy
