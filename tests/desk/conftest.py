"""The usual rig; stories that need another policy make their own. Each on SQLite, and again on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.desk.rig import Rig, rig
from tests.providers.fixtures import cluster
from tests.store.conftest import kind

__all__ = ["cluster", "kind"]

QUICK = {"test_at_once", "test_stories"}
"""What `make test` runs on PostgreSQL too; `make test-heavy` runs all of it there."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        here = item.path.parent == Path(__file__).parent
        if here and "postgres" in item.name and item.path.stem not in QUICK:
            item.add_marker(pytest.mark.heavy)


@pytest.fixture(autouse=True)
def database(kind: str) -> str:
    """What `rig` puts its database on."""
    return kind


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as built:
        yield built
