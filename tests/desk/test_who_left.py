"""Whoever is no active, full member any more holds and waits for nothing."""

from dataclasses import replace

import pytest

from bot.core import events as e
from bot.core.model import SYSTEM, Person, PersonId, State, Why
from tests.core.samples import ANNA, BEN, PEOPLE
from tests.desk.rig import Rig

GONE = replace(PEOPLE[ANNA], active=False)


def left(it: Rig, person: Person = GONE) -> None:
    """The directory says so of them, and the keeper hears of it."""
    people = {**it.people.roster_now.people, person.id: person}
    it.people.roster_now = replace(it.people.roster_now, people=people)
    it.keeper.person_changed(person.id)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (GONE, "deactivated"),
        (replace(PEOPLE[ANNA], is_bot=True), "a bot's now"),
        (replace(PEOPLE[ANNA], is_guest=True), "a guest's now"),
        (replace(PEOPLE[ANNA], is_stranger=True), "one of another organisation now"),
    ],
)
async def test_what_they_hold_ends_and_what_they_wait_for_lapses(it: Rig, now: Person, said: str) -> None:
    held = await it.active()
    waiting = [await it.asked(), await it.desk.ask(it.form())]
    left(it, now)
    await it.settled()
    ended = await it.store.get(held.id)
    because = f"The requester's account is {said}."
    assert ended.end is not None
    assert (ended.state, ended.end.why, ended.end.by) == (State.AWAITING_REVIEW, Why.REVOKED, SYSTEM)
    (order,) = await it.told(e.RevokeOrdered)
    assert isinstance(order.event, e.RevokeOrdered)
    assert order.event.detail == because
    for request in waiting:
        lapsed = await it.store.get(request.id)
        assert (lapsed.state, lapsed.lapsed) == (State.LAPSED, because)
    assert it.vault.ledger == {}
    await it.keeps_its_promises()


async def test_who_left_while_it_was_being_granted_is_not_let_in(it: Rig) -> None:
    request = await it.granting()
    left(it)
    await it.until_left(State.GRANTING, request.id)
    it.vault.gate.set()
    await it.settled()
    assert (await it.state(request.id), it.vault.ledger) == (State.FAILED, {})
    await it.keeps_its_promises()


async def test_who_left_at_the_very_moment_of_the_grant_loses_it_all_the_same(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is recorded between the look at the request and the order."""
    request = await it.granting()
    look = it.store.look

    async def then(id: object) -> object:
        monkeypatch.undo()
        seen = await look(request.id)
        it.vault.gate.set()
        await it.until_left(State.GRANTING, request.id)
        assert id == request.id
        return seen

    monkeypatch.setattr(it.store, "look", then)
    left(it)
    await it.settled()
    ended = await it.store.get(request.id)
    assert ended.granted_at is not None
    assert (ended.state, it.vault.ledger) == (State.AWAITING_REVIEW, {})


async def test_a_look_at_everybody_who_holds_or_waits_finds_who_left(it: Rig) -> None:
    held = await it.active()
    requesters = await it.keeper.requesters()
    assert requesters == {ANNA}
    it.people.deactivate(ANNA)
    await it.keeper.see_who_left(requesters)
    await it.settled()
    assert (await it.state(held.id), it.vault.ledger) == (State.AWAITING_REVIEW, {})
    assert await it.keeper.requesters() == set()


async def test_a_database_that_does_not_answer_does_not_end_the_looking(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await it.active()
    it.people.deactivate(ANNA)

    async def failing(*_which: object) -> set[PersonId]:
        raise OSError("disk I/O error")

    monkeypatch.setattr(it.store, "requesters", failing)
    monkeypatch.setattr(it.store, "ids_in", failing)
    assert await it.keeper.requesters() == set()
    await it.keeper.see_who_left({ANNA})
    assert await it.state(held.id) is State.ACTIVE
    monkeypatch.undo()
    await it.keeper.see_who_left({ANNA})
    await it.settled()
    assert it.vault.ledger == {}


async def test_who_lost_a_role_or_is_not_known_and_who_is_another_changes_nothing(it: Rig) -> None:
    held = await it.active()
    it.people.put("oncall")
    left(it, replace(PEOPLE[BEN], active=False))
    it.keeper.person_changed(ANNA)
    people = {id: person for id, person in it.people.roster_now.people.items() if id != ANNA}
    it.people.roster_now = replace(it.people.roster_now, people=people)
    it.keeper.person_changed(ANNA)
    await it.settled()
    assert (await it.state(held.id), set(it.vault.ledger)) == (State.ACTIVE, {held.mark})
