"""The whole story in a browser, the bot as it ships behind it: asked, approved, used, ended, reviewed."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Route, expect

from bot.demo.database import WheelMissing
from bot.demo.demo import Demo, running
from bot.demo.narrator import Narrator
from bot.demo.people import PEOPLE
from bot.demo.plan import Plan
from tests.page.browser import DESK, PHONE, accessible, picture, window
from tests.page.visitor import Visitor
from tests.providers.fixtures import absent

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("chromium"),
    pytest.mark.heavy,
    pytest.mark.timeout(240),
]

REASON = "Orders are stuck behind a lock; I look for the blocking query."
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\u202e<!channel> *_~`<javascript:alert(1)|x>"
SOON = 20_000  # ms in which the bot has ended an access and said so


class Story:
    """Somebody at the demo's page, and the codes of everybody's phone."""

    def __init__(self, demo: Demo, visitor: Visitor) -> None:
        self.demo = demo
        self.visitor = visitor
        self.page = visitor.page

    async def code(self, who: str) -> str:
        """The next code of somebody's phone that was not used yet."""
        return await self.demo.stage.phones[who].code()

    async def ask(self, *, duration: str = "8 s", reason: str = REASON, access: str = "") -> Locator:
        """Alice asks; her card."""
        await self.open_form()
        form = self.visitor.window
        if access:
            await form.get_by_label("Access", exact=True).select_option(access)
            await expect(form.get_by_label("Duration", exact=True)).to_contain_text(duration)
        await self.fill(duration=duration, reason=reason)
        await form.locator("[data-action=code]").fill(await self.code("alice"))
        return await self.sent()

    async def open_form(self) -> None:
        """Alice types the command in the channel of requests."""
        await self.visitor.be("Alice")
        await self.visitor.go("breakglass")
        await self.visitor.say("/breakglass")
        await self.visitor.window.wait_for()

    async def fill(self, *, duration: str = "8 s", reason: str = REASON) -> None:
        """Everything in the form but the code."""
        form = self.visitor.window
        for box in await form.get_by_role("checkbox").all():
            await box.check()
        await form.get_by_label("Duration", exact=True).select_option(duration)
        await form.get_by_label("Reason", exact=True).fill(reason)
        await form.get_by_label("Incident", exact=True).fill("INC-42")

    async def sent(self) -> Locator:
        """Hand the form in; the card of the request."""
        await self.visitor.submit()
        window = self.visitor.window
        await expect(window.get_by_role("heading", name="Request sent")).to_be_visible()
        found = re.search(r"BG-[0-9A-Z]{6}", await window.inner_text())
        assert found is not None
        await window.get_by_role("button", name="Close", exact=True).click()
        await expect(window).to_have_count(0)
        return self.card(found[0])

    def card(self, id: str) -> Locator:
        """The card of a request in the channel."""
        return (
            self.page.get_by_role("log")
            .get_by_role("article")
            .filter(has=self.page.get_by_role("heading", name=re.compile(f"^{id}")))
        )

    async def approve(self, card: Locator, who: str) -> None:
        """Somebody approves with a code of their own."""
        await self.visitor.be(who.capitalize())
        await self.press(card, "Approve")
        await self.visitor.window.locator("[data-action=code]").fill(await self.code(who))
        await self.visitor.submit()
        await expect(self.visitor.window).to_have_count(0)

    async def press(self, card: Locator, label: str) -> None:
        """A button of a card, by what is written on it."""
        await card.locator(".bk-button", has_text=label).click()

    async def hears(self, words: str) -> None:
        """What only this person is told."""
        await expect(self.page.locator("main, dialog[open]").get_by_text(words).last).to_be_visible()

    async def paste_code(self) -> None:
        """The code as a person takes it: copied from the phone beside the window, pasted into the field."""
        phone = self.visitor.window.locator("#modal-beside")
        await expect(phone.locator(".bs-code")).to_have_text(re.compile(r"\d{3} \d{3}"), timeout=40_000)
        await phone.get_by_role("button", name="Copy the code").click()
        await expect(self.page.get_by_text("Code copied.")).to_be_attached()
        field = self.visitor.window.locator("[data-action=code]")
        await field.focus()
        await self.page.keyboard.press("Control+v")
        await expect(field).to_have_value(re.compile(r"\d{6}"))
        pasted = await field.input_value()
        codes = [await self.code("alice")]
        while codes[-1] != pasted:  # the phone in `stage` has shown it, too, from now on
            assert len(codes) < 4, f"{pasted} is none of {codes}"
            codes.append(await self.code("alice"))

    async def tries(self, words: str) -> None:
        """What the database says to Alice when she reads the orders, in the panel."""
        panel = self.page.get_by_role("complementary")
        await expect(panel.get_by_role("heading", name=re.compile("^Alice.s phone$"))).to_be_visible()
        await panel.get_by_role("button", name="Read the orders").click()
        await expect(panel.locator(".bs-verdict")).to_contain_text(words)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def demo() -> AsyncIterator[Demo]:
    """The demo as `breakglass demo` sets it up, with an access of eight seconds."""
    plan = Plan(durations=("8s", "15m"), change_durations=("15m",))
    try:
        async with running(plan, narrator=Narrator()) as up:
            yield up
    except WheelMissing as missing:
        absent(f"PostgreSQL: {missing}")


