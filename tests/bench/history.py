"""How fast the history is written and checked: for information, there is no target."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bot.audit.tree import leaf_hash
from bot.core import events as e
from bot.core.model import State, Why
from bot.operate.looking import reading
from bot.operate.verifying import CHUNK, verify
from bot.store import Store, migrate, open_engine
from tests.bench.figures import Figure, p50
from tests.bench.floor import Commits, timed
from tests.core.samples import NOW, PATHS, opened

LIVES: Final = 30
LIFE: Final = (*PATHS[State.ACTIVE][0], e.RevokeOrdered(why=Why.EXPIRED), e.AccessEnded())
TIMES: Final = 5


async def writing(home: Path, commits: Commits) -> Figure:
    """One event, one commit: whole lives of requests, each event recorded by itself."""
    engine = open_engine(f"sqlite+aiosqlite:///{home}/writing.db")
    try:
        await migrate(engine)
        store = Store(engine, lambda: NOW, "p" * 64)
        await store.begin_history("bench", "breakglass/bench")
        ours: list[float] = []
        floor: list[float] = []
        for number in range(LIVES):
            request = await store.open(opened(f"BG-{number:06d}"))
            for event in LIFE:
                began = time.perf_counter()
                request = await store.record(request, event)
                ours.append(time.perf_counter() - began)
                floor.append(await timed(commits.one()))
    finally:
        await engine.dispose()
    return Figure("events recorded, one by one", 1 / p50(ours), 1 / p50(floor), "one-row commits", unit="/s")


async def checking(env: Mapping[str, str]) -> Figure:
    """`breakglass verify` over the history that the server has just written."""
    ours: list[float] = []
    floor: list[float] = []
    events = 0
    for _ in range(TIMES):
        began = time.perf_counter()
        found = await verify(env, key=(), checkpoints=None)
        ours.append(time.perf_counter() - began)
        assert found["sound"], found["findings"]
        events = found["events"]
        floor.append(await timed(_read_and_hash(env)))
    what = f"events verified, a history of {events:,}"
    return Figure(what, events / p50(ours), events / p50(floor), "read, hash, parse", unit="/s")


async def _read_and_hash(env: Mapping[str, str]) -> None:
    async with reading(env) as reader:
        for first in range(0, await reader.last_seq() + 1, CHUNK):
            for line in await reader.lines(first, first + CHUNK):
                leaf_hash(line.body)
                json.loads(line.body)
