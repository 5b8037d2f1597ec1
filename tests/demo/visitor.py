"""A visitor of the demo: presses what the page offers, and reads the code from the panel's phone."""

import asyncio
from typing import Any

import aiohttp

from bot.demo.demo import Demo
from bot.demo.people import PEOPLE
from bot.sandbox import Message, Modal

READ, CHANGE = "Production database, read", "Production database, change data"


class Visitor:
    """Somebody before the page, acting as one person at a time."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        self.card: Message | None = None

    async def state(self, who: str = "alice") -> dict[str, Any]:
        """What the panel shows to that person."""
        return await self.demo.panel.state(PEOPLE[who].id)

    async def code(self, who: str) -> str:
        """The code on that person's phone, once the desk takes it."""
        while True:
            shown = await self.state(who)
            if shown["phone"]["from"] <= shown["now"]:
                return str(shown["phone"]["code"])
            await asyncio.sleep(0.2)

    async def done(self, who: str = "alice") -> set[str]:
        """The steps of the guide that are ticked."""
        guide = (await self.state(who))["guide"]
        return {step["id"] for chapter in guide for step in chapter["steps"] if step["done"]}

    async def ask(self, code: str, access: str = READ, duration: str = "8 s") -> dict[str, str] | None:
        """Alice fills in the form and hands it in: the complaints, or None and the card is there."""
        alice, stage = self.demo.stage.persona("alice"), self.demo.stage
        before = {message.ts for message in alice.messages(stage.places.requests)}
        assert (await alice.command("/breakglass", stage.places.requests)).ok
        form = await self.window("alice", "Break-glass access")
        await form.choose("Scenario", "The database is locked and customers are waiting")
        await form.choose("Access", access)
        # Read access alone is offered for seconds: so the form has followed the choice.
        await stage.sandbox.wait_for(lambda: ("8 s" in form.options("Duration")) is (access == READ) or None)
        form.fill("Criteria", form.options("Criteria"))
        form.fill("Duration", duration)
        form.fill("Reason", "Orders are stuck behind a lock; I look for it.")
        form.fill("Incident", "INC-42")
        form.fill("Code", code)
        wrong = await form.submit()
        for left in reversed(alice.modals()):
            await left.close(everything=True)
            break
        if wrong is None:
            self.card = await stage.sandbox.wait_for(
                lambda: next((m for m in alice.messages(stage.places.requests) if m.ts not in before), None),
                10,
            )
        return wrong

    async def approve(self, who: str) -> None:
        """Press Approve, with that person's code."""
        card = await self.shows("Approve")
        assert (await self.demo.stage.persona(who).press(card, "Approve")).ok
        window = await self.window(who, "Approve")
        window.fill("Code", await self.code(who))
        assert await window.submit() is None

    async def shows(self, what: str) -> Message:
        """The card, once its text or a button says so."""
        stage = self.demo.stage

        def now() -> Message | None:
            assert self.card is not None
            card = stage.sandbox.message(stage.places.requests, self.card.ts)
            return card if card and (what in card.human_text() or what in card.buttons()) else None

        return await stage.sandbox.wait_for(now, timeout=30)

    async def window(self, who: str, title: str) -> Modal:
        """The window of that title."""
        persona = self.demo.stage.persona(who)

        def there() -> Modal | None:
            return persona.modal if persona.modal is not None and persona.modal.title == title else None

        return await self.demo.stage.sandbox.wait_for(there, timeout=10)

    async def until(self, step: str) -> None:
        """That step of the guide is ticked within half a minute."""
        async with asyncio.timeout(60):
            while step not in await self.done():  # noqa: ASYNC110  another process's doing
                await asyncio.sleep(0.1)


class Browser:
    """Requests as a browser sends them for the panel."""

    def __init__(self, demo: Demo, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._url = demo.url
        self.headers: dict[str, str] = {}

    async def open(self) -> None:
        """Loads the page: from now on its key is known."""
        async with self._http.get(self._url) as answer:
            text = await answer.text()
        key = text.partition('name="page-key" content="')[2].partition('"')[0]
        self.headers = {"X-Page-Key": key, "Origin": self._url.rstrip("/")}

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        async with self._http.get(self._url + path, headers=self.headers) as answer:
            return answer.status, await answer.text()

    async def post(self, verb: str, body: str | bytes) -> tuple[int, Any]:
        """Status and JSON."""
        url = f"{self._url}beside/api/{verb}"
        async with self._http.post(url, data=body, headers=self.headers) as answer:
            return answer.status, await answer.json() if "json" in answer.content_type else None
