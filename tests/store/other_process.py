"""What the tests run in a second process on the same file: `python -m tests.store.other_process VERB FILE`.

It says one line at a time and waits for a line back, so that both sides know where the other is.
"""

import asyncio
import sys

from bot.core import events as e
from bot.core.model import RequestId
from bot.store import AlreadyServed, Raced, Reader, Store, only_server, open_engine
from tests.core.samples import ANNA, Clock


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def wait() -> None:
    sys.stdin.readline()


async def race(store: Store) -> None:
    """Looks, waits, and records against what it saw."""
    request = await store.get(RequestId("BG-7K3Q2M"))
    say("looked")
    wait()
    try:
        await store.record(request, e.RequestWithdrawn(actor=ANNA))
        say("won")
    except Raced as raced:
        say(raced.sentence)


async def write(store: Store) -> None:
    """Twenty lines as fast as it can."""
    say("ready")
    wait()
    for number in range(20):
        await store.note(e.BackendAnswers(backend=f"other {number}"))
    say("done")


async def read(store: Reader) -> None:
    """Reads the whole history, before and after the other side has written."""
    for _ in range(2):
        size = (await store.head()).size
        say(f"{size} {len(await store.records(0, size))}")
        wait()


def serve(url: str) -> None:
    try:
        with only_server(url):
            say("serving")
            wait()
    except AlreadyServed as error:
        say(error)


async def main(verb: str, url: str) -> None:
    engine = open_engine(url)
    try:
        verbs = {"race": race, "write": write, "read": read}
        await verbs[verb](Store(engine, Clock()))
    finally:
        await engine.dispose()


if __name__ == "__main__":
    where = f"sqlite+aiosqlite:///{sys.argv[2]}"
    if sys.argv[1] == "serve":
        serve(where)
    else:
        asyncio.run(main(sys.argv[1], where))
