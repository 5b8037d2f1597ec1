"""A real database with the real schema, and a store on it: every test on SQLite, and again on PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import Store, open_engine
from tests.core.samples import Clock
from tests.providers.fixtures import Cluster, cluster
from tests.store.fresh import Addresses, bare_on, fresh, on, owners

__all__ = ["cluster"]

INSTALLATION = "acme"
ORIGIN = "breakglass.example/acme"


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which database the test is on."""
    if request.param == "sqlite":
        yield "sqlite"
        return
    with on(request.getfixturevalue("cluster")):
        yield "postgres"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where SQLite's database is."""
    return tmp_path / "breakglass.db"


@pytest.fixture
async def url(kind: str, file: Path) -> str:
    """The address of a migrated database, for the application."""
    assert kind
    return await fresh(file)


@pytest.fixture
async def bare(cluster: Cluster) -> Addresses:
    """A PostgreSQL database with an owner and without a schema."""
    return await bare_on(cluster)


@pytest.fixture
async def empty(kind: str, file: Path, request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    """No schema yet; on PostgreSQL as the owner."""
    if kind == "sqlite":
        engine = open_engine(f"sqlite+aiosqlite:///{file}")
    else:
        engine = open_engine((await bare_on(request.getfixturevalue("cluster"))).owner)
    yield engine
    await engine.dispose()


@pytest.fixture
async def migrated(url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def owner(url: str) -> AsyncIterator[AsyncEngine]:
    """The same database for who owns it: on SQLite that is everybody."""
    engine = open_engine(owners(url))
    yield engine
    await engine.dispose()


@pytest.fixture
async def store(migrated: AsyncEngine, clock: Clock) -> Store:
    store = Store(migrated, clock, policy="p" * 64)
    await store.begin_history(INSTALLATION, ORIGIN)
    return store
