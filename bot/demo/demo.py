"""`breakglass demo`: the stage with its page, for whoever opens it in a browser.

Rule: it can be ended at any moment, by Ctrl-C or SIGTERM, also while it prepares; then no process and no
folder of it is left. What was begun is ended in the reverse order, and a second Ctrl-C does not hurry that.
"""

import asyncio
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from bot.config import Transport
from bot.core.errors import BreakglassError
from bot.demo.database import WheelMissing
from bot.demo.history import History
from bot.demo.narrator import Narrator
from bot.demo.panel import BESIDE, Panel
from bot.demo.plan import Plan, StageError, StoreKind
from bot.demo.stage import Stage, stage
from bot.demo.supervisor import Supervisor
from bot.sandbox.page import Beside, Page

PORT: Final = 8217
NEXT: Final = 50
"""How many ports after that one are tried when nobody asked for a certain one."""

BROWSER_WITHIN: Final = 3.0
"""Seconds in which one that cannot be started says so."""

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that runs: its page, the workspace and databases behind it, the bot's process, the panel."""

    page: Page
    stage: Stage
    bot: Supervisor
    panel: Panel
    history: History

    @property
    def url(self) -> str:
        """Where the page is."""
        return self.page.url


@asynccontextmanager
async def running(
    plan: Plan | None = None, *, narrator: Narrator | None = None, port: int | None = 0
) -> AsyncIterator[Demo]:
    """A whole demo while the block runs: workspace, production database, bot, page. Tests use it too.

    Args:
        plan: e.g. `Plan(durations=("8s", "15m"))`, so that access ends while one watches; None: the usual.
        narrator: told of every step; None: a new one, which prints.
        port: the page's; 0 for any free one; None for the usual one, or the next that is free.

    Raises:
        StageError: something that it needs is missing, or the port is taken.
        WheelMissing: there is no PostgreSQL here.
    """
    tell = narrator or Narrator()
    if port:
        _demand_free(port)
    async with AsyncExitStack() as stack:
        set_stage = await stack.enter_async_context(stage(plan or Plan(), tell))
        async with tell.step("The bot, unchanged, as a process of its own, connected over Slack's protocol"):
            bot = await stack.enter_async_context(set_stage.supervised(tell.say, again=True))
        history = await stack.enter_async_context(History.open(set_stage.env))
        panel = Panel(set_stage, bot, history)
        stack.push_async_callback(panel.close)
        page = await _up(set_stage, Beside(BESIDE, panel.routes), port, tell)
        stack.push_async_callback(page.close)
        yield Demo(page, set_stage, bot, panel, history)


async def demo(
    *,
    config: Path | None,
    port: int | None,
    browser: bool,
    keep: Path | None,
    transport: Transport = "socket",
    store: StoreKind = "sqlite",
) -> int:
    """Runs it until it is ended.

    Returns the exit code: 0; 1 when it could not be set up; 128 + the signal when it was ended before the
    page was there.

    Args:
        config: instead of the example that ships.
        port: the page's; None for the usual one, or the next that is free.
        browser: whether to open one.
        keep: a folder in which the history outlives this run.
        transport: how Slack reaches the bot.
        store: where the bot keeps its history.
    """
    plan = Plan(config=config, transport=transport, store=store)
    if keep is not None:
        plan = replace(plan, database=f"sqlite:///{os.path.abspath(keep)}/breakglass.db")  # noqa: PTH100, ASYNC240  asks no disk
    with _Interrupted() as interrupted:
        try:
            async with running(plan, narrator=Narrator(), port=port) as up:
                interrupted.code = 0
                _welcome(up.url, keep, await _about_the_browser(up.url, wanted=browser))
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            if interrupted.by is None:
                raise
        except (StageError, WheelMissing, BreakglassError, OSError, RuntimeError, TimeoutError) as error:
            if interrupted.by is None:  # else it is only what the ending broke
                print(f"breakglass: {error or type(error).__name__}", file=sys.stderr)
                return 1
    print("Ended; nothing is left running.", flush=True)
    return interrupted.code


class _Interrupted:
    """Turns the first signal into the cancelling of this task, and the next ones into a sentence."""

    def __init__(self) -> None:
        self.by: signal.Signals | None = None
        self.code = 1

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._come, number)
        return self

    def __exit__(self, *_: object) -> None:
        # One that comes while the process leaves must not turn a clean end into a death by signal.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
            if self.by is not None:
                signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _come(self, number: signal.Signals) -> None:
        if self.by is not None:
            print("Still ending what was begun; a moment, please.", flush=True)
            return
        self.by = number
        self.code = 0 if self.code == 0 else 128 + number
        print("\nEnding: the bot, the page, the database ...", flush=True)
        assert self._task is not None
        self._task.cancel()


async def _up(stage: Stage, beside: Beside, port: int | None, tell: Narrator) -> Page:
    """The page, at the port that was asked for, or near the usual one."""
    for wanted in [port] if port is not None else range(PORT, PORT + NEXT):
        page = Page(stage.sandbox, beside)
        try:
            await page.up(wanted)
        except OSError as error:
            if port is not None:
                raise _taken(port, error) from None
            continue
        if port is None and wanted != PORT:
            tell.say(f"port {PORT} is taken, so the page is at {wanted}")
        return page
    raise StageError(f"No port from {PORT} to {PORT + NEXT - 1} is free. Name one with --port.")


def _demand_free(port: int) -> None:
    """Asked before anything is begun: nobody waits for a demo that cannot be shown."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise _taken(port, error) from None


def _taken(port: int, error: OSError) -> StageError:
    return StageError(
        f"Port {port} cannot be used for the page ({error.strerror or error}). "
        "Name another with --port, or none: then a free one is found."
    )


def _welcome(url: str, keep: Path | None, browser: str) -> None:
    kept = f"The history is kept in {keep}." if keep else "Nothing is kept when it ends."
    print(
        f"\n  The page: {url}\n  {browser}\n"
        f"  It needs no network and no Slack account. {kept} Ctrl-C ends it.\n",
        flush=True,
    )


async def _about_the_browser(url: str, *, wanted: bool) -> str:
    if not wanted:
        return "Open it in a browser."
    if await _opened(url):
        return "Your browser is opening it."
    return "No browser could be opened here: type the address into one."


async def _opened(url: str) -> bool:
    """Whether a browser took it. One that needs the terminal is started only where BROWSER names it."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform == "linux" and not any(os.environ.get(name) for name in screens):
        return False
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    def told(took: bool) -> None:
        if not answer.done():
            answer.set_result(took)

    def ask() -> None:
        took = webbrowser.open(url)
        with suppress(RuntimeError):  # the demo has ended meanwhile
            loop.call_soon_threadsafe(told, took)

    # Not the loop's own threads: it would wait for a browser that runs until it is closed.
    threading.Thread(target=ask, daemon=True).start()
    await asyncio.wait([answer], timeout=BROWSER_WITHIN)
    return answer.result() if answer.done() else True
