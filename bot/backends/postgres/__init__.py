"""PostgreSQL: one role per grant, named by the mark. PostgreSQL 16 or later.

    adapter   the four promises of a backend, as numbered steps
    catalog   what the server says exists: the only memory there is
    checks    is our own login enough, and no more?
    scram     a password the server can check and nobody can read
    wire      connections, deadlines, and the server's errors in our words

The rule: a grant is a role of its own (`bg-acme-7k3q2m`), never a direct `GRANT prod_ro TO alice`. So every
grant ends without touching another one, or anything that a person was given by other means.
"""

import asyncio
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from pydantic import Field

from bot.backends.marks import Marks
from bot.backends.postgres.adapter import Door, Postgres
from bot.backends.postgres.wire import Server
from bot.backends.settings import Frozen, Misconfigured, from_environment

LONGEST_INSTALLATION = 40
"""So that every name we make fits into PostgreSQL's 63 bytes (NAMEDATALEN - 1), which it cuts silently."""


class Settings(Frozen):
    """One PostgreSQL cluster, reached with one broker login."""

    url_env: str = Field(
        description="Name of the environment variable with the broker's URL: "
        "postgresql://broker:password@host:5432/database?sslmode=verify-full."
    )
    roles: tuple[str, ...] = Field(
        min_length=1, description="Roles that may be granted, and no others. The broker needs ADMIN on each."
    )
    connection_limit: int = Field(
        default=2, ge=1, le=100, description="How many sessions an ephemeral login may have at a time."
    )
    handoff_host: str = Field(
        default="", description="Host that people connect to, where it differs from the broker's."
    )
    handoff_port: int | None = Field(
        default=None, ge=1, le=65535, description="Port that people connect to, where it differs."
    )
    handoff_database: str = Field(
        default="", description="Database that people connect to, where it differs."
    )
    deadline_s: float = Field(
        default=10.0, gt=0, le=60, description="Seconds after which a call without answer is given up."
    )
    connections: int = Field(
        default=3, ge=1, le=50, description="How many connections the broker opens at a time. Idle: none."
    )


def create(settings: Settings, *, name: str, installation: str, env: Mapping[str, str]) -> Postgres:
    """The backend, not yet connected.

    Raises:
        Misconfigured: no URL, not a PostgreSQL URL, or a name too long for PostgreSQL.
    """
    if len(installation) > LONGEST_INSTALLATION:
        raise Misconfigured(
            f"installation: at most {LONGEST_INSTALLATION} characters fit into a role's name."
        )
    url = from_environment(env, settings.url_env, key="url_env", name=name)
    return Postgres(
        Server(name, url, settings.deadline_s, asyncio.Semaphore(settings.connections)),
        Marks(installation),
        settings.roles,
        settings.connection_limit,
        _door(settings, url.reveal(), name),
    )


def _door(settings: Settings, url: str, name: str) -> Door:
    """Where people go: what the settings say, else where the broker goes."""
    wrong = Misconfigured(
        f"{name}.url_env: {settings.url_env} does not hold a URL of the form "
        "postgresql://user:password@host:port/database. "
        "With several hosts, set handoff_host, handoff_port and handoff_database too."
    )
    try:
        parts = urlsplit(url)
        if parts.scheme not in {"postgresql", "postgres"}:
            raise wrong
        several = "," in parts.netloc
        door = Door(
            settings.handoff_host or ("" if several else parts.hostname or ""),
            settings.handoff_port or (0 if several else parts.port or 5432),
            settings.handoff_database or unquote(parts.path.lstrip("/")) or unquote(parts.username or ""),
        )
    except ValueError:  # its text would quote the part it could not read, which may be the password
        raise wrong from None
    if not (door.host and door.port and door.database):
        raise wrong
    return door
