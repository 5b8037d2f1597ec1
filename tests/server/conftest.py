"""A rig for every test here; the server in it is started by the test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.providers.fixtures import cluster
from tests.server.rig import Rig, rig
from tests.store.conftest import kind

__all__ = ["cluster", "kind"]

LONG = {
    "test_audit_channel",
    "test_http",
    "test_on_postgres",
    "test_operating",
    "test_rounds",
    "test_slack_away",
}
"""Stories that take their time; `make test-heavy` plays them."""

QUICK = {"test_a_night", "test_restored"}
"""Stories that `make test` plays on PostgreSQL too; `make test-heavy` plays all of them there."""

OVER_HTTP = {"test_a_night"}
"""The same for HTTP."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            stem = item.path.stem
            spared = (
                stem in LONG
                or ("postgres" in item.name and stem not in QUICK)
                or ("-http" in item.name and stem not in OVER_HTTP)
            )
            if spared:
                item.add_marker(pytest.mark.heavy)


@pytest.fixture
async def it(tmp_path: Path, request: pytest.FixtureRequest, kind: str) -> AsyncIterator[Rig]:
    """In Socket Mode, unless the test asks for another transport; on SQLite, and again on PostgreSQL."""
    assert kind
    async with rig(tmp_path, transport=getattr(request, "param", "socket")) as built:
        yield built
