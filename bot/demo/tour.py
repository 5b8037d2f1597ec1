"""The whole story, played headless over the wire: one line a step, and an error if any is not as told.

Two nights. In the first, Alice's read access ends by itself and cuts the session she left open. In the second
she changes data with a login made for that night alone, shown to her once, and hands it back. Each is asked
for with her code, approved by others, reported, reviewed; then an auditor verifies the history against
checkpoints copied from the channel.
"""

import asyncio
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.config import Transport
from bot.core.errors import BreakglassError
from bot.demo.database import WheelMissing
from bot.demo.narrator import Narrator
from bot.demo.plan import TOUR, StageError, StoreKind
from bot.demo.production import Answer
from bot.demo.stage import Stage, stage
from bot.sandbox import CannotDoError, Message, Modal
from bot.sandbox.wire import Exchange

ORDERS = "SELECT id, state FROM orders ORDER BY id"
REPAIR = "UPDATE orders SET state = 'paid' WHERE state = 'stuck' RETURNING id"


class NotAsTold(Exception):
    """A step did not go as the story says."""


async def tour(
    *,
    config: Path | None,
    wire_log: Path | None,
    transport: Transport = "socket",
    store: StoreKind = "sqlite",
) -> int:
    """Plays it. Returns the exit code: 0 when every step was as told."""
    # BREAKGLASS_DATABASE_URL keeps the history of a tour, for whoever wants to look at it afterwards.
    database = os.environ.get("BREAKGLASS_DATABASE_URL") if store == "sqlite" else None
    plan = replace(
        TOUR,
        config=config,
        transport=transport,
        store=store,
        database=database,
        inherits=database is not None,
    )
    narrator = Narrator()
    calls: list[Exchange] = []
    secrets: list[str] = []
    try:
        narrator.chapter("Before the emergency")
        async with stage(plan, narrator) as set_stage:
            set_stage.sandbox.on_call(calls.append)
            try:
                await _Story(set_stage, narrator, secrets).play()
            finally:
                if wire_log is not None:
                    secrets += _standing_secrets(set_stage)
                    await asyncio.to_thread(wire_log.write_text, _redacted(calls, secrets))
    except (NotAsTold, StageError, WheelMissing, CannotDoError, TimeoutError, BreakglassError) as error:
        print(f"\nThe tour stopped: {error or type(error).__name__}", flush=True)
        return 1
    print(f"\n{narrator.steps} steps, all as told.", flush=True)
    return 0


