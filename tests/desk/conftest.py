"""The usual rig; stories that need another policy make their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.desk.rig import Rig, rig


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as built:
        yield built
