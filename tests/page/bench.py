"""The bench: a bare document, under the page's own headers, in which its modules render what a test gives."""

from pathlib import Path
from typing import Any, Self

from playwright.async_api import Locator, Page, Route

from tests.page.browser import headers

_DOCUMENT = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Bench</title>
<link rel="stylesheet" href="/files/style.css"><link rel="stylesheet" href="/files/blocks.css">
<script type="module" src="/bench.js"></script></head><body><main><h1>Bench</h1><div id="place"></div></main>
</body></html>"""
_SCRIPT = (Path(__file__).parent / "bench.js").read_text(encoding="utf-8")


class Bench:
    """Renders blocks and text in a real browser, and says what they asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.place: Locator = page.locator("#place")

    @classmethod
    async def open(cls, page: Page, url: str) -> Self:
        """A bench at the page's address, under the headers that its server sends."""
        policy = headers((await page.request.get(f"{url}files/blocks.js")).headers)
        assert "script-src 'self'" in policy["content-security-policy"]

        async def answer(route: Route) -> None:
            script = route.request.url.endswith(".js")
            body, kind = (_SCRIPT, "text/javascript") if script else (_DOCUMENT, "text/html")
            await route.fulfill(body=body, content_type=kind, headers=policy)

        await page.route("**/bench", answer)
        await page.route("**/bench.js", answer)
        await page.goto(f"{url}bench")
        await page.wait_for_function("window.bench !== undefined")
        return cls(page)

    async def clear(self) -> None:
        """Nothing shown, nothing asked, every confirm dialog answered with yes."""
        await self.page.evaluate("() => window.bench.clear()")

    async def render(self, *blocks: dict[str, Any], **more: Any) -> None:  # noqa: ANN401 - parts of the context
        """Show these blocks, over those shown before."""
        await self.page.evaluate("([blocks, more]) => window.bench.render(blocks, more)", [blocks, more])

    async def text(self, mrkdwn: str) -> str:
        """What is to be read of mrkdwn."""
        await self.page.evaluate("(text) => window.bench.text(text)", mrkdwn)
        return await self.place.inner_text()

    async def spoken(self, message: dict[str, Any]) -> str:
        """What is said of a message."""
        return str(await self.page.evaluate("(message) => window.bench.spoken(message)", message))

    async def kinds(self) -> set[str]:
        """The names of all elements that are there."""
        found = await self.place.evaluate(
            "(place) => [...place.querySelectorAll('*')].map((each) => each.localName)"
        )
        return set(found)

    async def asked(self, *kinds: str) -> list[list[Any]]:
        """What was asked of the shell since the last time, of these kinds or of all."""
        calls = await self.page.evaluate("() => window.bench.taken()")
        return [call for call in calls if not kinds or call[0] in kinds]

    async def offer(self, *options: dict[str, Any]) -> None:
        """What the app answers to typing."""
        await self.page.evaluate("(options) => window.bench.offer(options)", options)

    async def confirm_with(self, answer: bool) -> None:
        """What is pressed in the next confirm dialogs."""
        await self.page.evaluate("(answer) => window.bench.answer(answer)", answer)
