"""Files that are replaced whole, recipes, packages."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """An error while writing keeps the file as it was and leaves no temporary one."""
    from limner_starter.workspace import replaced

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError

    target = tmp_path / "checkpoint.pt"
    target.write_text("old")
    with pytest.raises(RuntimeError), replaced(target) as temporary:
        fail(temporary)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """The new folder has nothing of the old one, and a failed export keeps the old one."""
    from limner_starter.workspace import replaced_folder

    target = tmp_path / "starter"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(RuntimeError), replaced_folder(target):
        raise RuntimeError
    assert (target / "old").exists()
    with replaced_folder(target) as temporary:
        (temporary / "new").touch()
    assert [file.name for file in target.iterdir()] == ["new"]


def test_scaling_changes_steps_only() -> None:
    """A scaled recipe has other budgets and the same batches, rates and seed; it is another recipe to a checkpoint."""
    from limner_starter.recipe import Recipe

    full, tenth = Recipe(), Recipe().scaled(0.1)
    assert (tenth.unet.steps, tenth.unet.batch) == (616, full.unet.batch)
    assert tenth.digest() != full.digest()
    assert full.scaled(1).digest() == full.digest()


@pytest.mark.parametrize("scale", [0, -1, 101, float("nan")])
def test_an_impossible_scale_is_refused(scale: float) -> None:
    """The message names the value and the range."""
    from limner_starter.errors import StarterError
    from limner_starter.recipe import Recipe

    with pytest.raises(StarterError, match=f"scale is {scale}"):
        Recipe().scaled(scale)


def test_other_package_versions_are_refused(shapes: Path) -> None:
    """Pictures of another version would give other weights, so the folder is refused by name and version."""
    from limner_starter.errors import BadWorkFolder
    from limner_starter.packages import require

    with pytest.raises(BadWorkFolder, match=r"version 1\.2\.9 is needed"):
        require(shapes)


def test_a_machine_without_npm_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without npm the message names what to install and the way around."""
    from limner_starter.errors import MissingTool
    from limner_starter.packages import install

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="--packages"):
        install(tmp_path / "npm")


def test_a_failing_npm_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When npm fails, the error carries what npm said."""
    from limner_starter.errors import StarterError
    from limner_starter.packages import install

    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'the registry is away' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(StarterError, match="the registry is away"):
        install(tmp_path / "work")
