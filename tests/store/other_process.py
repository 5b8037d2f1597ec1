"""What the tests run in a second process on the same database.

It says one thing at a time and waits for a word back, so that both sides know where the other is.
"""

import asyncio
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from bot.core import events as e
from bot.core.model import RequestId
from bot.store import AlreadyServed, Raced, Reader, Store, only_server, open_engine
from tests.core.samples import ANNA, Clock

if TYPE_CHECKING:
    Line = Connection[Any, Any]
else:
    Line = Connection  # takes no parameters when the program runs


async def race(store: Store, line: Line) -> None:
    """Looks, waits, and records against what it saw."""
    request = await store.get(RequestId("BG-7K3Q2M"))
    line.send("looked")
    line.recv()
    try:
        await store.record(request, e.RequestWithdrawn(actor=ANNA))
        line.send("won")
    except Raced as raced:
        line.send(raced.sentence)


async def write(store: Store, line: Line) -> None:
    """Twenty lines as fast as it can."""
    line.send("ready")
    line.recv()
    for number in range(20):
        await store.note(e.BackendAnswers(backend=f"other {number}"))
    line.send("done")


async def read(store: Reader, line: Line) -> None:
    """Says how much history there is, each time it is asked."""
    while True:
        size = (await store.head()).size
        line.send(f"{size} {len(await store.records(0, size))}")
        line.recv()


async def serve(url: str, line: Line) -> None:
    try:
        async with only_server(url):
            line.send("serving")
            line.recv()
    except AlreadyServed as error:
        line.send(str(error))


async def on_the_store(verb: str, url: str, line: Line) -> None:
    engine = open_engine(url)
    verbs = {"race": race, "write": write, "read": read}
    try:
        await verbs[verb](Store(engine, Clock()), line)
    finally:
        await engine.dispose()


def run(verb: str, url: str, line: Line) -> None:
    with suppress(EOFError):  # the test is over
        asyncio.run(serve(url, line) if verb == "serve" else on_the_store(verb, url, line))
