"""Slack over HTTP: only what Slack signed, in time and for the first time, gets any further."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from bot.core import events as e
from bot.core.model import State
from bot.sandbox import Exchange
from bot.sandbox.signing import encoded, signature
from bot.slack import http as slack_http
from bot.slack.http import LARGEST, SAY_EVERY, SignedHttp
from bot.slack.views.guide import OTHER_TEAM
from bot.store import DatabaseTrouble
from tests.server.rig import ALICE, BOB, REQUESTS, Rig

pytestmark = pytest.mark.parametrize("it", ["http"], indirect=True)

Headers = dict[str, str]


@dataclass
class Answer:
    status: int
    text: str


@dataclass
class Somebody:
    """Whoever can reach the address; the signing secret they may have or not."""

    it: Rig
    http: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://{self.it.config.http.listen}/slack/events"

    def signed(self, body: bytes, kind: str, *, late: float = 0, secret: str = "") -> Headers:
        stamp = str(int(time.time() - late))
        return {
            "Content-Type": kind,
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": signature(secret or self.it.app.signing_secret, stamp, body),
        }

    async def sends(
        self,
        body: bytes | AsyncIterator[bytes],
        headers: Headers | list[tuple[str, str]],
        *,
        method: str = "POST",
        url: str = "",
    ) -> Answer:
        async with self.http.request(method, url or self.url, data=body, headers=headers) as answer:
            return Answer(answer.status, await answer.text())

    def command(self, text: str = "status", **more: str) -> tuple[bytes, str]:
        """A command of Alice, as Slack sends it."""
        trigger = f"{time.monotonic_ns()}.1.a"
        payload = {"command": "/breakglass", "text": text, "team_id": self.it.sandbox.workspace.team.id}
        who = {"user_id": ALICE, "channel_id": REQUESTS, "trigger_id": trigger}
        return encoded("slash_commands", {**payload, **who, **more})


@pytest.fixture
async def somebody(it: Rig) -> AsyncIterator[Somebody]:
    await it.start()
    async with aiohttp.ClientSession() as http:
        yield Somebody(it, http)


def door(it: Rig) -> SignedHttp:
    assert it.server is not None
    assert isinstance(it.server.transport, SignedHttp)
    return it.server.transport


# --- the signature --------------------------------------------------------------------------------------


async def test_what_slack_signed_is_answered(somebody: Somebody) -> None:
    body, kind = somebody.command()
    answer = await somebody.sends(body, somebody.signed(body, kind))
    assert answer.status == 200
    assert "You hold nothing" in answer.text


async def test_a_forged_signature_is_refused_and_told_nothing(it: Rig, somebody: Somebody) -> None:
    body, kind = somebody.command()
    forged = somebody.signed(body, kind, secret="0" * 32)
    assert await somebody.sends(body, forged) == Answer(401, "")
    assert door(it).refused == {"wrong signature or time": 1}


async def test_a_body_changed_by_one_byte_is_refused(it: Rig) -> None:
    await it.start()
    it.sandbox.faults.tamper = True
    assert (await it.alice.command("/breakglass status", REQUESTS)).error == "http_client_error"
    assert it.sandbox.wire_log.pushes("slash_commands")[-1].status == 401
    assert door(it).refused == {"wrong signature or time": 1}


@pytest.mark.parametrize("late", [301, -302, 86_400])
async def test_an_old_or_future_timestamp_is_refused(somebody: Somebody, late: float) -> None:
    body, kind = somebody.command()
    assert await somebody.sends(body, somebody.signed(body, kind, late=late)) == Answer(401, "")


@pytest.mark.parametrize("late", [290, -290])
async def test_a_timestamp_within_five_minutes_is_good(somebody: Somebody, late: float) -> None:
    body, kind = somebody.command()
    assert (await somebody.sends(body, somebody.signed(body, kind, late=late))).status == 200


@pytest.mark.parametrize("stamp", ["", "soon", "1e9", "-1", "\uff11\uff12", "9" * 400, "1 "])
async def test_a_timestamp_that_is_no_number_is_refused(somebody: Somebody, stamp: str) -> None:
    body, kind = somebody.command()
    headers = somebody.signed(body, kind) | {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature(somebody.it.app.signing_secret, stamp, body),
    }
    assert await somebody.sends(body, headers) == Answer(401, "")


@pytest.mark.parametrize("header", ["X-Slack-Request-Timestamp", "X-Slack-Signature"])
async def test_a_missing_or_a_doubled_header_is_refused(somebody: Somebody, header: str) -> None:
    body, kind = somebody.command()
    headers = somebody.signed(body, kind)
    doubled = [*headers.items(), (header, headers[header])]
    assert await somebody.sends(body, doubled) == Answer(401, "")
    del headers[header]
    assert await somebody.sends(body, headers) == Answer(401, "")


@pytest.mark.parametrize("sign", ["v0=é" + "0" * 63, "v1=" + "0" * 64, "v0=" + "0" * 63, "0" * 64])
async def test_a_signature_of_another_shape_is_refused(somebody: Somebody, sign: str) -> None:
    body, kind = somebody.command()
    headers = somebody.signed(body, kind) | {"X-Slack-Signature": sign}
    assert await somebody.sends(body, headers) == Answer(401, "")


async def test_a_body_that_is_no_text_is_refused(somebody: Somebody) -> None:
    headers = somebody.signed(b"\xff\xfe", "application/json")
    assert await somebody.sends(b"\xff\xfe", headers) == Answer(401, "")


async def test_a_new_address_is_challenged_and_the_challenge_needs_a_signature(
    it: Rig, somebody: Somebody
) -> None:
    assert await it.sandbox.verify_url(it.app)
    body = json.dumps({"type": "url_verification", "challenge": "c"}).encode()
    forged = somebody.signed(body, "application/json", secret="0" * 32)
    assert await somebody.sends(body, forged) == Answer(401, "")


async def test_a_check_of_tls_is_answered_and_needs_a_signature_too(somebody: Somebody) -> None:
    body, kind = b"ssl_check=1&token=t", "application/x-www-form-urlencoded"
    assert (await somebody.sends(body, somebody.signed(body, kind))).status == 200
    assert await somebody.sends(body, {"Content-Type": kind}) == Answer(401, "")


async def test_while_the_secret_is_changed_both_are_good(it: Rig) -> None:
    it.env["SLACK_SIGNING_SECRET"] = f"{'0' * 32}, {it.app.signing_secret}"
    await it.start()
    async with aiohttp.ClientSession() as http:
        somebody = Somebody(it, http)
        for secret in ("0" * 32, it.app.signing_secret):
            body, kind = somebody.command()
            assert (await somebody.sends(body, somebody.signed(body, kind, secret=secret))).status == 200


# --- once -----------------------------------------------------------------------------------------------


async def replayed(it: Rig, exchange: Exchange) -> Exchange:
    """The very bytes once more; they are taken for nothing, and tell nothing."""
    again = await it.sandbox.replay(exchange)
    assert (again.status, again.answer) == (200, {})
    return again


async def test_a_replayed_request_acts_once_and_tells_nothing(it: Rig) -> None:
    await it.start()
    request = await it.active()
    assert (await it.alice.command("/breakglass status", REQUESTS)).human_text()
    before = (await it.store.head()).size
    log = it.sandbox.wire_log
    for exchange in (*log.pushes("slash_commands"), *log.pushes("interactive"), *log.pushes("events_api")):
        await replayed(it, exchange)
    await it.told_all()
    assert [record.event for record in await it.store.records(before, (await it.store.head()).size)] == []
    assert (await it.store.get(request.id)).state is State.ACTIVE
    assert door(it).refused["replayed"] >= 4


async def test_a_request_replayed_after_a_restart_acts_once_and_tells_nothing(it: Rig) -> None:
    """The next process remembers nothing by itself; the database does."""
    await it.start()
    request = await it.active()
    assert (await it.alice.command("/breakglass status", REQUESTS)).human_text()
    await it.sandbox.quiet()
    log = it.sandbox.wire_log
    sent = [*log.pushes("slash_commands"), *log.pushes("interactive"), *log.pushes("events_api")]
    await it.crash()
    await it.start()
    for exchange in sent:
        await replayed(it, exchange)
    assert len(await it.told(e.RequestOpened)) == 1
    assert len(await it.told(e.ApprovalGiven)) == 1
    assert (await it.store.get(request.id)).state is State.ACTIVE
    assert door(it).refused == {"replayed": len(sent)}


async def test_an_old_event_replayed_after_a_restart_does_not_bring_an_approver_back(it: Rig) -> None:
    """It says that Bob's account is open, as it was five minutes ago."""
    await it.start()
    it.sandbox.change_user(it.bob.id, name="Bob L.")
    await it.until(lambda: it.sandbox.wire_log.events("user_change"))
    await it.sandbox.quiet()
    opened = it.sandbox.wire_log.pushes("events_api")[-1]
    assert opened.args["event"]["type"] == "user_change"
    await it.crash()
    it.sandbox.deactivate(it.bob.id)
    await it.sandbox.quiet()
    await it.start()
    assert it.server is not None
    assert not it.server.people.known().people[BOB].active
    await replayed(it, opened)
    assert not it.server.people.known().people[BOB].active


