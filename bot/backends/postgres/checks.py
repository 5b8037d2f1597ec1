"""Is the broker's login enough, and no more? One sentence per problem, each with its fix."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from bot.backends.postgres.wire import Db, Server
from bot.core.errors import BackendError

OLDEST = 160000
"""PostgreSQL 16: the first where CREATEROLE reaches only one's own roles, and grants have INHERIT and SET."""

_BROKER: Final = """
SELECT r.rolname AS name, r.rolcreaterole AS createrole, pg_has_role('pg_signal_backend', 'USAGE') AS signal,
       r.rolsuper AS "SUPERUSER", r.rolbypassrls AS "BYPASSRLS",
       r.rolcreatedb AS "CREATEDB", r.rolreplication AS "REPLICATION"
FROM pg_roles r WHERE r.rolname = current_user
"""
_TOO_MUCH: Final = ("BYPASSRLS", "CREATEDB", "REPLICATION")
_ROLE: Final = """
SELECT pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION') AS admin,
       (pg_has_role(r.oid, 'USAGE') OR pg_has_role(r.oid, 'SET')) AND NOT b.rolsuper AS usable
FROM pg_roles r JOIN pg_roles b ON b.rolname = current_user WHERE r.rolname = $1::text
"""
_PLAIN: Final = """
SELECT NOT s.ssl AND inet_client_addr() IS NOT NULL AND NOT inet_client_addr() <<= '127.0.0.0/8'
       AND inet_client_addr() <> '::1'
FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()
"""


async def problems(server: Server, roles: tuple[str, ...]) -> Sequence[str]:
    """Asks as the broker, and changes nothing."""
    try:
        async with server.session() as db:
            return [sentence async for sentence in _problems(db, roles)]
    except BackendError as error:
        return [str(error)]


async def _problems(db: Db, roles: tuple[str, ...]) -> AsyncIterator[str]:
    if int(await db.fetchval("SELECT current_setting('server_version_num')")) < OLDEST:
        yield "The server is older than PostgreSQL 16, whose grants know no INHERIT and SET. Upgrade it."
        return
    async for sentence in _broker(db):
        yield sentence
    async for sentence in _server(db):
        yield sentence
    for role in roles:
        row = await db.fetchrow(_ROLE, role)
        if row is None:
            yield f'The role "{role}" does not exist. Create it, or take it out of `roles`.'
        elif not row["admin"]:
            yield (
                f'The broker may not grant "{role}". Run: '
                f'GRANT "{role}" TO the broker WITH ADMIN TRUE, INHERIT FALSE, SET FALSE.'
            )
        elif row["usable"]:
            yield (
                f'The broker itself can use "{role}", which it never needs. Run: '
                f'GRANT "{role}" TO the broker WITH INHERIT FALSE, SET FALSE.'
            )


async def _server(db: Db) -> AsyncIterator[str]:
    # The manual on SYSTEM_USER: how we proved who we are; NULL if nobody asked, as with `trust`.
    if await db.fetchval("SELECT system_user") is None:
        yield (
            "The server let the broker in without asking for a password: a trust line in pg_hba.conf "
            "applies. Neither passwords nor VALID UNTIL mean anything there. Use scram-sha-256."
        )
    if await db.fetchval("SELECT pg_is_in_recovery()"):
        yield "This is a standby, where no role can be made. Give the URL of the primary."
    if await db.fetchval("SELECT current_setting('password_encryption')") != "scram-sha-256":
        yield "password_encryption is not scram-sha-256: people's passwords are kept weakly. Set it."
    if await db.fetchval(_PLAIN):
        yield "The connection is not encrypted. Add sslmode=verify-full to the URL."


async def _broker(db: Db) -> AsyncIterator[str]:
    row = await db.fetchrow(_BROKER)
    assert row is not None
    if row["SUPERUSER"]:
        yield f'The broker "{row["name"]}" is a superuser. Give it a login with CREATEROLE instead.'
        return
    for attribute in _TOO_MUCH:
        if row[attribute]:
            yield f'The broker never needs {attribute}. Run: ALTER ROLE "{row["name"]}" NO{attribute}.'
    if not row["createrole"]:
        yield f'The broker cannot make roles. Run: ALTER ROLE "{row["name"]}" CREATEROLE.'
    if not row["signal"]:
        yield f'The broker cannot cut sessions. Run: GRANT pg_signal_backend TO "{row["name"]}".'
