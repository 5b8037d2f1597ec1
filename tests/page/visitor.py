"""Somebody at the page: finds things as a person does, by their names, and uses them."""

import re
from contextlib import suppress
from typing import Self

from playwright.async_api import Error, Locator, Page, expect


class Visitor:
    """A window of the page, and whoever one is in it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    async def arrive(cls, page: Page, url: str) -> Self:
        """Open the page and wait until it knows who one is."""
        await page.goto(url)
        await page.get_by_role("group", name="You are").wait_for()
        return cls(page)

    @property
    def composer(self) -> Locator:
        """Where one writes in the channel."""
        return self.page.locator("textarea[data-composer=channel]")

    @property
    def window(self) -> Locator:
        """The window on top that an app has opened."""
        return self.page.locator("dialog.window[open]")

    def message(self, words: str) -> Locator:
        """The last message in the channel that says this."""
        return self.page.get_by_role("log").get_by_role("article").filter(has_text=words).last

    async def be(self, name: str) -> None:
        """Become somebody else, in the header, or in the window that hides it."""
        if await self.window.count():
            menu = self.window.get_by_label("You are")
            options = await menu.locator("option").all_inner_texts()
            await menu.select_option(next(option for option in options if option.startswith(name)))
            return
        people = self.page.get_by_role("group", name="You are")
        choice = people.get_by_role("radio", name=re.compile(f"^{name}"))
        await choice.check(force=True)  # the button itself is unseen; its label is what one presses
        await expect(self.page).to_have_title(re.compile(re.escape(name)))

    async def go(self, name: str) -> None:
        """Go to a channel, a person or an app by its name in the list."""
        await (
            self.page.get_by_role("navigation", name="Channels").get_by_role("link", name=name).first.click()
        )

    async def open_thread(self, link: Locator) -> None:
        """Press it until the thread is there: a list that is drawn anew may take it from under the finger."""
        field = self.page.get_by_role("region", name="Thread").get_by_role("textbox")
        for _ in range(2):
            await link.click()
            with suppress(Error):
                await field.wait_for(timeout=4_000)
                return
        await link.click()
        await field.wait_for()

    async def say(self, words: str) -> None:
        """Write and send."""
        await self.composer.fill(words)
        await self.composer.press("Enter")
        await expect(self.composer).to_have_value("")

    async def submit(self) -> None:
        """Hand the window in."""
        await self.window.locator("button[type=submit]").click()

    async def confirm(self, answer: str) -> None:
        """Answer the question in front of everything."""
        await self.page.locator("dialog[open]").last.get_by_role("button", name=answer, exact=True).click()