async def test_an_event_that_slack_tries_again_is_acknowledged_and_counts_once(it: Rig) -> None:
    """A retry is signed anew, so it is no replay; it is known by its id."""
    await it.start()
    it.sandbox.faults.duplicate_events()
    message = await it.dana.post("C0AUDIT001", "I should not be here")
    assert message
    await it.alarmed("Foreign post")
    await it.sandbox.quiet()
    assert len(await it.told(e.ForeignPost)) == 1
    last = it.sandbox.wire_log.pushes("events_api")[-1]
    async with aiohttp.ClientSession() as http:
        somebody = Somebody(it, http)
        headers = somebody.signed(last.body, "application/json") | {"x-slack-retry-num": "1"}
        headers["X-Slack-Request-Timestamp"] = str(int(time.time()) + 1)
        headers["X-Slack-Signature"] = signature(
            it.app.signing_secret, headers["X-Slack-Request-Timestamp"], last.body
        )
        assert await somebody.sends(last.body, headers) == Answer(200, "")
    await it.told_all()
    assert len(await it.told(e.ForeignPost)) == 1


async def test_a_database_that_cannot_remember_takes_no_request(
    it: Rig, somebody: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_args: object) -> None:
        raise DatabaseTrouble("insert", {}, Exception())

    body, kind = somebody.command()
    monkeypatch.setattr(door(it)._store, "do", broken)
    assert await somebody.sends(body, somebody.signed(body, kind)) == Answer(503, "")


