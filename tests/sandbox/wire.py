"""A Socket Mode app without a framework, for tests about the frames themselves."""

import json
from typing import Any, Self

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import App, Sandbox

Frame = dict[str, Any]


class Wire:
    """One connection; `frame` is what came, `ack` what goes back."""

    def __init__(self, sandbox: Sandbox, app: App) -> None:
        self._client = AsyncWebClient(base_url=sandbox.api_url)
        self._app = app
        self._session = aiohttp.ClientSession()
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._hang_up()
        await self._session.close()

    @property
    def socket(self) -> aiohttp.ClientWebSocketResponse:
        assert self._socket is not None
        return self._socket

    async def url(self) -> str:
        """A fresh address."""
        answer = await self._client.apps_connections_open(app_token=self._app.app_token)
        return str(answer["url"])

    async def connect(self, url: str | None = None) -> Frame:
        """Connect; the first frame, which is the hello."""
        await self._hang_up()
        self._socket = await self._session.ws_connect(url or await self.url())
        return await self.frame()

    async def _hang_up(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def frame(self) -> Frame:
        """The next frame."""
        frame: Frame = json.loads((await self.socket.receive(timeout=5)).data)
        return frame

    async def ack(self, frame: Frame, payload: Frame | None = None) -> None:
        """Acknowledge an envelope, with an answer where there is one."""
        answer = {"envelope_id": frame["envelope_id"]}
        await self.socket.send_json(answer | ({"payload": payload} if payload else {}))
