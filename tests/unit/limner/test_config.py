"""`limner.yaml`: what it takes, and how it says no."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.config import Config, load_config
from limner.errors import ConfigInvalid, exit_code
from limner.runtime import build_provider


def written(folder: Path, text: str) -> Path:
    file = folder / "limner.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_no_file_means_embedded_defaults(tmp_path: Path) -> None:
    """Without a file the starter model, SQLite and local folders beside the working folder are meant."""
    config = load_config(folder=tmp_path)
    assert config.root == tmp_path
    assert config.provider_sections()["local"].settings == {"model": "starter"}
    assert config.audit_url == f"sqlite:///{tmp_path}/.limner/audit.db"


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    """Databases, assets and policies are found wherever the process was started."""
    file = written(
        tmp_path, 'audit: {url: "sqlite:///data/a.db"}\nassets: {url: "file://pictures"}\npolicy: [house.yaml]\n'
    )
    config = load_config(file)
    assert config.audit_url == f"sqlite:///{tmp_path}/data/a.db"
    assert config.assets_url == f"file://{tmp_path}/pictures"
    assert config.path(config.policy[0]) == tmp_path / "house.yaml"


def test_addresses_that_are_no_paths_stay(tmp_path: Path) -> None:
    """A PostgreSQL or S3 address, and an absolute path, are left as they are."""
    file = written(
        tmp_path,
        'audit: {url: "postgresql+psycopg://h/db"}\nkeys: {url: "sqlite:////var/k.db"}\nassets: {url: "s3://b/p"}\n',
    )
    config = load_config(file)
    assert (config.audit_url, config.keys_url, config.assets_url) == (
        "postgresql+psycopg://h/db",
        "sqlite:////var/k.db",
        "s3://b/p",
    )


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("routin: {}\n", ":1:1", "Did you mean 'routing'?"),
        ("audit:\n  urll: x\n", ":2:3", "Did you mean 'url'?"),
        ("environment: prod\n", ":1:1", "'development' or 'production'"),
        ("root: /\n", ":1:1", "no key of this file"),
        ("routing: {order: [a, b]}\nproviders: {a: {kind: test}}\n", "", "routing.order names 'b'"),
    ],
)
def test_wrong_keys_and_values_name_their_place(tmp_path: Path, text: str, place: str, says: str) -> None:
    """A mistake is reported with file, line and column, and with what was probably meant."""
    file = written(tmp_path, text)
    with pytest.raises(ConfigInvalid) as caught:
        load_config(file).provider_sections()
    assert place in str(caught.value)
    assert says in str(caught.value)
    assert exit_code(caught.value) == 2


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: &x 1\nb: *x\n", "\ta: 1\n", "%YAML 1.1\n---\na: 1\n"])
def test_what_is_no_plain_yaml_is_refused(tmp_path: Path, text: str) -> None:
    """Duplicate keys, anchors, tabs and directives are errors, exit code 2."""
    with pytest.raises(ConfigInvalid) as caught:
        load_config(written(tmp_path, text))
    assert exit_code(caught.value) == 2


def test_a_secret_in_clear_text_is_refused_and_not_repeated(tmp_path: Path) -> None:
    """Secrets come from the environment; the error does not show the one that was found."""
    file = written(tmp_path, "providers: {o: {kind: openai, api_key: sk-very-secret}}\n")
    with pytest.raises(ConfigInvalid) as caught:
        load_config(file)
    assert "sk-very-secret" not in str(caught.value)
    assert "${API_KEY}" in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "refused"),
    [
        ('headers: {api-key: "sk-very-secret"}', True),
        ('headers: {Authorization: "Bearer sk-very-secret"}', True),
        ('headers: {Authorization: "Bearer ${THE_KEY}"}', False),
        ('query: {code: "sk-very-secret"}', True),
        ('query: {api-version: "2026-01-01"}', False),
        ('headers: {X-Team: "design"}', False),
    ],
)
def test_a_secret_of_a_header_or_a_query_is_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, refused: bool
) -> None:
    """What carries a credential comes from the environment, wholly or behind its scheme's word; all else may stand."""
    monkeypatch.setenv("THE_KEY", "one")
    file = written(tmp_path, f"providers: {{o: {{kind: openai, {setting}}}}}\n")
    if not refused:
        assert load_config(file).provider_sections()
        return
    with pytest.raises(ConfigInvalid, match="in clear text") as caught:
        load_config(file)
    assert "sk-very-secret" not in str(caught.value)


