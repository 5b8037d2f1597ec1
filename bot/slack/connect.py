"""The Socket Mode connection: opened when everything else stands, closed before anything else goes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from aiohttp import ClientConnectorError
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

T = TypeVar("T")

LONGEST_WAIT: Final = 30.0
FINAL: Final = frozenset({"invalid_auth", "not_authed", "account_inactive", "token_revoked"})
"""Answers that waiting does not change."""


class LostConnection(AsyncConnectionErrorRetryHandler):
    """Once more after a lost connection, but never a post: it may have arrived, and `delivery` looks first."""

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
    """(team, bot id) of the token; waits for as long as Slack is not there.

    Raises:
        SlackApiError: the token is no good.
    """
    answer = await _persistently(client.auth_test, "Slack", pause)
    return str(answer["team_id"]), str(answer["bot_id"])


async def _persistently(ask: Callable[[], Awaitable[T]], what: str, pause: Pause) -> T:
    wait = 1.0
    while True:
        try:
            return await ask()
        except TROUBLE as error:
            if said(error) in FINAL:
                raise
            log.warning("%s does not answer (%s); again in %.0f s", what, said(error), wait)
        await pause(wait)
        wait = min(wait * 2, LONGEST_WAIT)


@asynccontextmanager
async def socket_mode(app: AsyncApp, app_token: Secret) -> AsyncIterator[None]:
    """Receives Slack's events while the block runs; reconnects by itself.

    Raises:
        SlackApiError: the app-level token is no good.
    """
    handler = AsyncSocketModeHandler(app, app_token.reveal())
    await _persistently(handler.connect_async, "Socket Mode", asyncio.sleep)
    try:
        yield
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]  # published without types
