"""Socket Mode: tickets, connections, envelopes.

Each envelope goes to any one of an app's connections (at most ten). What is not acknowledged before its
connection ends was not delivered; the sender decides whether that means a retry or an error.
"""

import asyncio
import itertools
import json
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from bot.sandbox.apps import App
from bot.sandbox.clock import Clock
from bot.sandbox.faults import Faults
from bot.sandbox.kit.schema import Json
from bot.sandbox.pulse import Pulse

MOST = 10
TICKET_LIFE = 30.0
LIFE, DEBUG_LIFE = 18_060.0, 360.0  # approximate_connection_time; with debug_reconnects=true
WARNING = 10.0


@dataclass(eq=False)
class Connection:
    """One open WebSocket and the envelopes on it that wait for their acks."""

    app_id: str
    socket: web.WebSocketResponse
    transport: asyncio.BaseTransport | None
    deaf: bool = False
    """It looks open, and nothing that is sent on it ever arrives."""
    pending: dict[str, asyncio.Future[Json]] = field(default_factory=dict)

    async def send(self, frame: Json) -> None:
        """One JSON frame; ConnectionError when the other end is gone."""
        await self.socket.send_str(json.dumps(frame))

    def lost(self) -> None:
        """Nobody will ack any more."""
        for waiting in self.pending.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the socket closed"))
        self.pending.clear()


class Sockets:
    """All Socket Mode connections, by app; `life` is how many seconds a new one lasts."""

    def __init__(self, clock: Clock, faults: Faults, pulse: Pulse, spawn: Callable[..., object]) -> None:
        self.address = ""
        self.life = LIFE
        self.refused: list[str] = []
        self._clock = clock
        self._faults = faults
        self._pulse = pulse
        self._spawn = spawn
        self._tickets: dict[str, tuple[str, float]] = {}
        self._open: dict[str, list[Connection]] = {}
        self._turn = itertools.count()
        self._arrived = asyncio.Event()

    def new_url(self, app: App) -> str:
        """An address for one connection within the next 30 seconds."""
        ticket = secrets.token_hex(16)
        self._tickets[ticket] = (app.app_id, self._clock.now())
        return f"{self.address}/link/?ticket={ticket}&app_id={app.app_id}"

    def of(self, app_id: str) -> list[Connection]:
        """The open connections of an app."""
        return self._open.setdefault(app_id, [])

    def all(self) -> list[Connection]:
        """Every open connection."""
        return [connection for group in self._open.values() for connection in group]

    async def push(self, app: App, frame: Json) -> Json:
        """Send an envelope to any one connection; the payload of its ack, or ConnectionError."""
        connections = self.of(app.app_id)
        if not connections:
            raise ConnectionError("no socket is open")
        connection = connections[next(self._turn) % len(connections)]
        envelope_id = str(uuid.uuid4())
        waiting: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        connection.pending[envelope_id] = waiting
        try:
            if not connection.deaf:
                await connection.send({**frame, "envelope_id": envelope_id})
            return await waiting
        finally:
            connection.pending.pop(envelope_id, None)

    async def arrival(self, app: App) -> None:
        """Wait until the app has a connection."""
        while not self.of(app.app_id):
            await self._arrived.wait()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """GET /link/: a connection, from its ticket to its end."""
        app_id, born = self._tickets.pop(request.query.get("ticket", ""), ("", 0.0))
        if not app_id or self._clock.now() - born > TICKET_LIFE:
            self.refused.append("ticket")
            raise web.HTTPForbidden(text="invalid ticket")
        socket = web.WebSocketResponse(autoping=not self._faults.mute_pongs)
        await socket.prepare(request)
        connection = Connection(app_id, socket, request.transport, self._faults.deaf)
        if len(self.of(app_id)) >= MOST or self._faults.too_many:
            self.refused.append("too_many_websockets")
            await connection.send(_farewell("too_many_websockets"))
            await socket.close()
            return socket
        life = DEBUG_LIFE if request.query.get("debug_reconnects") == "true" else self.life
        if not self._faults.mute_hello:
            await connection.send(self._hello(app_id, life))
        self._enter(connection)
        end = self._spawn(self._grow_old(connection, life))
        try:
            await self._listen(connection)
        finally:
            self._remove(connection)
            if isinstance(end, asyncio.Task):
                end.cancel()
        return socket

    # --- endings

    async def drop(self) -> None:
        """Cut every connection as a broken network does: no close frame."""
        for connection in self.all():
            self._remove(connection)
            if isinstance(connection.transport, asyncio.Transport):
                connection.transport.abort()

    async def refresh(self) -> None:
        """Ask every connection to be replaced: the warning, then the request."""
        for connection in self.all():
            await connection.send(_farewell("warning"))
            await connection.send(_farewell("refresh_requested"))

    async def disable(self) -> None:
        """Socket Mode is switched off in the app's settings."""
        for connection in self.all():
            await connection.send(_farewell("link_disabled"))
            await connection.socket.close()

    async def close(self) -> None:
        """End everything in good order."""
        for connection in self.all():
            await connection.socket.close()

    def _hello(self, app_id: str, life: float) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.of(app_id)) + 1,
            "debug_info": {
                "host": "sandbox",
                "started": "2026-01-01 00:00:00.000",
                "build_number": 1,
                "approximate_connection_time": int(min(life, LIFE)),
            },
            "connection_info": {"app_id": app_id},
        }

    def _enter(self, connection: Connection) -> None:
        self.of(connection.app_id).append(connection)
        self._arrived.set()
        self._arrived = asyncio.Event()
        self._pulse.beat()

    def _remove(self, connection: Connection) -> None:
        if connection in self.of(connection.app_id):
            self.of(connection.app_id).remove(connection)
        connection.lost()
        self._pulse.beat()

    async def _listen(self, connection: Connection) -> None:
        async for frame in connection.socket:
            if frame.type is not WSMsgType.TEXT:
                continue
            try:
                ack = json.loads(frame.data)
            except ValueError:
                continue  # clients also send words such as "ping"
            waiting = connection.pending.get(ack.get("envelope_id", "")) if isinstance(ack, dict) else None
            if waiting is not None and not waiting.done():
                payload = ack.get("payload")
                waiting.set_result(payload if isinstance(payload, dict) else {})

    async def _grow_old(self, connection: Connection, life: float) -> None:
        await self._clock.sleep(life - WARNING)
        await connection.send(_farewell("warning"))
        await self._clock.sleep(WARNING)
        await connection.send(_farewell("refresh_requested"))
        await self._clock.sleep(WARNING)
        await connection.socket.close()


def _farewell(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}}
