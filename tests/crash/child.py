"""The processes of the crash tests: `python -m tests.crash.child` imports once and forks one for each job.

A job is a line of JSON: what to play (`story` or `recover`), its environment, and where its output goes; the
answer is a line with its exit code. `CRASH_PATH` says which way the story goes. Forking saves the second that
importing takes; each job is a process of its own all the same, and dies as one.

It is the server without Slack: the same office, desk, access and keeper, on real PostgreSQL. Every commit of
the store, every act of a backend and every call to the database server is a crash point, named as it is
passed; nothing in the code under test knows of them. `CRASH_LOG` collects the names, `CRASH_AT` kills the
process, with SIGKILL, when the named point is passed. Where nothing but who gives the order differs from the
hand back, the calls to the database server are the same, and are no points once more.
"""

import asyncio
import functools
import json
import os
import re
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pyotp

from bot.config import END, Config, load
from bot.core.events import type_of
from bot.core.model import HELD, OPERATOR, Person, PersonId, RequestId, Roster, State
from bot.desk import Ask, Desk
from bot.keeper import Keeper
from bot.office import Office, office
from bot.operate import ending
from bot.store import Store

ALICE, BOB = PersonId("U0ALICE01"), PersonId("U0BOB0001")
PEOPLE = {ALICE: Person(ALICE, "Alice"), BOB: Person(BOB, "Bob")}

Wrapped = Callable[..., Awaitable[object]]

HAND_BACK, EXPIRY, STALE, COMMAND = "hand-back", "expiry", "stale", "command"
"""Ways of the story: she hands it back; its time is over; a fresh code after a slow approval; `revoke`."""

LATER = timedelta(minutes=11)
"""Older than a code may be when it is granted on."""


class Clock:
    """Real time, put forward."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


_passed: Counter[str] = Counter()
_armed = False


def point(name: str) -> None:
    """A crash point. The nth passing of the same name has its own number."""
    if not _armed or (" sql " in name and os.environ["CRASH_PATH"] != HAND_BACK):
        return
    _passed[name] += 1
    numbered = f"{name} #{_passed[name]}"
    if log := os.environ.get("CRASH_LOG"):
        with Path(log).open("a") as file:
            file.write(numbered + "\n")
    if os.environ.get("CRASH_AT") == numbered:
        os.kill(os.getpid(), signal.SIGKILL)


def instrument(
    owner: type, method: str, name: Callable[..., str], *, counts: Callable[[Any], bool] = lambda _self: True
) -> None:
    """Puts a point before and after each call of `owner.method` on an object that counts."""
    original: Wrapped = getattr(owner, method)

    @functools.wraps(original)
    async def around(*args: object, **kwargs: object) -> object:
        if not counts(args[0]):
            return await original(*args, **kwargs)
        called = name(*args[1:], **kwargs)
        point(f"before {called}")
        result = await original(*args, **kwargs)
        point(f"after {called}")
        return result

    setattr(owner, method, around)


def instrument_everything(place: Office) -> None:
    """Every commit, every act, every statement."""
    instrument(Store, "open", lambda *events, **_: f"commit {'+'.join(map(type_of, events))}")
    instrument(Store, "record", lambda _r, *events, **_k: f"commit {'+'.join(map(type_of, events))}")
    instrument(Store, "record_all", lambda _r, event: f"commit {type_of(event)}")
    instrument(Store, "note", lambda *events, **_: f"commit {'+'.join(map(type_of, events))}")
    backend = type(place.providers["prod-db"].backend)
    instrument(backend, "grant", lambda *_: "grant")
    instrument(backend, "revoke", lambda *_: "revoke")

    def statement(sql: object, *_args: object, **_kwargs: object) -> str:
        return "sql " + re.sub(r"[^a-z ]+.*", "", re.sub(r"\s+", " ", str(sql).strip().lower()))[:40].strip()

    for method in ("execute", "fetch", "fetchrow", "fetchval"):
        instrument(asyncpg.Connection, method, statement, counts=is_providers)


def is_providers(connection: Any) -> bool:  # noqa: ANN401  asyncpg has no types
    """Not one of the store's: how often those look depends on time, and their commits are points above."""
    return "bg_test_" not in connection._params.database