def test_the_environment_fills_in_and_stays_out_of_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file has the same digest whatever the secret is."""
    file = written(tmp_path, 'providers: {o: {kind: openai, api_key: "${THE_KEY}"}}\n')
    with pytest.raises(ConfigInvalid, match="THE_KEY"):
        load_config(file)
    monkeypatch.setenv("THE_KEY", "one")
    first = load_config(file)
    monkeypatch.setenv("THE_KEY", "two")
    second = load_config(file)
    assert first.providers["o"].settings["api_key"] == "one"
    assert first.digest == second.digest


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A configuration that is not there is exit code 2 with a remedy."""
    with pytest.raises(ConfigInvalid, match="limner init"):
        load_config(tmp_path / "nowhere.yaml")


def test_country_no_is_a_text(tmp_path: Path) -> None:
    """YAML 1.2: `no` is a word, not a boolean."""
    config = load_config(written(tmp_path, "providers: {no: {kind: test, delay: 1}}\n"))
    assert list(config.providers) == ["no"]
    assert config.providers["no"].settings == {"delay": 1}


def test_the_default_is_a_plain_object() -> None:
    """`Config()` can be made in code, for tests and notebooks."""
    assert Config().environment == "development"


def test_engines_secrets_may_be_missing_where_no_engine_is_asked(tmp_path: Path) -> None:
    """An auditor has no engine's key; what else the file needs is needed, and the engine says what it lacks."""
    file = written(tmp_path, 'providers: {o: {kind: openai, headers: {k: "${THE_KEY}"}}, t: {kind: test}}\n')
    config = load_config(file, engines=False)
    assert config.unset == {"o": "THE_KEY"}
    with pytest.raises(ConfigInvalid, match=r"providers\.o needs the variable THE_KEY, which is not set"):
        build_provider(config, "o")
    assert build_provider(config, "t").kind == "test"
    with pytest.raises(ConfigInvalid, match="KEK"):
        load_config(written(tmp_path, 'keys: {kek: "${KEK}"}\n'), engines=False)
    with pytest.raises(ConfigInvalid, match="unset"):
        load_config(written(tmp_path, "unset: {a: b}\n"))


def test_a_list_in_place_of_names_says_what_to_write(tmp_path: Path) -> None:
    """The remedy shows the shape that is meant."""
    with pytest.raises(ConfigInvalid, match=r"providers: .*Write names with their values"):
        load_config(written(tmp_path, "providers: [{kind: test}]\n"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://limner:hunter2@db/limner",
        "postgresql+psycopg://limner:hun${X}ter2@db/limner",
        "postgresql+psycopg://db/limner?user=limner&password=hunter2",
    ],
)
def test_a_password_in_a_database_address_is_refused(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database's password comes from the environment alone, and is not repeated in the complaint."""
    monkeypatch.setenv("X", "x")
    with pytest.raises(ConfigInvalid, match=r"audit\.url holds a secret in clear text") as caught:
        load_config(written(tmp_path, f'audit: {{url: "{url}"}}\n'))
    assert "ter2" not in str(caught.value)
    assert "PGPASSWORD" in caught.value.remedy


def test_a_password_from_the_environment_is_encoded_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever signs a password has, the address stays an address, and no representation shows it."""
    monkeypatch.setenv("DB_PASSWORD", "p@ss/w:rd")
    config = load_config(written(tmp_path, 'audit: {url: "postgresql+psycopg://limner:${DB_PASSWORD}@db/limner"}\n'))
    assert config.audit_url == "postgresql+psycopg://limner:p%40ss%2Fw%3Ard@db/limner"
    assert "p%40ss" not in repr(config)
    assert "p@ss" not in repr(config)


def test_no_representation_shows_a_secret_of_an_open_section() -> None:
    """Providers, detectors and signers check their settings themselves; their secrets are left out all the same."""
    part = {"api_key": "s3cret-value", "model": "a-model"}
    config = Config.model_validate(
        {
            "providers": {"p": {"kind": "openai", **part}},
            "detectors": {"d": part},
            "signing": {"signer": {"kind": "cloud", **part}},
        }
    )
    assert "s3cret" not in repr(config)
    assert repr(config).count("a-model") == 3
    assert config.detector_settings() == {"d": part}