# --- the shape ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/slack/event", "/slack/events/", "/", "/slack/../slack/eventss"])
async def test_another_path_is_not_there(it: Rig, somebody: Somebody, path: str) -> None:
    body, kind = somebody.command()
    url = f"http://{it.config.http.listen}{path}"
    assert (await somebody.sends(body, somebody.signed(body, kind), url=url)).status == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_another_method_is_refused(somebody: Somebody, method: str) -> None:
    body, kind = somebody.command()
    assert (await somebody.sends(body, somebody.signed(body, kind), method=method)).status == 405


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/xml"])
async def test_another_content_type_is_refused(somebody: Somebody, kind: str) -> None:
    body, _ = somebody.command()
    assert await somebody.sends(body, somebody.signed(body, kind)) == Answer(415, "")


async def test_a_body_that_is_too_large_is_refused_unread(it: Rig, somebody: Somebody) -> None:
    """It says how long it is; not a byte of it is waited for."""
    headers = somebody.signed(b"", "application/json") | {"Content-Length": str(LARGEST + 1), "Host": "here"}
    lines = ["POST /slack/events HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    reader, writer = await asyncio.open_connection(it.config.http.host, it.config.http.port)
    writer.write("\r\n".join([*lines, "", ""]).encode())
    async with asyncio.timeout(2):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


@pytest.mark.parametrize("largest", [LARGEST, 100_000])
async def test_a_body_without_a_length_has_the_same_limit(
    somebody: Somebody, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours, whatever the web server's own may be. As much as is allowed is read, and is no JSON."""
    monkeypatch.setattr(slack_http, "LARGEST", largest)
    for size, status in ((largest, 400), (largest + 1, 413)):
        body = b"x" * size

        async def pieces(body: bytes = body) -> AsyncIterator[bytes]:
            for start in range(0, len(body), 65_536):
                yield body[start : start + 65_536]

        assert await somebody.sends(pieces(), somebody.signed(body, "application/json")) == Answer(status, "")


async def test_a_body_in_pieces_is_taken(somebody: Somebody) -> None:
    body, kind = somebody.command()

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:10]
        yield body[10:]

    assert (await somebody.sends(pieces(), somebody.signed(body, kind))).status == 200


async def test_a_body_that_never_ends_is_given_up(
    it: Rig, somebody: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.http.IN_TIME", 0.1)
    body, kind = somebody.command()

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:10]
        await it.until(lambda: door(it).refused)

    assert await somebody.sends(pieces(), somebody.signed(body, kind)) == Answer(408, "")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b'"text"', "application/json"),
        (b"{}", "application/json"),
        (b'{"type": 1}', "application/json"),
        (b'{"type": "block_actions", "user": 3, "team": []}', "application/json"),
        (b"a=b", "application/x-www-form-urlencoded"),
        (b"payload=", "application/x-www-form-urlencoded"),
        (b"payload=%7B", "application/x-www-form-urlencoded"),
        (b"payload=[1]", "application/x-www-form-urlencoded"),
        (b"[" * 500_000, "application/json"),
        (b'{"a":' * 100_000, "application/json"),
        (b"payload=" + b"[" * 500_000, "application/x-www-form-urlencoded"),
    ],
    ids=range(14),
)
async def test_what_slack_never_sends_is_refused_though_it_is_signed(
    somebody: Somebody, body: bytes, kind: str
) -> None:
    assert await somebody.sends(body, somebody.signed(body, kind)) == Answer(400, "")