@pytest_asyncio.fixture(loop_scope="session")
async def story(chromium: Browser, demo: Demo) -> AsyncIterator[Story]:
    async with window(chromium) as (page, _):
        yield Story(demo, await Visitor.arrive(page, demo.url))
    for who in demo.stage.phones:  # what a failed test left open must not stand in another's way
        while modal := demo.stage.persona(who).modal:
            await modal.close(everything=True)


async def test_asked_approved_used_ended_reported_reviewed(story: Story) -> None:
    await story.visitor.be("Alice")
    await story.tries("Refused")
    await story.open_form()
    await story.fill()
    await story.paste_code()
    card = await story.sent()
    await expect(card).to_contain_text("Waiting for approval")
    await picture(story.page, "card-waiting")
    await story.approve(card, "bob")
    await expect(card).to_contain_text("Active")
    await story.visitor.be("Alice")
    await story.tries("Allowed")
    panel = story.page.get_by_role("complementary")
    await panel.get_by_role("button", name="Keep a session open", exact=True).click()
    await expect(panel.locator(".bs-sessions")).to_contain_text("open for")
    await picture(story.page, "active")
    await expect(card).to_contain_text("the review is due", timeout=SOON)
    await expect(panel.locator(".bs-sessions")).to_contain_text("cut at")
    await story.visitor.be("Alice")
    await story.tries("Refused")
    await picture(story.page, "ended")
    await story.press(card, "Report")
    await story.visitor.window.get_by_label("What did you do").fill(
        "Looked for stuck orders. Changed nothing."
    )
    await story.visitor.submit()
    await expect(story.visitor.window).to_have_count(0)
    await story.press(card, "Review")
    await story.hears("someone else must review")
    await story.visitor.be("Dana")
    await story.press(card, "Review")
    form = story.visitor.window
    await form.get_by_label("Real emergency").check()
    await form.get_by_label("No, it fitted").check()
    await form.get_by_label("Follow-ups").fill("Alert on stuck orders.")
    await picture(story.page, "review")
    await story.visitor.submit()
    await expect(card).to_contain_text("Ended and reviewed")
    await picture(story.page, "card-reviewed")


async def test_nobody_is_shown_the_code_of_whom_one_was_before(story: Story) -> None:
    """The server's answer about Bob takes a while; until it is there, his phone shows nothing."""
    panel, go = story.page.get_by_role("complementary"), asyncio.Event()

    async def slowly(route: Route) -> None:
        await go.wait()
        await route.continue_()

    code = panel.locator(".bs-code")
    await expect(code).to_have_text(re.compile(r"\d{3} \d{3}"), timeout=40_000)
    await story.page.route(f"**/beside/api/state?as={PEOPLE['bob'].id}", slowly)
    await story.visitor.be("Bob")
    await expect(panel.get_by_role("heading", name=re.compile("^Bob.s phone$"))).to_be_visible()
    await expect(code).to_have_text("••• •••")
    await expect(panel.get_by_role("button", name="Copy the code")).to_have_count(0)
    go.set()
    await expect(code).to_have_text(re.compile(r"\d{3} \d{3}"), timeout=40_000)


async def test_whoever_one_is_by_now_is_who_tries_the_access(story: Story) -> None:
    """Also while the server's answer about them takes a while, and what it says of others is still there."""
    panel, go = story.page.get_by_role("complementary"), asyncio.Event()

    async def slowly(route: Route) -> None:
        await go.wait()
        await route.continue_()

    await story.tries("Refused")
    await expect(panel.locator(".bs-access .bs-verdict")).to_contain_text("alice")
    await story.page.route(f"**/beside/api/state?as={PEOPLE['bob'].id}", slowly)
    await story.visitor.be("Bob")
    await expect(panel.get_by_text(re.compile("^Bob.s own login$"))).to_be_visible()
    await expect(panel.locator(".bs-access .bs-verdict")).to_have_count(0)
    await panel.get_by_role("button", name="Read the orders").click()
    go.set()
    await expect(panel.locator(".bs-access .bs-verdict")).to_contain_text("bob")


