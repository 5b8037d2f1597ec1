"""Slack's own framework, set up so that nothing is hidden and nobody waits in vain.

Rules: Bolt's filter of our own events is off, because it would hide that somebody deleted an audit entry. An
interaction that arrives again is not acted on again; an event that could not be recorded is not acknowledged,
and is heard when Slack sends it again. Whatever fails, the person gets a sentence instead of Slack's
“dispatch_failed”, and the log gets no word of what they typed.

Bolt answers Slack when a listener returns (docs/decisions/007). So each of ours returns as soon as it has
acknowledged, and starts beside itself what comes after.
"""

import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.core import events as e
from bot.core.model import PersonId
from bot.slack import listeners
from bot.slack.listeners.counter import Aside, Counter, log_failure, outcome
from bot.slack.views import modals
from bot.slack.views.guide import FAILED, OTHER_TEAM, OUTDATED

__all__ = ["Aside", "Counter", "build_app"]

log = logging.getLogger(__name__)

REMEMBERED: Final = 10_000
"""Interactions and events known in memory; what changes state is also known in the database, for good."""

Next = Callable[[], Awaitable[BoltResponse]]


def build_app(counter: Counter, *more: Callable[[AsyncApp], None]) -> AsyncApp:
    """The app with all listeners, those of `more` too.

    Args:
        counter: what the listeners hold. Its client sends; Bolt only receives.
        more: each registers further listeners.
    """
    app = _HearsOnce(
        client=_receiving(counter.client),
        authorize=_authorize(counter.client),
        # `http.py` checks signatures before Bolt sees a word, with every secret there is; Bolt takes one.
        request_verification_enabled=False,
        ignoring_self_events_enabled=False,
        raise_error_for_unhandled_request=True,
        process_before_response=True,
    )
    app.use(_our_team(counter))
    app.error(_failed(counter, app.forget))
    listeners.register(app, counter)
    for register in more:
        register(app)
    return app


def _receiving(client: AsyncWebClient) -> AsyncWebClient:
    """The same Slack, without the token: Bolt would test that with a call before the first click."""
    return AsyncWebClient(
        base_url=client.base_url,
        timeout=client.timeout,
        ssl=client.ssl,
        proxy=client.proxy,
        retry_handlers=client.retry_handlers.copy(),
    )


def _authorize(client: AsyncWebClient) -> Callable[..., Awaitable[AuthorizeResult]]:
    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token=client.token)

    return authorize


# --- before any listener --------------------------------------------------------------------------------


def _our_team(counter: Counter) -> Callable[..., Awaitable[BoltResponse]]:
    """Only the workspace this installation is bound to is heard."""
    bound = ""

    async def our_team(context: AsyncBoltContext, body: dict[str, Any], next: Next) -> BoltResponse:
        nonlocal bound
        bound = bound or await counter.store.team()
        if bound and context.team_id == bound:
            return await next()
        log.warning("Something from workspace %s was not heard.", context.team_id)
        if _kind(body) == "event_callback":
            return BoltResponse(status=200, body="")
        await _note(counter, body, context, "other_team")
        return _sentence(body, OTHER_TEAM)

    return our_team


class _HearsOnce(AsyncApp):
    """The same interaction or event a second time is acknowledged, and that is all. Failures do not count.

    An event that is still being recorded is not: should that fail, Slack must send it once more.
    """

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401  Bolt's own, whatever they are
        super().__init__(**settings)
        self._seen: OrderedDict[str, bool] = OrderedDict()
        """Each, and whether it was heard to the end."""

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Bolt's answer to a payload. Middleware would not do: Bolt's ends before the listener begins."""
        key = _key(req.body)
        if not key:
            return await super().async_dispatch(req)
        if key in self._seen:
            later = _kind(req.body) == "event_callback" and not self._seen[key]
            return BoltResponse(status=503 if later else 200, body="")
        self._seen[key] = False
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        try:
            response = await super().async_dispatch(req)
        except BaseException:
            self.forget(req.body)
            raise
        if key in self._seen:
            self._seen[key] = True
        return response

    def forget(self, body: dict[str, Any]) -> None:
        """It failed: the next delivery is heard as if it were the first."""
        self._seen.pop(_key(body), None)


def _key(body: dict[str, Any]) -> str:
    return str(body.get("trigger_id") or body.get("event_id") or "")


# --- when something fails -------------------------------------------------------------------------------


def _failed(
    counter: Counter, forget: Callable[[dict[str, Any]], None]
) -> Callable[..., Awaitable[BoltResponse]]:
    """The last resort: listeners answer for themselves, this is for what never reached one."""

    async def failed(error: Exception, body: dict[str, Any], context: AsyncBoltContext) -> BoltResponse:
        if isinstance(error, BoltUnhandledRequestError):
            log.warning("Nobody listens to %s", _kind(body))
            sentence = OUTDATED
            await _note(counter, body, context, "outdated")
        else:
            log_failure(_kind(body), error)
            forget(body)
            if _kind(body) == "event_callback":
                return BoltResponse(status=500, body="")  # so that Slack sends it again
            sentence = FAILED
        return _sentence(body, sentence)

    return failed


async def _note(counter: Counter, body: dict[str, Any], context: AsyncBoltContext, code: str) -> None:
    """Records what somebody tried before any listener heard it. Slack's own events are nobody's attempt."""
    if _kind(body) != "event_callback":
        actor = PersonId(context.user_id or "unknown")
        attempt = e.AttemptRefused(actor=actor, verb=_kind(body), code=code)
        await outcome("A note", counter.store.note(attempt))


def _sentence(body: dict[str, Any], sentence: str) -> BoltResponse:
    """An answer that Slack shows for this kind of payload."""
    if _kind(body) == "event_callback":
        return BoltResponse(status=200, body="")
    if _kind(body) == "view_submission":
        shown = {"response_action": "update", "view": modals.refusal_modal(sentence)}
        headers: dict[str, str | Sequence[str]] = {"content-type": "application/json"}
        return BoltResponse(status=200, body=json.dumps(shown), headers=headers)
    return BoltResponse(status=200, body=sentence)


def _kind(body: dict[str, Any]) -> str:
    return str(body.get("type") or body.get("command") or "unknown")
