"""The one door: all of it or nothing, the first of two, no gap, and only ever more."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.audit import canonical
from bot.audit.checkpoint import Checkpoint
from bot.core import events as e
from bot.core import machine
from bot.core.errors import BreakglassError, Refused, Stale
from bot.core.model import Request, RequestId, State
from bot.store import Raced, Store, UnknownRequest, also
from tests.core.samples import ANNA, BEN, MINUTE, NOW, PATHS, Clock, opened, proof, said
from tests.store.looking import ON_SQLITE, contents, live, other_process, whole

PROVED = e.ProofAccepted(actor=ANNA, proof=proof())
VOTE = e.ApprovalGiven(actor=BEN, tier=0)
WITHDRAWN = e.RequestWithdrawn(actor=ANNA)


# --- all or nothing -------------------------------------------------------------------------------------


def raising(error: Exception) -> also.Step:
    async def step(connection: AsyncConnection, at: datetime) -> None:
        await also.first_time("written by the same step")(connection, at)
        raise error

    return step


Door = Callable[[Store, Request, also.Step], Awaitable[object]]
DOORS: dict[str, Door] = {
    "open": lambda store, _, step: store.open(opened("BG-000001"), PROVED, also=[step]),
    "record": lambda store, request, step: store.record(request, PROVED, VOTE, also=[step]),
    "note": lambda store, _, step: store.note(e.ServerStopped(), also=[step]),
    "do": lambda store, _, step: store.do(also.first_time("another"), step),
}


@pytest.mark.parametrize("error", [Refused("No.", code="no"), also.Duplicate("k"), RuntimeError("a bug")])
@pytest.mark.parametrize("door", DOORS)
async def test_a_step_that_raises_leaves_no_event_no_change_and_no_move_of_the_head(
    store: Store, door: str, error: Exception
) -> None:
    request = await store.open(opened())
    before = await contents(store.engine)
    with pytest.raises(type(error)):
        await DOORS[door](store, request, raising(error))
    assert await contents(store.engine) == before


async def test_an_event_that_cannot_follow_undoes_those_before_it(store: Store) -> None:
    request = await store.open(opened())
    before = await contents(store.engine)
    with pytest.raises(Stale):
        await store.record(request, PROVED, e.AccessGranted())
    with pytest.raises(Stale):
        await store.open(opened("BG-000001"), PROVED, e.AccessGranted())
    assert await contents(store.engine) == before


async def test_one_fact_about_many_requests_is_one_commit(store: Store) -> None:
    requests = [await store.open(opened(f"BG-00000{number}")) for number in range(3)]
    woken: list[int] = []
    store.on_commit(lambda: woken.append(1))
    after = await store.record_all(requests, WITHDRAWN)
    assert woken == [1]
    assert [request.state for request in after] == [State.WITHDRAWN] * 3
    assert after == [await store.get(request.id) for request in requests]
    assert [record.request for record in await store.records(4, 7)] == [request.id for request in requests]
    assert await whole(store) == 7
    assert (await store.record_all([], WITHDRAWN), woken) == ([], [1])


async def test_one_fact_about_many_requests_is_one_about_each_or_about_none(store: Store) -> None:
    requests = [await store.open(opened(f"BG-00000{number}")) for number in range(3)]
    await store.record(requests[1], PROVED)
    before = await contents(store.engine)
    with pytest.raises(Raced, match="BG-000001"):
        await store.record_all(requests, WITHDRAWN)
    assert await contents(store.engine) == before


async def test_a_mark_that_is_taken_opens_nothing(store: Store) -> None:
    await store.open(opened())
    before = await contents(store.engine)
    with pytest.raises(DatabaseError):
        await store.open(opened("BG-000001", mark=opened().mark))
    assert await contents(store.engine) == before


async def test_who_listens_is_woken_by_a_commit_and_by_nothing_else(store: Store) -> None:
    woken: list[int] = []
    store.on_commit(lambda: woken.append(1))
    request = await store.open(opened())
    await store.record(request, PROVED)
    await store.note(e.ServerStopped())
    assert len(woken) == 3
    with pytest.raises(Raced):
        await store.record(request, PROVED)
    with pytest.raises(RuntimeError):
        await store.note(e.ServerStopped(), also=[raising(RuntimeError())])
    await store.do(also.advance("channel", 3))
    assert len(woken) == 3


# --- the first of two -----------------------------------------------------------------------------------


async def test_of_two_that_saw_the_same_request_one_records_and_the_other_is_told(store: Store) -> None:
    request = await store.open(opened())
    results = await asyncio.gather(
        store.record(request, PROVED), store.record(request, WITHDRAWN), return_exceptions=True
    )
    (won,) = [result for result in results if isinstance(result, Request)]
    (lost,) = [result for result in results if isinstance(result, Raced)]
    assert await store.get(request.id) == won
    assert lost.sentence == f"{request.id} {machine.SAYS[won.state]}"
    assert await whole(store) == 3


async def test_twenty_at_once_change_a_request_once(store: Store) -> None:
    request = await store.open(opened())
    results = await asyncio.gather(
        *(store.record(request, WITHDRAWN) for _ in range(20)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Raced"] * 19 + ["Request"]
    assert await whole(store) == 3


async def test_of_two_processes_that_saw_the_same_request_one_records(store: Store, url: str) -> None:
    request = await store.open(opened())
    with other_process("race", url) as other:
        assert await other.hears() == "looked"
        other.tell()
        try:
            won = (await store.record(request, PROVED)).state is State.AWAITING_APPROVAL
        except Raced:
            won = False
        said = await other.hears()
    assert (won, said) in [(True, f"{request.id} is waiting for approval."), (False, "won")]
    assert await whole(store) == 3


async def test_a_lost_race_against_another_process_is_told_what_is_true_now(store: Store, url: str) -> None:
    request = await store.open(opened())
    with other_process("race", url) as other:
        assert await other.hears() == "looked"
        await store.record(request, PROVED)
        other.tell()
        assert await other.hears() == f"{request.id} is waiting for approval."
    assert await store.get(request.id) != request


async def test_recording_against_a_request_that_never_was_says_so(store: Store) -> None:
    never = machine.open_request(opened(), NOW)
    with pytest.raises(UnknownRequest, match="There is no request BG-7K3Q2M"):
        await store.record(never, PROVED)
    assert await whole(store) == 1


# --- no gap ---------------------------------------------------------------------------------------------


async def test_positions_have_no_gaps_whoever_writes_at_once(store: Store, url: str, clock: Clock) -> None:
    """Thirty tasks of one store, another store on the same database, and another process."""
    second = Store(store.engine, clock)
    with other_process("write", url) as other:
        assert await other.hears() == "ready"
        other.tell()
        await asyncio.gather(
            *(each.note(e.BackendAnswers(backend=f"{n}")) for n in range(15) for each in (store, second))
        )
        assert await other.hears() == "done"
    assert await whole(store) == 1 + 30 + 20


async def test_several_facts_are_lines_next_to_each_other(store: Store) -> None:
    request = await store.open(opened(), PROVED)
    await store.record(request, VOTE, e.QuorumReached(expires_at=NOW + MINUTE))
    records = await store.records(0, await whole(store))
    assert [(r.seq, type(r.event), r.before, r.after) for r in records[1:]] == [
        (1, e.RequestOpened, "", "awaiting_mfa"),
        (2, e.ProofAccepted, "awaiting_mfa", "awaiting_approval"),
        (3, e.ApprovalGiven, "awaiting_approval", "awaiting_approval"),
        (4, e.QuorumReached, "awaiting_approval", "granting"),
    ]
    assert {(r.at, r.request, r.policy) for r in records[1:]} == {(NOW, request.id, "p" * 64)}


async def test_a_line_stands_in_its_columns_as_in_its_bytes(store: Store) -> None:
    await live(store, PATHS[State.REVIEWED][0])
    await store.note(e.AttemptRefused(verb="approve", code="self_approval", about=RequestId("BG-7K3Q2M")))
    rows = (await contents(store.engine))["events"]
    for seq, at, kind, about, body, _leaf in rows:
        record = canonical.read(body)
        assert (record.seq, record.at, e.type_of(record.event), record.request) == (seq, at, kind, about)
    assert rows[-1][3] == "BG-7K3Q2M"


# --- a new history --------------------------------------------------------------------------------------


async def test_a_history_begins_once_and_belongs_to_one_installation(store: Store) -> None:
    before = await contents(store.engine)
    await store.begin_history("acme", "breakglass.example/acme")
    assert await contents(store.engine) == before
    with pytest.raises(BreakglassError, match="history of installation 'acme', not of 'umbrella'"):
        await store.begin_history("umbrella", "breakglass.example/umbrella")
    (first,) = await store.records(0, 1)
    assert first.event == e.InstallationCreated(installation="acme", origin="breakglass.example/acme")


async def test_a_database_is_bound_to_one_workspace_for_good(store: Store) -> None:
    assert await store.team() == ""
    for _ in range(2):
        await store.note(e.WorkspaceBound(team="T1"), also=[also.bind_team("T1")])
    with pytest.raises(Refused, match="belongs to workspace T1, not T2"):
        await store.note(e.WorkspaceBound(team="T2"), also=[also.bind_team("T2")])
    assert await store.team() == "T1"


# --- only ever more -------------------------------------------------------------------------------------

A_LINE = "INTO events SELECT seq, 0, type, request, x'00', leaf FROM events WHERE seq = 1"
A_NOTE = "INTO checkpoints SELECT id, 0, root, note, at FROM checkpoints WHERE id = 1"
FORBIDDEN = {
    "events": [
        "UPDATE events SET body = x'00'",
        "UPDATE events SET at = 0 WHERE seq = 1",
        "DELETE FROM events WHERE seq = 1",
        "DELETE FROM events",
        f"INSERT OR REPLACE {A_LINE}",
        f"REPLACE {A_LINE}",
        f"INSERT {A_LINE} ON CONFLICT (seq) DO UPDATE SET body = x'00'",
    ],
    "checkpoints": [
        "UPDATE checkpoints SET note = ''",
        "DELETE FROM checkpoints",
        f"INSERT OR REPLACE {A_NOTE}",
        f"INSERT {A_NOTE} ON CONFLICT (id) DO UPDATE SET note = ''",
    ],
}


@pytest.mark.parametrize(
    ("table", "statement"), [(table, sql) for table, all_ in FORBIDDEN.items() for sql in all_]
)
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
@ON_SQLITE
async def test_history_is_added_to_and_never_changed(
    store: Store, table: str, statement: str, recursive: str
) -> None:
    """By our own connections, and by a client that has not switched recursive triggers on."""
    await store.open(opened())
    await store.keep_checkpoint(Checkpoint("o", 2, b"r" * 32, "note"))
    before = await contents(store.engine)
    async with store.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.execute(f"PRAGMA recursive_triggers={recursive}")
        with pytest.raises(DatabaseError, match=f"{table}: history is append-only"):
            await connection.execute(text(statement))
        await connection.rollback()
        await driver.execute("PRAGMA recursive_triggers=ON")
    assert await contents(store.engine) == before
    assert before[table]


# --- erasing words --------------------------------------------------------------------------------------


async def test_erased_words_leave_the_history_whole_and_read_as_erased(
    store: Store, owner: AsyncEngine
) -> None:
    request = await live(store, PATHS[State.REVIEWED][0])
    assert str((await store.get(request.id)).reason).startswith("The replica lags")
    bodies = await store.lines(0, 100)
    root = (await store.head()).root()
    async with owner.begin() as connection:
        await connection.execute(text("DELETE FROM words"))
    found = await store.get(request.id)
    assert (str(found.reason), found) == ("[erased]", request)
    assert found.review is not None
    assert str(found.review.follow_ups) == "[erased]"
    assert await store.lines(0, 100) == bodies
    assert (await store.head()).root() == root
    await whole(store)
    opened_ = (await store.records(1, 2))[0].event
    assert isinstance(opened_, e.RequestOpened)
    assert str(opened_.reason) == "[erased]"


async def test_what_people_typed_stands_in_no_line_of_the_history(store: Store) -> None:
    denied = e.RequestDenied(actor=BEN, reason=said("because of the secret plan"))
    await live(store, (PROVED, denied))
    for table, rows in (await contents(store.engine)).items():
        assert (b"secret plan" in repr(rows).encode()) == (table == "words")
    last = (await store.records(3, 4))[0].event
    assert isinstance(last, e.RequestDenied)
    assert last.reason.text == "because of the secret plan", "whoever may read it joins it"


async def test_whoever_is_cancelled_in_the_middle_of_a_write_leaves_the_database_free(store: Store) -> None:
    """At whatever moment that is: without the collector's help nobody else could write any more."""
    gc.disable()
    try:
        for turns in range(40):
            writing = asyncio.create_task(store.note(e.ServerStopped()))
            for _ in range(turns):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            async with asyncio.timeout(5):
                await store.note(e.ServerStopped())
    finally:
        gc.enable()
