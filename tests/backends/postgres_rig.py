"""One person, one broker and one database of their own at a real PostgreSQL, with a network that can fail."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import asyncpg

from bot.backends import Backend, registry
from bot.backends.postgres.adapter import Postgres
from bot.core.model import Lease, Order
from tests.providers.fixtures import Cluster
from tests.providers.proxy import Proxy, proxy_to

NO = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidAuthorizationSpecificationError,
)


class PostgresRig:
    """Names carry a random tag, so that tests share a server and never see each other."""

    no_sessions = ""

    def __init__(self, cluster: Cluster, mode: Literal["login", "ephemeral"], names: str = "{}") -> None:
        self.cluster, self.mode = cluster, mode
        self.tag = secrets.token_hex(4)
        self.installation = f"t{self.tag}"
        self.role, self.principal = (names.format(f"{word}_{self.tag}") for word in ("prod_ro", "alice"))
        self.broker, self.database = f"broker_{self.tag}", f"db_{self.tag}"
        self.passwords = {name: secrets.token_hex(8) for name in (self.broker, self.principal)}
        self.secrets: Sequence[str] = tuple(self.passwords.values())
        self.scope = {"role": self.role, "mode": mode}
        self.no_preexisting = "" if mode == "login" else "an ephemeral login is new: it had nothing before"
        self.planted: list[str] = []
        self.sessions: list[Any] = []
        self.admin: Any
        self.proxy: Proxy
        self.backend: Backend

    async def start(self, proxy: Proxy) -> None:
        """The least broker, as the documentation tells to make it; the superuser is the tests' alone."""
        if not self.cluster.checked:
            assert not await self.gets_in(self.cluster.superuser, "wrong", "postgres"), "the server trusts!"
            self.cluster.checked = True
        root = await asyncpg.connect(self.cluster.admin)
        await root.execute(f'CREATE DATABASE "{self.database}"')
        await root.close()
        self.admin = await asyncpg.connect(self.cluster.admin_url(self.database))
        await self.sql(
            f"""
            CREATE ROLE %I NOLOGIN;
            CREATE ROLE %I LOGIN PASSWORD '{self.passwords[self.principal]}';
            CREATE ROLE {self.broker} LOGIN CREATEROLE PASSWORD '{self.passwords[self.broker]}';
            GRANT pg_signal_backend TO {self.broker};
            CREATE TABLE secrets (word text);
            INSERT INTO secrets SELECT 'word ' || n FROM generate_series(1, 1000) n;
            """,
            self.role, self.principal,
        )  # fmt: skip
        await self.sql(f"GRANT %I TO {self.broker} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE", self.role)
        await self.sql("GRANT SELECT ON secrets TO %I", self.role)
        self.proxy = proxy
        self.backend = self.again()

    async def stop(self) -> None:
        for session in self.sessions:
            session.terminate()
        await self.admin.close()
        root = await asyncpg.connect(self.cluster.admin)
        await root.execute(f'DROP DATABASE "{self.database}" WITH (FORCE)')
        doomed = await root.fetchval(
            "SELECT string_agg(quote_ident(rolname), ',') FROM pg_roles WHERE rolname LIKE '%' || $1 || '%'",
            self.tag,
        )
        await root.execute(f"DROP ROLE {doomed}")
        await root.close()

    def again(self, patience: float | None = None, **settings: object) -> Postgres:
        url = self.cluster.url(self.broker, self.passwords[self.broker], self.database, self.proxy.port)
        raw: dict[str, object] = {
            "url_env": "BROKER",
            "roles": [self.role],
            "handoff_port": self.cluster.port,
            "deadline_s": patience or 10.0,
            **settings,
        }
        built = registry.create(
            "postgres", raw, name="prod", installation=self.installation, env={"BROKER": url}
        )
        assert isinstance(built, Postgres)
        return built

    async def sql(self, template: str, *names: str) -> None:
        """As the superuser, names quoted by the server."""
        await self.admin.execute(
            await self.admin.fetchval("SELECT format($1::text, VARIADIC $2::text[])", template, list(names))
        )

    async def connect(self, user: str, password: str, database: str | None = None) -> Any:  # noqa: ANN401
        session = await asyncpg.connect(
            user=user, password=password, database=database or self.database,
            host=self.cluster.host, port=self.cluster.port,
        )  # fmt: skip
        self.sessions.append(session)
        return session

    async def gets_in(self, user: str, password: str, database: str | None = None) -> bool:
        try:
            await (await self.connect(user, password, database)).close()
        except NO:
            return False
        return True

    async def person(self, lease: Lease | None, order: Order | None = None) -> Any:  # noqa: ANN401
        """A session of the person over TCP with a password: their own login's, or the one handed over."""
        if self.mode == "login":
            return await self.connect(self.principal, self.passwords[self.principal])
        handed = {k: v.reveal() for k, v in lease.handoff.fields} if lease and lease.handoff else {}
        name = order.mark if order else "nobody"
        return await self.connect(handed.get("user", name), handed.get("password", "guess"))

    async def works(self, order: Order | None, lease: Lease | None) -> bool:
        return await self._reads(self.person(lease, order))

    async def standing_works(self) -> bool:
        return await self._reads(self.connect(self.principal, self.passwords[self.principal]))

    async def _reads(self, connecting: Awaitable[Any]) -> bool:
        try:
            session = await connecting
            count = await session.fetchval("SELECT count(*) FROM secrets")
            await session.close()
        except NO:
            return False
        return bool(count == 1000)

    async def open_session(self, lease: Lease) -> Callable[[], Awaitable[bool]]:
        """A session in the middle of reading: its cursor would go on after a mere REVOKE."""
        session = await self.person(lease)
        await session.execute("BEGIN; DECLARE reading CURSOR FOR SELECT word FROM secrets")

        async def alive() -> bool:
            try:
                return bool(await session.fetchval("FETCH 1 FROM reading"))
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return False

        return alive

    async def give_before(self) -> None:
        await self.sql("GRANT %I TO %I", self.role, self.principal)

    async def plant(self, name: str) -> None:
        self.planted.append(name)
        await self.sql("CREATE ROLE %I NOLOGIN", name)
        await self.sql("GRANT %I TO %I", self.role, name)

    async def names(self) -> set[str]:
        rows = await self.admin.fetch(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE '%' || $1 || '%'", self.tag
        )
        return {row["rolname"] for row in rows}

    async def refuse(self) -> None:
        await self.sql("ALTER ROLE %I NOCREATEROLE", self.broker)

    def cut(self) -> None:
        self.proxy.cut()

    def pause(self) -> None:
        self.proxy.pause()

    def swallow(self) -> None:
        self.proxy.swallow_after(b"COMMIT")

    def heal(self) -> None:
        self.proxy.heal()


@asynccontextmanager
async def postgres_rig(
    cluster: Cluster, mode: Literal["login", "ephemeral"], names: str = "{}"
) -> AsyncIterator[PostgresRig]:
    """A rig, and nothing left of it afterwards. `names` shapes the names of role and person."""
    rig = PostgresRig(cluster, mode, names)
    async with proxy_to(cluster.host, cluster.port) as proxy:
        await rig.start(proxy)
        try:
            yield rig
        finally:
            await rig.stop()
