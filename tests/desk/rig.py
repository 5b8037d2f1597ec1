"""A whole desk over a real database, in virtual time, without Slack: `async with rig(tmp_path) as desk`.

    async with rig(tmp_path) as it:
        request = await it.asked()              # Anna asks, with a right code
        await it.approved(request.id)           # Ben approves; the grant has been carried out
        await it.forward(20 * MINUTE)           # time passes, the keeper sweeps whenever something is due
        await it.keeps_its_promises()           # I1 to I6, against the provider's own ledger

`await it.crash()` drops every object and builds new ones over the same database and the same providers.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pyotp
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.access import STUCK_AFTER, Access, Provider
from bot.audit import canonical
from bot.audit.tree import leaf_hash
from bot.core import events as e
from bot.core import machine
from bot.core.model import (
    HELD,
    OPERATOR,
    Mark,
    Mfa,
    PersonId,
    Policy,
    Request,
    RequestId,
    Roster,
    Secret,
    State,
    Verdict,
)
from bot.desk import Ask, Desk
from bot.factors import Factors
from bot.keeper import Keeper
from bot.mfa import Vault
from bot.office import Office
from bot.store import Store, open_engine
from tests.core.samples import ANNA, BEN, CARA, DORA, MINUTE, PEOPLE, ROLES, SCENARIO, TERMS, Clock, policy_of
from tests.desk.pretend import Mood, Pretend
from tests.store.fresh import fresh, owners

INSTALLATION = "acme"
VAULT_KEY = Secret("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
PATIENT = timedelta(seconds=20)
IMPATIENT = timedelta(seconds=0.05)
"""Real time: how long a provider that hangs is waited for."""


@dataclass
class Directory:
    """A directory that can be changed under the desk's feet."""

    roster_now: Roster = field(default_factory=lambda: Roster(dict(PEOPLE), dict(ROLES)))

    async def roster(self, *_persons: PersonId) -> Roster:
        return self.roster_now

    def known(self) -> Roster:
        return self.roster_now

    def put(self, role: str, *who: PersonId) -> None:
        self.roster_now = replace(self.roster_now, roles={**self.roster_now.roles, role: frozenset(who)})

    def deactivate(self, person: PersonId) -> None:
        changed = replace(self.roster_now.people[person], active=False)
        self.roster_now = replace(self.roster_now, people={**self.roster_now.people, person: changed})