async def test_nobody_approves_their_own_request_nor_without_a_role(story: Story) -> None:
    card = await story.ask(duration="15 min")
    await story.press(card, "Approve")
    await story.hears("someone else must approve")
    await story.visitor.be("Mallory")
    await story.press(card, "Approve")
    await story.hears("may decide")
    await story.visitor.be("Alice")
    await story.press(card, "Take back")
    await story.visitor.confirm("Not now")
    await expect(card).to_contain_text("Waiting for approval")
    await story.press(card, "Take back")
    await story.visitor.confirm("Take back")
    await expect(card).not_to_contain_text("Waiting for approval")


async def test_hostile_words_in_every_field_stay_words_for_everybody(story: Story) -> None:
    await story.open_form()
    form = story.visitor.window
    await story.fill(duration="15 min", reason=f"{HOSTILE} {REASON}")
    await form.get_by_label("Incident", exact=True).fill("<b>INC-42</b>")
    await form.locator("[data-action=code]").fill("<b>1</b>")
    await story.visitor.submit()
    await expect(form.locator("[aria-invalid=true]").first).to_be_focused()
    await form.get_by_label("Incident", exact=True).fill("INC-42")
    await form.locator("[data-action=code]").fill(await story.code("alice"))
    card = await story.sent()
    await expect(card).to_contain_text("<script>alert(1)</script>")
    await story.visitor.be("Bob")
    await story.press(card, "Deny")
    await form.get_by_label("Reason", exact=True).fill(HOSTILE)
    await story.visitor.submit()
    await expect(card).to_contain_text("Denied")
    await story.visitor.be("Dana")
    await story.visitor.go("breakglass-audit")
    await expect(story.page.get_by_role("log").get_by_text("<script>").last).to_be_visible()
    alive = "body script, body img, iframe, [onerror], a[href^=javascript]"
    assert await story.page.locator(alive).count() == 0


async def test_a_window_survives_a_reload_and_another_person(story: Story) -> None:
    await story.open_form()
    await story.fill(duration="15 min", reason="half typed")
    await story.page.wait_for_timeout(400)  # what is typed is sent after a pause in typing
    await story.page.reload()
    form = story.visitor.window
    await expect(form.get_by_label("Reason", exact=True)).to_have_value("half typed")
    await expect(form.get_by_label("Duration", exact=True)).to_contain_text("15 min")
    await story.visitor.be("Bob")
    await expect(form).to_have_count(0)
    await story.visitor.be("Alice")
    await expect(form.get_by_label("Reason", exact=True)).to_have_value("half typed")
    await form.get_by_role("button", name="Cancel").click()
    await expect(form).to_have_count(0)


async def test_the_form_follows_the_scenario_and_keeps_what_was_typed(story: Story) -> None:
    await story.open_form()
    form = story.visitor.window
    await form.get_by_label("Reason", exact=True).fill("kept")
    scenario = form.get_by_label("Scenario", exact=True)
    await scenario.focus()
    titles = await scenario.locator("option").all_inner_texts()
    await scenario.select_option(titles[-1])
    await expect(form.locator("fieldset")).not_to_contain_text("runbook for blocked queries")
    await expect(form.get_by_label("Reason", exact=True)).to_have_value("kept")
    await expect(scenario).to_be_focused()
    await story.page.keyboard.press("Escape")


async def test_a_deleted_audit_entry_raises_an_alarm_and_is_posted_again(story: Story) -> None:
    await story.visitor.be("Olga")
    await story.visitor.go("breakglass-audit")
    entry = story.page.get_by_role("log").get_by_role("article").filter(has_text="#0 ").first
    await entry.hover()
    await entry.get_by_role("button", name="More actions").click()
    await story.page.get_by_role("menuitem", name=re.compile("Delete")).click()
    await story.visitor.confirm("Delete")
    await story.visitor.go("security")
    alarm = story.page.get_by_role("log").get_by_text("Audit entry deleted").last
    await expect(alarm).to_be_visible(timeout=SOON)
    await picture(story.page, "alarm")
    await story.visitor.go("breakglass-audit")
    log = story.page.get_by_role("log")
    await expect(log).to_contain_text("was deleted from")
    again = log.get_by_role("article").filter(has_text="Posted again").filter(has_text="#0 ")
    await expect(again).to_be_visible(timeout=SOON)
    await picture(story.page, "posted-again")


