"""One WebSocket to Slack (Socket Mode), from Slack's hello to its end.

Rules: it is a connection only once Slack said hello. What arrives is answered beside the reading, so that one
slow answer holds up no other, and it is closed once everything that arrived on it is answered.
"""

import asyncio
import json
import logging
import time
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp
from slack_bolt.adapter.socket_mode.async_internals import run_async_bolt_app, send_async_response
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest

from bot.slack.echo import Echo

log = logging.getLogger(__name__)

HELLO: Final = 10.0
"""Seconds within which a connection opens, and as many again until Slack says hello on it."""

IN_TIME: Final = 3.0
"""Seconds that Slack waits for an answer."""

GOODBYE: Final = aiohttp.ClientWSTimeout(ws_close=1.0)
"""The other end may be gone without a word; its goodbye is not waited for."""

SAID: Final = {
    "link_disabled": "Socket Mode is switched off. Switch it on in the app's settings.",
    "too_many_websockets": "ten connections are open already. Stop whatever else uses this SLACK_APP_TOKEN.",
}
"""What Slack says when it lets go of a connection, and what to do. Anything else is ordinary."""


class NoConnection(Exception):
    """An attempt that came to nothing: what to tell, and whether somebody must mend something first."""

    def __init__(self, sentence: str, *, needs_mending: bool = False) -> None:
        super().__init__(sentence)
        self.needs_mending = needs_mending


class Connection(AsyncBaseSocketModeClient):
    """One WebSocket, from Slack's hello to its end. Bolt answers through it.

    Args:
        app: takes what arrives.
        session: the socket's own.
        socket: open.
        echo: told of everything that arrives.
    """

    def __init__(
        self,
        app: AsyncApp,
        session: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse,
        echo: Echo,
    ) -> None:
        self.logger = log
        self.because = ""
        """Slack's reason for letting go, or ours."""
        self.leaving = asyncio.Event()
        """It must be replaced; it may still deliver."""
        self.over = asyncio.Event()
        """It delivers nothing any more."""
        self._greeted = asyncio.Event()
        self._app = app
        self._session = session
        self._socket = socket
        self._echo = echo
        self._answering: set[asyncio.Task[None]] = set()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, app: AsyncApp, url: str, echo: Echo, ping: float) -> "Connection":
        """A connection on which Slack said hello.

        Raises:
            NoConnection: it did not.
        """
        session = aiohttp.ClientSession()  # its own, so that nothing of a bad connection is used again
        proxy, ssl = app.client.proxy, app.client.ssl or True
        async with AsyncExitStack() as undo:
            undo.push_async_callback(session.close)
            try:
                async with asyncio.timeout(HELLO):
                    socket = await session.ws_connect(
                        url, heartbeat=ping, proxy=proxy, ssl=ssl, timeout=GOODBYE
                    )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise NoConnection(f"the connection did not open ({type(error).__name__}).") from None
            connection = cls(app, session, socket, echo)
            undo.push_async_callback(connection.close)
            try:
                async with asyncio.timeout(HELLO):
                    await connection._greeted.wait()
            except TimeoutError:
                raise NoConnection("Slack said nothing on the new connection.") from None
            if connection.because in SAID:
                raise NoConnection(SAID[connection.because], needs_mending=True)
            undo.pop_all()
        return connection

    def leave(self, because: str) -> None:
        """It must be replaced."""
        if not self.leaving.is_set():
            self.because = because
            self.leaving.set()

    async def close(self) -> None:
        """Ends it, once what arrived on it is answered."""
        self.leave("closed")
        if self._answering:
            await asyncio.wait(self._answering, timeout=IN_TIME)
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._socket.close()
        await self._session.close()

    # --- reading ----------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            async for frame in self._socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self._take(frame.data)
        finally:
            self.leave("cut")
            self._greeted.set()
            self.over.set()

    def _take(self, text: str) -> None:
        try:
            frame = json.loads(text)
        except (ValueError, RecursionError):
            frame = None
        if not isinstance(frame, dict):
            log.warning("Something that is no frame came from Slack; it was ignored.")
            return
        match frame.get("type"):
            case "hello":
                self._greeted.set()
            case "disconnect":
                # `warning` comes first, `refresh_requested` when it is time; the first one is enough.
                self.leave(str(frame.get("reason", "")))
                self._greeted.set()
            case _:
                self._envelope(frame)

    def _envelope(self, frame: dict[str, Any]) -> None:
        envelope = SocketModeRequest.from_dict(frame)
        if envelope is None:
            return
        self._echo.heard()
        task = asyncio.create_task(self._answer(envelope))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, envelope: SocketModeRequest) -> None:
        began = time.time()
        try:
            answer = await run_async_bolt_app(self._app, envelope)
            await send_async_response(self, envelope, answer, began)
        except (aiohttp.ClientError, ConnectionError) as error:
            log.warning("An answer did not reach Slack (%s): its connection is gone.", type(error).__name__)

    async def send_message(self, message: str) -> None:
        """One frame to Slack."""
        await self._socket.send_str(message)
