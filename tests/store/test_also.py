"""What must happen in the same transaction: once, for the one it is meant for, and in time."""

import asyncio
from datetime import timedelta

import pytest

from bot.core import events as e
from bot.core.errors import Refused
from bot.core.model import State
from bot.store import Duplicate, Store, also
from tests.core.samples import ANNA, BEN, MINUTE, NOW, PATHS, REVOKE, Clock
from tests.store.looking import live, whole

FACT = e.ServerStopped()


async def test_an_interaction_that_is_delivered_thrice_acts_once(store: Store) -> None:
    """Also when the process was restarted between the deliveries."""
    await store.note(FACT, also=[also.first_time("click-1")])
    for each in (store, Store(store.engine, Clock())):
        with pytest.raises(Duplicate):
            await each.note(FACT, also=[also.first_time("click-1")])
    await store.note(FACT, also=[also.first_time("click-2")])
    assert await whole(store) == 3


async def test_of_the_same_interaction_twice_at_once_one_acts(store: Store) -> None:
    results = await asyncio.gather(
        *(store.note(FACT, also=[also.first_time("click-1")]) for _ in range(5)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Duplicate"] * 4 + ["NoneType"]
    assert await whole(store) == 2


async def use(store: Store, step: int) -> None:
    await store.note(FACT, also=[also.use_code(ANNA, step)])


async def test_of_the_same_code_twice_at_once_one_is_used(store: Store, clock: Clock) -> None:
    await store.do(also.enrol(ANNA, b"sealed", -1))
    second = Store(store.engine, clock)
    results = await asyncio.gather(use(store, 7), use(second, 7), return_exceptions=True)
    (refusal,) = [result for result in results if isinstance(result, Refused)]
    assert (results.count(None), refusal.code, refusal.field) == (1, "replayed", "code")
    assert await store.factor(ANNA) == (b"sealed", 7)
    assert await whole(store) == 2


async def test_an_earlier_step_than_the_last_one_used_is_a_replay(store: Store) -> None:
    await store.do(also.enrol(ANNA, b"sealed", 7))
    for step in (6, 7):
        with pytest.raises(Refused, match="used already"):
            await use(store, step)
    await use(store, 8)


async def test_whoever_has_no_factor_has_no_code_to_use(store: Store) -> None:
    with pytest.raises(Refused):
        await use(store, 1)


async def test_wrong_codes_are_counted_per_person_within_a_time(store: Store, clock: Clock) -> None:
    for _ in range(2):
        await store.note(FACT, also=[also.count_failure(ANNA)])
        clock.forward(MINUTE)
    told = [await store.failures(ANNA, minutes * MINUTE) for minutes in (3, 2, 1)]
    assert told == [2, 1, 0]
    assert await store.failures(BEN, 3 * MINUTE) == 0


async def test_a_count_that_changed_meanwhile_is_not_counted_on(store: Store) -> None:
    await store.do(also.failures_are(0, ANNA, MINUTE), also.count_failure(ANNA))
    with pytest.raises(also.Miscounted):
        await store.note(FACT, also=[also.failures_are(0, ANNA, MINUTE), also.count_failure(ANNA)])
    assert await store.failures(ANNA, MINUTE) == 1
    await store.do(also.failures_are(1, ANNA, MINUTE), also.failures_are(0, BEN, MINUTE))


async def test_a_right_code_forgives_the_wrong_ones_of_that_person_alone(store: Store) -> None:
    for person in (ANNA, BEN):
        await store.do(also.enrol(person, b"sealed", -1))
        await store.do(also.count_failure(person))
    await use(store, 1)
    assert [await store.failures(person, MINUTE) for person in (ANNA, BEN)] == [0, 1]


async def test_enrolling_voids_the_earlier_factor_and_its_steps_go_on(store: Store) -> None:
    """So that no two proofs of a person ever carry the same step."""
    await store.do(also.enrol(ANNA, b"old", 5))
    await store.do(also.count_failure(ANNA), also.enrol(ANNA, b"new", 3))
    assert (await store.factor(ANNA), await store.failures(ANNA, MINUTE)) == ((b"new", 5), 0)
    await store.do(also.enrol(ANNA, b"newest", 9))
    assert await store.factor(ANNA) == (b"newest", 9)
    assert await store.enrolled() == {ANNA}
    assert await store.factor(BEN) is None


# --- enrolment tokens -----------------------------------------------------------------------------------


async def take(store: Store, *, person: str = ANNA, digest: bytes = b"digest") -> bool:
    try:
        await store.note(FACT, also=[also.take_token(type(ANNA)(person), digest)])
    except Refused as refusal:
        assert (refusal.code, refusal.field) == ("bad_token", "token")  # noqa: PT017  both outcomes are right
        return False
    return True


async def test_a_token_works_once_for_its_person_alone(store: Store) -> None:
    await store.do(also.issue_token(ANNA, b"digest", NOW + MINUTE))
    assert await store.token(ANNA) == b"digest"
    assert await store.token(BEN) is None
    tries = [await take(store, person=BEN), await take(store, digest=b"other"), await take(store)]
    assert [*tries, await take(store)] == [False, False, True, False]


async def test_of_a_token_used_twice_at_once_one_use_counts(store: Store) -> None:
    await store.do(also.issue_token(ANNA, b"digest", NOW + MINUTE))
    assert sorted(await asyncio.gather(*(take(store) for _ in range(4)))) == [False, False, False, True]


async def test_a_token_is_void_once_its_time_is_over(store: Store, clock: Clock) -> None:
    await store.do(also.issue_token(ANNA, b"digest", NOW + MINUTE))
    clock.forward(MINUTE)
    assert (await store.token(ANNA), await take(store)) == (None, False)


async def test_a_new_token_lifts_a_lock_out_of_its_person(store: Store) -> None:
    for person in (ANNA, BEN):
        await store.do(also.count_failure(person))
    await store.do(also.issue_token(ANNA, b"digest", NOW + MINUTE))
    assert [await store.failures(person, MINUTE) for person in (ANNA, BEN)] == [0, 1]


async def test_what_is_forgotten_is_old(store: Store, clock: Clock) -> None:
    await store.do(also.first_time("old"), also.count_failure(ANNA))
    clock.forward(MINUTE)
    await store.do(also.first_time("new"), also.count_failure(ANNA))
    await store.do(also.forget(NOW + MINUTE))
    await store.do(also.first_time("old"))
    with pytest.raises(Duplicate):
        await store.do(also.first_time("new"))
    assert await store.failures(ANNA, 10 * MINUTE) == 1


async def test_a_new_token_voids_the_one_before(store: Store) -> None:
    for digest in (b"first", b"second"):
        await store.do(also.issue_token(ANNA, digest, NOW + timedelta(hours=1)))
    assert [await take(store, digest=digest) for digest in (b"first", b"second")] == [False, True]


# --- handoffs -------------------------------------------------------------------------------------------


async def test_a_credential_is_forgotten_by_the_very_commit_that_orders_the_end(store: Store) -> None:
    request = await live(store, PATHS[State.ACTIVE][0])
    await store.do(also.keep_handoff(request.id, b"sealed"))
    assert await store.handoff(request.id) == b"sealed"
    await store.record(request, REVOKE)
    assert await store.handoff(request.id) is None


async def test_a_credential_that_was_shown_is_kept_nowhere(store: Store) -> None:
    request = await live(store, PATHS[State.ACTIVE][0])
    await store.do(also.keep_handoff(request.id, b"sealed"))
    await store.record(request, e.HandoffShown(actor=ANNA), also=[also.drop_handoff(request.id)])
    assert await store.handoff(request.id) is None
