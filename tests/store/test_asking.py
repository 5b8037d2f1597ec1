"""What can be asked: who holds what, what is due, what is ours, and how far each reader has come."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.audit.canonical import dumps, encode
from bot.audit.checkpoint import Checkpoint
from bot.core import events as e
from bot.core.errors import Refused
from bot.core.machine import due_at
from bot.core.model import HELD, TERMINAL, Mark, Request, RequestId, State
from bot.store import Carried, Due, Duplicate, Held, Store, UnknownRequest, also
from bot.store import tables as t
from tests.core.samples import (
    ANNA,
    BEN,
    HOUR,
    MINUTE,
    NOW,
    PATHS,
    TERMS,
    Clock,
    example,
    opened,
    proof,
)
from tests.store.looking import live

MANY = 1000

PROVED = e.ProofAccepted(actor=ANNA, proof=proof())


async def one_of_each(store: Store) -> dict[State, Request]:
    """A request in every state there is."""
    return {
        state: await live(store, PATHS[state][0], f"BG-00000{number:X}") for number, state in enumerate(State)
    }


def ids(requests: Sequence[Request | Due]) -> list[str]:
    return [request.id for request in requests]


@pytest.mark.parametrize(("state", "path"), [(state, path) for state in State for path in PATHS[state]])
async def test_a_request_comes_back_as_it_was_stored(
    store: Store, state: State, path: tuple[e.Event, ...]
) -> None:
    """With its words, in every state."""
    request = await live(store, path)
    found = await store.get(request.id)
    assert found == request
    assert found.state is state
    assert (found.reason.text, found.reason.salt) == (request.reason.text, request.reason.salt)
    assert await store.everything() == {request.id: request}


async def test_every_field_of_a_request_survives_storing(store: Store) -> None:
    full = example(e.RequestOpened)
    assert await store.get((await store.open(full)).id) == await store.get(full.id)
    assert (await store.get(full.id)).terms == full.terms


async def test_a_request_that_never_was_is_unknown(store: Store) -> None:
    with pytest.raises(UnknownRequest, match="There is no request BG-7K3Q2M"):
        await store.get(opened().id)


# --- what is due ----------------------------------------------------------------------------------------


async def test_what_is_due_comes_most_overdue_first_and_nothing_else_comes(store: Store) -> None:
    for number, minutes in enumerate((30, 10, 20, 50)):
        await store.open(opened(f"BG-00000{number}", lapses_at=NOW + minutes * MINUTE))
    assert ids(await store.due(NOW + 30 * MINUTE, MANY)) == ["BG-000001", "BG-000002", "BG-000000"]
    assert ids(await store.due(NOW + 10 * MINUTE - timedelta(microseconds=1), MANY)) == []
    (first,) = await store.due(NOW + 10 * MINUTE, MANY)
    moment = t.microseconds(NOW + 10 * MINUTE)
    assert first == Due(RequestId("BG-000001"), State.AWAITING_MFA, "vault", moment)


async def test_of_what_is_being_revoked_as_much_of_each_backend_is_due_as_was_asked_for(store: Store) -> None:
    """And of all else everything, however much that is."""
    elsewhere = replace(TERMS, backend="elsewhere")
    for number in range(3):
        await live(store, PATHS[State.REVOKING][0], f"BG-00000{number}")
        await live(store, PATHS[State.REVOKING][0], f"BG-00001{number}", terms=elsewhere)
        await live(store, PATHS[State.ACTIVE][0], f"BG-00002{number}")
    due = await store.due(NOW + HOUR, 2)
    assert set(ids(due)) == {
        *("BG-000000", "BG-000001"), *("BG-000010", "BG-000011"), *("BG-000020", "BG-000021", "BG-000022")
    }  # fmt: skip


async def test_the_next_moment_is_later_than_the_one_asked_about(store: Store) -> None:
    assert await store.next_due(NOW) is None
    for number, minutes in enumerate((30, 10)):
        await store.open(opened(f"BG-00000{number}", lapses_at=NOW + minutes * MINUTE))
    told = [await store.next_due(NOW + minutes * MINUTE) for minutes in (0, 10, 29, 30)]
    assert told == [NOW + 10 * MINUTE, NOW + 30 * MINUTE, NOW + 30 * MINUTE, None]


async def test_every_request_is_due_when_the_machine_says_and_never_when_it_is_over(store: Store) -> None:
    requests = await one_of_each(store)
    at_last = await store.due(NOW + 1000 * HOUR, MANY)
    assert set(ids(at_last)) == {r.id for state, r in requests.items() if state not in TERMINAL}
    for due in at_last:
        moment = due_at(await store.get(due.id))
        assert moment is not None
        assert due.id in ids(await store.due(moment, MANY))
        assert due.id not in ids(await store.due(moment - timedelta(microseconds=1), MANY))


# --- who holds what -------------------------------------------------------------------------------------


async def test_each_question_is_answered_with_the_states_it_is_about(store: Store) -> None:
    requests = await one_of_each(store)

    def having(*states: State) -> set[str]:
        return {requests[state].id for state in states}

    assert set(ids(await store.held_by())) == having(*HELD)
    assert set(await store.ids_in({State.GRANTING})) == having(State.GRANTING)
    assert set(await store.ids_in(HELD)) == having(*HELD)
    assert await store.marks_held() == {requests[state].mark for state in HELD}
    assert set(await store.ids_active_at("vault")) == having(State.ACTIVE)
    assert set(ids(await store.unfinished())) == having(*(set(State) - TERMINAL))
    assert await store.ids_active_at("elsewhere") == []
    assert await store.backends_in_use() == {"vault"}


async def test_stuck_is_what_the_request_says_and_nothing_that_only_looks_like_it(store: Store) -> None:
    """Also one whose texts hold the very words that are looked for, and one that was stuck and has ended."""
    lookalike = replace(TERMS, title='"stuck_since":null "stuck_since":"2026"')
    _, retried, _, stuck = PATHS[State.REVOKING]
    there = await live(store, stuck, "BG-000001", terms=lookalike)
    await live(store, retried, "BG-000002", terms=replace(lookalike, backend="elsewhere"))
    await live(store, (*stuck, e.AccessEnded()), "BG-000003", terms=replace(TERMS, backend="ended"))
    assert await store.backends_stuck() == {"vault"}
    with pytest.raises(Refused, match=f"the end of {there.id} there is overdue"):
        await store.do(also.ends_at("vault"))
    await store.do(also.ends_at("elsewhere"), also.ends_at("ended"))


async def test_a_backend_is_in_use_only_while_something_may_exist_there(store: Store) -> None:
    elsewhere = replace(TERMS, backend="elsewhere")
    await live(store, PATHS[State.REVIEWED][0])
    assert await store.backends_in_use() == set()
    await live(store, PATHS[State.REVOKING][0], "BG-000001", terms=elsewhere)
    assert await store.backends_in_use() == {"elsewhere"}


async def test_people_are_told_apart_and_the_newest_comes_first(store: Store, clock: Clock) -> None:
    for number, who in enumerate((ANNA, BEN, ANNA)):
        await store.open(opened(f"BG-00000{number}", actor=who))
        clock.forward(MINUTE)
    assert ids(await store.of_person(ANNA)) == ["BG-000002", "BG-000000"]
    assert ids(await store.of_person(ANNA, limit=1)) == ["BG-000002"]
    assert ids(await store.unfinished()) == ["BG-000000", "BG-000001", "BG-000002"]
    assert await store.held_by(ANNA) == []
    await live(store, PATHS[State.ACTIVE][0], "BG-000003")
    assert ids(await store.held_by(ANNA)) == ["BG-000003"]
    assert ids(await store.held_by(BEN)) == []
    assert await store.ids_in(HELD, ANNA) == ["BG-000003"]
    assert await store.ids_in(HELD, BEN) == []


async def test_marks_of_ours_are_known_by_request_and_state_and_others_are_not(store: Store) -> None:
    request = await live(store, PATHS[State.ACTIVE][0])
    found = await store.by_marks("vault", [request.mark, Mark("bg-acme-000000")])
    assert found == {request.mark: Held(request.id, State.ACTIVE)}


async def test_a_great_history_is_asked_in_portions_that_a_database_accepts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Databases take some 32,000 parameters in one question; a history has more words than that."""
    monkeypatch.setattr("bot.store.tables.MANY", 2)
    for number in range(5):
        await store.open(opened(f"BG-00000{number}"))
    for request in (await store.everything()).values():
        assert request.reason.text is not None
        assert request.id in request.reason.text


