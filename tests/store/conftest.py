"""A real SQLite file with the real schema, and a store on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import Store, open_engine
from tests.core.samples import Clock
from tests.store.fresh import fresh

INSTALLATION = "acme"
ORIGIN = "breakglass.example/acme"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "breakglass.db"


@pytest.fixture
async def empty(file: Path) -> AsyncIterator[AsyncEngine]:
    """No schema yet."""
    engine = open_engine(f"sqlite+aiosqlite:///{file}")
    yield engine
    await engine.dispose()


@pytest.fixture
async def migrated(file: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(await fresh(file))
    yield engine
    await engine.dispose()


@pytest.fixture
async def store(migrated: AsyncEngine, clock: Clock) -> Store:
    store = Store(migrated, clock, policy="p" * 64)
    await store.begin_history(INSTALLATION, ORIGIN)
    return store
