"""The HTTP side of the sandbox: one aiohttp server on 127.0.0.1 that can go down and come back."""

import asyncio
import socket
from dataclasses import replace

from aiohttp import web

from bot.sandbox.api import Api
from bot.sandbox.responses import Responses
from bot.sandbox.sockets import Sockets
from bot.sandbox.workspace import Workspace

HOST = "127.0.0.1"


class Server:
    """Routes requests; `down` refuses connections and cuts the open ones, `up` serves the same port again."""

    def __init__(self, api: Api, sockets: Sockets, responses: Responses, workspace: Workspace) -> None:
        self._sockets = sockets
        self._workspace = workspace
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_route("GET", "/api/{method}", api.handle)
        app.router.add_route("POST", "/api/{method}", api.handle)
        app.router.add_get("/link/", sockets.serve)
        app.router.add_post("/{family:commands|actions}/{team}/{number}/{secret}", responses.handle)
        app.router.add_post("/upload/{file}", self._upload)
        app.router.add_get("/archives/{channel}/{name}", self._permalink)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        self._listening: socket.socket | None = None
        self.port = 0

    async def up(self, port: int = 0) -> None:
        """Listen; the first time on a free port, afterwards on the same."""
        if self._runner.server is None:
            await self._runner.setup()
        self._listening = socket.create_server((HOST, port or self.port))
        await web.SockSite(self._runner, self._listening).start()
        self.port = int(self._listening.getsockname()[1])

    async def down(self) -> None:
        """Refuse connections until `up`."""
        await self._refuse()
        await self._sockets.drop()
        server = self._runner.server
        for connection in server.connections if server is not None else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def close(self) -> None:
        """End for good."""
        await self._refuse()
        await self._sockets.close()
        await self._runner.cleanup()

    async def _refuse(self) -> None:
        """Listen no more, once whoever is being accepted is in.

        asyncio accepts in one step and takes the connection up in a later one, which fails when its server
        was closed in between: then nobody closes it (CPython 3.11, `Server._attach`). Two turns of the loop:
        one takes it up, one tells aiohttp.
        """
        if self._listening is None:
            return
        asyncio.get_running_loop().remove_reader(self._listening)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for site in list(self._runner.sites):
            await site.stop()
        self._listening = None

    async def _upload(self, request: web.Request) -> web.Response:
        """Step two of an upload: the bytes, raw or as a form's file."""
        file = self._workspace.files.get(request.match_info["file"])
        if file is None or file.content is not None:
            raise web.HTTPNotFound
        content = await _bytes_of(request)
        if len(content) != file.length:
            return web.Response(status=400, text=f"expected {file.length} bytes")
        self._workspace.files[file.id] = replace(file, content=content)
        return web.Response(text=f"OK - {len(content)}")

    async def _permalink(self, request: web.Request) -> web.Response:
        """The page behind a permalink: the message in plain text."""
        digits = request.match_info["name"].removeprefix("p")
        message = self._workspace.find(request.match_info["channel"], f"{digits[:-6]}.{digits[-6:]}")
        if message is None:
            raise web.HTTPNotFound
        return web.Response(text=message.human_text())


async def _bytes_of(request: web.Request) -> bytes:
    if request.content_type != "multipart/form-data":
        return await request.read()
    for value in (await request.post()).values():
        if isinstance(value, web.FileField):
            return value.file.read()
    return b""
