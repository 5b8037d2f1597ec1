"""What is published beside the code: the example, the schema for editors and the reference agree with it."""

import json
import re
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
from bot.config import ConfigError, Environment, load
from bot.config import file as models
from bot.config.environment import COMMANDS, VARIABLES
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


def test_every_time_in_the_file_has_its_limits_and_the_reference_says_them() -> None:
    def times(schema: object) -> list[dict[str, Any]]:
        if isinstance(schema, list):
            return [found for one in schema for found in times(one)]
        if not isinstance(schema, dict):
            return []
        inner = [found for one in schema.values() for found in times(one)]
        return [schema, *inner] if str(schema.get("pattern", "")).startswith("^(?=.*[1-9])") else inner

    found = times(json.loads(schema()))
    assert len(found) == 11
    for one in found:
        assert one["x-limits"] == " to ".join(one["examples"])
    assert '| `grant_deadline` | duration, 1s to 1m | `"20s"` |' in reference()
    assert "| `durations` | list of duration, 1s to 7d | required |" in reference()


def test_the_reference_says_which_command_needs_which_variable() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", reference(), re.MULTILINE))
    assert rows.keys() == VARIABLES.keys()
    assert rows["BREAKGLASS_COPY_TO"] == "`copy`"
    assert rows["BREAKGLASS_SIGNING_KEY_FILE"] == "`serve`"
    assert rows["SLACK_APP_TOKEN"] == "`serve` with the transport `socket`"
    assert rows["BREAKGLASS_SIGNING_MEMORY"] == rows["BREAKGLASS_DATABASE_URL"] == ""
    for name, needed in rows.items():
        for command in re.findall(r"`([a-z]+)`", needed.partition(" with ")[0]):
            with pytest.raises(ConfigError, match=f"{name}: It is not set"):
                Environment.read({}, need=COMMANDS[command], transport=VARIABLES[name].transport or "socket")


def test_each_is_written_by_one_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bot.config", "schema"], capture_output=True, text=True, check=True
    )
    assert done.stdout == schema()
    assert (
        subprocess.run([sys.executable, "-m", "bot.config"], capture_output=True, check=False).returncode == 1
    )
