"""The HTTP side of the sandbox: one aiohttp server on 127.0.0.1 that can go down and come back."""

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
        app.router.add_get("/archives/{channel}/{name}", self._permalink)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        self._site: web.TCPSite | None = None
        self.port = 0

    async def up(self, port: int = 0) -> None:
        """Listen; the first time on a free port, afterwards on the same."""
        if self._runner.server is None:
            await self._runner.setup()
        self._site = web.TCPSite(self._runner, HOST, port or self.port, reuse_address=True)
        await self._site.start()
        self.port = port or int(self._runner.addresses[0][1])

    async def down(self) -> None:
        """Refuse connections until `up`."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
        await self._sockets.drop()
        server = self._runner.server
        for connection in server.connections if server is not None else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def close(self) -> None:
        """End for good."""
        await self._sockets.close()
        await self._runner.cleanup()

    async def _permalink(self, request: web.Request) -> web.Response:
        """The page behind a permalink: the message in plain text."""
        digits = request.match_info["name"].removeprefix("p")
        message = self._workspace.find(request.match_info["channel"], f"{digits[:-6]}.{digits[-6:]}")
        if message is None:
            raise web.HTTPNotFound
        return web.Response(text=message.human_text())
