"""The application's role on PostgreSQL: no right too many, none too few, and each with what mends it."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.audit.checkpoint import Checkpoint
from bot.store import (
    Store,
    WrongRights,
    grant_rights,
    migrate,
    open_engine,
    require_owner,
    require_rights,
    wrong_rights,
)
from bot.store import tables as t
from bot.store.rights import APPEND_ONLY, RIGHTS
from tests.core.samples import NOW, opened
from tests.providers.fixtures import Cluster
from tests.store.fresh import APP, OWNER, PASSWORD, Addresses, fresh_on, owners
from tests.store.looking import ON_POSTGRES, contents

OWN_ROLE = "breakglass_app_2"


async def run(url: str, *statements: str) -> None:
    """As whoever the address names."""
    engine = open_engine(url)
    try:
        async with engine.connect() as connection:
            raw = await connection.execution_options(isolation_level="AUTOCOMMIT")
            for statement in statements:
                await raw.exec_driver_sql(statement)
    finally:
        await engine.dispose()


async def said(url: str) -> list[str]:
    """What is wrong, each with what mends it."""
    engine = open_engine(url)
    try:
        return [f"{wrong.sentence} {wrong.mend}" for wrong in await wrong_rights(engine)]
    finally:
        await engine.dispose()


@pytest.fixture
async def place(cluster: Cluster) -> Addresses:
    """A migrated database; its application's role is right."""
    return await fresh_on(cluster)


def test_every_table_has_its_rights_and_history_is_never_changed_by_them() -> None:
    assert set(RIGHTS) == {*t.metadata.tables, "alembic_version"}
    assert {table: RIGHTS[table] for table in APPEND_ONLY} == {
        "checkpoints": {"SELECT", "INSERT"},
        "events": {"SELECT", "INSERT"},
    }


async def test_what_migrate_grants_is_neither_too_much_nor_too_little(place: Addresses) -> None:
    assert await said(place.app) == []


# --- too much, too little -------------------------------------------------------------------------------

TABLE_RIGHTS = {
    "GRANT UPDATE ON events TO breakglass_app": ("may UPDATE on events", "REVOKE UPDATE ON"),
    "GRANT DELETE ON events TO PUBLIC": (
        "may DELETE on events",
        'REVOKE DELETE ON "public"."events" FROM PUBLIC',
    ),
    "GRANT TRUNCATE ON checkpoints TO breakglass_app": ("may TRUNCATE on checkpoints", "REVOKE TRUNCATE ON"),
    "GRANT UPDATE (body) ON events TO breakglass_app": ("may UPDATE on events", "REVOKE UPDATE ON"),
    "GRANT TRIGGER ON head TO breakglass_app": ("may TRIGGER on head", "REVOKE TRIGGER ON"),
    "GRANT REFERENCES ON words TO breakglass_app": ("may REFERENCES on words", "REVOKE REFERENCES ON"),
    "GRANT MAINTAIN ON events TO breakglass_app": ("may MAINTAIN on events", "REVOKE MAINTAIN ON"),
    "GRANT UPDATE ON alembic_version TO breakglass_app": (
        "may UPDATE on alembic_version",
        "REVOKE UPDATE ON",
    ),
    "GRANT CREATE ON SCHEMA public TO breakglass_app": ("may make tables and", "REVOKE CREATE ON SCHEMA"),
    "GRANT CREATE ON SCHEMA public TO PUBLIC": ("may make tables and", "REVOKE CREATE ON SCHEMA"),
    "REVOKE INSERT ON events FROM breakglass_app": ("may not INSERT on events", "GRANT INSERT ON"),
    "REVOKE UPDATE ON head FROM breakglass_app": ("may not UPDATE on head", "GRANT UPDATE ON"),
    "REVOKE SELECT ON words FROM breakglass_app": ("may not SELECT on words", "GRANT SELECT ON"),
    "REVOKE USAGE ON SEQUENCE failures_id_seq FROM breakglass_app": (
        "may not use the sequence failures_id_seq",
        "GRANT USAGE ON SEQUENCE",
    ),
}


