"""Ways to look at a database from outside: everything in it, and the same file from another process."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.audit.tree import Frontier, leaf_hash
from bot.core import events as e
from bot.core.model import Request
from bot.store import Store
from bot.store import tables as t
from tests.core.samples import lived, opened

ROOT = Path(__file__).parents[2]


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
    """A request that lived through `path`, recorded fact by fact."""
    begin = opened(id, **changes)
    request = await store.open(begin)
    for event in path:
        request = await store.record(request, event)
    assert request == lived(path, begin)
    return request


@dataclass
class Other:
    """Another process; see `other_process`."""

    process: asyncio.subprocess.Process

    async def hears(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().strip()

    def tell(self, word: str = "go") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n".encode())


@asynccontextmanager
async def other_process(verb: str, file: Path) -> AsyncIterator[Other]:
    """Runs `tests/store/other_process.py` on the same file."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-m",
        "tests.store.other_process",
        verb,
        str(file),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Other(process)
    finally:
        if process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
            await asyncio.wait_for(process.wait(), 10)
