"""Ends what is due. The database is the schedule; APScheduler only wakes the keeper and remembers nothing.

Rules:
1. `sweep` asks the database what is due and acts on all of it, however late: a late job is never dropped.
   Ends come before everything that can wait.
2. It sweeps at boot, before Slack connects, and treats every unanswered grant as a crash: revoked.
3. Revoking is retried for ever; each attempt's moment is in the database, so a restart goes on where it was.
4. `reconcile` compares what providers say with what we know, and ends what nothing explains.
5. Whoever is no active, full member of the workspace any more loses at once what they hold.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.access import AT_ONCE, Access, Provider
from bot.core import events as e
from bot.core import machine, policy
from bot.core.errors import Stale
from bot.core.model import (
    HELD,
    OPEN,
    PENDING,
    PersonId,
    Request,
    RequestId,
    Roster,
    State,
    Why,
)
from bot.reconciler import Reconciler
from bot.store import Due, Raced, Store
from bot.store.also import forget

log = logging.getLogger(__name__)

HEARTBEAT: Final = timedelta(seconds=5)
"""A sweep at least this often, so that what another process wrote (the command line) is seen."""

GATHER: Final = 0.01
"""Seconds between a commit and the sweep for what it brought: whoever made it is answered first, and more
commits often follow. What comes due while nothing happens has its own alarm and does not wait."""

FRESH: Final = timedelta(seconds=20)
"""A keeper that has not swept for this long is not ready."""

REMEMBERED: Final = timedelta(days=2)
"""How long an interaction is known, so that a second delivery changes nothing; Slack gives up in minutes."""

PORTION: Final = 50
"""So much of what can wait (lapses, warnings, reviews) is done before it is asked again what must end."""

TOGETHER: Final = 50
"""So many ends are ordered in one commit; more would keep everybody else from the database for too long."""

CAN_WAIT: Final = frozenset(State) - HELD
"""Nothing has to be ended for what is in these; whatever else stands there is looked at first."""

Later = dict[RequestId, datetime | None]
"""What can wait, in the order in which it came due, each until its end if it has one."""

NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Keeper:
    """Watches over every access until it has ended.

    Args:
        store: the schedule.
        access: the acts.
        providers: whose leases are compared with the store.
        reconcile_every: how often.
        known: the directory, as it is remembered.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        providers: Mapping[str, Provider],
        reconcile_every: timedelta,
        known: Callable[[], Roster] = lambda: Roster({}, {}),
    ) -> None:
        self._store = store
        self._access = access
        self._reconciler = Reconciler(store, access, providers, self._order_end)
        self._reconcile_every = reconcile_every
        self._known = known
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._looking: asyncio.Task[Any] | None = None
        self._attempts: Counter[str] = Counter()
        """To end access, under way, by backend."""
        self._swept_at: datetime | None = None
        self.stuck: frozenset[str] = frozenset()
        """Backends at which an end is overdue and not confirmed, as of the last sweep."""

    # --- waking -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Sweeps until cancelled."""
        scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )
        scheduler.add_job(self._ring, "interval", seconds=HEARTBEAT.total_seconds())
        scheduler.add_job(self._look, "interval", seconds=self._reconcile_every.total_seconds())
        scheduler.add_job(self._tidy, "interval", hours=1)
        scheduler.start()
        loop = asyncio.get_running_loop()
        self._store.on_commit(lambda: loop.call_later(GATHER, self._wake.set))
        await self._look()
        try:
            while True:
                self._wake.clear()
                await self._survive(self._round(scheduler))
                await self._wake.wait()
        finally:
            scheduler.shutdown(wait=False)

    async def _ring(self) -> None:
        # A coroutine on purpose: APScheduler runs plain functions in threads, and an asyncio.Event set there
        # may wake nobody.
        self._wake.set()

    async def _tidy(self) -> None:
        self._spawn(self._store.do(forget(self._store.now() - REMEMBERED)))

    async def _look(self) -> None:
        # Not in the job itself: the scheduler would cancel it when it stops, and wait for nothing.
        if self._looking is None or self._looking.done():
            self._looking = self._spawn(self.reconcile())

    async def _round(self, scheduler: AsyncIOScheduler) -> None:
        """One sweep, and the alarm for what comes due after it. What did so meanwhile must not be missed."""
        due = await self._store.next_due(await self.sweep())
        if due is not None and due <= self._store.now():
            self._wake.set()
        elif due is not None:
            scheduler.add_job(self._ring, "date", run_date=due, id="due", replace_existing=True)

    async def _survive(self, work: Coroutine[Any, Any, object]) -> bool:
        """A database that fails for a moment must not end the keeper: the next wake tries again.

        Returns whether it went well.
        """
        try:
            with suppress(Stale):  # somebody was faster; what they recorded is what holds
                await work
        except Exception:
            log.exception("The keeper could not finish a round; it tries again.")
            return False
        return True

    def is_fresh(self, now: datetime) -> bool:
        """Whether it has swept lately."""
        return self._swept_at is not None and now - self._swept_at < FRESH

    def start(self, request: Request) -> None:
        """Carries out a grant or a revoke beside the caller. Who ends something by hand waits for nobody."""
        if request.state is State.GRANTING:
            self._spawn(self._access.give(request))
        else:
            self._attempt(request, just_ordered=True)

    def _attempt(self, request: Request, *, just_ordered: bool = False) -> None:
        """One attempt to end an access, beside everything else."""
        backend = request.terms.backend
        self._attempts[backend] += 1

        def done(attempt: asyncio.Task[bool]) -> None:
            self._attempts[backend] -= 1
            # Whoever waited for this hand is found by a sweep. Not after a failure of ours: that would go
            # round and round; the heartbeat comes soon.
            if self._attempts[backend] == AT_ONCE - 1 and not attempt.cancelled() and attempt.result():
                self._wake.set()

        self._spawn(self._access.take(request, just_ordered=just_ordered)).add_done_callback(done)

    def _has_a_hand_free(self, backend: str) -> bool:
        return self._attempts[backend] < AT_ONCE

    def _spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[bool]:
        task = asyncio.create_task(self._survive(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self, within: timedelta) -> None:
        """Lets what is under way finish; what does not finish is found again at the next boot."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=within.total_seconds())

    # --- what is due ------------------------------------------------------------------------------------

    async def boot(self) -> None:
        """Before anything else: every unanswered grant is a crash, and everything overdue ends."""
        detail = "The server stopped while it was being granted."
        for id in await self._store.ids_in({State.GRANTING}):
            await self._survive(self._end_unanswered(id, detail))
        await self._survive(self.sweep())

    async def sweep(self) -> datetime:
        """Acts on everything that is due. Returns the moment by which that is so.

        One that fails must not keep the others from ending; but a sweep with a failure does not count.
        """
        well = True
        seen: set[Due] = set()
        later: Later = {}
        while True:
            now = self._store.now()
            well &= await self._end_what_is_due(now, seen, later)
            if not later:
                break
            for id in list(later)[:PORTION]:
                del later[id]
                well &= await self._survive(self._act(id, now))
        self.stuck = frozenset(await self._store.backends_stuck())
        if well:
            self._swept_at = now
        return now

    async def _end_what_is_due(self, now: datetime, seen: set[Due], later: Later) -> bool:
        """Acts on what must end; what is due and can wait goes to `later`.

        Each is looked at once in a sweep, and again when it has come due anew (what was warned, and ends by
        now) or is due to end although it waits. So is a grant under way each time: it ends by its end.

        Of what is being revoked as much as there are hands; the rest stays due, and a sweep follows each hand
        that is free again. So however much ends at once, no more than that is in memory.
        """
        well = True
        all_due = await self._store.due(now, AT_ONCE + len(self._access.taking()))
        over = [due.id for due in all_due if due.state == State.ACTIVE and due not in seen]
        ordered = await self._order_together(over, now)
        for due in all_due:
            if due.id in ordered:
                continue
            if due.state == State.REVOKING:
                if due.id not in self._access.taking() and self._has_a_hand_free(due.backend):
                    well &= await self._survive(self._act(due.id, now))
                continue
            new = due not in seen
            seen.add(due)
            if due.state in CAN_WAIT:
                if new:
                    later[due.id] = None
            elif new or due.state == State.GRANTING or now >= (later.get(due.id) or NEVER):
                # Put off once only: one that fails each time must not keep the sweep going for ever.
                well &= await self._survive(self._act(due.id, now, later if new else None))
        return well

    async def _order_together(self, ids: Sequence[RequestId], now: datetime) -> set[RequestId]:
        """Orders the end of those that are over, many in one commit; returns which were.

        One that cannot be read, or changes meanwhile, spoils it for those it would be ordered with: each of
        them is then ordered by itself.
        """
        done: set[RequestId] = set()
        for first in range(0, len(ids), TOGETHER):
            try:
                requests = await self._store.several(ids[first : first + TOGETHER])
                over = [request for request in requests if _is_over(request, now)]
                ordered = await self._store.record_all(over, e.RevokeOrdered(why=Why.EXPIRED))
            except Exception as error:  # noqa: BLE001  whatever it is, the others must end
                log.warning("Ends are ordered one by one: together they met %s.", type(error).__name__)
                continue
            for request in ordered:
                done.add(request.id)
                self._attempt_if_free(request)
        return done

    async def _act(self, id: RequestId, now: datetime, later: Later | None = None) -> None:
        """Does what is due. What can wait is put off when there is a `later`."""
        request = await self._store.look(id)
        due = machine.due_at(request)
        if due is None or due > now:
            return  # somebody was faster
        if request.state in HELD and not _is_only_to_be_warned(request, now):
            await self._end(request, now)
        elif later is not None:
            later[id] = request.expires_at
        else:
            await self._store.record(request, _what_can_wait(request))

    async def _end(self, request: Request, now: datetime) -> None:
        match request.state:
            case State.GRANTING if not self._access.is_giving(request.id):
                await self._order_end(request, Why.UNANSWERED, "Nobody was left to carry it out.")
            case State.GRANTING if request.expires_at is not None and now >= request.expires_at:
                await self._order_end(request, Why.EXPIRED, "The provider had not answered by then.")
            case State.ACTIVE:  # what could not be ordered together with others
                await self._order_end(request, Why.EXPIRED)
            case State.REVOKING if self._has_a_hand_free(request.terms.backend):
                self._attempt(request)

    async def _end_unanswered(self, id: RequestId, detail: str) -> None:
        await self._order_end(await self._store.look(id), Why.UNANSWERED, detail)

    async def _order_end(self, request: Request, why: Why, detail: str = "") -> None:
        ordered = await self._store.record(request, e.RevokeOrdered(why=why, detail=detail))
        self._attempt_if_free(ordered)

    def _attempt_if_free(self, ordered: Request) -> None:
        if self._has_a_hand_free(ordered.terms.backend):
            self._attempt(ordered, just_ordered=True)

    # --- who left ---------------------------------------------------------------------------------------

    def person_changed(self, person: PersonId) -> None:
        """The directory has news of somebody: acts on them beside the caller."""
        if policy.is_gone(self._known().people.get(person)) is not None:
            self._spawn(self._end_for_who_left({person}))

    async def requesters(self) -> set[PersonId]:
        """Whoever holds or waits for access; nobody while the database does not answer."""
        found: set[PersonId] = set()

        async def ask() -> None:
            found.update(await self._store.requesters(OPEN))

        await self._survive(ask())
        return found

    async def see_who_left(self, persons: set[PersonId]) -> None:
        """Acts on what the directory says of them by now."""
        await self._survive(self._end_for_who_left(persons))

    async def _end_for_who_left(self, persons: set[PersonId]) -> None:
        roster = self._known()
        for person in persons:
            because = policy.is_gone(roster.people.get(person))
            if because is not None:
                for id in await self._store.ids_in(OPEN, person):
                    await self._survive(self._end_for_leaving(id, because))

    async def _end_for_leaving(self, id: RequestId, because: str) -> None:
        while (request := await self._store.look(id)).state in OPEN:
            with suppress(Raced):  # it was being granted, say: then the access is what must end
                if request.state in PENDING:
                    await self._store.record(request, e.RequestLapsed(because=because))
                else:
                    await self._order_end(request, Why.REVOKED, because)

    # --- what providers say -----------------------------------------------------------------------------

    async def reconcile(self) -> None:
        """Looks at the schedule and at every provider as if it knew nothing."""
        await self._survive(self._ask_all_held())
        await self._reconciler.reconcile()

    async def _ask_all_held(self) -> None:
        """Whatever is held says itself when it is due: the schedule is a column that somebody could empty."""
        now = self._store.now()
        for id in await self._store.ids_in(HELD):
            if id not in self._access.taking():
                await self._survive(self._act(id, now))


def _is_over(request: Request, now: datetime) -> bool:
    return request.state is State.ACTIVE and not _is_only_to_be_warned(request, now)


def _is_only_to_be_warned(request: Request, now: datetime) -> bool:
    return request.state is State.ACTIVE and request.expires_at is not None and now < request.expires_at


def _what_can_wait(request: Request) -> e.Event:
    """The fact that is due for a request that nothing has to be ended for."""
    if request.state in PENDING:
        return e.RequestLapsed(because="Nobody decided in time.")
    if request.state is State.ACTIVE:
        assert request.expires_at is not None
        return e.ExpiryNear(expires_at=request.expires_at)
    return e.ReviewOverdue()
