"""`GET /health`: the process answers. `GET /ready`: access can be granted, and what is held will end on time.

Rule: these pages say nothing about people or requests; they may be read by anybody who can reach the port.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from bot.core.errors import BreakglassError

Ready = Callable[[], Mapping[str, str]]
"""Everything that is not as it should be, by name; empty when ready."""

GOODBYE: Final = 3.0
"""Seconds that answers on their way are given at the end. Slack waits no longer for one."""


@asynccontextmanager
async def health_pages(
    listen: str, ready: Ready, more: Iterable[web.AbstractRouteDef] = ()
) -> AsyncIterator[int]:
    """Serves both pages, and `more`, at `listen` (`host:port`) while the block runs; yields the port.

    Raises:
        BreakglassError: nobody can listen there.
    """
    host, _, port = listen.rpartition(":")

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def readiness(_request: web.Request) -> web.Response:
        trouble = ready()
        return web.json_response(
            {"ready": not trouble, "trouble": dict(trouble)}, status=503 if trouble else 200
        )

    app = web.Application()
    app.add_routes([web.get("/health", health), web.get("/ready", readiness), *more])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GOODBYE)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            raise BreakglassError(
                f"Nobody can listen at {listen} ({os.strerror(error.errno or 0)}). Stop what is there, "
                "or change listen under [http]."
            ) from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
