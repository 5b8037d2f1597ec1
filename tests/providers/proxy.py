"""A network that can fail: a TCP proxy between an adapter and a real provider.

It never invents an answer. It only holds, cuts, or loses what the two sides really said, so that "it timed
out after it took effect" is what it says.
"""

import asyncio
import contextlib
import gc
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

CHUNK = 65536


class Proxy:
    """Forwards to `host:port` until told otherwise; `heal` makes it honest again."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open = asyncio.Event()
        self._open.set()
        self._cut = False
        self._last_words: tuple[bytes, ...] = ()
        self._took_effect: Callable[[], bool] | None = None
        self._swallowing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self.heard = bytearray()
        """Every byte the client sent, to look for what must not travel."""
        self.port = 0

    def pause(self) -> None:
        """Takes connections and bytes, and passes nothing on: the network that never answers."""
        self._open.clear()

    def cut(self) -> None:
        """Resets every connection, now and new ones: the provider that is down."""
        self._cut = True
        for writer in self._writers:
            writer.transport.abort()

    def swallow_after(self, *words: bytes) -> None:
        """Passes the request that contains one of `words` on, and loses every answer from then on."""
        self._last_words = words

    def swallow_when(self, took_effect: Callable[[], bool]) -> None:
        """The same where what is said cannot be read: loses every answer once `took_effect` says so."""
        self._took_effect = took_effect

    def heal(self) -> None:
        """Forwards again. What was lost stays lost: connections of the bad time are reset."""
        for writer in self._writers:
            if self._swallowing or not self._open.is_set():
                writer.transport.abort()
        self._cut = self._swallowing = False
        self._last_words = ()
        self._took_effect = None
        self._open.set()

    @property
    def swallowed(self) -> bool:
        """Whether the words came past, so that a test can tell "lost the answer" from "never asked"."""
        return self._swallowing

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways, until either side ends it."""
        if self._cut:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            await self._open.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(far_writer)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._there(reader, far_writer))
                both.create_task(self._back(far_reader, writer))
        finally:
            for end in (writer, far_writer):
                self._writers.discard(end)
                end.transport.abort()

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = b""
        with contextlib.suppress(OSError):
            while part := await reader.read(CHUNK):
                await self._open.wait()
                self.heard += part
                seen = (seen + part)[-CHUNK:]
                if any(words in seen for words in self._last_words):
                    self._swallowing = True
                writer.write(part)
                await writer.drain()
            writer.write_eof()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while part := await reader.read(CHUNK):
                await self._open.wait()
                if self._took_effect is not None and self._took_effect():
                    self._swallowing = True
                if not self._swallowing:
                    writer.write(part)
                    await writer.drain()
            writer.write_eof()


@asynccontextmanager
async def proxy_to(host: str, port: int) -> AsyncIterator[Proxy]:
    """A proxy on a free local port (`proxy.port`) for the length of a test."""
    proxy = Proxy(host, port)
    connections: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()
        with warnings.catch_warnings():
            # Connections that were cut are left to the collector, whose warning would fail a later test.
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
