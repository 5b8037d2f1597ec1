"""What is told to Slack: everything, in order, once, whatever Slack does with the telling."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from unittest import mock

import pytest
from aiohttp import web
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core import events as e
from bot.core.model import Secret, State
from bot.demo.ports import free_port
from bot.sandbox import Message
from bot.slack.connect import web_client
from bot.slack.people import said
from bot.slack.views.audit import MOST_LINES
from tests.server.rig import ALICE, AUDIT, BOB, DANA, MANIFEST, REQUESTS, Rig

FAILURES = ["500", "503", "html", "cut_before", "cut_after_store"]


async def burst(it: Rig, lines: int) -> None:
    """So many facts at once."""
    assert it.server is not None
    attempt = e.AttemptRefused(actor=ALICE, verb="approve", code="not_an_approver")
    await it.server.store.note(*[attempt] * lines)


def thread_says(it: Rig, card: Message, what: str) -> bool:
    return any(what in message.human_text() for message in it.alice.thread(card))


async def test_a_burst_of_facts_folds_into_few_messages_in_order(it: Rig) -> None:
    await it.start()
    before = len(it.audit())
    await burst(it, 2 * MOST_LINES)
    await it.keeps_its_promises()
    assert len(it.audit()) - before <= 6, "a message carries as many lines as fit"


@pytest.mark.heavy
async def test_at_its_real_pace_a_burst_never_meets_slacks_limit(it: Rig) -> None:
    it.sandbox.rates.enforced = True
    await it.start(hurry=False)
    await burst(it, 120)
    await it.keeps_its_promises()
    assert [call for call in it.sandbox.wire_log.calls("chat.postMessage") if call.status == 429] == []


async def test_a_limit_in_the_middle_of_a_burst_is_waited_out_and_nothing_is_lost(it: Rig) -> None:
    await it.start()
    it.sandbox.faults.add(method="chat.postMessage", kind="ratelimited", retry_after=1, times=2)
    await burst(it, 3 * MOST_LINES)
    await it.keeps_its_promises()
    posts = [c for c in it.sandbox.wire_log.calls("chat.postMessage") if c.args["channel"] == AUDIT]
    limited = [number for number, call in enumerate(posts) if call.status == 429]
    for number in limited:
        again = [c for c in posts[number + 1 :] if c.args["metadata"] == posts[number].args["metadata"]]
        assert all(call.at - posts[number].at >= 1 for call in again), "Retry-After is respected"
    assert limited, "Slack did say so"


@pytest.mark.parametrize("kind", FAILURES)
async def test_whatever_becomes_of_a_post_the_audit_channel_has_each_line_once(it: Rig, kind: str) -> None:
    await it.start()
    it.sandbox.faults.add(method="chat.postMessage", kind=kind, times=3)  # type: ignore[arg-type]  # a FaultKind
    for _ in range(3):
        await burst(it, 5)
    await it.keeps_its_promises()
    ids = [first for first, _ in it.spans("breakglass_checkpoint")]
    assert ids == sorted(set(ids)), "each checkpoint once, in order"
    assert await it.told(e.ForeignPost) == [], "a post of our own is never taken for a stranger's"


@pytest.mark.parametrize("kind", FAILURES)
async def test_whatever_becomes_of_a_post_each_request_has_one_card(it: Rig, kind: str) -> None:
    await it.start()
    it.sandbox.faults.add(method="chat.postMessage", kind=kind, times=4)  # type: ignore[arg-type]  # a FaultKind
    request = await it.asks()
    await it.approved(request.id)
    await it.card(request.id, "Active")
    assert len(it.cards(request.id)) == 1
    await it.keeps_its_promises()


@pytest.mark.parametrize("kind", FAILURES)
async def test_a_card_whose_update_failed_is_brought_up_to_date(it: Rig, kind: str) -> None:
    await it.start()
    request = await it.asks()
    await it.card(request.id)
    it.sandbox.faults.add(method="chat.update", kind=kind, times=2)  # type: ignore[arg-type]  # a FaultKind
    await it.approved(request.id)
    await it.card(request.id, "Active")
    assert len(it.cards(request.id)) == 1


@pytest.mark.parametrize("kind", FAILURES)
async def test_no_alarm_is_lost_when_slack_fails_to_take_it(it: Rig, kind: str) -> None:
    await it.start()
    it.sandbox.faults.add(method="chat.postMessage", kind=kind, times=4)  # type: ignore[arg-type]  # a FaultKind
    assert it.server is not None
    await it.server.store.note(e.AttemptRefused(actor=ALICE, verb="approve", code="self_approval"))
    await it.alarmed("tried to approve their own request")


async def test_of_five_wrong_codes_security_and_the_person_hear_once(it: Rig) -> None:
    await it.start()
    await it.enrolled()
    form = await it.form()
    await it.fill(form, "The vault, with a code")
    for guess in range(7):
        form.fill("Code", f"00000{guess}")
        assert await form.submit() is not None
    await it.told_all()
    await it.alarmed("Locked out", "@alice")
    await it.until(
        lambda: any("wrong codes were entered in your name" in told for told in it.hears(it.alice))
    )
    assert len(await it.told(e.LockedOut)) == 1
    assert len([alarm for alarm in it.alarms() if "wrong codes" in alarm]) == 1


async def test_an_answer_that_is_no_json_is_an_error_like_any_other() -> None:
    async def broken(_request: web.Request) -> web.Response:
        return web.Response(text='{"ok": tr', content_type="application/json")

    app = web.Application()
    app.router.add_post("/api/auth.test", broken)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        with pytest.raises(SlackApiError) as caught:
            await web_client(Secret("xoxb-1"), f"http://127.0.0.1:{port}/api/").auth_test()
    finally:
        await runner.cleanup()
    assert said(caught.value) == "unknown"


async def test_after_an_outage_each_waiting_request_gets_one_card_though_its_thread_waits_too(
    it: Rig,
) -> None:
    await it.start()
    it.sandbox.faults.add(method="chat.postMessage", kind="503", times=10_000)
    requests = [await it.asks() for _ in range(3)]
    assert it.server is not None
    for request in requests:
        await it.server.desk.withdraw(request.id, ALICE, f"click-{request.id}")
    it.sandbox.faults.clear()
    for request in requests:
        card = await it.card(request.id, "Taken back")
        await it.until(partial(thread_says, it, card, "Taken back by"))
        assert len(it.cards(request.id)) == 1
    await it.keeps_its_promises()


async def test_what_a_crashed_server_had_not_told_the_next_one_tells_in_order_and_once(it: Rig) -> None:
    await it.start()
    it.sandbox.faults.add(method="chat.postMessage", kind="503", times=10_000)
    request = await it.asks()
    await burst(it, 60)
    await it.crash()
    assert it.cards() == [], "nothing was told"
    it.sandbox.faults.clear()
    await it.start()
    card = await it.card(request.id, "Waiting for approval")
    await it.keeps_its_promises()
    await it.presses(it.bob, card, "Approve")
    await it.reaches(request.id, State.ACTIVE)


async def test_a_server_that_died_between_a_post_and_its_note_of_it_does_not_post_again(it: Rig) -> None:
    await it.start()
    it.sandbox.faults.add(method="chat.postMessage", kind="cut_after_store", times=6)
    before = len(it.audit())
    request = await it.asks()
    await it.until(lambda: len(it.audit()) > before and it.cards())
    await it.crash()
    it.sandbox.faults.clear()
    await it.start()
    await it.keeps_its_promises()
    assert len(it.cards(request.id)) == 1


async def test_a_card_found_from_before_a_crash_is_brought_up_to_date(it: Rig) -> None:
    await it.start()
    it.sandbox.faults.add(method="chat.postMessage", kind="cut_after_store", times=10_000)
    request = await it.asks()
    await it.until(it.cards)
    await it.crash()
    it.sandbox.faults.clear()
    it.clock.forward(timedelta(hours=2))
    await it.start()
    await it.card(request.id, "Lapsed")
    assert len(it.cards(request.id)) == 1


# --- what others write into metadata ---------------------------------------------------------------------


def own_token(it: Rig) -> str:
    return it.app.bot_token


def persons_token(it: Rig) -> str:
    return it.sandbox.user_token(DANA)


def other_apps_token(it: Rig) -> str:
    other = it.sandbox.install({**MANIFEST, "display_information": {"name": "Other"}})
    for channel in (AUDIT, REQUESTS):
        it.sandbox.invite(channel, other.bot_user_id)
    return other.bot_token


by_whom = pytest.mark.parametrize(
    "token", [own_token, persons_token, other_apps_token], ids=["our token", "a person's", "another app's"]
)


async def forged(it: Rig, token: str, channel: str, kind: str, payload: dict[str, Any]) -> str:
    client = AsyncWebClient(token, base_url=it.sandbox.api_url)
    metadata = {"event_type": kind, "event_payload": payload}
    posted = await client.chat_postMessage(channel=channel, text="All is well.", metadata=metadata)
    return str(posted["ts"])


async def carried(it: Rig) -> list[int]:
    """The lines that our own entries carry, by the ledger."""
    posts = await it.store.posts(AUDIT)
    return [n for post in posts.values() if post.stream == "audit" for n in range(post.first, post.last + 1)]


@by_whom
@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"first": 0, "last": 999_999}, id="all lines to come"),
        pytest.param({}, id="no lines", marks=pytest.mark.heavy),
        pytest.param({"last": "many"}, id="no number", marks=pytest.mark.heavy),
        pytest.param({"last": 1}, id="one line more", marks=pytest.mark.heavy),
        pytest.param({"last": 0, "root": "00" * 32}, id="another tree", marks=pytest.mark.heavy),
    ],
)
async def test_metadata_that_somebody_forged_hides_no_line(
    it: Rig, token: Callable[[Rig], str], claims: dict[str, Any]
) -> None:
    await it.start()
    await it.sandbox.quiet()
    await it.crash()
    next_line = await it.store.cursor("audit")
    payload = {"key": f"audit/{next_line}", **claims}
    for name in payload.keys() & {"first", "last"}:
        if isinstance(payload[name], int):
            payload[name] += next_line
    ts = await forged(it, token(it), AUDIT, "breakglass_audit", payload)
    await it.start()
    await burst(it, 3)
    await it.told_all()
    lines = await carried(it)
    assert lines == list(range(len(lines))), "every line, once, in order"
    assert len(lines) > next_line + 3, "those that came after the forged one too"
    assert await it.store.post(AUDIT, ts) is None
    await it.alarmed("Foreign post")


@by_whom
async def test_a_card_that_somebody_forged_never_stands_for_the_request(
    it: Rig, token: Callable[[Rig], str]
) -> None:
    await it.start()
    it.sandbox.faults.add(method="chat.postMessage", kind="cut_before", times=10_000)
    request = await it.asks()
    await it.crash()
    it.sandbox.faults.clear()
    payload = {"key": request.id, "request": request.id, "version": request.version}
    await forged(it, token(it), REQUESTS, "breakglass_card", payload)
    await it.start()
    card = await it.card(request.id, "Waiting for approval")
    await it.presses(it.bob, card, "Approve")
    await it.card(request.id, "Active")


async def test_a_checkpoint_that_a_dead_server_posted_is_kept_though_a_newer_one_is_told(it: Rig) -> None:
    await it.start()
    assert it.server is not None
    before = len(it.spans("breakglass_checkpoint"))
    with mock.patch.object(it.server.store, "told", side_effect=ConnectionError):
        await burst(it, 1)
        await it.until(lambda: len(it.spans("breakglass_checkpoint")) > before)
        await it.crash()
    unnoted = it.spans("breakglass_checkpoint")[-1]
    await it.start()
    assert it.server is not None
    await it.until(lambda: it.spans("breakglass_checkpoint")[-1] != unnoted)
    await it.server.rounds.look(everything=True)
    assert await it.told(e.ForeignPost) == []
    noted = [(p.first, p.last) for p in (await it.store.posts(AUDIT)).values() if p.stream == "checkpoints"]
    assert sorted(noted) == sorted(it.spans("breakglass_checkpoint"))


async def test_an_entry_that_was_changed_before_it_was_noted_is_told_anew(it: Rig) -> None:
    await it.start()
    assert it.server is not None
    before = len(it.entries())
    with mock.patch.object(it.server.store, "told", side_effect=ConnectionError):
        await burst(it, 1)
        await it.until(lambda: len(it.entries()) > before)
        await it.crash()
    changed = it.entries()[-1]
    client = AsyncWebClient(it.app.bot_token, base_url=it.sandbox.api_url)
    await client.chat_update(channel=AUDIT, ts=changed.ts, text="Nothing happened.")
    await it.start()
    await it.told_all()
    lines = await carried(it)
    assert lines == list(range(len(lines))), "every line, once, in order"
    assert await it.store.post(AUDIT, changed.ts) is None


async def test_nothing_that_we_post_comes_alive_by_slacks_own_reading(it: Rig) -> None:
    await it.start()
    request = await it.active()
    stranger = await it.presses(it.alice, await it.card(request.id, "Active"), "Hand back")
    assert stranger.ok
    await it.card(request.id, "the review is due")
    await it.presses(it.carol, await it.card(request.id), "Review")
    await it.until(lambda: it.hears(it.carol))
    await it.told_all()
    for method in ("chat.postMessage", "chat.update", "chat.postEphemeral"):
        calls = it.sandbox.wire_log.calls(method)
        assert calls, method
        for call in calls:
            assert call.args["parse"] == "none", call
            assert str(call.args["link_names"]).casefold() in {"0", "false"}, call
    posts = it.sandbox.wire_log.calls("chat.postMessage")
    assert {str(c.args[name]).casefold() for c in posts for name in ("unfurl_links", "unfurl_media")} <= {
        "0",
        "false",
    }


async def test_a_card_that_somebody_deleted_is_posted_anew_and_the_old_one_stays_gone(it: Rig) -> None:
    await it.start()
    request = await it.asks()
    await it.olga.delete(await it.card(request.id))
    assert it.server is not None
    await it.server.desk.approve(request.id, BOB, "click")
    await it.card(request.id, "Active")
    assert len(it.cards(request.id)) == 1


async def test_one_card_that_slack_refuses_holds_up_no_other(it: Rig) -> None:
    await it.start()
    first, second = await it.asks(), await it.asks()
    await it.card(first.id)
    await it.card(second.id)
    it.sandbox.faults.add(method="chat.update", kind="error", error="invalid_blocks", times=1)
    for request in (first, second):
        await it.approved(request.id)
    await it.card(first.id, "Active")
    await it.card(second.id, "Active")


async def test_five_minutes_before_the_end_its_holder_is_told_and_can_hand_it_back_there(it: Rig) -> None:
    await it.start()
    request = await it.active()
    await it.passes(timedelta(minutes=9))
    await it.sandbox.quiet()
    assert not [text for text in it.hears(it.alice) if "ends soon" in text]
    await it.passes(timedelta(minutes=2))

    def told() -> Message | None:
        return next((m for m in it.alice.direct_messages() if "ends soon" in m.human_text()), None)

    message = await it.found(told)
    assert message.buttons() == ["Hand back"]
    assert (await it.store.get(request.id)).state is State.ACTIVE
    assert it.truth.marks() == [request.mark]
    await it.presses(it.alice, message, "Hand back")
    await it.reaches(request.id, State.AWAITING_REVIEW)
    assert it.truth.marks() == []
    await it.keeps_its_promises()
