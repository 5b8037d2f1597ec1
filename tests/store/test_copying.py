"""A history that moves: the same to the byte, verified on both sides, and never two that grow."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from bot.audit.checkpoint import Signer
from bot.core import events as e
from bot.core.errors import BreakglassError
from bot.operate import copying
from bot.store import (
    AlreadyServed,
    Moved,
    NotEmpty,
    Store,
    copy,
    migrate,
    only_server,
    open_engine,
    require_here,
    shown,
)
from bot.store import tables as t
from tests.core.samples import NOW, Clock
from tests.providers.fixtures import Cluster
from tests.store.fresh import fresh_on, owners, plain
from tests.store.long_history import LENGTH, write
from tests.store.looking import contents, whole

ROOT = Path(__file__).parents[2]
EVENTS = 3 * LENGTH

KILLED = pytest.mark.parametrize(
    "place", ["to postgres", pytest.param("to sqlite", marks=pytest.mark.heavy)], indirect=True
)
"""Real processes take seconds."""


class Place:
    """A source with a long enough history, an empty target, and the environment of an operator."""

    def __init__(self, home: Path, source: str, target: str) -> None:
        self.source, self.target, self.home = source, target, home
        self.env = {
            "BREAKGLASS_DATABASE_URL": plain(source),
            "BREAKGLASS_COPY_TO": plain(target),
            "BREAKGLASS_SIGNING_KEY_FILE": str(home / "signing.key"),
        }
        self.told: list[str] = []

    async def copied(self) -> copying.CopiedRow:
        return await copying.copied(self.env, self.told.append)

    async def all_of(self, url: str) -> dict[str, list[tuple[object, ...]]]:
        """Everything in a database, in an order that is the same on every one."""
        engine = open_engine(url)
        found = await contents(engine)
        await engine.dispose()
        del found["moved"]
        found["failures"] = [row[1:] for row in found["failures"]]  # their numbers mean nothing
        return {name: sorted(rows) for name, rows in found.items()}

    async def can_be_served(self, url: str) -> bool:
        engine = open_engine(url)
        try:
            await require_here(engine)
        except Moved:
            return False
        finally:
            await engine.dispose()
        return True

    async def is_empty(self) -> bool:
        return not any((await self.all_of(self.target)).values())

    def process(self, *words: str, **env: str) -> subprocess.Popen[str]:
        """The real command, in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", *words], cwd=ROOT, env={**os.environ, **self.env, **env}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


@pytest.fixture(params=["to postgres", "to sqlite"])
async def place(request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path) -> Place:
    """From a file to PostgreSQL, and the other way."""
    urls = [f"sqlite+aiosqlite:///{tmp_path}/breakglass.db", (await fresh_on(cluster)).app]
    source, target = urls if request.param == "to postgres" else reversed(urls)
    for url in (source, target):
        if url.startswith("sqlite"):
            engine = open_engine(url)
            await migrate(engine)
            await engine.dispose()
    engine = open_engine(source)
    await write(engine, Signer.generate("breakglass/acme", tmp_path / "signing.key"), EVENTS)
    await engine.dispose()
    return Place(tmp_path, source, target)


async def test_what_arrives_is_what_was_sent_to_the_byte(place: Place) -> None:
    before = await place.all_of(place.source)
    assert {name for name, rows in before.items() if not rows} == set(), "a row of every table is copied"
    found = await place.copied()
    assert await place.all_of(place.source) == await place.all_of(place.target) == before
    engine = open_engine(place.target)
    store = Store(engine, Clock())
    assert await whole(store) == found["events"] == len(before["events"])
    assert (await store.head()).root().hex() == found["root"]
    await engine.dispose()
    assert found["rows"] == {name: len(rows) for name, rows in before.items()}
    assert place.told[0] == f"Verifying {found['events']} events before."
    assert place.told[-1] == "Verifying what arrived."


