"""The panel beside the page, against the real bot and the real databases of one demo."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from bot.demo.attempts import Login
from bot.demo.demo import Demo
from bot.demo.people import PEOPLE
from tests.demo.visitor import CHANGE, Browser, Visitor

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("demo"),
    pytest.mark.heavy,
]

ALICE = PEOPLE["alice"].id


@pytest.fixture
def visitor(up: Demo) -> Visitor:
    return Visitor(up)


@pytest_asyncio.fixture(loop_scope="session")
async def browser(up: Demo) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession() as http:
        browser = Browser(up, http)
        await browser.open()
        yield browser


# --- who may ask ------------------------------------------------------------------------------------------


async def test_the_page_and_its_panel_are_there(browser: Browser) -> None:
    for path in ("", "beside/panel.js", "beside/panel.css", "beside/guide.js"):
        status, text = await browser.get(path)
        assert (status, bool(text)) == (200, True), path


@pytest.mark.parametrize("without", ["X-Page-Key", "Origin"])
async def test_the_panels_acts_stand_behind_the_pages_guards(browser: Browser, without: str) -> None:
    del browser.headers[without]
    status, answer = await browser.post("kill", "{}")
    assert status in {400, 403}, answer


async def test_codes_are_shown_only_to_the_page(browser: Browser) -> None:
    browser.headers = {}
    status, text = await browser.get(f"beside/api/state?as={ALICE}")
    assert status in {400, 403}
    assert "code" not in text


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("query", "no json"),
        ("query", "[]"),
        ("query", "[" * 30_000),
        ("query", json.dumps({"as": "U0NOBODY", "query": "read"})),
        ("query", json.dumps({"as": ALICE, "query": "DROP TABLE orders"})),
        ("query", json.dumps({"as": [ALICE], "query": "read"})),
        ("query", json.dumps({"as": ALICE, "query": "read", "user": "alice"})),
        ("query", json.dumps({"as": ALICE, "query": "read", "user": "a" * 201, "password": "x"})),
        ("query", json.dumps({"as": ALICE, "query": "read", "user": "a\0", "password": "x"})),
        ("open", json.dumps({"as": ALICE, "user": "", "password": " "})),
        ("close", json.dumps({"id": "1"})),
        ("enrol", json.dumps({"as": PEOPLE["mallory"].id})),
    ],
)
async def test_what_cannot_be_done_is_a_sentence(browser: Browser, verb: str, body: str) -> None:
    status, answer = await browser.post(verb, body)
    assert (status, answer["ok"]) == (200, False)
    assert answer["error"].endswith(".")


# --- the database's own answers ---------------------------------------------------------------------------


@pytest.mark.parametrize("who", PEOPLE)
async def test_on_an_ordinary_day_the_database_refuses_everybody(browser: Browser, who: str) -> None:
    for query in ("read", "change"):
        _, answer = await browser.post("query", json.dumps({"as": PEOPLE[who].id, "query": query}))
        assert answer["attempt"]["refused"] == "permission denied for schema public"
        assert answer["attempt"]["rows"] == []
    _, answer = await browser.post("open", json.dumps({"as": PEOPLE[who].id}))
    assert (answer["opened"], answer["refused"]) == (False, "permission denied for schema public")


async def test_a_wrong_password_is_refused_in_the_databases_words_and_stands_nowhere(
    browser: Browser, visitor: Visitor
) -> None:
    body = {"as": ALICE, "query": "read", "user": "alice", "password": "guessed-it"}
    _, answer = await browser.post("query", json.dumps(body))
    assert answer["attempt"]["refused"] == 'password authentication failed for user "alice"'
    assert "guessed-it" not in json.dumps([answer, await visitor.state()])
    assert "guessed-it" not in repr(Login("alice", visitor.demo.panel._login("alice", body).password))


# --- the story --------------------------------------------------------------------------------------------


async def test_access_appears_is_used_and_is_cut(visitor: Visitor, browser: Browser) -> None:
    """A code works, once; the catalogue shows the access; its end cuts the open session."""
    assert "ask" not in await visitor.done()
    used = await visitor.code("alice")
    assert await visitor.ask(used) is None
    after = await visitor.state()
    assert after["phone"]["code"] != used
    assert after["catalogue"]["roles"] == []
    await visitor.approve("bob")
    await visitor.shows("Active")
    _, opened = await browser.post("open", json.dumps({"as": ALICE}))
    assert opened["opened"]
    during = await visitor.state()
    assert during["access"]["last"]["rows"][0] == ["1", "Ines", "paid"]
    assert [role["roles"] for role in during["catalogue"]["roles"]] == [["prod_ro"]]
    assert [session["login"] for session in during["catalogue"]["sessions"]] == ["alice"]
    _, bob = await browser.post("query", json.dumps({"as": PEOPLE["bob"].id, "query": "read"}))
    assert bob["attempt"]["refused"]
    await visitor.until("cut")
    await visitor.shows("the review is due")
    ended = await visitor.state()
    (cut,) = ended["access"]["sessions"]
    assert cut["words"] == "terminating connection due to administrator command"
    assert (ended["catalogue"]["roles"], ended["catalogue"]["sessions"]) == ([], [])
    assert {"before", "ask", "approve", "read", "cut"} <= await visitor.done()
    await browser.post("close", json.dumps({"id": cut["id"]}))
    assert "cut" in await visitor.done(), "forgetting a session does not undo what happened"


async def test_the_credential_that_slack_shows_works_here_until_it_is_handed_back(
    visitor: Visitor, browser: Browser
) -> None:
    assert await visitor.ask(await visitor.code("alice"), CHANGE, "15 min") is None
    await visitor.approve("bob")
    await visitor.shows("Step 2 of 2")
    await visitor.approve("dana")
    card = await visitor.shows("Active")
    alice = visitor.demo.stage.persona("alice")
    await alice.press(card, "Show credential")
    lines = [line.strip() for line in (await visitor.window("alice", "Your credential")).text().splitlines()]
    labels = [line.casefold() for line in lines]
    login = {name: lines[labels.index(name) + 1] for name in ("user", "password")}
    body = json.dumps({"as": ALICE, "query": "change", **login})
    _, answer = await browser.post("query", body)
    assert answer["attempt"]["rows"] == [["2", "Omar", "paid"]]
    assert {"shown", "repair"} <= await visitor.done()
    for window in reversed(alice.modals()):
        await window.close(everything=True)
        break
    await alice.press(await visitor.shows("Hand back"), "Hand back", confirm=True)
    await visitor.shows("the review is due")
    _, answer = await browser.post("query", body)
    assert "password authentication failed" in answer["attempt"]["refused"]


async def test_a_bot_that_dies_by_itself_is_shown_with_its_last_words_and_started_again(
    visitor: Visitor, up: Demo
) -> None:
    died = up.bot.life
    os.kill(died.pid, signal.SIGTERM)
    async with asyncio.timeout(30):
        while up.bot.life is died or up.bot.life.ready_at is None:  # noqa: ASYNC110  another process's doing
            await asyncio.sleep(0.1)
    process = (await visitor.state())["bot"]
    assert process["state"] == "running"
    assert "ended by itself" in process["deaths"][-1]["sentence"]
    assert process["deaths"][-1]["words"]


async def test_why_the_bot_cannot_be_started_stands_on_the_panel(
    visitor: Visitor, up: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await visitor.state())["bot"]["trouble"] == ""
    monkeypatch.setattr(up.bot, "trouble", "The bot cannot be started (no space left). It is tried again.")
    assert (await visitor.state())["bot"]["trouble"].startswith("The bot cannot be started")


# --- breaking it ------------------------------------------------------------------------------------------


async def test_five_wrong_codes_lock_and_a_new_authenticator_lifts_it(
    visitor: Visitor, browser: Browser
) -> None:
    state = await visitor.state()
    for _ in range(state["phone"]["most"]):
        assert await visitor.ask(state["phone"]["wrong"]) is not None
    locked = await visitor.state()
    assert locked["phone"]["misses"] == locked["phone"]["most"]
    assert "codes" in await visitor.done()
    assert (await browser.post("enrol", json.dumps({"as": ALICE})))[1]["ok"]
    lifted = await visitor.state()
    assert lifted["phone"]["misses"] == 0
    assert lifted["phone"]["code"] != locked["phone"]["code"], "another secret"


async def test_what_the_owner_does_to_the_record_is_noticed(visitor: Visitor, up: Demo) -> None:
    olga, audit = up.stage.persona("olga"), up.stage.places.audit
    await olga.delete(olga.messages(audit)[0])
    await olga.post(audit, "Everything is fine.")
    await visitor.until("delete")
    await visitor.until("post")


async def test_the_real_verifier_finds_the_history_sound_and_a_forged_copy_out(
    visitor: Visitor, browser: Browser
) -> None:
    sound = (await browser.post("verify", '{"forged": false}'))[1]["verdict"]
    assert (sound["code"], sound["forged"]) == (0, "")
    assert "Sound" in sound["words"]
    forged = (await browser.post("verify", '{"forged": true}'))[1]["verdict"]
    assert forged["code"] == 3
    assert PEOPLE["mallory"].id in forged["forged"]
    assert {"verify", "forge"} <= await visitor.done()
    again = (await browser.post("verify", '{"forged": false}'))[1]["verdict"]
    assert again["code"] == 0, "the forger worked on a copy"


async def test_the_bot_is_killed_while_somebody_is_in_and_the_access_ends_all_the_same(
    visitor: Visitor, browser: Browser
) -> None:
    assert await visitor.ask(await visitor.code("alice")) is None
    await visitor.approve("carol")
    await visitor.shows("Active")
    before = (await visitor.state())["bot"]["pid"]
    assert (await browser.post("kill", "{}"))[1]["ok"]
    await visitor.until("soul")
    process = (await visitor.state())["bot"]
    assert process["pid"] != before
    assert "SIGKILL" in process["deaths"][-1]["sentence"]
    assert "kill" in await visitor.done()
    await visitor.shows("the review is due")
