"""The bench, for every story here."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.slack.bench import Bench, bench


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made
