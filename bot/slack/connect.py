"""To Slack and from it: the Web API's client, whose token it is, and what a transport is."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple, Protocol

from aiohttp import ClientConnectorError, web
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


class Us(NamedTuple):
    """Whose token it is: the workspace, the bot that posts, and the user it is in channels."""

    team: str
    bot_id: str
    user_id: str


async def who_we_are(client: AsyncWebClient, pause: Pause = asyncio.sleep) -> Us:
    """What the token says; waits for as long as Slack is not there, or refuses the token.

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
            return Us(str(answer["team_id"]), str(answer["bot_id"]), str(answer["user_id"]))
        await pause(wait)
        wait = min(wait * 2, LONGEST_WAIT)


class Transport(Protocol):
    """How Slack reaches us: `SocketMode` or `SignedHttp`."""

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

    async def watch(self) -> None:
        """Sees to it that it does, beside; raises when only another process could help."""
        ...