async def test_after_the_copy_the_target_grows_and_the_source_is_served_no_more(place: Place) -> None:
    await place.copied()
    assert not await place.can_be_served(place.source)
    assert await place.can_be_served(place.target)
    engine = open_engine(place.target)
    store = Store(engine, Clock())
    size = (await store.head()).size
    last = await store.last_checkpoint()
    await store.note(e.ServerStopped())
    signer = Signer.load(place.home / "signing.key")
    head = await store.head()
    await store.keep_checkpoint(await signer.sign(head.size, head.root(), store.leaves))
    newest = await store.last_checkpoint()
    assert last is not None
    assert newest is not None
    assert (newest.id, newest.size) == (last.id + 1, size + 1), "signing goes on where it was"
    await engine.dispose()


async def test_a_second_copy_says_that_it_was_done_and_does_nothing(place: Place) -> None:
    first = await place.copied()
    before = await place.all_of(place.target)
    second = await place.copied()
    assert (second["already"], second["root"]) == (True, first["root"])
    assert await place.all_of(place.target) == before
    assert "nothing was done now" in copying.copied_text(second)


async def test_a_history_that_moved_does_not_move_to_a_second_place(place: Place, cluster: Cluster) -> None:
    await place.copied()
    place.env["BREAKGLASS_COPY_TO"] = plain((await fresh_on(cluster)).app)
    with pytest.raises(Moved, match=r"was copied to .+ already"):
        await place.copied()


async def test_a_cancelled_copy_leaves_the_source_as_it_was(place: Place) -> None:
    before = await place.all_of(place.source)
    await place.copied()
    assert await copying.cancelled(place.env)
    assert not await copying.cancelled(place.env)
    assert await place.can_be_served(place.source)
    assert await place.all_of(place.source) == before


# --- what is refused, with nothing changed --------------------------------------------------------------


async def test_a_target_that_grew_since_is_not_taken_for_the_copy(place: Place) -> None:
    await place.copied()
    engine = open_engine(place.target)
    await Store(engine, Clock()).note(e.ServerStopped())
    await engine.dispose()
    with pytest.raises(NotEmpty, match=r"is not empty: it holds a history of \d+ events"):
        await place.copied()


async def test_a_target_with_anything_in_it_is_refused(place: Place) -> None:
    engine = open_engine(place.target)
    async with engine.begin() as connection:
        await connection.execute(insert(t.cursors).values(stream="direct", position=1))
    await engine.dispose()
    before = await place.all_of(place.target)
    with pytest.raises(NotEmpty, match=r"is not empty: it holds rows in cursors\. Nothing was changed"):
        await place.copied()
    assert await place.all_of(place.target) == before
    assert await place.can_be_served(place.source)


async def test_a_source_that_is_served_is_refused(place: Place) -> None:
    async with only_server(place.source):
        with pytest.raises(AlreadyServed, match="Stop it first"):
            await place.copied()
    assert await place.is_empty()


async def test_a_target_that_is_served_is_refused(place: Place) -> None:
    async with only_server(place.target):
        with pytest.raises(AlreadyServed):
            await place.copied()
    assert await place.can_be_served(place.source)


async def test_a_history_that_is_not_sound_is_not_copied(place: Place) -> None:
    await tampered(place.source)
    with pytest.raises(copying.Unsound, match="so nothing was copied"):
        await place.copied()
    assert await place.is_empty()
    assert await place.can_be_served(place.source)


async def tampered(url: str) -> None:
    """Line 3 is another one."""
    off = {
        True: ["DROP TRIGGER events_no_update"],
        False: ["ALTER TABLE events DISABLE TRIGGER events_append_only"],
    }[url.startswith("sqlite")]
    engine = open_engine(owners(url))
    async with engine.begin() as connection:
        for statement in [*off, "UPDATE events SET body = leaf WHERE seq = 3"]:
            await connection.execute(text(statement))
    await engine.dispose()


