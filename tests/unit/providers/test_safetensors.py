"""Damaged weight files are found before a library trips over them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner_providers._safetensors import check_safetensors
from limner_providers.errors import ModelUnavailable

MakeFile = Callable[..., Path]


def test_a_whole_file_passes(tmp_path: Path, safetensors_file: MakeFile) -> None:
    """Nothing is said of a good file."""
    check_safetensors(safetensors_file(tmp_path / "a.safetensors", 1000))


def test_every_cut_is_found(tmp_path: Path, safetensors_file: MakeFile) -> None:
    """A file that lacks its end, however much of it, is refused by name."""
    path = safetensors_file(tmp_path / "a.safetensors", 40)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ModelUnavailable, match=r"a\.safetensors"):
            check_safetensors(path)


def test_bytes_too_many_are_found(tmp_path: Path, safetensors_file: MakeFile) -> None:
    """A file with something behind its weights is not the file it says it is."""
    path = safetensors_file(tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ModelUnavailable, match="8 bytes of weights, 9 are there"):
        check_safetensors(path)


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[]",
        b"null",
        b'{"w": 3}',
        b'{"w": {}}',
        b'{"w": {"data_offsets": 3}}',
        b'{"w": {"data_offsets": ["a", "b"]}}',
        b'{"w": {"data_offsets": [0, 1e999]}}',
        b"[" * 50_000,
    ],
)
def test_an_unreadable_header_is_said(tmp_path: Path, header: bytes) -> None:
    """A header that is no description of tensors is an error of ours, not of a library."""
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ModelUnavailable, match=r"a\.safetensors"):
        check_safetensors(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_bytes_make_it_crash(tmp_path: Path, data: bytes) -> None:
    """Whatever stands in a file, the answer is yes or ModelUnavailable."""
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelUnavailable):
        check_safetensors(path)


def test_a_missing_file_is_said_by_name(tmp_path: Path) -> None:
    """No traceback of the operating system."""
    with pytest.raises(ModelUnavailable, match="nothing"):
        check_safetensors(tmp_path / "nothing.safetensors")
