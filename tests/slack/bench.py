"""Real Bolt, over Socket Mode, between people in the sandbox workspace and a real desk on SQLite.

    async with bench(tmp_path) as it:
        request = await it.asks()                      # Anna fills the form in and sends it
        card = await it.card(request.id)               # what stands in the channel now
        await it.presses(it.ben, card, "Approve")
        it.hears(it.ben)                               # every sentence Ben got, newest last

Time is virtual, for the desk and for Slack. Nothing waits except for what is under way.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
import yaml
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.core import events as e
from bot.core.model import Mfa, PersonId, Policy, Request, RequestId, Secret, State
from bot.sandbox import App, Message, Modal, Outcome, Persona, Sandbox, VirtualClock
from bot.slack.bolt import Counter, build_app
from bot.slack.connect import web_client
from bot.slack.people import SlackPeople
from bot.slack.views.card import request_card
from bot.store.also import bind_team
from tests.core.samples import ANNA, BEN, CARA, DORA, EMIL, NOW, PEOPLE, TERMS, policy_of
from tests.desk.rig import Rig, rig

MANIFEST: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "manifest.yml").read_text())

WITH_CODES = replace(TERMS, access="prod-db-rw", title="Production database, write", approver_mfa=Mfa.TOTP)
TWO_VOTES = replace(
    TERMS, access="prod-root", title="Production root", tiers=(replace(TERMS.tiers[0], count=2),)
)
FREE = replace(TERMS, access="practice", title="Practice", environment="practice", mfa=Mfa.NONE)
LEADS = "S0LEADS"


@dataclass(frozen=True)
class Members:
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rooms:
    requests: str


@dataclass
class Bench:
    """The parts, and the moves that every story makes."""

    rig: Rig
    sandbox: Sandbox
    clock: VirtualClock
    app: App
    bolt: AsyncApp
    handler: AsyncSocketModeHandler
    client: AsyncWebClient
    counter: Counter
    people: SlackPeople
    channel: str
    anna: Persona
    ben: Persona
    cara: Persona
    dora: Persona
    emil: Persona

    # --- asking -----------------------------------------------------------------------------------------

    async def form(self, who: Persona | None = None) -> Modal:
        """The request form, as `/breakglass` opens it."""
        person = who or self.anna
        assert (await person.command("/breakglass", self.channel)).ok
        return await self.window(person)

    async def window(self, who: Persona, title: str = "") -> Modal:
        """The window in front of somebody, once it has this title."""

        def seen() -> Modal | None:
            modal = who.modal
            return modal if modal is not None and title in modal.title else None

        found = await self.sandbox.wait_for(seen)
        assert found is not None
        return found

    async def fill(self, form: Modal, *, access: str = "", code: str | None = None, reason: str = "") -> None:
        """Everything the form wants, with a right code unless another is given."""
        if access:
            await form.choose("Access", access)
            await self.settle()
        form.fill("Criteria", form.options("Criteria"))
        form.fill("Reason", reason or "The replica lags by an hour.")
        form.fill("Code", self.fresh_code(ANNA) if code is None else code)

    async def asks(self, *, access: str = "", code: str | None = None, reason: str = "") -> Request:
        """Anna asks; the request as filed."""
        form = await self.form()
        await self.fill(form, access=access, code=code, reason=reason)
        assert await form.submit() is None
        await form.close()
        return await self.newest()

    async def newest(self) -> Request:
        return (await self.rig.store.of_person(ANNA))[0]

    def fresh_code(self, person: PersonId) -> str:
        """What the authenticator shows once it shows something new."""
        self.rig.clock.forward(timedelta(seconds=30))
        return self.rig.code(person)

    # --- cards and clicks -------------------------------------------------------------------------------

    async def card(self, id: RequestId) -> Message:
        """The card, brought up to date."""
        await self.settle()
        for request, _, ts, _ in await self.rig.store.cards_behind():
            message = request_card(request, self.rig.clock())
            if ts:
                shown = await self.client.chat_update(channel=self.channel, ts=ts, **message)
            else:
                shown = await self.client.chat_postMessage(channel=self.channel, **message)
            await self.rig.store.show_card(request.id, self.channel, str(shown["ts"]), request.version)
        place = await self.rig.store.card_of(id)
        assert place is not None
        found = self.sandbox.message(*place)
        assert found is not None
        return found

    async def presses(self, who: Persona, card: Message, label: str) -> Outcome:
        """Presses a button and says yes to its question, if it has one."""
        button = next(one for one in card.elements() if one["text"]["text"] == label)
        outcome = await who.press(card, label, confirm=True if "confirm" in button else None)
        await self.settle()
        return outcome

    async def forged(self, who: Persona, action: str, value: str) -> None:
        """A press of a button that no card shows: whoever has a token of a person can send one."""
        card = self.sandbox.workspace.messages[self.channel]
        message = next(reversed(card.values()))
        press = {"type": "button", "action_id": action, "block_id": "any", "value": value}
        interactions = self.sandbox.interactions
        await interactions.act_on_message(self.sandbox.users[who.id], self.app, message, press, {})
        await self.settle()

    async def settle(self) -> None:
        """Everything that was started is done."""
        await self.counter.aside.settle()
        await self.rig.settled()

    async def again(self, times: int = 2) -> None:
        """The last interaction, delivered again as it was."""
        last = self.sandbox.wire_log.pushes("interactive")[-1]
        for _ in range(times):
            await self.sandbox.delivery.interact(self.app, "interactive", last.args)
        await self.settle()

    async def knows(self, person: PersonId) -> None:
        """What Slack says of this person has arrived."""
        await self.sandbox.wait_for(lambda: bool(self.sandbox.wire_log.events("user_change")))
        self.people.changed(self.sandbox.users[person].to_json(with_email=False))

    async def reconnect(self) -> None:
        """The server went away and another one, which remembers nothing, takes its place."""
        await self.handler.close_async()  # type: ignore[no-untyped-call]  # slack_bolt leaves it untyped
        self.bolt = build_app(self.counter, lambda app: _hear(app, self.people))
        self.handler = await _connect(self.bolt, self.app)

    async def active(self, *, access: str = "") -> Request:
        """Asked, approved, granted."""
        request = await self.asks(access=access)
        await self.presses(self.ben, await self.card(request.id), "Approve")
        granted = await self.rig.store.get(request.id)
        assert granted.state is State.ACTIVE
        return granted

    # --- what is true and what was said -----------------------------------------------------------------

    async def state(self, id: RequestId) -> State:
        return await self.rig.state(id)

    async def status(self, who: Persona) -> str:
        return (await who.command("/breakglass status", self.channel)).human_text()

    def secret_on(self, window: Modal) -> str:
        """The set-up key that an enrolment window shows."""
        found = re.search(r"^([A-Z2-7]{4}(?: [A-Z2-7]{4}){7})$", window.text(), re.MULTILINE)
        assert found is not None
        return found[1].replace(" ", "")

    def code_of(self, secret: str) -> str:
        return pyotp.TOTP(secret).at(self.rig.clock.now)

    def hears(self, who: Persona) -> list[str]:
        """Every sentence said to this person alone."""
        found = [message.human_text() for message in who.ephemerals()]
        return found + [m.human_text() for m in who.direct_messages() if m.bot_id is not None]

    async def refused(self, person: PersonId) -> list[str]:
        """The codes of all recorded refusals of this person."""
        events = [record.event for record in await self.rig.history()]
        refusals = [event for event in events if isinstance(event, e.AttemptRefused | e.ProofRefused)]
        return [event.code for event in refusals if event.actor == person]

    async def events(self, kind: type[e.Event]) -> int:
        return len(await self.rig.told(kind))


@asynccontextmanager
async def bench(tmp_path: Path, policy: Policy | None = None) -> AsyncIterator[Bench]:
    """A workspace, the app in it, and the desk behind it."""
    clock = VirtualClock(NOW.timestamp())
    terms = policy or policy_of(TERMS, WITH_CODES, TWO_VOTES, FREE)
    async with rig(tmp_path, terms) as it, await Sandbox.start(clock=clock) as sandbox:
        for person in PEOPLE:
            sandbox.add_user(person.removeprefix("U0").lower(), id=person)
        # Anna is a lead too: groups overlap in real life.
        sandbox.add_usergroup("leads", [BEN, CARA, ANNA], id=LEADS)
        app = sandbox.install(MANIFEST)
        channel = sandbox.add_channel("requests", private=True, members=[*PEOPLE, app.bot_user_id])
        client = web_client(Secret(app.bot_token), sandbox.api_url)
        roles = {"oncall": Members((ANNA,)), "leads": Members((), (LEADS,)), "security": Members((DORA,))}
        people = SlackPeople(client, roles, it.clock)
        people.team = sandbox.workspace.team.id
        it.desk.people = people
        await it.store.do(bind_team(people.team))
        await it.enrol(BEN, CARA)
        counter = Counter(
            desk=it.desk, store=it.store, client=client, channels=Rooms(channel.id), pause=_hurry
        )
        bolt = build_app(counter, lambda app: _hear(app, people))
        who = {person: sandbox.persona(person) for person in PEOPLE}
        made = Bench(
            rig=it,
            sandbox=sandbox,
            clock=clock,
            app=app,
            bolt=bolt,
            handler=await _connect(bolt, app),
            client=client,
            counter=counter,
            people=people,
            channel=channel.id,
            anna=who[ANNA],
            ben=who[BEN],
            cara=who[CARA],
            dora=who[DORA],
            emil=who[EMIL],
        )
        try:
            yield made
            await made.settle()
        finally:
            await made.handler.close_async()  # type: ignore[no-untyped-call]  # slack_bolt leaves it untyped


async def _hurry(_seconds: float) -> None:
    await asyncio.sleep(0.001)


async def _connect(bolt: AsyncApp, app: App) -> AsyncSocketModeHandler:
    handler = AsyncSocketModeHandler(bolt, app.app_token)
    await handler.connect_async()  # type: ignore[no-untyped-call]  # slack_bolt leaves it untyped
    return handler


def _hear(app: AsyncApp, people: SlackPeople) -> None:
    async def user(event: dict[str, Any]) -> None:
        people.changed(event["user"])

    async def group(event: dict[str, Any]) -> None:
        people.regrouped(event.get("subteam_id") or event.get("subteam", {}).get("id", ""))

    async def nothing() -> None: ...

    app.event("user_change")(user)
    app.event("subteam_members_changed")(group)
    app.event("subteam_updated")(group)
    for kind in ("message", "member_joined_channel", "member_left_channel"):
        app.event(kind)(nothing)