class _Story:
    def __init__(self, on: Stage, narrator: Narrator, secrets: list[str]) -> None:
        self._stage = on
        self._told = narrator
        self._secrets = secrets

    async def play(self) -> None:
        """From an ordinary day to verification."""
        async with self._told.step("Alice has no access on an ordinary day: the database refuses her query"):
            refused(await self._as_alice(ORDERS))
        self._told.say("starting the bot, unchanged, over Slack's protocol")
        async with self._stage.supervised(self._told.say, again=False) as bot:
            try:
                await self._first_night()
                await self._second_night()
                await self._auditor()
            except BaseException:
                print(f"\nThe bot's last words:\n{bot.last_words()}", flush=True)
                raise

    # --- the first night ------------------------------------------------------------------------------

    async def _first_night(self) -> None:
        step = self._told.step
        self._told.chapter("02:17, the first night: read access that ends by itself")
        async with step("Alice types /breakglass and gets the form"):
            form = await self._form()
            expect(form.labels(), "all seven fields", lambda found: set(LABELS) <= set(found))
        async with step("A wrong code is refused beside its field, and nothing is filed"):
            await self._fill(form, "Production database, read", "8 s")
            form.fill("Code", self._stage.phones["alice"].wrong())
            expect(await form.submit(), "an error at Code", lambda errors: bool(errors and "Code" in errors))
        async with step("With the right code it is filed, and its card stands in #breakglass"):
            form.fill("Code", await self._code("alice"))
            expect(await form.submit(), "no error", lambda errors: errors is None)
            card = await self._card("Waiting for approval")
            id = id_of(card)
        async with step("Mallory, who has no role, presses Approve and is told no"):
            await self._press("mallory", card, "Approve")
            await self._hears("mallory", "may decide")
        async with step("Alice presses Approve on her own request and is told no"):
            await self._press("alice", card, "Approve")
            await self._hears("alice", "someone else must approve")
        async with step("Bob presses Approve, proves who he is, and the database lets Alice in"):
            await self._approve("bob", card)
            await self._card("Active", id)
            expect(await self._as_alice(ORDERS), "three orders", lambda got: len(got.rows) == 3)
        async with step("Alice leaves a session open; at the end it is cut and the database refuses her"):
            session = await self._stage.production.session("alice", self._stage.production.passwords["alice"])
            self._told.say("waiting for the end of the 8 seconds")
            expect(await session.is_cut(within=20), "the session cut", bool)
            refused(await self._as_alice(ORDERS))
            await self._card("the review is due", id)
        await self._afterwards(id, "Looked for stuck orders; order 2 is the one. Nothing was changed.")

    # --- the second night -----------------------------------------------------------------------------

    async def _second_night(self) -> None:
        step = self._told.step
        self._told.chapter("The second night: a login made for this alone, shown once, handed back")
        async with step("Alice asks to change data"):
            form = await self._form()
            await self._fill(form, "Production database, change data", "15 min")
            form.fill("Code", await self._code("alice"))
            expect(await form.submit(), "no error", lambda errors: errors is None)
            card = await self._card("Waiting for approval")
            id = id_of(card)
        async with step("Bob approves the first step; nobody is in yet"):
            await self._approve("bob", card)
            card = await self._card("Step 2 of 2", id)
            expect(await self._marked(), "nothing at the provider", lambda roles: not roles)
        async with step("Dana of security approves the second; the provider makes the login"):
            await self._approve("dana", card)
            card = await self._card("Active", id)
        async with step("The credential is shown to Alice, once"):
            user, password = await self._credential(card)
            await self._press("alice", card, "Show credential")
            await self._hears("alice", "already shown once")
        async with step("With it she repairs the stuck order"):
            found = await self._stage.production.query(user, password, REPAIR)
            expect(found, "one order repaired", lambda got: got.rows == [(2,)])
        async with step("She hands it back: her session is cut and the login is gone from the catalogue"):
            session = await self._stage.production.session(user, password)
            await self._press("alice", card, "Hand back")
            expect(await session.is_cut(within=10), "the session cut", bool)
            await self._card("the review is due", id)
            refused(await self._stage.production.query(user, password, ORDERS))
            expect(await self._marked(), "nothing at the provider", lambda roles: not roles)
        await self._afterwards(id, "Set order 2 to paid, as the runbook says.")

    # --- afterwards -----------------------------------------------------------------------------------

    async def _afterwards(self, id: str, report: str) -> None:
        step = self._told.step
        async with step("Alice reports what she did; she cannot review it herself"):
            card = await self._card("the review is due", id)
            await self._press("alice", card, "Report")
            window = await self._window("alice", "Report")
            window.fill("What did you do with this access?", report)
            expect(await window.submit(), "no error", lambda errors: errors is None)
            await self._press("alice", card, "Review")
            await self._hears("alice", "someone else must review")
        async with step("Dana reviews: a real emergency, less was not possible"):
            await self._press("dana", card, "Review")
            window = await self._window("dana", "Review")
            window.fill("Outcome", "Real emergency")
            window.fill("Was less access possible?", "No, it fitted")
            window.fill("Follow-ups", "Alert on stuck orders before customers notice.")
            expect(await window.submit(), "no error", lambda errors: errors is None)
            await self._card("Ended and reviewed", id)

    async def _auditor(self) -> None:
        step = self._told.step
        self._told.chapter("The auditor, who trusts nobody")
        async with step("Every event stands in the audit channel, in order"):
            status = await self._stage.breakglass_json("status")
            expect(status["requests"], "nothing open", lambda found: not found)
            numbers = await self._all_told()
            expect(numbers, "numbers without a gap", lambda got: got == list(range(got[0], got[-1] + 1)))
        async with step("The history verifies against checkpoints copied from the channel"):
            copied = self._stage.home / "checkpoints.txt"
            messages = self._stage.persona("dana").messages(self._stage.places.audit)
            copied.write_text("\n".join(message.human_text() for message in messages))
            found = await self._stage.breakglass_json("verify", "--checkpoints", str(copied))
            expect(found, "sound, with collected checkpoints", lambda got: got["sound"] and got["collected"])
        self._told.say(
            f"{found['events']} events, {found['checkpoints']} checkpoints, root {found['root'][:16]}…"
        )

    # --- hands and eyes -------------------------------------------------------------------------------

    async def _form(self) -> Modal:
        alice = self._stage.persona("alice")
        outcome = await alice.command("/breakglass", self._stage.places.requests)
        expect(outcome.error, "an answer in time", lambda error: error is None)
        return await self._window("alice", "Break-glass access")

    async def _fill(self, form: Modal, access: str, duration: str) -> None:
        await form.choose("Scenario", "The database is locked and customers are waiting")
        await form.choose("Access", access)
        # The first that this access offers, and no other access of the scenario: so the form has followed.
        await self._stage.sandbox.wait_for(lambda: form.options("Duration")[0] == duration or None)
        form.fill("Criteria", form.options("Criteria"))
        form.fill("Duration", duration)
        form.fill("Reason", "Orders are stuck behind a lock; I look for the blocking query.")
        form.fill("Incident", "INC-42")

    async def _approve(self, who: str, card: Message) -> None:
        await self._press(who, card, "Approve")
        window = await self._window(who, "Approve")
        window.fill("Code", await self._code(who))
        expect(await window.submit(), "no error", lambda errors: errors is None)

    async def _press(self, who: str, card: Message, label: str) -> None:
        confirm = True if label == "Hand back" else None
        outcome = await self._stage.persona(who).press(card, label, confirm=confirm)
        expect(outcome.error, "an answer in time", lambda error: error is None)

    async def _credential(self, card: Message) -> tuple[str, str]:
        await self._press("alice", card, "Show credential")
        window = await self._window("alice", "Your credential")
        lines = window.text().splitlines()
        found = {label.casefold(): lines[at + 1] for at, label in enumerate(lines[:-1])}
        expect(found, "user and password", lambda got: "user" in got and "password" in got)
        self._secrets.append(found["password"])
        await window.close()
        return found["user"], found["password"]

    async def _code(self, who: str) -> str:
        return await self._stage.phones[who].code()

    async def _window(self, who: str, title: str) -> Modal:
        persona = self._stage.persona(who)

        def there() -> Modal | None:
            return persona.modal if persona.modal is not None and persona.modal.title == title else None

        return await self._stage.sandbox.wait_for(there, timeout=10)

    async def _card(self, saying: str, id: str | None = None) -> Message:
        def there() -> Message | None:
            for message in reversed(self._stage.persona("alice").messages(self._stage.places.requests)):
                text = message.human_text()
                if message.buttons() is not None and saying in text and (id is None or id in text):
                    return None if message.thread_ts not in {None, message.ts} else message
            return None

        return await self._stage.sandbox.wait_for(there, timeout=20)

    async def _hears(self, who: str, what: str) -> None:
        persona = self._stage.persona(who)

        def heard() -> bool | None:
            shown = [message.human_text() for message in persona.ephemerals()]
            window = [persona.modal.text()] if persona.modal is not None else []
            return any(what in text for text in [*shown, *window]) or None

        await self._stage.sandbox.wait_for(heard, timeout=10)

    async def _as_alice(self, sql: str) -> Answer:
        return await self._stage.production.query("alice", self._stage.production.passwords["alice"], sql)

    async def _marked(self) -> list[str]:
        return await self._stage.production.marked("bg-example-")

    async def _all_told(self) -> list[int]:
        """The numbers of the lines in the audit channel, once it is complete."""
        last = -1
        for _ in range(300):
            verified = await self._stage.breakglass_json("verify")
            last = verified["events"] - 1
            numbers = self._numbers()
            if numbers and numbers[-1] >= last:
                return numbers
            await asyncio.sleep(0.5)
        raise NotAsTold(f"The audit channel never showed event {last}.")

    def _numbers(self) -> list[int]:
        carried = [
            message.metadata or {}
            for message in self._stage.persona("dana").messages(self._stage.places.audit)
        ]
        spans = [one["event_payload"] for one in carried if one.get("event_type") == "breakglass_audit"]
        return [number for span in spans for number in range(span["first"], span["last"] + 1)]