# --- cards, cursors, checkpoints ------------------------------------------------------------------------


async def test_a_card_is_behind_until_it_shows_the_newest_version(store: Store) -> None:
    request = await store.open(opened())
    assert await store.card_of(request.id) is None
    assert await store.cards_behind() == [(request, "", "", 0)]
    await store.show_card(request.id, "C1", "1.0", request.version)
    assert await store.cards_behind() == []
    request = await store.record(request, PROVED)
    assert await store.cards_behind() == [(request, "C1", "1.0", 1)]
    await store.show_card(request.id, "C1", "1.0", request.version)
    assert (await store.cards_behind(), await store.card_of(request.id)) == ([], ("C1", "1.0"))


async def test_a_reader_goes_on_where_it_was(store: Store) -> None:
    assert await store.cursor("channel") == 0
    for position in (3, 7):
        await store.do(also.advance("channel", position))
        assert await store.cursor("channel") == position
    assert await store.cursor("messages") == 0


async def test_what_was_told_and_how_far_that_came_are_one_commit(store: Store) -> None:
    await store.told("channel", "C1", "1.0", 0, 4)
    await store.told("channel", "C1", "2.0", 5, 5)
    assert await store.post("C1", "1.0") == Carried("channel", 0, 4)
    assert await store.post("C1", "2.0") == Carried("channel", 5, 5)
    assert await store.post("C1", "3.0") is None
    assert await store.cursor("channel") == 6


