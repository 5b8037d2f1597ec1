"""A browser without a screen: a real HTTP client that makes the page's requests, headers and all."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp

from bot.sandbox.page import Page

Json = dict[str, Any]


class Visitor:
    """Somebody who opened the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.key = ""
        self.session = aiohttp.ClientSession()

    async def __aenter__(self) -> Self:
        async with self.session.get(self.page.url) as answer:
            found = re.search(r'name="page-key" content="([^"]+)"', await answer.text())
        assert found
        self.key = found.group(1)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    @property
    def headers(self) -> dict[str, str]:
        """What the page's own requests carry."""
        origin = self.page.url.removesuffix("/")
        return {"Origin": origin, "X-Page-Key": self.key, "Content-Type": "application/json"}

    async def send(self, body: bytes, **headers: str) -> tuple[int, str]:
        """Post these bytes as the page would, some headers changed: (status, text)."""
        url = f"{self.page.url}act"
        async with self.session.post(url, data=body, headers=self.headers | headers) as answer:
            return answer.status, await answer.text()

    async def act(self, who: str, verb: str, **args: object) -> Json:
        """Do something; the answer, which always comes with status 200."""
        status, text = await self.send(json.dumps({"as": who, "verb": verb, **args}).encode())
        assert status == 200, text
        answer: Json = json.loads(text)
        return answer

    async def refused(self, who: str, verb: str, **args: object) -> str:
        """The sentence with which it was refused."""
        answer = await self.act(who, verb, **args)
        assert answer["ok"] is False, answer
        return str(answer["error"])

    @asynccontextmanager
    async def watching(self, who: str) -> AsyncIterator["Watched"]:
        """What this person sees, as long as the block runs."""
        params = {"as": who, "key": self.key}
        async with self.session.get(f"{self.page.url}stream", params=params) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.content_type == "text/event-stream"
            watched = Watched(answer)
            reading = asyncio.create_task(watched.read())
            try:
                yield watched
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


class Watched:
    """The state a page would hold: by kind and id; and every event as it came."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self._news = asyncio.Condition()
        self.events: list[tuple[str, Json]] = []
        self.held: dict[str, dict[str, Json]] = {}
        self.ended = False

    async def read(self) -> None:
        """Take in events until the stream ends."""
        kind = ""
        async for raw in self._answer.content:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                await self._took(kind, json.loads(line.removeprefix("data: ")))
        async with self._news:
            self.ended = True
            self._news.notify_all()

    async def _took(self, kind: str, value: Json) -> None:
        async with self._news:
            self.events.append((kind, value))
            for part in value.get("put", []):
                self.held.setdefault(part["kind"], {})[part["id"]] = part["value"]
            for part in value.get("gone", []):
                del self.held[part["kind"]][part["id"]]
            self._news.notify_all()

    def all(self, kind: str) -> list[Json]:
        """Everything of a kind."""
        return list(self.held.get(kind, {}).values())

    async def until(self, true: Any) -> None:  # noqa: ANN401  any question about what is held
        """Wait until this is true of what is held; five seconds at most."""
        async with asyncio.timeout(5), self._news:
            await self._news.wait_for(true)

    def texts(self, kind: str = "message") -> list[str]:
        """What the messages say."""
        return [value["text"] for value in self.all(kind)]
