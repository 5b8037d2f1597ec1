"""An operator at a shell, in the folder of an installation. No server runs unless the test starts one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.rig import Rig, rig


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path) as built:
        yield built
