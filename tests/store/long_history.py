"""A long history, fast: whole lives through the store's own door, many of them in one transaction.

`python -m tests.store.long_history FILE EVENTS` writes one, to measure `breakglass copy` and `verify` on.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.audit.checkpoint import Signer
from bot.core import events as e
from bot.core.model import Verdict, Why, Words
from bot.store import Clock as StoreClock
from bot.store import Store, also, migrate, open_engine
from tests.core.samples import ANNA, BEN, CARA, MINUTE, Clock, opened, proof

LIVES_AT_ONCE = 200
LENGTH = 9
"""Events of one life below."""


class Bulk(Store):
    """The store itself, with all that is written inside `together` as one transaction."""

    def __init__(self, engine: AsyncEngine, clock: StoreClock, policy: str) -> None:
        super().__init__(engine, clock, policy)
        self._shared: AsyncConnection | None = None

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        async with super()._writing() as connection:
            self._shared = connection
            try:
                yield
            finally:
                self._shared = None

    @asynccontextmanager
    async def _writing(self, *, quiet: bool = False) -> AsyncIterator[AsyncConnection]:
        if self._shared is not None:
            yield self._shared
            return
        async with super()._writing(quiet=quiet) as connection:
            yield connection


def life(number: int, at: datetime) -> tuple[e.RequestOpened, list[e.Event]]:
    """One request from the form to its review, with words of its own."""
    salt = number.to_bytes(16, "big")
    reason = Words.of(f"Case {number}: the replica lags, and customers see yesterday's orders.", salt)
    begin = opened(f"BG-{number:06d}", reason=reason, lapses_at=at + 10 * MINUTE)
    return begin, [
        e.ProofAccepted(actor=ANNA, proof=proof(at)),
        e.ApprovalGiven(actor=BEN, tier=0),
        e.QuorumReached(expires_at=at + 15 * MINUTE),
        e.AccessGranted(lease_expires_at=at + 15 * MINUTE, handoff=True),
        e.HandoffShown(actor=ANNA),
        e.RevokeOrdered(why=Why.EXPIRED),
        e.AccessEnded(),
        e.ReviewSigned(
            actor=CARA, verdict=Verdict.REAL, less_was_possible=False,
            follow_ups=Words.of(f"Nothing for case {number}.", salt[::-1]),
        ),
    ]  # fmt: skip


async def write(engine: AsyncEngine, signer: Signer, events: int, installation: str = "acme") -> Store:
    """At least so many events, signed after every transaction, and rows in every other table."""
    clock = Clock()
    store = Bulk(engine, clock, "p" * 64)
    await store.begin_history(installation, f"breakglass/{installation}")
    lives, done = -(-events // LENGTH), 0
    while done < lives:
        async with store.together():
            for number in range(done, min(done + LIVES_AT_ONCE, lives)):
                clock.forward(timedelta(minutes=1))
                begin, rest = life(number, clock.now)
                await store.open(begin, *rest)
        done += LIVES_AT_ONCE
        await seal(store, signer)
    begin, rest = life(lives, clock.now + MINUTE)
    pending = await store.open(begin, rest[0])
    async with store.together():
        for number in range(min(lives, 2000)):
            await store.do(also.first_time(f"interaction {number}"))
    await store.do(
        also.enrol(ANNA, b"sealed\x00", 7),
        also.count_failure(ANNA),
        also.count_failure(ANNA),
        also.issue_token(BEN, b"digest", clock.now),
        also.keep_handoff(pending.id, b"sealed"),
        also.advance("direct", 5),
        also.bind_team("T1"),
    )
    await store.told("audit", "C0AUDIT", "1.1", 0, 9)
    await store.show_card(pending.id, "C0REQUESTS", "1.2", 1)
    await seal(store, signer)
    return store


async def seal(store: Store, signer: Signer) -> None:
    """A checkpoint over all there is."""
    head = await store.head()
    await store.keep_checkpoint(await signer.sign(head.size, head.root(), store.leaves))


async def main(file: Path, events: int) -> None:
    engine = open_engine(f"sqlite+aiosqlite:///{file}")
    await migrate(engine)
    signer = Signer.generate("breakglass/acme", file.with_name("signing.key"))
    store = await write(engine, signer, events)
    print((await store.head()).size, "events")  # noqa: T201  a program's output
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