@pytest.mark.parametrize("statement", TABLE_RIGHTS)
async def test_one_right_too_many_or_too_few_is_named_and_what_is_said_mends_it(
    place: Addresses, statement: str
) -> None:
    sentence, mend = TABLE_RIGHTS[statement]
    if "MAINTAIN" in statement and await version(place) < 170000:
        with pytest.raises(DBAPIError, match="unrecognized privilege type"):
            await run(place.owner, statement)
        return  # before PostgreSQL 17 there was no such right, so nobody can have it
    await run(place.owner, statement)
    (found,) = await said(place.app)
    assert sentence in found
    assert mend in found
    engine = open_engine(place.app)
    with pytest.raises(WrongRights, match=sentence):
        await require_rights(engine)
    (wrong,) = await wrong_rights(engine)
    await engine.dispose()
    await run(place.owner, wrong.mend)
    assert await said(place.app) == []


ROLE_RIGHTS = {
    "ALTER ROLE {app} SUPERUSER": "is a superuser",
    "ALTER ROLE {app} CREATEROLE": "may make and change roles",
    "ALTER ROLE {app} CREATEDB": "may make databases",
    "ALTER ROLE {app} REPLICATION": "may replicate the whole server",
    "ALTER ROLE {app} BYPASSRLS": "passes row security",
    "GRANT breakglass_owner TO {app}": "is a member of breakglass_owner, who owns database",
    "GRANT pg_execute_server_program TO {app}": "is a member of pg_execute_server_program",
    "GRANT CREATE ON DATABASE {database} TO {app}": "may make schemas in the database",
    "ALTER TABLE cards OWNER TO {app}": "owns table cards, and so can rewrite the history",
}


@pytest.mark.parametrize("statement", ROLE_RIGHTS)
async def test_a_role_with_powers_is_refused_with_the_power_and_what_takes_it(
    place: Addresses, statement: str
) -> None:
    """With a role of its own: powers are the whole server's, and other tests run on it."""
    await run(
        place.admin,
        f"DROP OWNED BY {OWN_ROLE}" if await exists(place) else "SELECT 1",
        f"DROP ROLE IF EXISTS {OWN_ROLE}",
        f"CREATE ROLE {OWN_ROLE} LOGIN PASSWORD '{PASSWORD}'",
    )
    owner = open_engine(place.owner)
    await grant_rights(owner, OWN_ROLE)
    await owner.dispose()
    app = place.app.replace(APP, OWN_ROLE)
    assert await said(app) == []
    database = place.app.rpartition("/")[2]
    try:
        await run(place.admin, statement.format(app=OWN_ROLE, database=database))
        (found,) = await said(app)
        assert ROLE_RIGHTS[statement] in found
        engine = open_engine(app)
        (wrong,) = await wrong_rights(engine)
        await engine.dispose()
        await run(place.admin, wrong.mend)
        assert [line for line in await said(app) if ROLE_RIGHTS[statement] in line] == []
    finally:
        await run(
            place.admin,
            f"REASSIGN OWNED BY {OWN_ROLE} TO {OWNER}",
            f"DROP OWNED BY {OWN_ROLE}",
            f"DROP ROLE {OWN_ROLE}",
        )


async def version(place: Addresses) -> int:
    engine = open_engine(place.app)
    async with engine.connect() as connection:
        found = await connection.scalar(text("SHOW server_version_num"))
    await engine.dispose()
    return int(str(found))


async def exists(place: Addresses) -> bool:
    engine = open_engine(place.admin)
    async with engine.connect() as connection:
        found = await connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :n"), {"n": OWN_ROLE})
    await engine.dispose()
    return found is not None


