"""How late the end of access begins: when the provider is first told, against the moment it should end.

Once for grants that end one after another, once for as many that end all at the same moment. The floor is
what nobody can do without: waking at a moment and committing one row.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from bot.core.model import RequestId
from tests.bench.figures import Figure, p, p50
from tests.bench.floor import Commits
from tests.bench.scene import Scene

GRANTS: Final = 50
MOST: Final = 1.0
"""Seconds: the promise."""

TIMERS: Final = 25
PAUSE: Final = 0.15


async def endings(scene: Scene, commits: Commits) -> list[Figure]:
    """Both kinds, each with its median and its worst."""
    apart = []
    for _ in range(GRANTS):
        apart.append(await scene.files("erin"))
        await scene.approves("bob", apart[-1])
    one_by_one = await _measured(scene, commits, apart, "one by one")
    together = [await scene.files("erin") for _ in range(GRANTS)]
    await asyncio.gather(*(scene.approves("bob", id) for id in together))
    return one_by_one + await _measured(scene, commits, together, "all at once")


async def _measured(scene: Scene, commits: Commits, ids: Sequence[RequestId], how: str) -> list[Figure]:
    late, floor = await asyncio.gather(_lateness(scene, ids), _bare_lateness(commits))
    what = "timer + one-row commit"
    name = f"{len(ids)} grants end {how}, lateness"
    return [
        Figure(f"{name}, p50", p50(late), p50(floor), what, most=MOST),
        Figure(f"{name}, p99", p(99, late), p(99, floor), what, most=MOST),
        Figure(f"{name}, worst", max(late), max(floor), what, most=MOST),
    ]


async def _lateness(scene: Scene, ids: Sequence[RequestId]) -> list[float]:
    told = await scene.revoking(ids)
    ends = [(await scene.granted(id))[1] for id in ids]
    return [at - end for at, end in zip(told, ends, strict=True)]


async def _bare_lateness(commits: Commits) -> list[float]:
    """One timer after another, while ours are ending."""
    return [await commits.lateness(time.time() + PAUSE) for _ in range(TIMERS)]
