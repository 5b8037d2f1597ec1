"""A rig for every test here; the server in it is started by the test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.rig import Rig, rig


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as built:
        yield built
