"""Yesterday's backup restored, as docs/operations.md says: SQLite by VACUUM INTO, PostgreSQL by pg_dump."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from bot.core import events as e
from bot.core.errors import BreakglassError
from bot.core.model import State
from bot.demo.database import _programs
from bot.store import open_engine
from tests.server.rig import Rig
from tests.store.fresh import bare_on, owners, plain

Restore = Callable[[], Awaitable[str]]


async def test_a_restored_backup_ends_what_it_does_not_know_and_grants_nothing_until_somebody_looked(
    it: Rig, kind: str, request: pytest.FixtureRequest
) -> None:
    await it.start()
    earlier = await it.active()
    await it.told_all()
    restore = await backed_up(it, kind, request)
    later = await it.active()
    await it.until(lambda: signed(it))
    await it.crash()
    assert set(it.truth.marks()) == {earlier.mark, later.mark}

    it.env["BREAKGLASS_DATABASE_URL"] = await restore()
    said = await it.breakglass("verify", "--json")
    assert said.code == 3
    (cut,) = said.json["findings"]
    assert "in the signer's memory covers" in cut["sentence"]

    engine = open_engine(it.config.environment.database_url.reveal())
    it.store.engine = engine
    await it.start(wait=False)
    await it.until(lambda: it.truth.marks() == [earlier.mark])
    await it.until(lambda: "history" in it.trouble())
    assert "its tail is missing" in it.trouble()["history"]
    with pytest.raises(BreakglassError):
        await it.store.get(later.id)
    await it.until(lambda: ended_once(it))
    assert (await it.store.get(earlier.id)).state is State.ACTIVE
    await it.crash()

    memory = it.home / "signing.key.signed"
    memory.rename(it.home / "put-aside")
    await it.start()
    again = await it.active()
    assert set(it.truth.marks()) == {earlier.mark, again.mark}
    await it.stop()
    await engine.dispose()


async def ended_once(it: Rig) -> bool:
    return len(await it.told(e.OrphanEnded)) == 1


async def signed(it: Rig) -> bool:
    last = await it.store.last_checkpoint()
    return last is not None and last.size == (await it.store.head()).size


async def backed_up(it: Rig, kind: str, request: pytest.FixtureRequest) -> Restore:
    """From a server that goes on. Gives what restores it: the address of a new database."""
    if kind == "sqlite":
        with closing(sqlite3.connect(it.home / "breakglass.db")) as db:
            db.execute("VACUUM INTO ?", [str(it.home / "backup.db")])

        async def file() -> str:
            return f"sqlite:///{it.home}/backup.db"

        return file
    cluster = request.getfixturevalue("cluster")
    backup = await program("pg_dump", "--format=custom", owners(it.env["BREAKGLASS_DATABASE_URL"]))

    async def database() -> str:
        bare = await bare_on(cluster)
        await program("pg_restore", "--no-owner", f"--dbname={plain(bare.owner)}", given=backup)
        return plain(bare.app)

    return database


async def program(name: str, *words: str, given: bytes = b"") -> bytes:
    """One of PostgreSQL's own, of the version that the wheel carries."""
    process = await asyncio.create_subprocess_exec(
        _programs(18) / name, *words,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(given)
    assert process.returncode == 0, err.decode()
    return out
