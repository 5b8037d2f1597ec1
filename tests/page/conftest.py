"""One Chromium for all tests of the page, a sandbox and its page for each."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from bot.sandbox import Sandbox
from bot.sandbox.page import Page
from tests.page.bench import Bench
from tests.page.browser import Watch, installed, window
from tests.providers.fixtures import absent


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The browser; its sandbox is off, because tests may run as root."""
    path = installed()
    if path is None:
        absent("Chromium: none is installed (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox() -> AsyncIterator[Sandbox]:
    """An empty workspace on the wall's clock: a browser has no other."""
    async with await Sandbox.start() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def served(sandbox: Sandbox) -> AsyncIterator[Page]:
    """Its page."""
    page = Page(sandbox)
    await page.up()
    yield page
    await page.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def laid_bench(chromium: Browser) -> AsyncIterator[tuple[Bench, Watch]]:
    """One bench for all tests: most of a test would be opening it."""
    async with await Sandbox.start() as running:
        page = Page(running)
        await page.up()
        async with window(chromium) as (opened, watch):
            yield await Bench.open(opened, page.url), watch
        await page.close()


@pytest_asyncio.fixture(loop_scope="session")
async def bench(laid_bench: tuple[Bench, Watch]) -> AsyncIterator[Bench]:
    """The bench, cleared; whatever went wrong on it fails this test and no other."""
    bench, watch = laid_bench
    await bench.clear()
    yield bench
    watch.check()
