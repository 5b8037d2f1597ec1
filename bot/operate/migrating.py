"""`breakglass migrate`: the schema, and on PostgreSQL the rights of the application's role.

Rule: on PostgreSQL the tables belong to another role than the server's. The owner's address is read here
alone; afterwards the application's role is asked whether it may do what it must, and no more.
"""

from collections.abc import Mapping
from typing import TypedDict

from bot.config import MIGRATE, ConfigError, Environment
from bot.store import grant_rights, is_file, open_engine, require_owner, require_rights, role_of
from bot.store import migrate as to_newest

OWNER = "BREAKGLASS_OWNER_DATABASE_URL"


class Migrated(TypedDict):
    """The schema's revision before and after; None before there was one."""

    before: str | None
    after: str | None


async def migrate(env: Mapping[str, str]) -> Migrated:
    """Brings the database to this version's schema; on PostgreSQL also grants the application its rights.

    Raises:
        ConfigError: the owner's address is missing.
        WrongRights: owner and application are one, or the application may do too much or too little.
        DatabaseUnreachable: with the reason.
    """
    environment = Environment.read(env, need=MIGRATE)
    url, owner = environment.database_url.reveal(), environment.owner_database_url.reveal()
    if is_file(url):
        return await _upgraded(url)
    if not owner:
        raise ConfigError(
            [
                (
                    f"{OWNER}: It is not set. On PostgreSQL the tables belong to another role than the "
                    "server's: write here the same database as that role, for this command alone."
                )
            ]
        )
    if is_file(owner):
        raise ConfigError([f"{OWNER}: It names a file, and BREAKGLASS_DATABASE_URL names PostgreSQL."])
    role = role_of(url)
    if not role:
        raise ConfigError(["BREAKGLASS_DATABASE_URL: It names no role. Write postgresql://role:password@…"])
    engine = open_engine(owner, patient=True)
    try:
        await require_owner(engine, role)
        before, after = await to_newest(engine)
        await grant_rights(engine, role)
    finally:
        await engine.dispose()
    engine = open_engine(url)
    try:
        await require_rights(engine)
    finally:
        await engine.dispose()
    return {"before": before, "after": after}


async def _upgraded(url: str) -> Migrated:
    engine = open_engine(url, patient=True)
    try:
        before, after = await to_newest(engine)
    finally:
        await engine.dispose()
    return {"before": before, "after": after}
