"""Socket Mode: a WebSocket that we open to Slack, watched, and replaced before it goes.

Rules: a new connection stands before the old one is let go, and the old one is read to its end: nothing is
lost in between. A connection that does not answer our pings is over; one on which not even our own posts come
back is replaced, however well it looks. What keeps us from Slack is said on `/ready`, with what to do, and
tried again for ever. A process that heard Slack before and does not get it back, although Slack answers it
otherwise, or that fails in a way nobody foresaw, ends itself, so that its supervisor starts it anew.

slack-sdk's own client is not used: it closes the old connection before it opens the next, goes on trying an
address that opens only once, and trusts one on which nothing arrives for good (bolt-python issue 1529).
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.errors import BreakglassError
from bot.core.model import Secret
from bot.slack.connection import SAID, Connection, NoConnection
from bot.slack.echo import Echo
from bot.slack.people import TROUBLE, Pause, said

log = logging.getLogger(__name__)

PING: Final = 5.0
"""Seconds between two pings. A connection that does not answer one within half of that is over."""

OVERLAP: Final = 10.0
"""Seconds for which an old connection is still read. Slack warns about ten seconds before it closes one."""

SOON: Final = 1.0
"""Seconds until the second attempt; twice as long until each further one."""

LONGEST: Final = 30.0
"""Seconds until the next attempt at most, while Slack does not answer."""

SLOWLY: Final = 60.0
"""Seconds until the next attempt after Slack said what somebody must mend."""

STEADY: Final = 10.0
"""Seconds after which a connection was a good one, and the next is made without waiting."""

LOOK: Final = 5.0
"""Seconds between two looks of the watchdog."""

REPLACE_EVERY: Final = 300.0
"""Seconds between two connections that are replaced because nothing arrives."""

LAST_RESORT: Final = 900.0
"""Seconds without anything arriving, though the Web API answers, after which the process ends itself."""

NOTHING: Final = "nothing that people do in Slack arrives"
CUT: Final = f"{NOTHING}: the connection was cut. It is made again."

SURE: Final = 2
"""Posts of ours that did not come back, after which it is no chance."""

PASSING: Final = frozenset(
    {"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "unknown"}
)
"""Slack's errors that go by themselves. Any other is an answer, and waits for somebody to mend something."""


class LostSlack(BreakglassError):
    """The last resort: this process does not get its connection back, and another one may."""