LABELS = ("Scenario", "Criteria", "Access", "Duration", "Reason", "Incident", "Code")


def expect(found: Any, wanted: str, holds: Callable[[Any], object]) -> None:  # noqa: ANN401  any step's outcome
    """Goes on only when it is as told."""
    if not holds(found):
        raise NotAsTold(f"expected {wanted}, found: {found!r}")


def refused(answer: Answer) -> None:
    """The database said no."""
    expect(answer, "a refusal", lambda got: bool(got.refused))


def id_of(card: Message) -> str:
    """The request's id, as the card shows it."""
    found = re.search(r"BG-[0-9A-Z]{6}", card.human_text())
    if found is None:
        raise NotAsTold(f"the card shows no id: {card.human_text()}")
    return found[0]


def _standing_secrets(on: Stage) -> list[str]:
    phones = [phone.secret.reveal() for phone in on.phones.values()]
    slack = [on.app.bot_token, on.app.app_token, on.app.signing_secret]
    return [*slack, *on.production.passwords.values(), on.production.broker_url, *phones]


def _redacted(calls: list[Exchange], secrets: list[str]) -> str:
    """One JSON line for each Web API call, every known secret replaced."""

    def clean(value: Any) -> Any:  # noqa: ANN401  JSON
        match value:
            case str():
                for secret in sorted(set(secrets), key=len, reverse=True):
                    value = value.replace(secret, "***")
                return value
            case list():
                return [clean(item) for item in value]
            case dict():
                return {key: clean(item) for key, item in value.items()}
        return value

    lines = [json.dumps({"method": call.method, "args": clean(_typed(call.args))}) for call in calls]
    return "\n".join(lines) + "\n"


def _typed(args: dict[str, Any]) -> dict[str, Any]:
    """The arguments as JSON values: in a form, numbers and yes or no travel as text."""
    kinds: dict[str, Callable[[str], object]] = {
        "limit": int,
        "include_all_metadata": lambda text: text in {"1", "true"},
    }
    return {
        name: kinds[name](value) if name in kinds and isinstance(value, str) else value
        for name, value in args.items()
    }
