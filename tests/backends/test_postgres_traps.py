"""What PostgreSQL does that one would not think of, and what the adapter does about it: on a real server."""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from bot.backends import registry
from bot.backends.postgres.scram import new_password, verifier
from bot.backends.settings import Misconfigured
from bot.core.errors import BackendRefused, BackendUnavailable
from bot.core.model import Lease
from tests.backends.contract import marks, order_for
from tests.backends.postgres_rig import NO, PostgresRig, postgres_rig
from tests.providers.fixtures import Cluster

pytestmark = pytest.mark.heavy

HOSTILE = "x\"; DROP ROLE y; -- %I \\ ' é 漢 {}"


@pytest.fixture
async def login(cluster: Cluster) -> AsyncIterator[PostgresRig]:
    async with postgres_rig(cluster, "login") as rig:
        yield rig


@pytest.fixture
async def ephemeral(cluster: Cluster) -> AsyncIterator[PostgresRig]:
    async with postgres_rig(cluster, "ephemeral") as rig:
        yield rig


def handed(lease: Lease, label: str) -> str:
    assert lease.handoff is not None
    return dict(lease.handoff.fields)[label].reveal()


# --- who they are ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["login", "ephemeral"])
async def test_hostile_names_are_names(cluster: Cluster, mode: str) -> None:
    async with postgres_rig(cluster, "login" if mode == "login" else "ephemeral", HOSTILE) as rig:
        order = replace(order_for(rig), note=HOSTILE)
        lease = await rig.backend.grant(order)
        (seen,) = await rig.backend.live()
        assert seen.scope["role"] == rig.role
        assert not seen.altered
        assert await rig.works(order, lease)
        await rig.backend.revoke(order)
        assert not await rig.works(order, lease)


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        ("DROP ROLE %I", "There is no login"),
        ("ALTER ROLE %I NOLOGIN", "There is no login"),
        ("ALTER ROLE %I SUPERUSER", "is a superuser"),
    ],
)
async def test_a_person_who_cannot_be_given_it_reads_why(
    login: PostgresRig, prepare: str, sentence: str
) -> None:
    await login.sql(prepare, login.principal)
    order = order_for(login)
    with pytest.raises(BackendRefused, match=sentence):
        await login.backend.grant(order)
    assert order.mark not in await login.names()


async def test_the_brokers_own_login_is_given_nothing(login: PostgresRig) -> None:
    login.principal = login.broker
    with pytest.raises(BackendRefused, match="Breakglass itself"):
        await login.backend.grant(order_for(login))


async def test_a_person_without_a_login_reads_why_before_asking(login: PostgresRig) -> None:
    login.principal = ""
    with pytest.raises(BackendRefused, match="no login"):
        login.backend.ending(order_for(login))


async def test_a_name_longer_than_postgres_keeps_is_not_cut_to_somebody_elses(login: PostgresRig) -> None:
    other = f"{login.tag}{'x' * 55}"
    await login.sql("CREATE ROLE %I LOGIN", other)
    login.principal = other + "yz"
    with pytest.raises(BackendRefused, match="There is no login"):
        await login.backend.grant(order_for(login))


async def test_a_person_dropped_and_made_again_inherits_nothing(login: PostgresRig) -> None:
    order = order_for(login)
    lease = await login.backend.grant(order)
    await login.sql("DROP ROLE %I", login.principal)
    await login.sql(f"CREATE ROLE %I LOGIN PASSWORD '{login.passwords[login.principal]}'", login.principal)
    assert not await login.works(order, lease)
    (seen,) = await login.backend.live()
    assert "nobody holds it any more" in seen.altered
    await login.backend.revoke(seen.as_order())
    assert await marks(login.backend) == []


async def test_a_role_outside_the_settings_is_refused_although_the_broker_could(login: PostgresRig) -> None:
    await login.sql(f"CREATE ROLE other_{login.tag}")
    await login.sql(f"GRANT other_{login.tag} TO {login.broker} WITH ADMIN TRUE")
    order = order_for(login)
    with pytest.raises(BackendRefused, match="must be one of"):
        await login.backend.grant(replace(order, scope={"role": f"other_{login.tag}", "mode": "login"}))


async def test_an_order_that_is_already_over_gives_nothing(login: PostgresRig) -> None:
    order = order_for(login, minutes=-1)
    with pytest.raises(BackendRefused, match="already be over"):
        await login.backend.grant(order)
    assert order.mark not in await login.names()


