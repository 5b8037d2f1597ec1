"""An operator at a shell, in the folder of an installation. No server runs unless the test starts one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.rig import Rig, rig


@pytest.fixture
async def it(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """In Socket Mode, unless the test asks for another transport."""
    async with rig(tmp_path, transport=getattr(request, "param", "socket")) as built:
        yield built