@dataclass
class Rig:
    """The parts, and the moves that every story makes."""

    engine: AsyncEngine
    policy: Policy
    clock: Clock
    people: Directory
    backends: dict[str, Pretend]
    address: str = ""
    vault_key: Secret = VAULT_KEY
    closed: str | None = None
    grant_deadline: timedelta = PATIENT
    secrets: dict[PersonId, Secret] = field(default_factory=dict)
    pauses: list[float] = field(default_factory=list)
    """How long was waited, each time, before what landed late was taken away once more."""
    _keys: int = 0
    store: Store = field(init=False)
    access: Access = field(init=False)
    keeper: Keeper = field(init=False)
    factors: Factors = field(init=False)
    desk: Desk = field(init=False)
    office: Office = field(init=False)

    def __post_init__(self) -> None:
        self._assemble()

    def _assemble(self) -> None:
        vault = Vault([self.vault_key])
        principals = {person: person.removeprefix("U0").lower() for person in PEOPLE}
        providers = {name: Provider(backend, principals) for name, backend in self.backends.items()}
        self.store = Store(self.engine, self.clock, self.policy.hash)
        self.access = Access(self.store, providers, vault, self.grant_deadline, self._pause)
        self.keeper = Keeper(self.store, self.access, providers, 5 * MINUTE, self.people.known)
        self.factors = Factors(self.store, vault, "Breakglass")
        self.office = Office(self.store, providers, self.access, vault, self.factors)
        self.desk = Desk(
            policy=self.policy,
            installation=INSTALLATION,
            store=self.store,
            access=self.access,
            providers=providers,
            people=self.people,
            factors=self.factors,
            closed=lambda: self.closed,
            start=self.keeper.start,
        )
        for backend in self.backends.values():
            backend.history_size = self._history_size

    async def tampered(self, *statements: str) -> None:
        """Somebody with the rights of who owns the tables runs these."""
        engine = open_engine(owners(self.address))
        async with engine.begin() as connection:
            for statement in statements:
                await connection.exec_driver_sql(statement)
        await engine.dispose()

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    async def _history_size(self) -> int:
        return (await self.store.head()).size

    @property
    def vault(self) -> Pretend:
        """The backend of `TERMS`."""
        return self.backends["vault"]

    # --- moves ------------------------------------------------------------------------------------------

    def key(self) -> str:
        """The name of a new interaction."""
        self._keys += 1
        return f"click-{self._keys}"

    def code(self, person: PersonId) -> str:
        """What the person's authenticator shows now."""
        return pyotp.TOTP(self.secrets[person].reveal()).at(self.clock.now)

    async def enrol(self, *persons: PersonId) -> None:
        for person in persons:
            self.secrets[person] = (await self.factors.enrol_directly(person, OPERATOR)).secret

    def form(self, person: PersonId = ANNA, *, access: str = "prod-db", code: str = "") -> Ask:
        """The form, filled in well."""
        return Ask(
            person=person,
            scenario=SCENARIO.key,
            access=access,
            criteria=SCENARIO.criteria,
            duration=15 * MINUTE,
            reason="The replica lags by an hour.",
            code=code,
            keys=(self.key(),),
        )

    async def asked(self, person: PersonId = ANNA, *, access: str = "prod-db") -> Request:
        """Filed with a right code: it waits for approval."""
        self.clock.forward(timedelta(seconds=30))  # the authenticator shows a code that was not used yet
        return await self.desk.ask(self.form(person, access=access, code=self.code(person)))

    async def asked_without_a_factor(self) -> Request:
        """By Cara, who may ask for a moment and has no second factor."""
        self.people.put("oncall", ANNA, CARA)
        try:
            return await self.desk.ask(self.form(CARA, code="123456"))
        finally:
            self.people.put("oncall", ANNA)

    async def approved(self, id: RequestId, *by: PersonId) -> Request:
        """Approved by Ben, or by these; whatever that started has been carried out."""
        for person in by or (BEN,):
            await self.desk.approve(id, person, self.key())
        await self.settled()
        return await self.store.get(id)

    async def granting(self) -> Request:
        """Approved by Ben; the provider was asked, and answers when its gate is opened."""
        self.vault.will("grant", Mood.WORKS_LATE)
        request = await self.asked()
        request = await self.desk.approve(request.id, BEN, self.key())
        await asyncio.wait_for(self.vault.asked.wait(), 5)
        return request

    async def active(self, person: PersonId = ANNA) -> Request:
        request = await self.asked(person)
        return await self.approved(request.id)

    async def revoked(self, id: RequestId, by: PersonId = DORA) -> Request:
        await self.desk.revoke(id, by, "enough", self.key())
        await self.settled()
        return await self.store.get(id)

    async def reviewed(self, id: RequestId, by: PersonId = CARA) -> Request:
        """Reported by Anna and judged by Cara, or by this one."""
        await self.desk.report(id, ANNA, "I restarted the replica.", self.key())
        return await self.judged(id, by)

    async def judged(self, id: RequestId, by: PersonId) -> Request:
        return await self.desk.review(
            id, by, verdict=Verdict.REAL, less_was_possible=False, follow_ups="nothing", key=self.key()
        )

    async def state(self, id: RequestId) -> State:
        return (await self.store.get(id)).state

    # --- time -------------------------------------------------------------------------------------------

    async def settled(self) -> None:
        """Everything that was started beside the callers is over."""
        while self.keeper._tasks:
            await self.keeper.drain(timedelta(seconds=20))

    async def sweep(self) -> None:
        await self.keeper.sweep()
        await self.settled()

    async def forward(self, by: timedelta) -> None:
        """Time passes; the keeper sweeps at every moment at which something comes due."""
        until = self.clock.now + by
        await self.sweep()
        while (due := await self.store.next_due(self.clock.now)) is not None and due <= until:
            self.clock.now = due
            await self.sweep()
        self.clock.now = until
        await self.sweep()

    async def until(self, condition: Callable[[], bool | Awaitable[bool]]) -> None:
        """Lets the others work until it is so, without letting virtual time pass."""
        async with asyncio.timeout(20):
            while True:
                so = condition()
                if so if isinstance(so, bool) else await so:
                    return
                await asyncio.sleep(0.001)  # not 0: who spins keeps the database's threads from working

    async def until_left(self, state: State, id: RequestId) -> None:
        async def left() -> bool:
            return await self.state(id) is not state

        await self.until(left)

    def impatient(self) -> None:
        """From now on a provider that hangs is waited for only briefly."""
        self.grant_deadline = IMPATIENT
        self._assemble()

    async def crash(self) -> None:
        """The process is gone with all it knew; a new one stands over the same file, not yet booted."""
        await asyncio.sleep(0)
        tasks = list(self.keeper._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._assemble()

    async def boot(self) -> None:
        await self.keeper.boot()
        await self.settled()

    # --- the history and the promises -------------------------------------------------------------------

    async def history(self) -> list[canonical.Record]:
        return await self.store.records(0, (await self.store.head()).size)

    async def told(self, kind: type[e.Event]) -> list[canonical.Record]:
        """Every fact of this kind."""
        return [record for record in await self.history() if isinstance(record.event, kind)]

    async def keeps_its_promises(self, *, late: timedelta = STUCK_AFTER) -> None:
        """I1 to I6, for whatever happened so far.

        Args:
            late: how long after its end an access may have lived in this story.
        """
        lives, grants = await self._replayed()
        for request in lives.values():
            assert await self.store.get(request.id) == request, "I6: the history adds up to what is stored"
        by_mark = {request.mark: request for request in lives.values()}
        for backend in self.backends.values():
            for mark in backend.ledger:
                if mark.startswith(f"bg-{INSTALLATION}-"):
                    request = by_mark[Mark(mark)]
                    assert request.state in HELD, f"I1, I3: {mark} exists and its request is {request.state}"
                    assert request.expires_at is not None
                    assert self.clock.now <= request.expires_at + late, "I1: it outlived its end"
            for put in backend.puts:
                request = by_mark[put.mark]
                assert put.until == request.expires_at, "I1: never longer than approved"
                assert grants[request.id] < put.history, "I2: the intention was committed before the act"
                gone = backend.gone_at.get(put.mark, self.clock.now)
                assert gone <= put.until + late, "I1: it outlived its end"
        assert len(set(grants)) == len(grants), "I4"

    async def _replayed(self) -> tuple[dict[RequestId, Request], dict[RequestId, int]]:
        """The lives that the history tells, and at which line each was granted."""
        head = await self.store.head()
        lines = await self.store.lines(0, head.size)
        assert [line.seq for line in lines] == list(range(head.size)), "I6: no gap"
        tree = type(head)().extend(leaf_hash(line.body) for line in lines)
        assert tree == head, "I6: the tree is that of the lines"
        lives: dict[RequestId, Request] = {}
        grants: dict[RequestId, int] = {}
        for record in (canonical.read(line.body) for line in lines):
            event, id = record.event, record.request
            if isinstance(event, e.RequestOpened):
                lives[event.id] = machine.open_request(event, record.at)
            elif id is not None and record.after:
                if isinstance(event, e.QuorumReached | e.Activated):
                    _may_be_granted(lives[id], event, record.at)
                    assert id not in grants, "I4: one grant per request"
                    grants[id] = record.seq
                assert lives[id].state.value == record.before
                lives[id] = machine.apply(lives[id], event, record.at)
                assert lives[id].state.value == record.after
        return lives, grants


def _may_be_granted(request: Request, event: e.QuorumReached | e.Activated, at: datetime) -> None:
    votes = defaultdict(set)
    for approval in request.approvals:
        votes[approval.tier].add(approval.by)
    for index, tier in enumerate(request.terms.tiers):
        assert len(votes[index] - {request.requester}) >= tier.count, "I2: no grant without quorum"
    assert sum(map(len, votes.values())) == len(set().union(*votes.values())), "I2: one human, one vote"
    proof = event.proof if isinstance(event, e.Activated) else request.proof
    if request.terms.mfa is not Mfa.NONE:
        assert proof is not None, "I2: no grant without proof"
        assert at - proof.at <= request.terms.mfa_max_age, "I2: no grant on an old proof"


@asynccontextmanager
async def rig(tmp_path: Path, policy: Policy | None = None, *more: str) -> AsyncIterator[Rig]:
    """A desk over a new database in `tmp_path`, where Anna is enrolled.

    Args:
        tmp_path: where the database file goes.
        policy: the rules; those of `policy_of(TERMS)` unless given.
        more: names of backends besides `vault`.
    """
    clock = Clock()
    address = await fresh(tmp_path / "breakglass.db")
    engine = open_engine(address)
    try:
        backends = {name: Pretend(clock, INSTALLATION) for name in ("vault", *more)}
        it = Rig(engine, policy or policy_of(TERMS), clock, Directory(), backends, address)
        await it.store.begin_history(INSTALLATION, "breakglass.example/acme")
        await it.enrol(ANNA)
        yield it
        await it.settled()
    finally:
        await engine.dispose()
