"""The page's own server on 127.0.0.1: beside Slack's, so that "Slack is down" does not take the page away."""

import asyncio
import html
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web

from bot.sandbox.page.acts import Acts
from bot.sandbox.page.guards import BODY_LIMIT, Guards
from bot.sandbox.page.stream import stream
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.server import HOST

FILES: Final = Path(__file__).parent / "files"
_TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".txt": "text/plain",
}
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9]+)+")


@dataclass(frozen=True)
class Beside:
    """What is shown beside the workspace and is not Slack.

    `folder` holds panel.js and panel.css and is served under /beside/; `routes` all lie below /beside/api/
    and stand behind the same guards as the page's own.
    """

    folder: Path
    routes: Sequence[web.RouteDef] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        for route in self.routes:
            if not route.path.startswith("/beside/api/"):
                raise ValueError(f"{route.path} is not below /beside/api/")


class Page:
    """The workspace in a browser. Made, then `up`, then `close`."""

    def __init__(self, sandbox: Sandbox, beside: Beside | None = None) -> None:
        self._sandbox = sandbox
        self._beside = beside
        self._acts = Acts(sandbox)
        self._guards = Guards()
        self._ended = asyncio.Event()
        app = web.Application(client_max_size=BODY_LIMIT, middlewares=[self._guards.middleware])
        app.on_response_prepare.append(self._guards.dress)
        app.on_shutdown.append(self._end)
        app.router.add_get("/", self._index)
        app.router.add_get("/stream", self._stream, allow_head=False)
        app.router.add_post("/act", self._act)
        files = {"files": FILES}
        if beside is not None:
            files["beside"] = beside.folder
            app.router.add_routes(beside.routes)
        for place, folder in files.items():
            app.router.add_get(f"/{place}/{{name}}", _serving(folder))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)

    @property
    def url(self) -> str:
        """Where the page is, with a slash at the end."""
        return f"http://{HOST}:{self._guards.port}/"

    async def up(self, port: int = 0) -> None:
        """Listen; port 0 takes a free one. OSError when the port is taken."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._guards.port = int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """End every stream and stop listening."""
        await self._runner.cleanup()

    async def _end(self, _app: web.Application) -> None:
        self._ended.set()
        self._sandbox.workspace.pulse.beat()

    async def _index(self, _request: web.Request) -> web.Response:
        text = (FILES / "index.html").read_text(encoding="utf-8")
        people = [user.id for user in self._sandbox.users.values() if not (user.is_bot or user.deleted)]
        filled = {
            "{{page-key}}": self._guards.key,
            "{{people}}": " ".join(people),
            "{{beside}}": "yes" if self._beside else "no",
        }
        for place, value in filled.items():
            text = text.replace(place, html.escape(value))
        return web.Response(text=text, content_type="text/html", charset="utf-8")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        user = self._sandbox.users.get(request.query.get("as", ""))
        if user is None or user.is_bot:
            raise web.HTTPNotFound(text="There is nobody of that id.")
        return await stream(request, self._sandbox, self._sandbox.persona(user.id), self._ended)

    async def _act(self, request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError):
            body = None
        return web.json_response(await self._acts.do(body))


def _serving(folder: Path) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Serves the files that lie in this folder: one plain name, so that no path leads out of it."""

    async def serve(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        file = folder / name
        kind = _TYPES.get(file.suffix)
        if not _NAME.fullmatch(name) or kind is None or not file.is_file():
            raise web.HTTPNotFound(text="There is no such file.")
        charset = None if kind == "image/png" else "utf-8"
        return web.Response(body=file.read_bytes(), content_type=kind, charset=charset)

    return serve
