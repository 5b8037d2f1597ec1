"""One demo in this process for all tests of the panel: the real bot, real databases, access of 8 seconds."""

from collections.abc import AsyncIterator

import pytest_asyncio

from bot.demo.demo import Demo, running
from bot.demo.plan import Plan


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def up() -> AsyncIterator[Demo]:
    """A demo that runs. Its history grows from test to test, as it does under a visitor."""
    async with running(Plan(durations=("8s", "15m"), change_durations=("15m",))) as demo:
        yield demo
