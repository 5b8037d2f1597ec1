"""PostgreSQL that is away, restarts or says no: a sentence each time, nothing half written, no password."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core import events as e
from bot.core.errors import BreakglassError
from bot.demo.ports import free_port
from bot.store import (
    AlreadyServed,
    DatabaseTrouble,
    Store,
    only_server,
    open_engine,
    require_current,
)
from bot.store.postgres import DatabaseUnreachable
from tests.core.samples import Clock, opened
from tests.providers.fixtures import Cluster
from tests.providers.proxy import Proxy, proxy_to
from tests.store.fresh import APP, PASSWORD, Addresses, fresh_on
from tests.store.looking import ON_POSTGRES, contents, whole


@pytest.fixture
async def place(cluster: Cluster) -> Addresses:
    return await fresh_on(cluster)


@pytest.fixture
async def line(cluster: Cluster) -> AsyncIterator[Proxy]:
    """The network between us and PostgreSQL."""
    async with proxy_to(cluster.host, cluster.port) as proxy:
        yield proxy


def through(url: str, cluster: Cluster, line: Proxy) -> str:
    """The same database over that network."""
    return url.replace(f":{cluster.port}/", f":{line.port}/")


async def why(url: str) -> str:
    engine = open_engine(url)
    try:
        with pytest.raises(DatabaseUnreachable) as refused:
            await require_current(engine)
    finally:
        await engine.dispose()
    assert PASSWORD not in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "a%20word" not in str(refused.value)
    return str(refused.value)


# --- what an operator gets wrong ------------------------------------------------------------------------


async def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.engine.find_spec", lambda _: None)
    with pytest.raises(BreakglassError, match=r"needs asyncpg.*In a checkout.*pip install '\.\[postgres\]'"):
        open_engine("postgresql+asyncpg://app@127.0.0.1/breakglass")


async def test_a_wrong_password_names_the_role_and_not_the_password(place: Addresses) -> None:
    said = await why(place.app.replace(f"{APP}:", f"{APP}:secret"))
    assert f"does not let role '{APP}' in with this password. Mend the address, or let an admini" in said
    assert f"ALTER ROLE \"{APP}\" PASSWORD '…'" in said


async def test_a_database_that_does_not_exist_is_told_how_it_is_made(place: Addresses) -> None:
    said = await why(place.app.rpartition("/")[0] + "/none")
    assert 'CREATE DATABASE "none" OWNER breakglass_owner' in said


async def test_nobody_at_the_address_is_a_question_about_the_address() -> None:
    port = free_port()
    said = await why(f"postgresql+asyncpg://app:secret@127.0.0.1:{port}/bg")
    assert f"No database answers at 127.0.0.1:{port}/bg (" in said
    assert "Does PostgreSQL run, and is the address right?" in said


async def test_a_host_that_has_no_address_is_the_same() -> None:
    assert "No database answers at no.such.host.invalid:5432/bg" in await why(
        "postgresql+asyncpg://app:secret@no.such.host.invalid/bg"
    )


async def test_tls_that_the_server_does_not_offer_is_not_done_without(place: Addresses) -> None:
    said = await why(f"{place.app}?sslmode=require")
    assert "does not offer TLS, and the address asks for it" in said


async def test_an_authority_that_is_not_there_names_the_parameters(place: Addresses) -> None:
    said = await why(f"{place.app}?sslmode=verify-full&sslrootcert=/nowhere/ca.pem")
    assert "Mend sslrootcert" in said


async def test_a_mode_of_tls_that_does_not_exist_is_an_address_that_cannot_be_used(place: Addresses) -> None:
    assert "The address of the database cannot be used" in await why(f"{place.app}?sslmode=maybe")


async def test_a_role_that_is_shut_out_hears_what_postgresql_says(place: Addresses) -> None:
    admin = open_engine(place.admin)
    async with admin.begin() as connection:
        name = place.app.rpartition("/")[2]
        await connection.execute(text(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC, {APP}"))
    await admin.dispose()
    assert "refuses the connection (permission denied for database" in await why(place.app)


# --- it goes away ---------------------------------------------------------------------------------------


@ON_POSTGRES
async def test_a_connection_that_breaks_in_a_transaction_leaves_nothing_and_the_next_one_works(
    store: Store, cluster: Cluster, url: str, clock: Clock
) -> None:
    before = await contents(store.engine)
    async with proxy_to(cluster.host, cluster.port) as line:
        engine = open_engine(through(url, cluster, line))
        shaky = Store(engine, clock, "p" * 64)
        assert (await shaky.head()).size == 1

        async def breaks(_connection: AsyncConnection, _at: object) -> None:
            line.cut()
            await asyncio.sleep(0)

        with pytest.raises(DatabaseTrouble):
            await shaky.note(e.ServerStopped(), also=[breaks, breaks])
        assert await contents(store.engine) == before
        line.heal()
        await shaky.note(e.ServerStopped())
        assert await whole(store) == 2
        await engine.dispose()


@ON_POSTGRES
async def test_sessions_that_an_administrator_ended_are_made_again_unasked(
    store: Store, place: Addresses
) -> None:
    await asyncio.gather(*(store.head() for _ in range(5)))
    admin = open_engine(place.admin)
    async with admin.begin() as connection:
        await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :app"), {"app": APP}
        )
    await admin.dispose()
    await asyncio.gather(*(store.note(e.ServerStopped()) for _ in range(5)))
    assert await whole(store) == 6


async def test_a_writer_that_hangs_is_given_up_in_seconds_and_ended_by_postgresql(place: Addresses) -> None:
    """Limits of every session: who waits too long is told, who sits in a transaction is ended."""
    engine = open_engine(place.app)
    async with engine.connect() as connection:
        found = [
            await connection.scalar(text(f"SHOW {name}"))
            for name in (
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "default_transaction_isolation",
            )
        ]
    await engine.dispose()
    assert found == ["30s", "10s", "1min", "read committed"]


# --- the only server ------------------------------------------------------------------------------------


class Pauses:
    """Lets `keep` look once for each `look()`, and waits until it has."""

    def __init__(self) -> None:
        self._go, self._there = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def __call__(self, _seconds: float) -> None:
        self._there.release()
        await self._go.acquire()

    async def look(self) -> None:
        self._go.release()
        await self._there.acquire()


async def test_a_server_whose_session_broke_grants_nothing_until_it_has_the_right_again(
    place: Addresses, cluster: Cluster, line: Proxy
) -> None:
    pauses = Pauses()
    async with only_server(through(place.app, cluster, line)) as right, asyncio.timeout(20):
        keeping = asyncio.create_task(right.keep(pauses))
        await pauses.look()
        assert right.lost() is None
        line.cut()
        await pauses.look()
        assert "it is being made again" in str(right.lost())
        await pauses.look()
        assert right.lost() is not None
        line.heal()
        await until_free(pauses, right.lost)
        with pytest.raises(AlreadyServed):
            await only_server(place.app).__aenter__()
        keeping.cancel()


async def until_free(pauses: Pauses, lost: object) -> None:
    """PostgreSQL notices a moment later that the old session is gone."""
    assert callable(lost)
    while lost() is not None:
        await pauses.look()


async def test_a_server_whose_right_another_took_meanwhile_stops(
    place: Addresses, cluster: Cluster, line: Proxy
) -> None:
    pauses = Pauses()
    async with only_server(through(place.app, cluster, line)) as right, asyncio.timeout(20):
        keeping = asyncio.create_task(right.keep(pauses))
        await pauses.look()
        line.cut()
        await pauses.look()
        async with taken(place.app):
            line.heal()
            pauses._go.release()
            with pytest.raises(AlreadyServed, match="Stop it first"):
                await keeping
            assert right.lost() is not None


class taken:  # noqa: N801  read as a word
    """The right of another server, as soon as PostgreSQL has noticed that the first is gone."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> None:
        while True:
            self._held = only_server(self._url)
            try:
                await self._held.__aenter__()
            except AlreadyServed:
                await asyncio.sleep(0.01)
            else:
                return

    async def __aexit__(self, *_: object) -> None:
        await self._held.__aexit__(None, None, None)


