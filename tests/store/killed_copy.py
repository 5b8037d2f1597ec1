"""`breakglass copy` that kills itself, with SIGKILL, at the commit that CRASH_AT names.

The code under test knows nothing of it: the two commits of the command's two connections are counted here.
"""

import asyncio
import functools
import os
import signal

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.operate import copying

POINTS = iter(("source", "target"))
"""In the order in which the command commits."""


def instrument() -> None:
    """Points around each commit that `copy` makes by hand."""
    original = AsyncConnection.commit

    @functools.wraps(original)
    async def commit(self: AsyncConnection) -> None:
        name = next(POINTS)
        _point(f"before {name} commit")
        await original(self)
        _point(f"after {name} commit")

    AsyncConnection.commit = commit  # type: ignore[method-assign]  # this process lives for that alone


def _point(name: str) -> None:
    if os.environ["CRASH_AT"] == name:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    instrument()
    asyncio.run(copying.copied(os.environ, lambda _sentence: None))