class SocketMode:
    """Keeps one good connection, as long as `hears` runs.

    Args:
        client: asks, for the watchdog, whether Slack answers at all.
        app_token: opens connections.
        echo: told of everything that arrives; knows when something should have.
        pause: waits between two attempts.
        ping: seconds between two pings.
    """

    routes = ()

    def __init__(
        self,
        client: AsyncWebClient,
        app_token: Secret,
        echo: Echo,
        pause: Pause = asyncio.sleep,
        ping: float = PING,
    ) -> None:
        self._client = client
        self._app_token = app_token
        self._echo = echo
        self._pause = pause
        self._ping = ping
        self._keeping: asyncio.Task[None] | None = None
        self._now: Connection | None = None
        self._trouble = f"{NOTHING} yet."
        self._needs_mending = False
        self._lost_since: float | None = None
        self._replace_at = 0.0
        self._old: set[asyncio.Task[None]] = set()

    def closed(self) -> str | None:
        """Why nothing arrives now, or None."""
        if self._now is None or self._now.over.is_set():
            return self._trouble
        if self._echo.is_deaf():
            return f"{NOTHING}: the connection stands, and not even our own posts come back. It is replaced."
        return None

    @property
    def _had_one(self) -> bool:
        """This process heard Slack before. Where it never did, another one would not either."""
        return self._echo.ever

    @asynccontextmanager
    async def hears(self, app: AsyncApp) -> AsyncIterator[None]:
        """Takes to `app` what arrives, while the block runs. Connects beside the block."""
        self._keeping = keeping = asyncio.create_task(self._keep(app))
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            if self._now is not None:
                await self._now.close()
            for task in self._old:
                task.cancel()
            await asyncio.gather(*self._old, return_exceptions=True)

    # --- keeping one ------------------------------------------------------------------------------------

    async def _keep(self, app: AsyncApp) -> None:
        wait = SOON
        while True:
            try:
                connection = await self._open(app)
            except NoConnection as error:
                wait = await self._wait_after(error, wait)
                continue
            old, self._now = self._now, connection
            if old is None or old.over.is_set():
                self._echo.forget()  # what was posted meanwhile, Slack may tell minutes later
            if old is not None:
                task = asyncio.create_task(self._let_go(old))
                self._old.add(task)
                task.add_done_callback(self._old.discard)
            since = self._echo.clock()
            self._trouble, self._needs_mending = CUT, False
            await connection.leaving.wait()
            if connection.because in SAID:
                refusal = NoConnection(SAID[connection.because], needs_mending=True)
                wait = await self._wait_after(refusal, wait)
            elif self._echo.clock() - since > STEADY:
                wait = SOON
            else:
                await self._pause(wait)
                wait = min(wait * 2, LONGEST)

    async def _wait_after(self, error: NoConnection, wait: float) -> float:
        """Says why there is none, waits, and returns how long to wait the next time."""
        if self._trouble != f"{NOTHING}: {error}":
            log.warning("Slack lets us open no connection: %s What is held ends on time.", error)
        self._trouble, self._needs_mending = f"{NOTHING}: {error}", error.needs_mending
        await self._pause(SLOWLY if error.needs_mending else wait)
        return min(wait * 2, LONGEST)

    async def _open(self, app: AsyncApp) -> Connection:
        try:
            answer = await app.client.apps_connections_open(app_token=self._app_token.reveal())
        except SlackApiError as error:
            if (word := said(error)) in PASSING:
                raise NoConnection(f"Slack says {word}.") from None
            raise NoConnection(
                f"Slack refuses SLACK_APP_TOKEN ({word}). Make a new one in the app's settings, with the "
                "scope connections:write, and restart.",
                needs_mending=True,
            ) from None
        except TROUBLE as error:
            raise NoConnection(f"Slack does not answer ({type(error).__name__}).") from None
        return await Connection.open(app, str(answer["url"]), self._echo, self._ping)

    async def _let_go(self, old: Connection) -> None:
        """Reads the old one to its end: Slack may have sent something on it before it knew of the new one."""
        try:
            waiting = asyncio.ensure_future(self._pause(OVERLAP))
            ended = asyncio.create_task(old.over.wait())
            await asyncio.wait({waiting, ended}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            ended.cancel()
        finally:
            await old.close()

    # --- the watchdog -----------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Replaces a connection on which nothing arrives; runs beside, until cancelled.

        Raises:
            LostSlack: the last resort.
            Exception: whatever nobody foresaw and keeps no connection any more; only another process could.
        """
        while True:
            await self._pause(LOOK)
            if self._keeping is not None and self._keeping.done():
                self._keeping.result()
            if self.closed() is None or self._needs_mending:
                self._lost_since = None
                continue
            now = self._echo.clock()
            if self._lost_since is None:
                self._lost_since = now
            if self._echo.is_deaf():
                self._replace(now)
            is_long = now - self._lost_since > LAST_RESORT
            if is_long and self._had_one and not self._is_in_doubt() and await self._slack_answers():
                raise LostSlack(
                    "Slack answers, but nothing of it has arrived for a quarter of an hour, on any "
                    "connection. This process ends, so that a new one can try."
                )

    def _replace(self, now: float) -> None:
        if self._now is not None and now >= self._replace_at:
            self._replace_at = now + REPLACE_EVERY
            log.warning("Nothing arrives on the connection to Slack; it is replaced.")
            self._now.leave("deaf")

    def _is_in_doubt(self) -> bool:
        """A connection stands, and one post that did not come back may have been lost on Slack's side."""
        return self._now is not None and not self._now.over.is_set() and self._echo.unheard < SURE

    async def _slack_answers(self) -> bool:
        try:
            await self._client.auth_test()
        except TROUBLE:
            return False
        return True