async def test_a_lock_of_one_database_is_none_of_another(cluster: Cluster) -> None:
    one, other = await fresh_on(cluster), await fresh_on(cluster)
    async with only_server(one.app), only_server(other.app):
        pass


# --- readers --------------------------------------------------------------------------------------------


async def test_a_reader_never_passes_a_line_that_is_committed_late(store: Store) -> None:
    """Many writers at once, each slow inside its transaction; one follows the history by its positions."""

    async def slow(_connection: AsyncConnection, _at: object) -> None:
        await asyncio.sleep(0.001)

    seen: list[int] = []
    done = asyncio.Event()

    async def follow() -> None:
        while not done.is_set() or len(seen) < await whole(store):
            last = await store.last_seq()
            seen.extend(line.seq for line in await store.lines(len(seen), last + 1))

    following = asyncio.create_task(follow())
    await asyncio.gather(*(store.note(e.ServerStopped(), also=[slow]) for _ in range(30)))
    done.set()
    async with asyncio.timeout(20):
        await following
    assert seen == list(range(31))


async def test_what_is_asked_at_once_is_of_one_moment(store: Store) -> None:
    async with store.at_once() as reader:
        before = await reader.head()
        await store.open(opened())
        assert await reader.head() == before
        assert await reader.last_seq() == before.size - 1
        assert await reader.everything() == {}
    assert (await store.head()).size == before.size + 1