async def test_a_mark_in_use_is_not_given_to_another_order(login: PostgresRig) -> None:
    order = order_for(login)
    await login.backend.grant(order)
    for other in (
        replace(order, principal=login.broker),
        replace(order, scope={"role": login.role, "mode": "ephemeral"}),
    ):
        with pytest.raises(BackendRefused, match="another order"):
            await login.backend.grant(other)


# --- sessions ----------------------------------------------------------------------------------------------


async def test_rights_arrive_in_a_session_that_was_open_before(login: PostgresRig) -> None:
    await login.sql("ALTER ROLE %I NOINHERIT", login.principal)
    session = await login.person(None)
    with pytest.raises(NO):
        await session.fetchval("SELECT count(*) FROM secrets")
    await login.backend.grant(order_for(login))
    assert await session.fetchval("SELECT count(*) FROM secrets") == 1000


@pytest.mark.parametrize("mode", ["login", "ephemeral"])
async def test_nobody_can_become_the_granted_role(cluster: Cluster, mode: str) -> None:
    async with postgres_rig(cluster, "login" if mode == "login" else "ephemeral") as rig:
        session = await rig.person(await rig.backend.grant(order_for(rig)))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.execute(f"SET ROLE {rig.role}")


async def test_rights_are_gone_before_sessions_are_cut_but_an_open_cursor_reads_on(
    login: PostgresRig,
) -> None:
    order = order_for(login)
    lease = await login.backend.grant(order)
    prepared = await (await login.person(lease)).prepare("SELECT count(*) FROM secrets")
    assert await prepared.fetchval() == 1000
    reading = await login.open_session(lease)
    backend = login.again()
    async with backend.server.session() as db:
        assert await backend._disable(db, order) is not None
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await prepared.fetchval()
    assert await reading(), "this is why sessions are cut, and not only rights taken"
    (half,) = await backend.live()
    assert "no longer a member of any role" in half.altered
    with pytest.raises(BackendRefused, match="being ended"):
        await backend.grant(order)
    await backend.revoke(half.as_order())
    assert not await reading()


async def test_a_session_that_became_the_role_by_other_means_is_cut_and_may_come_back(
    login: PostgresRig,
) -> None:
    await login.give_before()
    order = order_for(login)
    await login.backend.grant(order)
    session = await login.person(None)
    await session.execute("SET ROLE " + login.role)
    assert await session.fetchval("SELECT count(*) FROM secrets") == 1000
    await login.backend.revoke(order)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await session.fetchval("SELECT count(*) FROM secrets")
    again = await login.person(None)
    await again.execute("SET ROLE " + login.role)
    assert await again.fetchval("SELECT count(*) FROM secrets") == 1000


async def test_revoking_what_is_not_there_cuts_nobody(login: PostgresRig) -> None:
    session = await login.person(None)
    await login.backend.revoke(order_for(login))
    assert await session.fetchval("SELECT 1") == 1


async def test_a_person_who_lost_it_to_somebody_elses_hand_is_still_cut(login: PostgresRig) -> None:
    order = order_for(login)
    reading = await login.open_session(await login.backend.grant(order))
    await login.sql(f"REVOKE %I FROM %I GRANTED BY {login.broker}", order.mark, login.principal)
    (seen,) = await login.backend.live()
    await login.backend.revoke(seen.as_order())
    assert not await reading()


async def test_valid_until_ends_logins_by_itself_and_sessions_only_with_us(ephemeral: PostgresRig) -> None:
    order = replace(order_for(ephemeral), expires_at=datetime.now(UTC) + timedelta(seconds=1.2))
    lease = await ephemeral.backend.grant(order)
    reading = await ephemeral.open_session(lease)
    assert await ephemeral.works(order, lease)
    await asyncio.sleep((order.expires_at - datetime.now(UTC)).total_seconds() + 0.1)
    assert not await ephemeral.works(order, lease), "the server's own clock ends it"
    assert await reading(), "VALID UNTIL is looked at when logging in, never again"
    await ephemeral.backend.revoke(order)
    assert not await reading()


async def test_an_ephemeral_login_has_no_more_sessions_than_the_settings_say(ephemeral: PostgresRig) -> None:
    lease = await ephemeral.again(connection_limit=1).grant(order_for(ephemeral))
    await ephemeral.person(lease)
    with pytest.raises(asyncpg.TooManyConnectionsError):
        await ephemeral.person(lease)


