"""One schema, brought by real migrations, and one server per database."""

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import AlreadyServed, SchemaOutdated, Store, migrate, only_server, open_engine, require_current
from bot.store import tables as t
from tests.core.samples import Clock, opened
from tests.store.looking import ON_SQLITE, contents, other_process, whole

# --- migrations -----------------------------------------------------------------------------------------


async def test_the_migrations_make_exactly_the_tables_that_the_code_describes(store: Store) -> None:
    def differences(connection: Connection) -> object:
        options = {"compare_type": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), t.metadata)

    async with store.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_twice_changes_nothing(store: Store, owner: AsyncEngine) -> None:
    await store.open(opened())
    before = await contents(store.engine)
    then, now = await migrate(owner)
    assert then == now is not None
    assert await contents(store.engine) == before


async def test_migrating_a_new_file_says_from_where_to_where(empty: AsyncEngine) -> None:
    then, now = await migrate(empty)
    assert (then, now is None) == (None, False)
    await require_current(empty)


async def test_a_database_without_our_schema_is_refused_with_the_command_that_mends_it(
    empty: AsyncEngine,
) -> None:
    with pytest.raises(
        SchemaOutdated, match=r"has schema none, this version needs \w+\. Run: breakglass migrate"
    ):
        await require_current(empty)


async def test_a_database_of_another_version_is_refused(store: Store, owner: AsyncEngine) -> None:
    async with owner.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaOutdated, match="has schema 9999, this version needs"):
        await require_current(store.engine)


@ON_SQLITE
async def test_a_commit_that_was_told_is_on_disk(store: Store) -> None:
    """Write-ahead log, a flush per commit, and triggers that also fire inside REPLACE."""
    async with store.engine.connect() as connection:
        told = [
            (await connection.exec_driver_sql(f"PRAGMA {pragma}")).scalar()
            for pragma in ("journal_mode", "synchronous", "recursive_triggers", "foreign_keys")
        ]
    assert told == ["wal", 2, 1, 1]


# --- one server -----------------------------------------------------------------------------------------


async def test_a_second_server_on_the_same_database_is_refused_with_the_first_ones_number(url: str) -> None:
    with other_process("serve", url) as other:
        assert await other.hears() == "serving"
        said = (
            rf"Another server \(process {other.process.pid}.*\) serves .+\. Stop it first, or give this one"
        )
        with pytest.raises(AlreadyServed, match=said):
            await only_server(url).__aenter__()
    async with only_server(url):
        pass


async def test_a_server_that_was_killed_leaves_the_database_free(url: str) -> None:
    with other_process("serve", url) as other:
        assert await other.hears() == "serving"
        other.process.kill()
        other.process.join(10)
        await free(url)


async def free(url: str) -> None:
    """Returns once the database may be served: PostgreSQL notices that a client is gone a moment later."""
    async with asyncio.timeout(10):
        while True:
            try:
                async with only_server(url):
                    return
            except AlreadyServed:
                await asyncio.sleep(0.01)


async def test_the_second_process_is_the_one_that_is_refused(url: str) -> None:
    async with only_server(url):
        with other_process("serve", url) as other:
            assert (await other.hears()).startswith("Another server (process ")


@ON_SQLITE
async def test_another_name_of_the_same_file_is_the_same_file(url: str, file: Path) -> None:
    alias = file.with_name("alias.db")
    alias.symlink_to(file)
    async with only_server(url):
        with pytest.raises(AlreadyServed):
            await only_server(f"sqlite+aiosqlite:///{alias}").__aenter__()


@ON_SQLITE
async def test_the_lock_can_be_read_by_its_owner_alone(url: str, file: Path) -> None:
    async with only_server(url):
        assert Path(f"{file}.lock").stat().st_mode & 0o777 == 0o600  # noqa: ASYNC240  one look


async def test_where_nothing_is_shared_nothing_is_locked() -> None:
    url = "sqlite+aiosqlite:///:memory:"
    async with only_server(url), only_server(url):
        pass


async def test_a_reader_in_another_process_works_beside_the_server(store: Store, url: str) -> None:
    async with only_server(url):
        with other_process("read", url) as other:
            assert await other.hears() == "1 1"
            await store.open(opened())
            other.tell()
            assert await other.hears() == "2 2"


async def test_a_reader_does_not_wait_for_a_writer(store: Store, url: str) -> None:
    async with store.engine.begin() as writing:
        with other_process("read", url) as other:
            await writing.execute(update(t.head).values(frontier=b""))
            assert await other.hears() == "1 1"
        await writing.rollback()


async def test_two_stores_on_two_connections_see_one_history(store: Store, url: str) -> None:
    engine = open_engine(url)
    other = Store(engine, Clock())
    await other.open(opened())
    assert await whole(store) == await whole(other) == 2
    await engine.dispose()
