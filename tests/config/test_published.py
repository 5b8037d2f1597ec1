"""What is published beside the code: the example, the schema for editors and the reference agree with it."""

import json
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # published without types
import pytest
from pydantic import BaseModel

from bot.backends import registry
from bot.check.facts import Facts, Us
from bot.check.lockouts import lockouts
from bot.check.surroundings import loose_ends
from bot.config import file as models
from bot.config import load
from bot.config.reference import reference, schema
from bot.core.model import Person, PersonId

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config" / "breakglass.toml"
TABLES = [
    table
    for table in vars(models).values()
    if isinstance(table, type) and issubclass(table, models.Table) and table is not models.Table
]


def test_the_published_schema_is_the_models_own() -> None:
    assert (ROOT / "config" / "breakglass.schema.json").read_text() == schema(), (
        "run: python -m bot.config schema > config/breakglass.schema.json"
    )


def test_the_reference_is_the_models_own() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == reference(), (
        "run: python -m bot.config reference > docs/configuration.md"
    )


def test_the_example_is_right() -> None:
    config = load(EXAMPLE, {})
    assert set(config.policy.accesses) >= {"prod-db-read", "prod-db-admin", "practice"}


def test_nobody_is_locked_out_of_the_example() -> None:
    config = load(EXAMPLE, {})
    everyone = {PersonId(user) for role in config.roles.values() for user in role.users}
    us = Us("Sandbox", "T0SANDBOX1", "breakglass", None)
    facts = Facts(us, "", {id: Person(id, id) for id in everyone}, {}, {}, {})
    backends = {
        name: registry.create(
            backend.kind,
            backend.settings,
            name=name,
            installation=config.installation,
            env={"PROD_DB_URL": "postgresql://broker:x@db.example/app"},
        )
        for name, backend in config.backends.items()
    }
    found = [
        *lockouts(config, facts.roster(config), backends, everyone, datetime.now(UTC)),
        *loose_ends(config),
    ]
    assert found == []


def test_editors_find_the_example_right_too() -> None:
    assert EXAMPLE.read_text().startswith("#:schema ./breakglass.schema.json\n")
    published: dict[str, Any] = json.loads(schema())
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.validate(tomllib.loads(EXAMPLE.read_text()), published)


@pytest.mark.parametrize(
    "change", [{"instalation": "x"}, {"installation": "X!"}, {"history": {"heartbeat": "0m"}}]
)
def test_editors_find_mistakes(change: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(EXAMPLE.read_text()) | change, json.loads(schema()))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_field_says_what_it_is_for(table: type[BaseModel]) -> None:
    assert table.model_config.get("frozen")
    assert all(field.description for field in table.model_fields.values())


def test_each_is_written_by_one_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bot.config", "schema"], capture_output=True, text=True, check=True
    )
    assert done.stdout == schema()
    assert (
        subprocess.run([sys.executable, "-m", "bot.config"], capture_output=True, check=False).returncode == 1
    )