# --- passwords ---------------------------------------------------------------------------------------------


async def test_the_verifier_is_the_one_the_server_would_have_made(login: PostgresRig) -> None:
    password = new_password()
    await login.sql(f"CREATE ROLE twin_{login.tag} PASSWORD %L", password)
    stored = await login.admin.fetchval(
        "SELECT rolpassword FROM pg_authid WHERE rolname = $1", f"twin_{login.tag}"
    )
    salt = re.fullmatch(r"SCRAM-SHA-256\$4096:(.+?)\$.+:.+", stored)
    assert salt is not None
    import base64

    assert verifier(password, base64.b64decode(salt[1])) == stored


async def test_the_password_never_travels_to_the_server(ephemeral: PostgresRig) -> None:
    lease = await ephemeral.backend.grant(order_for(ephemeral))
    heard = bytes(ephemeral.proxy.heard)
    assert lease.mark.encode() in heard
    assert handed(lease, "password").encode() not in heard


async def test_a_lost_handoff_is_renewed_and_the_old_password_is_dead(ephemeral: PostgresRig) -> None:
    order = order_for(ephemeral)
    lost = await ephemeral.backend.grant(order)
    renewed = await ephemeral.backend.grant(order)
    assert not await ephemeral.works(order, lost)
    assert await ephemeral.works(order, renewed)
    assert renewed.expires_at == order.expires_at


async def test_the_handoff_says_where_to_go(ephemeral: PostgresRig) -> None:
    backend = ephemeral.again(handoff_host="db.example.com", handoff_port=6432, handoff_database="shop")
    lease = await backend.grant(order_for(ephemeral))
    assert [handed(lease, label) for label in ("host", "port", "database", "user")] == [
        "db.example.com", "6432", "shop", lease.mark,
    ]  # fmt: skip


# --- what they leave behind --------------------------------------------------------------------------------


async def leave_things(rig: PostgresRig, lease: Lease, database: str | None = None) -> None:
    """A person at work: a table worth keeping, and two ways to go on reading after the end."""
    session = await rig.connect(handed(lease, "user"), handed(lease, "password"), database)
    for statement in (
        "CREATE TABLE repaired AS SELECT 42 AS answer",
        "CREATE VIEW peek AS SELECT * FROM secrets" if database is None else "SELECT 1",
        "GRANT SELECT ON peek TO public" if database is None else "SELECT 1",
        "CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 42::bigint'"
        if database is not None
        else "CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS "
        "'SELECT count(*) FROM secrets'",
        "CREATE TYPE mood AS ENUM ('calm')",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO public",
        "SELECT lo_create(0)",
        "CREATE TEMP TABLE scratch (n int)",
    ):
        await session.execute(statement)


