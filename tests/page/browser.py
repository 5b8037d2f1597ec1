"""A Chromium for tests, and windows in it that watch what the page does.

A window fails its test when the page throws, when the browser has to enforce the policy of its headers, when
a dialog of the browser opens, or when anything is asked of another host than this one.
"""

import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # ships no types
from playwright.async_api import Browser, Dialog, Page, Request, ViewportSize

DESK: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
CANDIDATES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def installed() -> str | None:
    """Where a Chromium is; `BREAKGLASS_TEST_CHROMIUM` names another."""
    named = os.environ.get("BREAKGLASS_TEST_CHROMIUM")
    return named or next((found for name in CANDIDATES if (found := shutil.which(name))), None)


AXE_OWN_STYLE = "sha256-ClwWBySjdokTMgFTY8f6jpvOkfv4vYTBwKvWSGmDZb0="
"""axe-core 4.12 tries a style of its own, which the page's policy forbids: the one complaint not ours."""


class Watch:
    """What went wrong in a window; `allowed` are parts of complaints that a test provokes on purpose."""

    def __init__(self, page: Page, allowed: tuple[str, ...] = ()) -> None:
        self._complaints: list[str] = []
        self._allowed = allowed
        page.context.on("request", self._asked)
        page.on("dialog", self._dialog)
        page.on("pageerror", lambda error: self._complaints.append(f"thrown: {error}"))
        page.on("console", lambda said: self._complaints.append(said.text) if said.type == "error" else None)

    def check(self) -> None:
        """Fail when anything did; begin anew."""
        complaints, self._complaints = self._complaints, []
        allowed = (*self._allowed, AXE_OWN_STYLE)
        unexpected = [each for each in complaints if not any(part in each for part in allowed)]
        assert not unexpected, unexpected

    async def _dialog(self, opened: Dialog) -> None:
        self._complaints.append(f"a dialog of the browser: {opened.message}")
        await opened.dismiss()

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in (
            "127.0.0.1",
            "localhost",
        ):
            self._complaints.append(f"asked of another host: {request.url}")


@asynccontextmanager
async def window(
    browser: Browser, size: ViewportSize = DESK, *, dark: bool = False, allowed: tuple[str, ...] = ()
) -> AsyncIterator[tuple[Page, Watch]]:
    """A window of its own, checked when it is closed."""
    context = await browser.new_context(
        viewport=size,
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        has_touch=size["width"] < 720,
        locale="en-GB",
        timezone_id="Europe/Vienna",
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = await context.new_page()
    page.set_default_timeout(8000)
    watch = Watch(page, allowed)
    try:
        yield page, watch
    finally:
        await context.close()
    watch.check()


async def picture(page: Page, name: str, *, whole: bool = False) -> None:
    """Keep what it looks like, where `PAGE_SCREENSHOTS` names a folder."""
    if folder := os.environ.get("PAGE_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole, caret="initial")


async def accessible(page: Page) -> None:
    """Fail on what axe-core finds serious or critical."""
    found = (await Axe().run(page)).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert not serious, [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in serious]


def headers(of: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer that are the page's policy."""
    return {
        name: value
        for name, value in of.items()
        if name.startswith(("content-security", "x-content", "cross-"))
    }