async def test_what_is_told_again_is_kept_and_moves_no_cursor(store: Store) -> None:
    await store.told("channel", "C1", "1.0", 0, 4)
    await store.told("channel", "C1", "2.0", 0, 2, again=True)
    assert await store.post("C1", "2.0") == Carried("channel", 0, 2)
    assert await store.cursor("channel") == 5


async def test_checkpoints_come_in_the_order_of_signing(store: Store) -> None:
    assert await store.last_checkpoint() is None
    for size in (2, 5, 5):
        await store.keep_checkpoint(Checkpoint("o", size, b"r" * 32, f"note {size}"))
    assert [c.size for c in await store.checkpoints()] == [2, 5, 5]
    assert [c.id for c in await store.checkpoints(after=1)] == [2, 3]
    last = await store.last_checkpoint()
    assert last is not None
    assert (last.id, last.note, last.root, last.at) == (3, "note 5", b"r" * 32, NOW)


async def test_positions_count_from_zero_and_minus_one_is_an_empty_history(store: Store) -> None:
    assert await store.last_seq() == 0
    await store.note(e.ServerStopped(), e.ServerStopped())
    assert await store.last_seq() == 2
    assert [line.seq for line in await store.lines(1, 2)] == [1]
    assert await store.leaves(0, 3) == [line.leaf for line in await store.lines(0, 3)]


# --- what somebody put there ----------------------------------------------------------------------------


async def test_words_that_are_not_the_committed_ones_are_shown_as_falsified(
    store: Store, owner: AsyncEngine
) -> None:
    request = await live(store, (PROVED,))
    await _put(owner, "words", text="A better reason.")
    found = (await store.get(request.id)).reason
    assert (str(found), found.text, found.falsified) == ("[falsified; see breakglass verify]", None, True)
    assert found == request.reason, "it is still the same commitment"