async def test_what_an_ephemeral_login_made_is_kept_without_any_rights(ephemeral: PostgresRig) -> None:
    await ephemeral.sql("GRANT CREATE ON SCHEMA public TO %I", ephemeral.role)
    order = order_for(ephemeral)
    lease = await ephemeral.backend.grant(order)
    await leave_things(ephemeral, lease)
    anyone = await ephemeral.connect(ephemeral.principal, ephemeral.passwords[ephemeral.principal])
    assert await anyone.fetchval("SELECT count(*) FROM peek") == 1000, "the test itself: the hole is there"
    await ephemeral.backend.revoke(order)
    assert await marks(ephemeral.backend) == []
    assert await ephemeral.admin.fetchval("SELECT answer FROM repaired") == 42
    for hole in ("SELECT count(*) FROM peek", "SELECT peek()"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await anyone.fetchval(hole)
    kept = f"breakglass-kept-{ephemeral.installation}"
    owners = await ephemeral.admin.fetch(
        "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname IN ('repaired', 'peek')"
    )
    assert [row["relowner"] for row in owners] == [f'"{kept}"']
    powers = await ephemeral.admin.fetchrow(
        "SELECT rolcanlogin, (SELECT count(*) FROM pg_auth_members m WHERE m.member = r.oid) AS roles, "
        "pg_has_role($2, r.oid, 'USAGE') AS ours FROM pg_roles r WHERE rolname = $1",
        kept, ephemeral.broker,
    )  # fmt: skip
    assert tuple(powers) == (False, 0, False), "nobody can be the keeper, and the keeper is nobody"


@asynccontextmanager
async def other_database(rig: PostgresRig) -> AsyncIterator[str]:
    name = f"other_{rig.tag}"
    await rig.admin.execute(f"CREATE DATABASE {name}")
    there = await asyncpg.connect(rig.cluster.admin_url(name))
    await there.execute(f"GRANT CREATE ON SCHEMA public TO {rig.role}")
    await there.close()
    try:
        yield name
    finally:
        await rig.admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_what_was_made_in_another_database_is_kept_too(ephemeral: PostgresRig) -> None:
    async with other_database(ephemeral) as other:
        order = order_for(ephemeral)
        await leave_things(ephemeral, await ephemeral.backend.grant(order), other)
        await ephemeral.backend.revoke(order)
        assert await marks(ephemeral.backend) == []


async def test_things_out_of_reach_hold_up_neither_the_login_nor_the_sessions(ephemeral: PostgresRig) -> None:
    async with other_database(ephemeral) as other:
        order = order_for(ephemeral)
        lease = await ephemeral.backend.grant(order)
        await leave_things(ephemeral, lease, other)
        reading = await ephemeral.open_session(lease)
        await ephemeral.sql(f"REVOKE CONNECT ON DATABASE {other} FROM public")
        with pytest.raises(BackendRefused) as caught:
            await ephemeral.backend.revoke(order)
        assert f'database "{other}"' in str(caught.value)
        assert f'REASSIGN OWNED BY "{order.mark}"' in str(caught.value)
        assert not await reading()
        assert not await ephemeral.works(order, lease)
        (left,) = await ephemeral.backend.live()
        assert "its login is disabled" in left.altered
        await ephemeral.sql(f"GRANT CONNECT ON DATABASE {other} TO public")
        await ephemeral.backend.revoke(left.as_order())
        assert await marks(ephemeral.backend) == []


async def test_what_a_person_gave_themselves_as_the_owner_ends_with_the_rest(ephemeral: PostgresRig) -> None:
    await ephemeral.sql("ALTER TABLE secrets OWNER TO %I", ephemeral.role)
    order = order_for(ephemeral)
    session = await ephemeral.person(await ephemeral.backend.grant(order))
    await session.execute(f'GRANT SELECT ON secrets TO "{order.mark}"')
    await ephemeral.backend.revoke(order)
    assert await marks(ephemeral.backend) == []


async def test_rights_given_by_hand_that_we_cannot_take_back_are_told_and_reach_nobody(
    login: PostgresRig,
) -> None:
    order = order_for(login)
    lease = await login.backend.grant(order)
    await login.sql("GRANT SELECT ON secrets TO %I", order.mark)
    await login.sql("GRANT pg_read_all_data TO %I", order.mark)
    with pytest.raises(BackendRefused, match=r"only they can take back.*DROP OWNED BY"):
        await login.backend.revoke(order)
    assert not await login.works(order, lease)
    assert await marks(login.backend) == [order.mark]
    await login.sql("DROP OWNED BY %I", order.mark)
    await login.backend.revoke(order)
    assert await marks(login.backend) == []


async def test_what_was_handed_on_ends_too(login: PostgresRig) -> None:
    order = order_for(login)
    lease = await login.backend.grant(order)
    carol = f"carol_{login.tag}"
    await login.sql("CREATE ROLE %I LOGIN PASSWORD 'carol'", carol)
    await login.sql(f"GRANT %I TO %I WITH ADMIN TRUE GRANTED BY {login.broker}", order.mark, login.principal)
    await (await login.person(lease)).execute(f'GRANT "{order.mark}" TO {carol}')
    session = await login.connect(carol, "carol")
    assert await session.fetchval("SELECT count(*) FROM secrets") == 1000
    await login.backend.revoke(order)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await session.fetchval("SELECT 1")
    with pytest.raises(NO):
        await (await login.connect(carol, "carol")).fetchval("SELECT count(*) FROM secrets")
    assert await marks(login.backend) == []


# --- what others change ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("GRANT pg_read_all_data TO {mark}", "also put into pg_read_all_data"),
        ("REVOKE {role} FROM {mark} GRANTED BY {broker}", "no longer a member"),
        ("GRANT {role} TO {mark} WITH SET TRUE GRANTED BY {broker}", "may now SET ROLE"),
        ("GRANT {role} TO {mark} WITH INHERIT FALSE GRANTED BY {broker}", "no longer inherited"),
        ("GRANT {mark} TO pg_monitor", "also given to pg_monitor"),
        ("GRANT SELECT ON secrets TO {mark}", "rights of its own"),
        ("ALTER ROLE {mark} CREATEDB", "attributes such as"),
        ("COMMENT ON ROLE {mark} IS 'mine now'", "comment"),
        ("ALTER ROLE {mark} NOLOGIN", "login is disabled"),
        ("ALTER ROLE {mark} VALID UNTIL 'infinity'", "VALID UNTIL was taken away"),
        ("ALTER ROLE {mark} VALID UNTIL '2100-01-01 00:00Z'", "VALID UNTIL was changed to 2100-01-01"),
    ],
)
async def test_what_somebody_changed_at_an_ephemeral_login_is_told(
    ephemeral: PostgresRig, change: str, words: str
) -> None:
    order = order_for(ephemeral)
    await ephemeral.backend.grant(order)
    await ephemeral.admin.execute(
        change.format(mark=f'"{order.mark}"', role=ephemeral.role, broker=ephemeral.broker)
    )
    (seen,) = await ephemeral.backend.live()
    assert words in seen.altered
    with pytest.raises(BackendRefused):
        await ephemeral.backend.grant(order)
    await ephemeral.sql("REVOKE ALL ON secrets FROM %I", order.mark)
    await ephemeral.backend.revoke(seen.as_order())
    assert await marks(ephemeral.backend) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("GRANT {mark} TO {other}", "also given to other"),
        ("REVOKE {mark} FROM {person} GRANTED BY {broker}", "nobody holds it any more"),
        (
            "GRANT {mark} TO {other}; REVOKE {mark} FROM {person} GRANTED BY {broker}",
            "alice_.* was given it, and other_.* holds it now",
        ),
        ("GRANT {mark} TO {person} WITH ADMIN TRUE GRANTED BY {broker}", "hand it on"),
        (
            "REVOKE {role} FROM {mark} GRANTED BY {broker}; GRANT pg_monitor TO {mark}",
            "prod_ro_.* was granted, and it is pg_monitor now",
        ),
    ],
)
async def test_what_somebody_changed_at_a_standing_login_is_told(
    login: PostgresRig, change: str, words: str
) -> None:
    order = order_for(login)
    await login.backend.grant(order)
    other = f"other_{login.tag}"
    await login.sql("CREATE ROLE %I LOGIN", other)
    named = {"mark": f'"{order.mark}"', "role": login.role, "person": login.principal, "other": other}
    await login.admin.execute(change.format(broker=login.broker, **named))
    (seen,) = await login.backend.live()
    assert re.search(words, seen.altered)
    await login.backend.revoke(order)
    assert await marks(login.backend) == []


