"""The Socket Mode connection: opened when everything else stands, closed before anything else goes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

from aiohttp import ClientConnectorError, web
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.model import Secret
from bot.slack.people import TROUBLE, Pause, said

log = logging.getLogger(__name__)

LONGEST_WAIT: Final = 30.0
PING = 5.0
"""Seconds between two pings. A cut is noticed at the next, a silent connection after four."""

STALE: Final = 20.0
"""Seconds between two looks at the connection. Slack's addresses for one are good for 30 s, and once."""


class LostConnection(AsyncConnectionErrorRetryHandler):
    """Once more after a lost connection, but never a post: it may have arrived, `delivery` looks first."""

    async def _can_retry_async(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        if request.url.endswith("/chat.postMessage") and not isinstance(error, ClientConnectorError):
            return False
        return await super()._can_retry_async(state=state, request=request, response=response, error=error)


def web_client(token: Secret, api_url: str) -> AsyncWebClient:
    """Slack's Web API. Rate limits are waited out, as Slack says; a lost connection is tried once more.

    Server errors are not tried again here: the message may have been stored. `delivery` looks first.
    """
    return AsyncWebClient(
        token=token.reveal(),
        base_url=api_url,
        timeout=30,
        retry_handlers=[
            LostConnection(max_retry_count=1),
            AsyncRateLimitErrorRetryHandler(max_retry_count=5),
        ],
    )


async def who_we_are(client: AsyncWebClient, pause: Pause = asyncio.sleep) -> tuple[str, str]:
    """(team, bot id) of the token; waits for as long as Slack is not there, or refuses the token.

    A server that gave up over its token could not end what is held: it goes on without Slack.
    """
    wait = 1.0
    while True:
        try:
            answer = await client.auth_test()
        except TROUBLE as error:
            log.warning(
                "Slack does not let us in (%s); again in %.0f s. Nothing new is granted; what is held ends "
                "on time. If that is about the token, mend SLACK_BOT_TOKEN and restart.",
                said(error),
                wait,
            )
        else:
            return str(answer["team_id"]), str(answer["bot_id"])
        await pause(wait)
        wait = min(wait * 2, LONGEST_WAIT)


class Transport(Protocol):
    """How Slack reaches us."""

    @property
    def routes(self) -> Iterable[web.RouteDef]:
        """What of it is served over HTTP."""
        ...

    def closed(self) -> str | None:
        """Why nothing of Slack's arrives now, or None."""
        ...

    def hears(self, app: AsyncApp) -> AbstractAsyncContextManager[None]:
        """Takes to `app` what Slack sends, while the block runs."""
        ...


class SocketMode:
    """Over a WebSocket that we open."""

    routes = ()

    def __init__(self, app_token: Secret, pause: Pause = asyncio.sleep) -> None:
        self._app_token = app_token
        self._pause = pause

    def closed(self) -> str | None:
        """Why nothing of Slack's arrives now, or None."""
        return None

    def hears(self, app: AsyncApp) -> AbstractAsyncContextManager[None]:
        """Takes to `app` what Slack sends, while the block runs."""
        return socket_mode(app, self._app_token, self._pause)


@asynccontextmanager
async def socket_mode(app: AsyncApp, app_token: Secret, pause: Pause = asyncio.sleep) -> AsyncIterator[None]:
    """Receives Slack's events while the block runs. Connects beside the block, and again whenever it must."""
    handler = AsyncSocketModeHandler(app, app_token.reveal(), ping_interval=PING)
    connecting = handler.connect_async()  # type: ignore[no-untyped-call]  # published without types
    keeping = [asyncio.create_task(work) for work in (connecting, _renew_address(handler, pause))]
    try:
        yield
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
        await handler.close_async()  # type: ignore[no-untyped-call]  # published without types


async def _renew_address(handler: AsyncSocketModeHandler, pause: Pause) -> None:
    """The client goes on trying an address that it was given once, for ever; a used one never opens."""
    while True:
        await pause(STALE)
        if not await handler.client.is_connected():
            handler.client.wss_uri = None
