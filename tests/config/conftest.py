"""A small right configuration, which each test makes wrong in its own way."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from bot.config import Config, ConfigError, load

SMALL = """
installation = "acme"
[channels]
requests = "C0REQ"
audit = "C0AUD"
security = "C0SEC"
[roles.on-call]
users = ["U0ALICE", "U0ERIN"]
[roles.leads]
users = ["U0BOB", "U0CAROL"]
[roles.security]
users = ["U0DANA"]
[desk]
security = ["security"]
[review]
reviewers = ["security"]
[backends.db]
kind = "memory"
[backends.db.people]
U0ALICE = "alice"
[accesses.db-read]
title = "Database, read"
environment = "production"
risk = "high"
backend = "db"
scope = { role = "ro" }
durations = ["15m", "1h"]
requesters = ["on-call"]
approval = [{ roles = ["leads"] }]
[scenarios.locks]
title = "Locked"
criteria = ["Customers are affected"]
accesses = ["db-read"]
incident = { pattern = 'INC-\\d+', example = "INC-42" }
"""


class AnySettings(BaseModel):
    """A kind of backend that takes whatever it is told."""


Loads = Callable[..., Config]
Problems = Callable[..., list[str]]


@pytest.fixture
def loads(tmp_path: Path) -> Loads:
    """`loads((old, new), ...)`: the small configuration with these texts replaced."""

    def do(*changes: tuple[str, str], more: str = "") -> Config:
        text = SMALL
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "breakglass.toml"
        path.write_text(text + more)
        return load(path, {}, settings_of=lambda _: AnySettings)

    return do


@pytest.fixture
def problems(loads: Loads) -> Problems:
    """`problems((old, new), ...)`: what is said about it."""

    def do(*changes: tuple[str, str], more: str = "") -> list[str]:
        with pytest.raises(ConfigError) as error:
            loads(*changes, more=more)
        return error.value.problems

    return do
