"""The server with its history on PostgreSQL: what only happens there."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from bot.core.model import State
from bot.demo.ports import free_port
from bot.store import open_engine
from tests.providers.fixtures import Cluster
from tests.providers.proxy import proxy_to
from tests.server.rig import Rig, command
from tests.store.fresh import APP, PASSWORD, bare_on, owners, plain
from tests.store.looking import ON_POSTGRES

pytestmark = ON_POSTGRES


async def as_owner(it: Rig, statement: str) -> None:
    await run(owners(it.env["BREAKGLASS_DATABASE_URL"]), statement)


async def run(url: str, statement: str) -> None:
    engine = open_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


# --- PostgreSQL goes away and comes back ----------------------------------------------------------------


async def test_while_postgresql_is_away_nothing_is_granted_and_after_it_all_goes_on_without_a_restart(
    it: Rig, cluster: Cluster
) -> None:
    direct = it.env["BREAKGLASS_DATABASE_URL"]
    async with proxy_to(cluster.host, cluster.port) as line:
        it.env["BREAKGLASS_DATABASE_URL"] = direct.replace(f":{cluster.port}/", f":{line.port}/")
        await it.start()
        held, waiting = await it.active(), await it.asks()
        card = await it.card(waiting.id, "Waiting for approval")
        line.cut()
        await it.until(lambda: "database" in it.trouble())
        await it.presses(it.bob, card, "Approve")
        assert (await it.store.get(waiting.id)).state is State.AWAITING_APPROVAL
        line.heal()
        await it.until(lambda: not it.trouble())
        await it.passes(timedelta(minutes=14))
        await it.approved(waiting.id)
        await it.reaches(waiting.id, State.ACTIVE)
        await it.passes(timedelta(minutes=2))
        await it.reaches(held.id, State.AWAITING_REVIEW)
        assert it.truth.marks() == [waiting.mark]
        await it.keeps_its_promises()
        await it.stop()


async def test_every_session_ended_by_an_administrator_is_made_again(it: Rig, cluster: Cluster) -> None:
    """By the real server, in a process of its own."""
    async with it.process():
        request = await it.asks()
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'breakglass_app'"
        await run(cluster.admin, ended)
        await it.until(lambda: free_of_trouble(it))
        await it.approved(request.id)
        await it.reaches(request.id, State.ACTIVE)
        second = await it.breakglass("serve")
        assert "Another server (process " in second.err, "it has the right again"


async def free_of_trouble(it: Rig) -> bool:
    return (await it.ready())[0] == 200


# --- rights ---------------------------------------------------------------------------------------------

WRONG = {
    "GRANT UPDATE ON events TO breakglass_app": "may UPDATE on events, which it must not",
    "GRANT CREATE ON SCHEMA public TO PUBLIC": "may make tables and functions in the schema public",
    "ALTER TABLE checkpoints DISABLE TRIGGER checkpoints_append_only": "append-only is not always on",
    "REVOKE INSERT ON events FROM breakglass_app": "may not INSERT on events, which it needs",
    "REVOKE UPDATE ON cursors FROM breakglass_app": "may not UPDATE on cursors, which it needs",
}


@pytest.mark.parametrize("statement", WRONG)
async def test_a_server_with_a_right_too_many_or_too_few_does_not_start_and_check_says_the_same(
    it: Rig, statement: str
) -> None:
    await as_owner(it, statement)
    said = await it.breakglass("serve")
    assert said.code == 1
    assert WRONG[statement] in said.err
    assert "An administrator runs: " in said.err
    assert PASSWORD not in said.err
    found = (await it.breakglass("check", "--json")).json["findings"]
    (row,) = [row for row in found if row["key"] == "BREAKGLASS_DATABASE_URL"]
    assert row["severity"] == "error"
    assert WRONG[statement] in row["sentence"]
    assert row["fix"].startswith("Run: ")


async def test_the_owners_address_does_not_serve(it: Rig) -> None:
    it.env["BREAKGLASS_DATABASE_URL"] = owners(it.env["BREAKGLASS_DATABASE_URL"])
    said = await it.breakglass("serve")
    assert said.code == 1
    assert "owns database" in said.err


async def test_access_ends_by_hand_although_rights_are_too_many(it: Rig) -> None:
    """Ending waits for nothing."""
    await it.start()
    request = await it.active()
    await it.crash()
    await as_owner(it, "GRANT UPDATE ON events TO breakglass_app")
    said = await it.breakglass("revoke", request.id)
    assert (said.code, it.truth.marks()) == (0, [])


# --- migrate, and addresses that are wrong --------------------------------------------------------------


async def test_the_server_never_migrates_on_postgresql(it: Rig, cluster: Cluster) -> None:
    bare = await bare_on(cluster)
    it.env["BREAKGLASS_DATABASE_URL"] = plain(bare.app)
    said = await it.breakglass("serve")
    assert said.code == 1
    assert "has schema none" in said.err
    assert "Run: breakglass migrate" in said.err
    engine = open_engine(bare.owner)
    async with engine.connect() as connection:
        count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert await connection.scalar(text(count)) == 0
    await engine.dispose()


async def test_migrate_makes_the_tables_as_the_owner_and_the_application_can_serve(
    it: Rig, cluster: Cluster
) -> None:
    bare = await bare_on(cluster)
    it.env["BREAKGLASS_DATABASE_URL"] = plain(bare.app)
    said = await it.breakglass("migrate")
    assert said.code == 2
    assert "BREAKGLASS_OWNER_DATABASE_URL: It is not set" in said.err
    it.env["BREAKGLASS_OWNER_DATABASE_URL"] = plain(bare.app)
    said = await it.breakglass("migrate")
    assert said.code == 1
    assert f"both name the role '{APP}'" in said.err
    it.env["BREAKGLASS_OWNER_DATABASE_URL"] = plain(bare.owner)
    for before in (None, "0002"):
        said = await it.breakglass("migrate", "--json")
        assert (said.code, said.json) == (0, {"before": before, "after": "0002"})
    del it.env["BREAKGLASS_OWNER_DATABASE_URL"]
    async with it.process():
        pass


def addresses(cluster: Cluster) -> dict[str, tuple[str, int, str]]:
    good = cluster.url(APP, PASSWORD, "breakglass_migrated")
    return {
        "wrong password": (good.replace(f"{APP}:", f"{APP}:secret"), 1, "in with this password"),
        "unreachable": (
            good.replace(f":{cluster.port}/", f":{free_port()}/"), 1, "Does PostgreSQL run",
        ),
        "no such database": (good.replace("_migrated", "_none"), 1, "There is no such database"),
        "TLS refused": (f"{good}?sslmode=require", 1, "does not offer TLS"),
        "another driver": (good.replace("://", "+psycopg2://"), 2, "The driver 'psycopg2' is not used here"),
        "another database": (good.replace("postgresql", "mysql"), 2, "Only SQLite and PostgreSQL"),
        "not readable": ("postgresql://app:sec[ret@db/x", 2, "special characters of the password as %XX"),
        "no database": ("postgresql://app:secret@db", 2, "This address cannot be read"),
    }  # fmt: skip


@pytest.mark.parametrize("mistake", list(addresses(Cluster("postgresql://a:b@h:1/d", ours=False))))
@pytest.mark.parametrize("verb", ["status", "verify", "migrate"])
def test_a_wrong_address_is_a_sentence_without_the_password(
    kind: str, cluster: Cluster, mistake: str, verb: str
) -> None:
    assert kind == "postgres"
    url, code, sentence = addresses(cluster)[mistake]
    said = command({"BREAKGLASS_DATABASE_URL": url, "BREAKGLASS_OWNER_DATABASE_URL": url}, verb)
    assert (said.code, said.out) == (code, "")
    assert sentence in said.err
    for secret in (PASSWORD, "a%20word", "secret", "sec[ret"):
        assert secret not in said.err
    assert "Traceback" not in said.err