async def test_the_same_database_twice_is_a_mistake_in_the_environment(place: Place) -> None:
    place.env["BREAKGLASS_COPY_TO"] = place.env["BREAKGLASS_DATABASE_URL"]
    with pytest.raises(BreakglassError, match="BREAKGLASS_COPY_TO: It names the same database"):
        await place.copied()


async def test_a_database_that_never_had_a_history_is_nothing_to_copy(place: Place) -> None:
    swapped = {
        "BREAKGLASS_DATABASE_URL": place.env["BREAKGLASS_COPY_TO"],
        "BREAKGLASS_COPY_TO": place.env["BREAKGLASS_DATABASE_URL"],
    }
    with pytest.raises(BreakglassError, match="There is no history to copy"):
        await copying.copied({**place.env, **swapped}, place.told.append)


# --- cut off --------------------------------------------------------------------------------------------


class Cut(Exception):
    """It stops here."""


@pytest.mark.parametrize("moment", ["Verifying what arrived.", "requests"])
async def test_a_copy_that_is_cut_off_leaves_nothing_there_and_the_source_as_it_was(
    place: Place, moment: str
) -> None:
    source, target = open_engine(place.source), open_engine(place.target)
    before = await place.all_of(place.source)

    def cut(sentence: str) -> None:
        if sentence.startswith(moment):
            raise Cut

    with pytest.raises(Cut):
        await copy(source, target, to="there", clock=lambda: NOW, check=sound, tell=cut)
    await source.dispose()
    await target.dispose()
    assert await place.is_empty()
    assert await place.can_be_served(place.source)
    assert await place.all_of(place.source) == before
    assert not (await place.copied())["already"]


async def sound(_reader: object) -> None:
    """Verified elsewhere."""


@pytest.mark.heavy
@KILLED
@pytest.mark.parametrize("point", ["before source commit", "after source commit"])
async def test_a_copy_that_is_killed_never_leaves_two_that_can_be_served(place: Place, point: str) -> None:
    """kill -9 of a real process, around the commit that marks the source; a second run finishes it."""
    with place.process("tests.store.killed_copy", CRASH_AT=point) as process:
        out, err = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, out + err
    assert await place.is_empty()
    assert await place.can_be_served(place.source) == (point == "before source commit")
    with place.process("bot", "copy", "--json") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert not found["already"]
    assert "Verifying" in err
    assert "a word for tests" not in out + err, "no password"
    assert "%20" not in out + err, "nor one in an address"
    assert not await place.can_be_served(place.source)
    assert await place.all_of(place.source) == await place.all_of(place.target)


@pytest.mark.heavy
@KILLED
async def test_a_copy_that_is_killed_after_both_commits_is_found_finished(place: Place) -> None:
    with place.process("tests.store.killed_copy", CRASH_AT="after target commit") as process:
        out, err = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, out + err
    assert (await place.copied())["already"]


def test_a_mark_names_no_secret() -> None:
    assert shown("postgresql+asyncpg://app:secret@db:5433/bg?sslmode=require") == "db:5433/bg"


@pytest.mark.heavy
@pytest.mark.timeout(900)
async def test_a_hundred_thousand_events_arrive_with_the_root_they_had(
    cluster: Cluster, tmp_path: Path
) -> None:
    source = f"sqlite+aiosqlite:///{tmp_path}/breakglass.db"
    engine = open_engine(source)
    await migrate(engine)
    await write(engine, Signer.generate("breakglass/acme", tmp_path / "signing.key"), 100_000)
    head = await Store(engine, Clock()).head()
    await engine.dispose()
    target = (await fresh_on(cluster)).app
    found = await Place(tmp_path, source, target).copied()
    assert (found["events"], found["root"]) == (head.size, head.root().hex())
    assert head.size > 100_000
    engine = open_engine(target)
    assert await whole(Store(engine, Clock())) == head.size
    await engine.dispose()