async def test_the_story_by_keyboard_alone(story: Story) -> None:
    keys = story.page.keyboard

    async def reach(what: str, key: str = "Tab") -> None:
        """Press Tab until the focus is on what matches; `what` is a CSS selector."""
        for _ in range(150):
            if await story.page.evaluate("(what) => document.activeElement.matches(what)", what):
                return
            await keys.press(key)
        raise AssertionError(f"{key} never came to {what}")

    async def become(name: str, key: str) -> None:
        await reach("input[name=persona]", "Shift+Tab")
        await keys.press(key)
        await expect(story.page).to_have_title(re.compile(name))

    await expect(story.page).to_have_title(re.compile("Alice"))
    await reach("textarea[data-composer=channel]")
    await keys.type("/breakglass ")
    await keys.press("Enter")
    form = story.visitor.window
    await form.wait_for()
    for box in ("0", "1"):
        await reach(f"dialog [data-action=criteria][value='{box}']")
        await keys.press("Space")
    for action, words in {"duration": "15", "reason": REASON, "incident": "INC-7"}.items():
        await reach(f"dialog [data-action={action}]")
        await keys.type(words)
    await reach("dialog [data-action=code]")
    await keys.type(await story.code("alice"))
    await keys.press("Enter")
    await expect(form.get_by_role("heading", name="Request sent")).to_be_visible()
    await keys.press("Escape")
    await expect(form).to_have_count(0)
    card = story.page.get_by_role("log").get_by_role("article").filter(has_text="INC-7")
    await become("Bob", "ArrowRight")
    await expect(card.locator("[data-action=approve]")).to_be_visible()
    await reach("[data-action=approve]")
    await keys.press("Enter")
    await form.wait_for()
    await expect(form.locator("[data-action=code]")).to_be_focused()
    await keys.type(await story.code("bob"))
    await keys.press("Enter")
    await expect(card).to_contain_text("Active")
    await become("Alice", "ArrowLeft")
    await reach("[data-action=hand_back]")
    await keys.press("Enter")
    question = story.page.locator("dialog[open]")
    await expect(question).to_contain_text("Hand it back?")
    for _ in range(10):
        if await story.page.evaluate("() => document.activeElement.innerText") == "Hand back":
            break
        await keys.press("Tab")
    await keys.press("Enter")
    await expect(card).to_contain_text("the review is due", timeout=SOON)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
async def test_every_screen_is_accessible(chromium: Browser, demo: Demo, dark: bool, phone: bool) -> None:
    async def look(screen: str) -> None:
        await picture(page, f"{'dark' if dark else 'light'}-{'phone' if phone else 'desk'}-{screen}")
        await accessible(page)

    alice, place = demo.stage.persona("alice"), demo.stage.places.requests
    said = await alice.post(place, "A word about tonight")
    await alice.post(place, "and what came of it", thread_ts=said.ts)
    async with window(chromium, PHONE if phone else DESK, dark=dark) as (page, _):
        visitor = await Visitor.arrive(page, demo.url)
        await page.goto(f"{demo.url}#/{demo.stage.places.requests.id}")
        await visitor.composer.wait_for()
        await look("conversation")
        await visitor.say("/breakglass")
        await visitor.window.wait_for()
        await visitor.submit()
        await expect(visitor.window.locator("[aria-invalid=true]").first).to_be_focused()
        await look("window")
        await page.keyboard.press("Escape")
        await expect(visitor.window).to_have_count(0)
        await visitor.open_thread(page.locator(".thread-link").last)
        await look("thread")
        await page.get_by_role("button", name="Close thread").click()
        if phone:
            for part in ("Channels", "Panel"):
                await page.get_by_role("button", name=part, exact=True).click()
                await look(part.lower())
        await page.goto(f"{demo.url}#/wire")
        await page.locator("main").get_by_text("chat.postMessage").first.wait_for()
        await look("wire")


# Last, because it locks Carol's phone out for as long as the demo runs.
async def test_wrong_codes_lock_the_phone_out(story: Story) -> None:
    card = await story.ask(duration="15 min")
    await story.visitor.be("Carol")
    await story.press(card, "Approve")
    form = story.visitor.window
    for _ in range(10):
        await form.locator("[data-action=code]").fill(story.demo.stage.phones["carol"].wrong())
        await story.visitor.submit()
        await expect(form.locator("button[type=submit]")).to_have_attribute("aria-disabled", "false")
        said = (await form.inner_text()).casefold()
        if "operator" in said or "locked" in said:
            break
    await form.locator("[data-action=code]").fill(await story.code("carol"))
    await story.visitor.submit()
    field = form.locator("[data-action=code]")
    await expect(field).to_be_focused()
    await expect(field).to_have_accessible_description(re.compile("wrong codes: yours are refused"))
    await picture(story.page, "locked")
    await expect(card).to_contain_text("Waiting for approval")
