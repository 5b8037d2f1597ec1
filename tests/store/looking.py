"""Ways to look at a database from outside: everything in it, and the same database from another process."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.audit.tree import Frontier, leaf_hash
from bot.core import events as e
from bot.core.model import Request, Words
from bot.store import Store
from bot.store import tables as t
from tests.core.samples import opened
from tests.store.other_process import Line, run

FORKSERVER = get_context("forkserver")
"""New processes from one that has imported everything already: real ones, in milliseconds."""

FORKSERVER.set_forkserver_preload(["tests.store.other_process"])


ON_SQLITE = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("kind", ["postgres"], indirect=True)
"""For what only one of the two has."""


async def contents(engine: AsyncEngine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    async with engine.connect() as connection:
        return {
            name: [tuple(row) for row in await connection.execute(select(table))]
            for name, table in t.metadata.tables.items()
        }


async def whole(store: Store) -> int:
    """The number of lines, once it is sure that none is missing and that the tree is theirs."""
    head = await store.head()
    lines = await store.lines(0, 10**9)
    assert [line.seq for line in lines] == list(range(head.size))
    assert Frontier().extend(leaf_hash(line.body) for line in lines) == head
    assert all(line.leaf == leaf_hash(line.body) for line in lines)
    return head.size


async def live(store: Store, path: tuple[e.Event, ...], id: str = "BG-7K3Q2M", **changes: Any) -> Request:  # noqa: ANN401  fields of RequestOpened
    """A request that lived through `path`, recorded fact by fact, in words of its own."""
    begin = opened(id, **changes)
    request = await store.open(begin)
    for event in path:
        request = await store.record(request, _salted(event, id))
    return request


def _salted(event: e.Event, salt: str) -> e.Event:
    own: dict[str, Any] = {}
    for field in fields(event):
        if isinstance(words := getattr(event, field.name), Words):
            own[field.name] = Words.of(str(words), salt.encode().zfill(16))
    return replace(event, **own)


@dataclass
class Other:
    """Another process; see `other_process`."""

    process: ForkServerProcess
    line: Line

    async def hears(self) -> str:
        """What it says next."""
        return str(await asyncio.to_thread(self.line.recv))

    def tell(self, word: str = "go") -> None:
        self.line.send(word)


@contextmanager
def other_process(verb: str, url: str) -> Iterator[Other]:
    """Runs one verb of `tests/store/other_process.py` on the same database."""
    ours, theirs = FORKSERVER.Pipe()
    process = FORKSERVER.Process(target=run, args=(verb, url, theirs))
    process.start()
    theirs.close()
    try:
        yield Other(process, ours)
    finally:
        ours.close()
        process.join(10)
        assert process.exitcode is not None
        process.close()
