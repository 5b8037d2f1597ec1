"""A Chromium for tests, and windows in it that watch what the page does.

A window fails its test when the page throws, when the browser has to enforce the policy of its headers, when a
dialog of the browser opens, or when anything is asked of another host than this one.
"""

import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Browser, Dialog, Page, Request, ViewportSize

DESK: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
CANDIDATES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def installed() -> str | None:
    """Where a Chromium is; `BREAKGLASS_TEST_CHROMIUM` names another."""
    named = os.environ.get("BREAKGLASS_TEST_CHROMIUM")
    return named or next((found for name in CANDIDATES if (found := shutil.which(name))), None)


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
        unexpected = [each for each in complaints if not any(part in each for part in self._allowed)]
        assert not unexpected, unexpected

    async def _dialog(self, opened: Dialog) -> None:
        self._complaints.append(f"a dialog of the browser: {opened.message}")
        await opened.dismiss()

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in ("127.0.0.1", "localhost"):
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
        Path(folder).mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole, caret="initial")


def headers(of: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer that are the page's policy."""
    return {name: value for name, value in of.items() if name.startswith(("content-security", "x-content", "cross-"))}