async def test_another_teams_request_is_not_heard_and_it_is_recorded(it: Rig, somebody: Somebody) -> None:
    body, kind = somebody.command(team_id="T0OTHER001")
    answer = await somebody.sends(body, somebody.signed(body, kind))
    assert (answer.status, answer.text) == (200, OTHER_TEAM)
    assert [record.event.code for record in await it.told(e.AttemptRefused)] == ["other_team"]  # type: ignore[attr-defined]  # that kind has one


# --- many of them ---------------------------------------------------------------------------------------


async def test_a_flood_of_forged_requests_is_counted_and_one_line_in_the_log(
    it: Rig, somebody: Somebody, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bot")
    body, kind = somebody.command("a-secret-word")
    forged = somebody.signed(body, kind, secret="0" * 32)
    before = (await it.store.head()).size
    answers = await asyncio.gather(*(somebody.sends(body, forged) for _ in range(200)))
    assert {answer.status for answer in answers} == {401}
    assert door(it).refused == {"wrong signature or time": 200}
    lines = [record.getMessage() for record in caplog.records if "refused at /slack/events" in record.message]
    assert lines == [
        "Requests refused at /slack/events since the last such line: wrong signature or time: 1."
    ]
    assert "a-secret-word" not in caplog.text
    assert it.app.signing_secret not in caplog.text
    assert (await it.store.head()).size == before, "nothing of it stands in the history"


async def test_a_secret_that_is_not_slacks_is_named_in_the_log(
    it: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    it.env["SLACK_SIGNING_SECRET"] = "0" * 32
    await it.start(wait=False)
    await it.until(lambda: not it.trouble())
    assert (await it.alice.command("/breakglass status", REQUESTS)).error == "http_client_error"
    assert "None was good since the start: compare SLACK_SIGNING_SECRET." in caplog.text


async def test_a_minute_later_the_rest_of_a_flood_is_in_the_log(
    it: Rig, somebody: Somebody, caplog: pytest.LogCaptureFixture
) -> None:
    body, kind = somebody.command()
    await somebody.sends(body, somebody.signed(body, kind))
    for _ in range(3):
        await somebody.sends(body, {})
    transport = door(it)
    transport._clock = lambda: time.time() + SAY_EVERY
    await somebody.sends(body, {})
    assert caplog.messages[-1].endswith("since the last such line: no signature: 3.")


async def test_under_load_everything_is_answered(it: Rig, somebody: Somebody) -> None:
    """Forty events and twenty commands at once, beside forty forged ones."""

    async def status(body: bytes, headers: Headers) -> int:
        return (await somebody.sends(body, headers)).status

    def event(number: int) -> bytes:
        team = it.sandbox.workspace.team.id
        inner = {"type": "user_change", "user": it.sandbox.users[ALICE].to_json(with_email=False)}
        envelope = {"type": "event_callback", "team_id": team, "event_id": f"EvLOAD{number}", "event": inner}
        return json.dumps(envelope).encode()

    sent = [status(body, somebody.signed(body, "application/json")) for body in map(event, range(40))]
    for _ in range(20):
        body, kind = somebody.command()
        sent += [status(body, somebody.signed(body, kind)), status(body, {}), status(body, {})]
    assert sorted(await asyncio.gather(*sent)) == [200] * 60 + [401] * 40


# --- the server's life ----------------------------------------------------------------------------------


async def test_until_slack_is_met_nothing_is_taken_and_an_event_comes_again(it: Rig) -> None:
    await it.sandbox.down()
    await it.start(wait=False)
    await it.until(lambda: it.told(e.ServerStarted))
    async with aiohttp.ClientSession() as http:
        somebody = Somebody(it, http)
        body, kind = somebody.command()
        assert await somebody.sends(body, somebody.signed(body, kind)) == Answer(503, "")
        assert "slack" in it.trouble()
        await it.sandbox.up()
        await it.connected()
        assert (await somebody.sends(body, somebody.signed(body, kind))).status == 200, "it was not used up"


async def test_what_is_inside_when_the_server_stops_is_answered(
    it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await it.start()
    request = await it.asks()
    card = await it.card(request.id, "Waiting for approval")
    inside = asyncio.Event()
    approve = server.desk.approve

    async def slowly(*args: Any) -> None:  # noqa: ANN401  whatever it is called with
        inside.set()
        await asyncio.sleep(0.1)
        await approve(*args)

    monkeypatch.setattr(server.desk, "approve", slowly)
    pressing = asyncio.create_task(it.presses(it.bob, card, "Approve"))
    await inside.wait()
    await it.stop()
    assert (await pressing).ok
    assert len(await it.told(e.ApprovalGiven)) == 1


async def test_a_whole_night_goes_by_over_http_and_no_socket_is_opened(it: Rig) -> None:
    await it.start()
    request = await it.active()
    await it.passes(timedelta(minutes=16))
    await it.reaches(request.id, State.AWAITING_REVIEW)
    assert it.sandbox.wire_log.calls("apps.connections.open") == []
    await it.keeps_its_promises()
