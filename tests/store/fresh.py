"""A new database by the real migrations, run once per test process: it is copied after that.

`on(cluster)` puts it on PostgreSQL, with two roles as an installation has them: the owner migrates, and what
`fresh` returns is the address of the application's role, which may do no more than it needs.
"""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bot.store import grant_rights, migrate, open_engine
from tests.providers.fixtures import Cluster

OWNER, APP = "breakglass_owner", "breakglass_app"
PASSWORD = "a word for tests"

_migrated: list[bytes] = []
_clusters: list[Cluster] = []
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Addresses:
    """One database, as each role reaches it. All are for our engine."""

    app: str
    owner: str
    admin: str


async def fresh(file: Path) -> str:
    """Puts a migrated database at `file`, or on PostgreSQL inside `on`; returns its address."""
    if _clusters:
        return (await fresh_on(_clusters[-1])).app
    if not _migrated:
        with tempfile.TemporaryDirectory() as folder:
            engine = open_engine(f"sqlite+aiosqlite:///{folder}/migrated.db")
            await migrate(engine)
            await engine.dispose()
            _migrated.append(Path(folder, "migrated.db").read_bytes())  # noqa: ASYNC240  once, and small
    file.write_bytes(_migrated[0])  # noqa: ASYNC240  the same
    return f"sqlite+aiosqlite:///{file}"


def owners(url: str) -> str:
    """The address of the same database for who owns it."""
    return url.replace(f"//{APP}:", f"//{OWNER}:")


def plain(url: str) -> str:
    """The address as an operator writes it, without our driver."""
    return url.replace("+asyncpg", "").replace("+aiosqlite", "")


@contextmanager
def on(cluster: Cluster) -> Iterator[None]:
    """Inside, `fresh` makes its databases on this server."""
    _clusters.append(cluster)
    try:
        yield
    finally:
        _clusters.pop()


async def fresh_on(cluster: Cluster, template: str = "breakglass_migrated") -> Addresses:
    """A migrated database of its own on this server."""
    await _prepared(cluster)
    return await _database(cluster, template)


async def bare_on(cluster: Cluster) -> Addresses:
    """The same without a schema, owned by the owner."""
    await _prepared(cluster)
    return await _database(cluster, "template1")


async def _database(cluster: Cluster, template: str) -> Addresses:
    name = f"bg_test_{next(_numbers)}"
    await _as_admin(
        cluster,
        f"DROP DATABASE IF EXISTS {name}",
        f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template}",
    )
    return addresses(cluster, name)


def addresses(cluster: Cluster, name: str) -> Addresses:
    """Those of one database."""
    app, owner = (cluster.url(role, PASSWORD, name) for role in (APP, OWNER))
    return Addresses(*(url.replace("://", "+asyncpg://", 1) for url in (app, owner, cluster.admin_url(name))))


async def _prepared(cluster: Cluster) -> None:
    if cluster.prepared:
        return
    cluster.prepared = True
    await _as_admin(
        cluster,
        "DROP DATABASE IF EXISTS breakglass_migrated",
        f"DROP ROLE IF EXISTS {OWNER}",
        f"DROP ROLE IF EXISTS {APP}",
        f"CREATE ROLE {OWNER} LOGIN PASSWORD '{PASSWORD}'",
        f"CREATE ROLE {APP} LOGIN PASSWORD '{PASSWORD}'",
        f"CREATE DATABASE breakglass_migrated OWNER {OWNER}",
    )
    engine = open_engine(addresses(cluster, "breakglass_migrated").owner)
    try:
        await migrate(engine)
        await grant_rights(engine, APP)
    finally:
        await engine.dispose()


async def _as_admin(cluster: Cluster, *statements: str) -> None:
    connection = await asyncpg.connect(cluster.admin)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