async def test_the_comment_tells_a_database_administrator_what_this_role_is(ephemeral: PostgresRig) -> None:
    order = order_for(ephemeral)
    await ephemeral.backend.grant(order)
    comment = await ephemeral.admin.fetchval(
        "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1", order.mark
    )
    assert json.loads(comment)["breakglass"] == order.note


# --- the broker --------------------------------------------------------------------------------------------


async def test_the_documented_broker_has_no_problems(login: PostgresRig) -> None:
    assert await login.again().problems() == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ALTER ROLE {broker} SUPERUSER", "is a superuser"),
        ("ALTER ROLE {broker} CREATEDB", "never needs CREATEDB"),
        ("ALTER ROLE {broker} BYPASSRLS", "never needs BYPASSRLS"),
        ("ALTER ROLE {broker} REPLICATION", "never needs REPLICATION"),
        ("ALTER ROLE {broker} NOCREATEROLE", "cannot make roles"),
        ("REVOKE pg_signal_backend FROM {broker}", "cannot cut sessions"),
        ("REVOKE ADMIN OPTION FOR {role} FROM {broker}", "may not grant"),
        ("GRANT {role} TO {broker} WITH INHERIT TRUE", "itself can use"),
        ("ALTER ROLE {role} RENAME TO {role}_gone", "does not exist"),
        ("ALTER ROLE {broker} SET password_encryption = 'md5'", "password_encryption"),
        ("ALTER ROLE {broker} PASSWORD 'other'", "28P01"),
    ],
)
async def test_a_broker_with_too_little_or_too_much_is_told_what_to_run(
    login: PostgresRig, change: str, words: str
) -> None:
    await login.admin.execute(change.format(broker=login.broker, role=login.role))
    (problem,) = await login.again().problems()
    assert words in problem


