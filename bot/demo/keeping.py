"""Where the bot of the demo keeps its history: an SQLite file, or PostgreSQL with two roles.

Rule: the bot gets the application's address alone; the owner's is for `breakglass migrate`.
"""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from bot.demo.plan import Plan
from bot.demo.production import Production

_ROLES = (
    "CREATE ROLE breakglass_owner LOGIN PASSWORD '{owner}'",
    "CREATE ROLE breakglass_app LOGIN PASSWORD '{app}'",
    "CREATE DATABASE breakglass OWNER breakglass_owner",
)


@dataclass(frozen=True, slots=True)
class Keeping:
    """The place of one history: what the bot's environment says of it, and the owner's for migrating."""

    env: dict[str, str] = field(repr=False)
    owner: dict[str, str] = field(repr=False)
    keys: Path
    """Beside which its keys lie, each with a suffix of its own."""
    continued: bool = False
    """The history was there before: somebody kept it from an earlier time."""


async def keep_history(plan: Plan, home: Path, production: Production) -> Keeping:
    """The place that `plan` wants; it is there afterwards, empty or kept."""
    if plan.database is None and plan.store == "postgres":
        return await _in_postgres(home, production)
    url = plan.database or f"sqlite:///{home}/breakglass.db"
    scheme, _, rest = url.partition(":///")
    env = {"BREAKGLASS_DATABASE_URL": url}
    if not scheme.startswith("sqlite"):
        return Keeping(env, {}, home / "history.db")
    file = Path(rest)
    file.parent.mkdir(parents=True, exist_ok=True)
    return Keeping(env, {}, file, file.exists())  # noqa: ASYNC240  once, at the start


async def _in_postgres(home: Path, production: Production) -> Keeping:
    """A database of its own, beside the production database on the same server."""
    words = {"owner": secrets.token_hex(12), "app": secrets.token_hex(12)}
    admin = await asyncpg.connect(production.server.url())
    try:
        for statement in _ROLES:
            await admin.execute(statement.format(**words))
    finally:
        await admin.close()
    url = production.server.url
    return Keeping(
        {"BREAKGLASS_DATABASE_URL": url("breakglass_app", words["app"], "breakglass")},
        {"BREAKGLASS_OWNER_DATABASE_URL": url("breakglass_owner", words["owner"], "breakglass")},
        home / "history.db",
    )