async def test_a_row_of_words_is_read_as_stored_whatever_it_is(store: Store, owner: AsyncEngine) -> None:
    await live(store, (PROVED,))
    (row,) = await store.words()
    await _put(owner, "words", text="A better reason.")
    (changed,) = await store.words()
    assert (changed.commitment, changed.salt) == (row.commitment, row.salt)
    assert changed.text == b"A better reason."
    assert await store.words(after=row.commitment) == []


async def test_a_row_from_before_there_were_warnings_does_not_contradict_itself(
    store: Store, owner: AsyncEngine
) -> None:
    """It comes due at its end; at any other moment that is a contradiction."""
    request = await live(store, PATHS[State.ACTIVE][0])
    assert request.expires_at is not None
    await _put(owner, "requests", id=request.id, due_at=request.expires_at)
    assert due_at(request) != request.expires_at
    assert await store.misfiled() == []
    await _put(owner, "requests", id=request.id, due_at=request.expires_at + MINUTE)
    assert await store.misfiled() == [request.id]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("due_at", None),
        ("due_at", NOW + timedelta(days=365)),
        ("opened_at", NOW - timedelta(days=365)),
        ("state", "reviewed"),
        ("backend", "elsewhere"),
        ("requester", BEN),
        ("version", 99),
        ("mark", "bg-acme-000000"),
        ("body", "{}"),
        ("body", "a state without what belongs to it"),
    ],
)
async def test_a_row_that_contradicts_itself_is_named(
    store: Store, owner: AsyncEngine, column: str, value: object
) -> None:
    request = await live(store, (PROVED,))
    other = await live(store, (PROVED,), "BG-0000AA")
    assert await store.misfiled() == []
    if value == "a state without what belongs to it":
        body = encode(request)
        assert isinstance(body, dict)
        value = dumps({**body, "state": "revoking"}).decode()
    await _put(owner, "requests", id=request.id, **{column: value})
    assert await store.misfiled() == [request.id]
    assert other.id in await store.everything()


async def _put(engine: AsyncEngine, table: str, id: str = "", **columns: object) -> None:
    changed = t.metadata.tables[table]
    which = changed.c.id == id if id else changed.c.text != ""
    async with engine.begin() as connection:
        await connection.execute(update(changed).where(which).values(**columns))


# --- the ledger of the audit channel --------------------------------------------------------------------


async def test_the_ledger_lists_what_came_after_a_moment(store: Store) -> None:
    await store.told("audit", "C1", "1.0", 0, 4)
    await store.told("checkpoints", "C1", "2.0", 1, 1)
    await store.told("audit", "C2", "3.0", 5, 6)
    await store.do(also.foreign("C1", "2.5"))
    assert list(await store.posts("C1")) == ["1.0", "2.0", "2.5"]
    later = await store.posts("C1", "1.0")
    assert [(ts, post.ours) for ts, post in later.items()] == [("2.0", True), ("2.5", False)]


async def test_what_became_of_a_post_is_kept_once(store: Store) -> None:
    await store.told("audit", "C1", "1.0", 0, 4)
    await store.do(also.posts_are("changed", "C1", "1.0"))
    assert await store.post("C1", "1.0") == Carried("audit", 0, 4, "changed")
    await store.do(also.posts_are("gone", "C1", "1.0", "7.7"))
    assert await store.post("C1", "1.0") == Carried("audit", 0, 4, "gone")
    for state in ("gone", "changed"):
        with pytest.raises(Duplicate):
            await store.do(also.posts_are(state, "C1", "1.0"))
    assert await store.post("C1", "1.0") == Carried("audit", 0, 4, "gone")


async def test_a_foreign_post_is_remembered_once_and_is_none_of_ours(store: Store) -> None:
    await store.told("audit", "C1", "1.0", 0, 4)
    await store.do(also.foreign("C1", "2.0", "3.0"))
    assert await store.post("C1", "2.0") is None
    for known in ("1.0", "2.0"):
        with pytest.raises(Duplicate):
            await store.do(also.foreign("C1", known, "4.0"))
    assert list(await store.posts("C1")) == ["1.0", "2.0", "3.0"], "all of it or nothing"
    with pytest.raises(Duplicate):
        await store.do(also.posts_are("gone", "C1", "2.0"))