async def test_a_server_that_trusts_us_is_noticed(own_cluster: Cluster) -> None:
    async with postgres_rig(own_cluster, "login") as login:
        await trusted(login)


async def trusted(login: PostgresRig) -> None:
    path = await login.admin.fetchval("SELECT current_setting('hba_file')")
    lines = await login.admin.fetchval("SELECT pg_read_file($1)", path)

    async def write(text: str) -> None:
        await login.sql("COPY (SELECT unnest(string_to_array(%L, E'\\n'))) TO %L", text.rstrip("\n"), path)
        await login.admin.execute("SELECT pg_reload_conf()")

    await write(f"host all {login.broker} 127.0.0.1/32 trust\n{lines}")
    try:
        for _ in range(1000):  # the server reads its file when it finds the time
            if found := await login.again().problems():
                break
        assert "without asking for a password" in found[0]
    finally:
        await write(lines)


async def test_an_unreachable_server_is_the_one_problem(login: PostgresRig) -> None:
    login.cut()
    (problem,) = await login.again().problems()
    assert "cannot be reached" in problem


async def test_our_own_wrong_password_is_refused_not_unavailable(login: PostgresRig) -> None:
    await login.sql("ALTER ROLE %I PASSWORD 'other'", login.broker)
    with pytest.raises(BackendRefused, match="28P01"):
        await login.backend.live()


async def test_a_server_that_only_reads_just_now_is_unavailable(login: PostgresRig) -> None:
    await login.sql("ALTER ROLE %I SET default_transaction_read_only = on", login.broker)
    with pytest.raises(BackendUnavailable, match="25006"):
        await login.backend.grant(order_for(login))


async def test_the_broker_does_not_gain_what_it_hands_out(login: PostgresRig) -> None:
    await login.sql("ALTER ROLE %I SET createrole_self_grant = 'set, inherit'", login.broker)
    await login.backend.grant(order_for(login))
    broker = await login.connect(login.broker, login.passwords[login.broker])
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await broker.fetchval("SELECT count(*) FROM secrets")


async def test_without_the_right_to_cut_sessions_rights_end_and_the_revoke_says_no(
    login: PostgresRig,
) -> None:
    order = order_for(login)
    lease = await login.backend.grant(order)
    session = await login.person(lease)
    await login.sql("REVOKE pg_signal_backend FROM %I", login.broker)
    with pytest.raises(BackendRefused, match="42501"):
        await login.backend.revoke(order)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await session.fetchval("SELECT count(*) FROM secrets")
    assert await marks(login.backend) == [order.mark], "it stays in sight until it is done"


async def test_the_broker_calls_nobodys_function(login: PostgresRig) -> None:
    await login.sql(
        "CREATE FUNCTION public.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS "
        "$f$ BEGIN RAISE 'called'; END $f$"
    )
    await login.sql("ALTER ROLE %I SET search_path = public, pg_catalog", login.broker)
    await login.backend.grant(order_for(login))


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hunter2@h/d",
        "hunter2",
        "postgresql://u:hunter2@:5432/d",
        "postgresql://u:p@h:hunter2/d",
        "postgresql://u:hunter2@a:1,b:2/d",
    ],
)
def test_a_url_that_cannot_be_read_is_told_without_quoting_it(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"prod\.url_env: PROD_DB does not hold a URL") as caught:
        registry.create(
            "postgres",
            {"url_env": "PROD_DB", "roles": ["prod_ro"]},
            name="prod", installation="acme", env={"PROD_DB": url},
        )  # fmt: skip
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_several_hosts_need_to_know_where_people_go() -> None:
    settings: dict[str, object] = {"url_env": "PROD_DB", "roles": ["prod_ro"]}
    door = {"handoff_host": "db", "handoff_port": 5432, "handoff_database": "shop"}
    built = registry.create(
        "postgres", settings | door, name="prod", installation="acme",
        env={"PROD_DB": "postgresql://u:p@a:1,b:2/d?target_session_attrs=primary"},
    )  # fmt: skip
    assert "p@a" not in repr(built)


def test_an_installation_too_long_for_a_roles_name_is_told() -> None:
    with pytest.raises(Misconfigured, match="40 characters"):
        registry.create(
            "postgres", {"url_env": "U", "roles": ["r"]},
            name="prod", installation="a" * 41, env={"U": f"postgresql://u:{secrets.token_hex()}@h/d"},
        )  # fmt: skip
