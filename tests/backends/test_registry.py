"""How kinds are found and built, and what a mistake in the file reads like."""

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest
from pydantic import ValidationError

from bot.backends import Backend, registry
from bot.backends.marks import Marks
from bot.backends.settings import Frozen, Misconfigured, from_environment
from bot.core.errors import BackendRefused

MEMORY = {"principals": ["alice"], "roles": ["visitor"]}


def build(kind: str, raw: dict[str, object], env: dict[str, str] | None = None) -> Backend:
    return registry.create(kind, raw, name="prod", installation="acme", env=env or {})


@pytest.mark.parametrize("kind", registry.BUILT_IN)
def test_every_kind_offers_settings_with_a_description_on_every_field(kind: str) -> None:
    settings = registry.load(kind).Settings
    assert all(field.description for field in settings.model_fields.values())
    assert settings.model_config["extra"] == "forbid"
    assert settings.model_config["frozen"]
    assert settings.model_json_schema()["additionalProperties"] is False


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(Misconfigured, match=r"no backend kind 'postgers'.*memory, postgres, aws-iam, ssh"):
        registry.load("postgers")


def test_a_missing_client_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("bot.backends.postgres")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(Misconfigured, match=r"postgres needs asyncpg.*pip install '\.\[postgres\]'"):
        registry.load("postgres")


def test_every_mistake_is_told_by_its_key_and_never_by_its_value() -> None:
    with pytest.raises(Misconfigured) as caught:
        build("postgres", {"url": "postgresql://u:hunter2@h/d", "url_env": 7, "roles": []})
    assert {mistake.partition(":")[0] for mistake in caught.value.mistakes} == {
        "prod.url", "prod.url_env", "prod.roles",
    }  # fmt: skip
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_check_leaves_places_of_mistakes_to_whoever_collects_them() -> None:
    registry.check("memory", MEMORY)
    with pytest.raises(ValidationError):
        registry.check("memory", {})


def test_a_missing_variable_is_told_with_its_name_and_key() -> None:
    with pytest.raises(
        Misconfigured, match=r"prod\.url_env: the environment variable PROD_DB_URL is not set"
    ):
        build("postgres", {"url_env": "PROD_DB_URL", "roles": ["prod_ro"]})
    assert from_environment({"A": "s"}, "A", key="k", name="n").reveal() == "s"


def test_strangers_are_found_by_entry_point_and_cannot_replace_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Settings(Frozen):
        pass

    theirs = object()
    module = ModuleType("their_adapter")
    module.Settings = Settings  # type: ignore[attr-defined]  # a module made for this test
    module.create = lambda _settings, **_: theirs  # type: ignore[attr-defined]  # the same
    monkeypatch.setitem(sys.modules, "their_adapter", module)
    entries = [EntryPoint(name, "their_adapter", registry.GROUP) for name in ("vault", "postgres")]
    monkeypatch.setattr(registry, "entry_points", lambda *, group: entries if group == registry.GROUP else [])
    assert registry.kinds() == ("memory", "postgres", "aws-iam", "ssh", "vault")
    assert build("vault", {}) is theirs
    assert registry.load("postgres").__name__ == "bot.backends.postgres"  # type: ignore[attr-defined]  # a module


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("bg-acme-7k3q2m", True),
        ("bg-acme-2-7k3q2m", False),
        ("bg-acme-7k3q2m\n", False),
        ("bg-acme-7k3q2", False),
        ("BG-ACME-7K3Q2M", False),
        ("bg-acmee-7k3q2m", False),
        ("", False),
    ],
)
def test_a_mark_is_ours_whole_or_not_at_all(name: str, ours: bool) -> None:
    marks = Marks("acme")
    assert marks.ours(name) is ours
    if not ours:
        with pytest.raises(BackendRefused):
            marks.demand(name)


def test_an_installation_whose_name_begins_with_anothers_is_not_that_one() -> None:
    assert Marks("acme-2").ours("bg-acme-2-7k3q2m")
    assert not Marks("acme").ours("bg-acme-2-7k3q2m")
    assert not Marks("acme-2").ours("bg-acme-7k3q2m")
