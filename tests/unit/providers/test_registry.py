"""From kind and settings to a provider, and how a misspelt configuration is told."""

from __future__ import annotations

import sys
import types
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from limner_providers import make_provider, provider_kinds, registry
from limner_providers.diffusers import DiffusersProvider
from limner_providers.errors import ConfigurationInvalid, EngineUnavailable
from limner_providers.test import TestProvider


def test_the_built_in_kinds_are_made() -> None:
    """A name of the user's own, a kind, and settings."""
    local = make_provider("local", "diffusers", {"model": "starter", "threads": 1})
    fake = make_provider("fake", "test", {"fail": "refused", "cost": "0.04", "ledger": "calls.jsonl"})
    assert isinstance(local, DiffusersProvider)
    assert local.name == "local"
    assert isinstance(fake, TestProvider)
    assert {"diffusers", "test"} <= set(provider_kinds())


def test_built_in_kinds_are_found_without_looking_through_distributions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a client does not pay for it."""
    monkeypatch.setattr(registry, "entry_points", None)
    assert make_provider("fake", "test", {}).name == "fake"


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("difusers", {}, r"'difusers' is no kind\. Did you mean diffusers\?"),
    ("quantum", {}, r"'quantum' is no kind\. Known: .*diffusers.*test"),
    ("diffusers", {"modell": "x"}, r"'modell' is no setting of kind diffusers\. Did you mean model\?"),
    ("diffusers", {"base_folder": "x"}, "'base_folder' is no setting"),
    ("diffusers", {"dtype": "float8"}, r"providers\.p\.dtype is not valid"),
    ("diffusers", {"threads": 0}, r"providers\.p\.threads is not valid"),
    ("diffusers", {"model": 3}, r"providers\.p\.model is not valid"),
    ("test", {"delay": -1}, r"providers\.p\.delay is not valid"),
    ("test", {"cost": "cheap"}, r"providers\.p\.cost is not valid"),
    ("test", {"fail": "always"}, r"providers\.p\.fail is not valid.*'refused'"),
]


@pytest.mark.parametrize(("kind", "settings", "message"), WRONG)
def test_a_wrong_configuration_names_what_and_what_to_do(kind: str, settings: dict[str, Any], message: str) -> None:
    """Unknown kinds and settings come with a suggestion, wrong values with the reason."""
    with pytest.raises(ConfigurationInvalid, match=message):
        make_provider("p", kind, settings)


def test_values_are_not_repeated() -> None:
    """A setting may be a secret."""
    with pytest.raises(ConfigurationInvalid) as caught:
        make_provider("p", "test", {"cost": "sk-secret"})
    assert "sk-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


class Foreign:
    """A third party's provider, as far as the registry looks at it."""

    def __init__(self, name: str, *, address: str, price: Decimal = Decimal(1)) -> None:
        """Keep what it was given."""
        self.name = name
        self.address = address
        self.price = price


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install an entry point `foreign`."""
    module = types.ModuleType("foreign_provider")
    module.Foreign = Foreign  # type: ignore[attr-defined]  # that is how a module gets a name
    monkeypatch.setitem(sys.modules, "foreign_provider", module)
    entry = EntryPoint(name="foreign", value="foreign_provider:Foreign", group=registry.GROUP)
    broken = EntryPoint(name="broken", value="no_such_module_here:Foreign", group=registry.GROUP)

    def entry_points(*, group: str, name: str | None = None) -> list[EntryPoint]:
        return [found for found in (entry, broken) if name in {None, found.name}]

    monkeypatch.setattr(registry, "entry_points", entry_points)


@pytest.mark.usefixtures("foreign")
def test_an_installed_kind_is_made_with_converted_settings() -> None:
    """Another package's class is found by its entry point; its annotations convert what a file holds."""
    made: Any = make_provider("f", "foreign", {"address": "http://x", "price": "0.5"})
    assert (made.name, made.address, made.price) == ("f", "http://x", Decimal("0.5"))


@pytest.mark.usefixtures("foreign")
def test_a_missing_setting_is_named() -> None:
    """A parameter without a default has to be configured."""
    with pytest.raises(ConfigurationInvalid, match="address is missing"):
        make_provider("f", "foreign", {})


@pytest.mark.usefixtures("foreign")
def test_a_kind_that_cannot_be_imported_says_what_is_missing() -> None:
    """An installed plug-in without its own dependency is no crash."""
    with pytest.raises(EngineUnavailable, match="no_such_module_here"):
        make_provider("f", "broken", {})


def test_relative_models_count_from_the_base_folder(tmp_path: Path) -> None:
    """The configuration file's folder is handed on to kinds that take paths, and to no others."""
    local: Any = make_provider("local", "diffusers", {"model": "m"}, base_folder=tmp_path)
    assert local._find.keywords["base_folder"] == tmp_path
    assert make_provider("fake", "test", {}, base_folder=tmp_path).name == "fake"
