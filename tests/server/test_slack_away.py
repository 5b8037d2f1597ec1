"""Slack down, cut off, or of somebody else: the keeper goes on, and the server comes back by itself."""

import asyncio
import time
from datetime import timedelta

import pytest

from bot.core import events as e
from bot.core.errors import BreakglassError
from bot.core.model import PersonId, State
from bot.sandbox import Exchange
from bot.slack.connection import Connection
from bot.slack.echo import PATIENCE
from bot.slack.http import SignedHttp
from bot.slack.socket_mode import SocketMode
from tests.server.rig import ALICE, OVER_BOTH, REQUESTS, Rig


@OVER_BOTH
async def test_with_slack_down_at_boot_everything_overdue_ends_before_slack_connects(it: Rig) -> None:
    await it.start()
    overdue, in_time = await it.active(), await it.asks()
    await it.crash()
    it.clock.forward(timedelta(hours=2))
    await it.sandbox.down()
    await it.start(wait=False)
    await it.until(lambda: it.truth.marks() == [])
    await it.reaches(overdue.id, State.AWAITING_REVIEW)
    await it.reaches(in_time.id, State.LAPSED)
    await it.until(lambda: it.told(e.ServerStarted))
    assert "audit_channel" in it.trouble()

    await it.sandbox.up()
    await it.connected()
    await it.card(overdue.id, "the review is due")
    await it.keeps_its_promises()


async def test_a_grant_that_was_under_way_at_a_crash_is_revoked_at_boot_without_slack(it: Rig) -> None:
    await it.start()
    it.truth.is_slow_at("grant", 0.2)
    request = await it.asks()
    await it.approved(request.id)
    await it.reaches(request.id, State.GRANTING)
    await it.crash()
    it.truth.put(request.mark)  # the provider did it all the same
    await it.sandbox.down()
    await it.start(wait=False)
    await it.reaches(request.id, State.FAILED)
    assert it.truth.marks() == []


async def test_every_boot_of_a_restart_loop_ends_what_is_overdue(it: Rig) -> None:
    await it.start()
    requests = [await it.active() for _ in range(3)]
    await it.crash()
    it.clock.forward(timedelta(hours=2))
    await it.sandbox.down()
    it.truth.is_slow_at("revoke", 0.1)
    for _ in range(3):
        await it.start(wait=False)
        await it.until(lambda: it.truth.marks() == [])
        await it.crash()
    for request in requests:
        assert (await it.store.get(request.id)).state in {State.REVOKING, State.AWAITING_REVIEW}


async def test_a_token_that_slack_refuses_at_boot_does_not_keep_access_from_ending(it: Rig) -> None:
    await it.start()
    request = await it.active()
    await it.crash()
    it.sandbox.revoke(it.app)
    await it.start(wait=False)
    await it.passes(timedelta(minutes=16))
    await it.until(lambda: it.truth.marks() == [])
    it.sandbox.restore(it.app)
    await it.connected()
    await it.card(request.id, "the review is due")


async def test_a_stop_while_slack_is_away_is_in_good_order(it: Rig) -> None:
    await it.start()
    request = await it.active()
    await it.crash()
    it.clock.forward(timedelta(hours=2))
    it.truth.is_slow_at("revoke", 0.3)
    await it.sandbox.down()
    await it.start(wait=False)
    await it.until(lambda: it.truth.calls("revoke") > 0)
    await it.stop()
    assert it.truth.marks() == [], "what was under way was finished"
    assert (await it.store.get(request.id)).state is State.AWAITING_REVIEW
    assert len(await it.told(e.ServerStopped)) == 1


async def test_a_stop_while_socket_mode_cannot_be_had_is_in_good_order(it: Rig) -> None:
    it.sandbox.faults.add(method="apps.connections.open", kind="error", error="invalid_auth", times=100)
    await it.start(wait=False)
    await it.until(lambda: it.sandbox.wire_log.calls("apps.connections.open"))
    await it.stop()
    assert len(await it.told(e.ServerStopped)) == 1


async def works(it: Rig) -> None:
    """Commands are heard, and requests are granted."""
    request = await it.active()
    await it.keeps_its_promises()
    assert it.server is not None
    await it.server.desk.revoke(request.id, request.requester)


async def test_slack_asks_for_a_new_connection_and_gets_one(it: Rig) -> None:
    await it.start()
    old = it.sandbox.sockets.all()
    await it.sandbox.refresh_sockets()
    await it.until(lambda: it.sandbox.sockets.all() and not set(old) & set(it.sandbox.sockets.all()))
    assert (await it.alice.command("/breakglass help", REQUESTS)).ok
    await works(it)


async def test_a_failure_nobody_foresaw_while_connecting_ends_the_server(
    it: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody would connect again, and nothing would say so: whoever starts it anew mends that."""
    await it.start()

    async def fails(*_: object) -> None:
        raise KeyError("nobody foresaw this")

    monkeypatch.setattr(Connection, "open", fails)
    await it.sandbox.drop_sockets()
    await it.died()
    (record,) = [record for record in caplog.records if "A part of the server died" in record.message]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)


async def test_a_connection_that_was_cut_is_made_again(it: Rig) -> None:
    await it.start()
    await it.sandbox.drop_sockets()
    await it.until(it.sandbox.sockets.all)
    await works(it)


@OVER_BOTH
async def test_after_an_outage_the_server_is_connected_again_and_works(it: Rig) -> None:
    await it.start()
    await it.sandbox.down()
    await it.until(it.trouble)
    await it.sandbox.up()
    await it.connected()
    await works(it)


async def test_an_address_for_the_connection_that_no_longer_opens_is_given_up(it: Rig) -> None:
    """Slack's addresses work once and for 30 s; another is asked for each time."""

    def spoil(exchange: Exchange) -> None:
        if exchange.method == "apps.connections.open" and not it.sandbox.sockets.refused:
            it.sandbox.sockets._tickets.clear()

    it.sandbox.on_call(spoil)
    await it.start()
    assert it.sandbox.sockets.refused, "the first address did not open"
    await works(it)


async def test_the_token_of_another_workspace_refuses_to_start(it: Rig) -> None:
    await it.start()
    await it.stop()
    it.sandbox.workspace.team = it.sandbox.workspace.team.__class__("T0OTHER001", "Other", "other")
    await it.start(wait=False)
    died = await it.died()
    assert isinstance(died, BreakglassError)
    assert str(died) == (
        "This installation belongs to Slack workspace T0SANDBOX1, and the token is of T0OTHER001. "
        "Use the token of that workspace, or another database."
    )


async def test_a_part_of_the_server_that_dies_takes_it_down_so_that_it_is_restarted(it: Rig) -> None:
    server = await it.start()

    async def broken(*_persons: PersonId) -> None:
        raise RuntimeError

    server.people.refresh = broken  # type: ignore[method-assign]  # the next refresh dies
    task = it._task
    assert task is not None
    await asyncio.wait({task}, timeout=10)
    assert task.cancelled()


@OVER_BOTH
async def test_when_our_own_posts_do_not_come_back_ready_says_so(it: Rig) -> None:
    server = await it.start()
    await it.sandbox.quiet()
    it.sandbox.faults.lose_events(1000)
    assert (await it.breakglass("enroll", "--person", ALICE)).code == 0
    await it.told_all()
    assert it.trouble() == {}, "an event may take a while"
    assert isinstance(server.transport, SocketMode | SignedHttp)
    server.transport._echo.clock = lambda: time.monotonic() + PATIENCE + 1
    assert "not even our own posts come back" in it.trouble()["slack"]
    it.sandbox.faults.clear()
    await works(it)
    assert it.trouble() == {}
