"""A rig for every test here; the server in it is started by the test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.rig import Rig, rig

CUT_OFF = pytest.mark.filterwarnings("ignore:<aiosqlite.core.Connection:ResourceWarning")
"""A crash in the middle of opening a connection to the database leaves it to the collector."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(CUT_OFF)


@pytest.fixture
async def it(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """In Socket Mode, unless the test asks for another transport."""
    async with rig(tmp_path, transport=getattr(request, "param", "socket")) as built:
        yield built
