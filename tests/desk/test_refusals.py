"""Every refusal is told in a sentence and stands in the history; a form to mend is no attempt."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core import events as e
from bot.core.errors import Refused, Stale
from bot.core.model import Mfa, RequestId, State
from bot.store import Duplicate, UnknownRequest
from tests.core.samples import ANNA, BEN, CARA, DORA, EMIL, TERMS
from tests.desk.rig import Rig

Attempt = Callable[[Rig, RequestId], Awaitable[object]]

BEFORE: dict[tuple[str, str], Attempt] = {
    ("ask", "may_not_ask"): lambda it, _: it.desk.ask(it.form(EMIL)),
    ("ask", "no_scenario"): lambda it, _: it.desk.ask(replace(it.form(), scenario="none")),
    ("ask", "not_offered"): lambda it, _: it.desk.ask(it.form(access="none")),
    ("ask", "not_enrolled"): lambda it, _: it.asked_without_a_factor(),
    ("prove", "not_yours"): lambda it, request: it.desk.prove(request, BEN, "123456", it.key()),
    ("approve", "self_approval"): lambda it, request: it.desk.approve(request, ANNA, it.key()),
    ("approve", "may_not_decide"): lambda it, request: it.desk.approve(request, EMIL, it.key()),
    ("deny", "self_denial"): lambda it, request: it.desk.deny(request, ANNA, "no, thanks", it.key()),
    ("deny", "may_not_decide"): lambda it, request: it.desk.deny(request, EMIL, "no, thanks", it.key()),
    ("withdraw", "not_yours"): lambda it, request: it.desk.withdraw(request, BEN, it.key()),
}
DURING: dict[tuple[str, str], Attempt] = {
    ("revoke", "may_not_revoke"): lambda it, request: it.desk.revoke(request, EMIL, "", it.key()),
    ("reveal", "not_yours"): lambda it, request: it.desk.reveal(request, BEN, it.key()),
    ("reveal", "no_handoff"): lambda it, request: it.desk.reveal(request, ANNA, it.key()),
}
AFTER: dict[tuple[str, str], Attempt] = {
    ("report", "not_yours"): lambda it, request: it.desk.report(
        request, BEN, "It was me all the time.", it.key()
    ),
    ("review", "self_review"): lambda it, request: it.judged(request, ANNA),
    ("review", "sole_approver"): lambda it, request: it.judged(request, BEN),
    ("review", "may_not_review"): lambda it, request: it.judged(request, DORA),
}


async def refused(attempt: Awaitable[object]) -> str:
    with pytest.raises(Refused) as caught:
        await attempt
    return caught.value.code


async def test_every_refusal_is_an_event_before_it_is_told(it: Rig) -> None:
    """In the order they were tried, each about its request and by its person."""
    waiting = await it.asked()
    for (_, code), attempt in BEFORE.items():
        assert await refused(attempt(it, waiting.id)) == code
    active = await it.active()
    for (_, code), attempt in DURING.items():
        assert await refused(attempt(it, active.id)) == code
    await it.revoked(active.id)
    for (_, code), attempt in AFTER.items():
        assert await refused(attempt(it, active.id)) == code
    told = [record.event for record in await it.told(e.AttemptRefused)]
    assert [(each.verb, each.code) for each in told if isinstance(each, e.AttemptRefused)] == [
        *BEFORE,
        *DURING,
        *AFTER,
    ]
    about = [each.about for each in told if isinstance(each, e.AttemptRefused)]
    assert about == [None] * 4 + [waiting.id] * 6 + [active.id] * 7
    await it.keeps_its_promises()


LATE: dict[str, Attempt] = {
    "prove": lambda it, request: it.desk.prove(request, ANNA, "123456", it.key()),
    "withdraw": lambda it, request: it.desk.withdraw(request, ANNA, it.key()),
    "approve": lambda it, request: it.desk.approve(request, CARA, it.key()),
    "deny": lambda it, request: it.desk.deny(request, CARA, "no, thanks", it.key()),
    "reveal": lambda it, request: it.desk.reveal(request, ANNA, it.key()),
    "revoke": lambda it, request: it.desk.revoke(request, CARA, "", it.key()),
    "report": lambda it, request: it.desk.report(request, ANNA, "It was me.", it.key()),
    "review": lambda it, request: it.judged(request, CARA),
}


async def test_whatever_comes_too_late_is_an_event_of_its_request(it: Rig) -> None:
    request = await it.asked()
    await it.desk.deny(request.id, BEN, "not now", it.key())
    for attempt in LATE.values():
        with pytest.raises(Stale, match="was denied"):
            await attempt(it, request.id)
    told = [record.event for record in await it.told(e.AttemptRefused)]
    assert [(each.verb, each.code) for each in told if isinstance(each, e.AttemptRefused)] == [
        (verb, "stale") for verb in LATE
    ]
    assert {record.request for record in await it.told(e.AttemptRefused)} == {request.id}
    await it.keeps_its_promises()


async def test_a_yes_after_the_lapse_is_an_event_after_it(it: Rig) -> None:
    """Also where the keeper was late, so that the yes itself finds out."""
    request = await it.asked()
    it.clock.now = request.lapses_at
    with pytest.raises(Stale, match="lapsed"):
        await it.desk.approve(request.id, BEN, it.key())
    lapsed, late = [record.event for record in await it.history()][-2:]
    assert isinstance(lapsed, e.RequestLapsed)
    assert late == e.AttemptRefused(actor=BEN, verb="approve", code="stale", about=request.id)


async def test_of_approve_and_deny_at_once_the_loser_is_an_event(it: Rig) -> None:
    request = await it.asked()
    verbs = {
        BEN: it.desk.approve(request.id, BEN, it.key()),
        CARA: it.desk.deny(request.id, CARA, "not now", it.key()),
    }
    results = await asyncio.gather(*verbs.values(), return_exceptions=True)
    (loser,) = [person for person, result in zip(verbs, results, strict=True) if isinstance(result, Stale)]
    (told,) = await it.told(e.AttemptRefused)
    assert (told.event.actor, told.request) == (loser, request.id)


async def test_the_echo_of_what_counted_is_no_attempt(it: Rig) -> None:
    request = await it.asked()
    await it.desk.deny(request.id, BEN, "not now", "click")
    before = await it.history()
    with pytest.raises(Duplicate):
        await it.desk.deny(request.id, BEN, "not now", "click")
    assert await it.history() == before


async def test_an_id_that_is_none_is_an_event_without_what_was_typed(it: Rig) -> None:
    with pytest.raises(UnknownRequest):
        await it.desk.revoke(RequestId("BG-HUNTER"), DORA, "", it.key())
    (told,) = await it.told(e.AttemptRefused)
    assert told.event == e.AttemptRefused(actor=DORA, verb="revoke", code="unknown_request")


async def test_looking_whether_one_may_is_an_attempt_too(it: Rig) -> None:
    request = await it.active()
    await it.revoked(request.id)
    it.clock.forward(TERMS.report_within)
    assert await refused(it.desk.may_review(request.id, ANNA, it.key())) == "self_review"
    await it.desk.may_review(request.id, CARA, it.key())
    assert len(await it.told(e.AttemptRefused)) == 1
    assert await it.state(request.id) is State.AWAITING_REVIEW


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"criteria": ()}, "criteria"),
        ({"duration": timedelta(minutes=17)}, "duration"),
        ({"reason": "help"}, "reason"),
        ({"reason": "\u200b" * 50}, "reason"),
        ({"reason": "x" * 3001}, "reason"),
    ],
)
async def test_a_form_to_mend_is_no_attempt_at_anything(
    it: Rig, change: dict[str, object], code: str
) -> None:
    before = await it.history()
    assert await refused(it.desk.ask(replace(it.form(), **change))) == code  # type: ignore[arg-type]  # fields of Ask
    assert await it.history() == before


async def test_words_that_are_missing_are_asked_for_and_nothing_is_recorded(it: Rig) -> None:
    waiting, active = await it.asked(), await it.active()
    await it.revoked(active.id)
    before = await it.history()
    for attempt in (
        it.desk.deny(waiting.id, BEN, " \u200b ", it.key()),
        it.desk.report(active.id, ANNA, "done", it.key()),
    ):
        assert await refused(attempt) == "empty"
    assert await it.history() == before
    assert await it.state(waiting.id) is State.AWAITING_APPROVAL


async def test_wrong_codes_are_told_apart_from_other_refusals(it: Rig) -> None:
    request = await it.desk.ask(it.form())
    assert await refused(it.desk.prove(request.id, ANNA, "000000", it.key())) == "wrong"
    assert await refused(it.desk.prove(request.id, ANNA, "  ", it.key())) == "no_code"
    (missed,) = await it.told(e.ProofRefused)
    assert missed.event == e.ProofRefused(actor=ANNA, method=Mfa.TOTP, code="wrong", about=request.id)
    assert await it.told(e.AttemptRefused) == []


async def test_a_refused_request_leaves_no_request(it: Rig) -> None:
    await refused(it.desk.ask(it.form(EMIL)))
    await refused(it.desk.ask(it.form(code="000000")))
    assert await it.store.everything() == {}


async def test_nobody_is_asked_to_say_the_code_into_the_history(it: Rig) -> None:
    """Not the code, not the secret, and of words only what commits to them."""
    request = await it.desk.ask(it.form())
    code = it.code(ANNA)
    await it.desk.prove(request.id, ANNA, code, it.key())
    lines = await it.store.lines(0, 100)
    assert not [line for line in lines if f'"{code}"'.encode() in line.body]
    assert not [line for line in lines if it.secrets[ANNA].reveal().encode() in line.body]
    assert not [line for line in lines if b"replica lags" in line.body]
    assert TERMS.access.encode() in lines[-2].body
    assert (await it.store.get(request.id)).proof is not None
