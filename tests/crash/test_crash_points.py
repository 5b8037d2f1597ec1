"""kill -9 at every point between Approve and the end of access, on real processes and a real PostgreSQL.

The list of points is generated: one run of the story writes the name of each point it passes. Then the story
runs once per point and dies there; a second process boots, recovers, and the invariants are asserted against
PostgreSQL's own catalogue. Every call to the database server is a point on the path of the hand back; of the
other paths what is their own: who orders the end, or what begins the grant.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from bot.demo.database import PostgresServer
from bot.demo.production import Production
from bot.mfa import Vault
from bot.operate.looking import reading
from bot.operate.verifying import report_on
from tests.crash.child import COMMAND, EXPIRY, HAND_BACK, STALE
from tests.providers.fixtures import Cluster
from tests.store.fresh import fresh, on, plain

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]

CONFIG = """
installation = "crash"
[channels]
requests = "C0REQUEST1"
audit = "C0AUDIT001"
security = "C0SECURE01"
[roles.on-call]
users = ["U0ALICE01"]
[roles.leads]
users = ["U0BOB0001"]
[roles.security]
users = ["U0DANA001"]
[desk]
security = ["security"]
[review]
reviewers = ["security"]
[backends.prod-db]
kind = "postgres"
url_env = "PROD_DB_URL"
roles = ["prod_ro", "prod_rw"]
[backends.prod-db.people]
U0ALICE01 = "alice"
[accesses.login]
title = "Read, own login"
environment = "production"
risk = "medium"
backend = "prod-db"
scope = { role = "prod_ro", mode = "login" }
durations = ["3s"]
requesters = ["on-call"]
approval = [{ roles = ["leads"], count = 1 }]
approver_mfa = "none"
[accesses.ephemeral]
title = "Change, a login for this alone"
environment = "production"
risk = "high"
backend = "prod-db"
scope = { role = "prod_rw", mode = "ephemeral" }
durations = ["3s"]
requesters = ["on-call"]
approval = [{ roles = ["leads"], count = 1 }]
approver_mfa = "none"
[scenarios.db-locks]
title = "The database is locked"
criteria = ["Customers are affected now"]
accesses = ["login", "ephemeral"]
"""


@dataclass
class Place:
    """One database server for all runs, and a history of its own for each."""

    production: Production
    home: Path
    keys: str
    forker: asyncio.subprocess.Process
    kind: str
    """What the history is on: `sqlite` or `postgres`."""

    histories: Cluster
    """The server for histories on PostgreSQL: the same one."""

    async def env(self, run: str, path: str, access: str, **more: str) -> dict[str, str]:
        """What a child needs, a database of its own for instance."""
        with on(self.histories) if self.kind == "postgres" else nullcontext():
            address = await fresh(self.home / f"{run}.db")
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BREAKGLASS_CONFIG": str(self.home / "breakglass.toml"),
            "BREAKGLASS_DATABASE_URL": plain(address),
            "BREAKGLASS_SECRET_KEYS": self.keys,
            "PROD_DB_URL": self.production.broker_url,
            "CRASH_ACCESS": access,
            "CRASH_PATH": path,
            **more,
        }

    async def run(self, play: str, env: dict[str, str]) -> tuple[int, str]:
        """One process to its end: (exit code, output)."""
        out = self.home / "output.txt"
        assert self.forker.stdin is not None
        assert self.forker.stdout is not None
        job = json.dumps({"play": play, "env": env, "out": str(out)})
        self.forker.stdin.write(f"{job}\n".encode())
        await self.forker.stdin.drain()
        code = int(await self.forker.stdout.readline())
        return code, out.read_text()


@pytest.fixture(params=["sqlite", "postgres"])
async def place(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with Production() as production:
        owner = await asyncpg.connect(production.server.url())
        # What Alice had before any of this: it must be there afterwards (I5).
        await owner.execute("CREATE ROLE helpdesk NOLOGIN; GRANT helpdesk TO alice")
        await owner.close()
        (tmp_path / "breakglass.toml").write_text(CONFIG)
        forker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crash.child",
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        histories = Cluster(production.server.url(), ours=True)
        yield Place(production, tmp_path, Vault.new_key(), forker, request.param, histories)
        forker.terminate()
        await forker.wait()


async def memberships(server: PostgresServer) -> set[tuple[str, str]]:
    """(role, member) as the catalogue has it, of Alice and of everything with our mark."""
    owner = await asyncpg.connect(server.url())
    rows = await owner.fetch(
        "SELECT r.rolname AS role, m.rolname AS member FROM pg_auth_members a "
        "JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member "
        "WHERE m.rolname = 'alice' OR m.rolname LIKE 'bg-%'"
    )
    await owner.close()
    return {(row["role"], row["member"]) for row in rows}


async def assert_invariants(place: Place, env: dict[str, str]) -> None:
    """I1 to I6 after recovery, against the catalogue and the history."""
    assert await place.production.marked("bg-crash-") == [], (
        "I1, I3: something of ours is left at the provider"
    )
    assert await memberships(place.production.server) == {("helpdesk", "alice")}, (
        "I5: what was there is touched"
    )
    async with reading(env) as reader:
        requests = await reader.everything()
        report = await report_on(reader, ())
        assert report.findings == [], "I2, I4, I6: the history is not whole, or a life in it is not legal"
        records = await reader.records(0, 10_000)
    kinds = [type(record.event).__name__ for record in records]
    assert kinds.count("AccessGranted") <= 1, "I4: more than one grant for one approval"
    assert kinds.count("AccessEnded") + kinds.count("GrantAbandoned") <= 1, "one end, once"
    for request in requests.values():
        assert request.state.value in AT_REST, request.state


AT_REST = {"awaiting_approval", "approved_stale", "lapsed", "awaiting_review", "failed"}


async def every_point(
    place: Place, path: str, access: str, subtests: pytest.Subtests, *, ahead: str = "0"
) -> list[str]:
    """Dies at each point of the path, recovers so many seconds later, and keeps the promises each time."""
    log = place.home / f"{path}.txt"
    env = await place.env(f"{path}-all", path, access, CRASH_LOG=str(log))
    code, said = await place.run("story", env)
    assert code == 0, said
    await assert_invariants(place, env)
    points = log.read_text().splitlines()
    for number, point in enumerate(points):
        with subtests.test(msg=f"{path}: {point}"):
            env = await place.env(f"{path}-{number}", path, access, CRASH_AT=point)
            code, said = await place.run("story", env)
            assert code == -signal.SIGKILL, f"it did not die at {point}: {said}"
            assert len(await place.production.marked("bg-crash-")) <= 1, "I4"
            code, said = await place.run("recover", {**env, "CRASH_AT": "", "CRASH_AHEAD": ahead})
            assert code == 0, said
            await assert_invariants(place, env)
    return points


@pytest.mark.parametrize("access", ["login", "ephemeral"])
async def test_no_crash_between_approve_and_the_end_leaves_access(
    place: Place, access: str, subtests: pytest.Subtests
) -> None:
    points = await every_point(place, HAND_BACK, access, subtests)
    assert len(points) > 20, "the story passes many points"
    assert {"before grant #1", "after grant #1", "before revoke #1"} <= set(points)


ORDERED = {
    f"{when} {what} #1"
    for when in ("before", "after")
    for what in ("commit revoke_ordered", "revoke", "commit access_ended")
}


async def test_no_crash_on_another_path_leaves_access(place: Place, subtests: pytest.Subtests) -> None:
    """Its time is over, an operator ends it, or a slow approval is activated; overdue when it recovers."""
    begun = {"before commit activated #1", "before grant #1", "after commit access_granted #1"}
    for path, access, passed in (
        (EXPIRY, "login", ORDERED),
        (COMMAND, "login", ORDERED),
        (STALE, "ephemeral", begun),
    ):
        assert passed <= set(await every_point(place, path, access, subtests, ahead="1200"))