class TwoPeople:
    """A directory of two."""

    async def roster(self, *_persons: PersonId) -> Roster:
        return self.known()

    def known(self) -> Roster:
        return Roster(
            PEOPLE, {"on-call": frozenset({ALICE}), "leads": frozenset({BOB}), "security": frozenset()}
        )


async def story(place: Office, config: Config, desk: Desk, keeper: Keeper, clock: Clock) -> None:
    """Alice asks, Bob approves, and it ends by one of the paths. The points that differ among them count."""
    global _armed  # noqa: PLW0603  one process, one story
    path = os.environ["CRASH_PATH"]
    secret = (await place.factors.enrol_directly(ALICE, OPERATOR)).secret
    authenticator = pyotp.TOTP(secret.reveal())
    request = await desk.ask(
        Ask(
            person=ALICE,
            scenario="db-locks",
            access=os.environ["CRASH_ACCESS"],
            criteria=desk.policy.scenarios["db-locks"].criteria,
            duration=timedelta(seconds=3),
            reason="The queue is locked and customers wait.",
            code=authenticator.at(clock()),
            keys=("ask",),
        )
    )
    _armed = path in {HAND_BACK, STALE}
    if path == STALE:
        clock.ahead += LATER
    await desk.approve(request.id, BOB, key="approve")
    if path == STALE:
        await desk.prove(request.id, ALICE, authenticator.at(clock()), key="prove")
    await until(place, keeper, request.id, {State.ACTIVE})
    _armed = path != STALE
    if path == EXPIRY:
        clock.ahead += timedelta(seconds=3)
        await keeper.sweep()
    elif path == COMMAND:
        await ending.revoke(config, os.environ, id=None, person=ALICE, reason="")
    else:
        await desk.revoke(request.id, ALICE, key="hand back")
    await until(place, keeper, request.id, {State.AWAITING_REVIEW})


async def until(place: Office, keeper: Keeper, id: RequestId, states: set[State]) -> None:
    """Sweeps until the request is there."""
    async with asyncio.timeout(30):
        while (await place.store.get(id)).state not in states:  # noqa: ASYNC110  nothing here tells when
            await asyncio.sleep(0.02)
    await keeper.drain(timedelta(seconds=10))


async def recover(place: Office, keeper: Keeper) -> None:
    """What a server does at boot and after, until nothing is held."""
    await keeper.boot()
    async with asyncio.timeout(60):
        while any(request.state in HELD for request in await place.store.unfinished()):
            await keeper.sweep()
            await keeper.drain(timedelta(seconds=10))
            await asyncio.sleep(0.05)
    await keeper.reconcile()


async def play(what: str) -> None:
    """One job."""
    config = load(Path(os.environ["BREAKGLASS_CONFIG"]), os.environ, need=END)
    clock = Clock(timedelta(seconds=float(os.environ.get("CRASH_AHEAD", "0"))))
    async with office(config, os.environ, clock) as place:
        keeper = Keeper(place.store, place.access, place.providers, timedelta(seconds=60))
        desk = Desk(
            policy=config.policy,
            installation=config.installation,
            store=place.store,
            access=place.access,
            providers=place.providers,
            people=TwoPeople(),
            factors=place.factors,
            closed=lambda: None,
            start=keeper.start,
        )
        instrument_everything(place)
        if what == "story":
            await story(place, config, desk, keeper, clock)
        else:
            await recover(place, keeper)


def child(job: dict[str, Any]) -> None:
    """The life of a forked process."""
    os.environ.clear()
    os.environ.update(job["env"])
    out = os.open(job["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    try:
        asyncio.run(play(job["play"]))
    except BaseException:  # noqa: BLE001  whatever it was, the exit code and the output tell
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Forks for each job until there are no more."""
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            child(json.loads(line))
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