async def test_the_owners_own_address_is_refused_for_the_server(place: Addresses) -> None:
    (found,) = await said(place.owner)
    assert "owns database" in found
    assert "If it is the owner's, name another one in BREAKGLASS_DATABASE_URL" in found


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("ALTER TABLE events DISABLE TRIGGER events_append_only", "events append-only is not always on"),
        ("ALTER TABLE events ENABLE TRIGGER events_append_only", "events append-only is not always on"),
        ("DROP TRIGGER checkpoints_append_only ON checkpoints", "checkpoints append-only is gone"),
    ],
)
async def test_a_trigger_that_somebody_took_away_is_missed(
    place: Addresses, statement: str, sentence: str
) -> None:
    await run(place.owner, statement)
    (found,) = await said(place.app)
    assert sentence in found
    assert "breakglass verify" in found
    engine = open_engine(place.app)
    (wrong,) = await wrong_rights(engine)
    await engine.dispose()
    await run(place.owner, *wrong.mend.split("; "))
    assert await said(place.app) == []


# --- who may migrate ------------------------------------------------------------------------------------


async def test_the_owner_and_the_application_must_be_two(bare: Addresses) -> None:
    engine = open_engine(bare.owner)
    with pytest.raises(WrongRights, match="both name the role 'breakglass_owner'"):
        await require_owner(engine, OWNER)
    with pytest.raises(WrongRights, match='Make it, then migrate again: CREATE ROLE "nobody_yet" LOGIN'):
        await require_owner(engine, "nobody_yet")
    await require_owner(engine, APP)
    await engine.dispose()


async def test_an_owner_who_may_not_make_tables_is_told_what_to_run(bare: Addresses) -> None:
    engine = open_engine(bare.app)
    with pytest.raises(WrongRights, match=r'ALTER DATABASE "bg_test_\d+" OWNER TO "breakglass_app"'):
        await require_owner(engine, OWNER)
    await engine.dispose()


async def test_two_who_migrate_at_once_both_succeed(bare: Addresses) -> None:
    engines = [open_engine(bare.owner), open_engine(bare.owner)]
    found = await asyncio.gather(*(migrate(engine) for engine in engines))
    assert sorted(before is None for before, _ in found) == [False, True]
    for engine in engines:
        await engine.dispose()


# --- history, by every hand -----------------------------------------------------------------------------

FORBIDDEN = [
    "UPDATE {table} SET at = 0",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
    "INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({key}) DO UPDATE SET at = 0",
    "MERGE INTO {table} a USING {table} b ON a.{key} = b.{key} WHEN MATCHED THEN DELETE",
]


@ON_POSTGRES
@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_application_may_not_and_the_owner_can_not_change_history(
    store: Store, owner: AsyncEngine, url: str, table: str, statement: str
) -> None:
    """Also in a session that calls itself a replica, where ordinary triggers are silent."""
    await store.open(opened())
    await store.keep_checkpoint(Checkpoint("o", 2, b"r" * 32, "note"))
    before = await contents(store.engine)
    sql = text(statement.format(table=table, key="seq" if table == "events" else "id"))
    with pytest.raises(DBAPIError, match=f"permission denied for table {table}"):
        async with store.engine.begin() as connection:
            await connection.execute(sql)
    with pytest.raises(DBAPIError, match=f"{table}: history is append-only"):
        async with owner.begin() as connection:
            await connection.execute(sql)
    assert owners(url) != url
    assert await contents(store.engine) == before
    assert before[table]


async def test_a_superuser_as_a_replica_meets_the_trigger_too(place: Addresses) -> None:
    store = Store(open_engine(place.app), lambda: NOW)
    await store.begin_history("acme", "breakglass/acme")
    admin = open_engine(place.admin)
    async with admin.connect() as connection:
        await connection.execute(text("SET session_replication_role = replica"))
        with pytest.raises(DBAPIError, match="events: history is append-only"):
            await connection.execute(text("DELETE FROM events"))
    await admin.dispose()
    await store.engine.dispose()
