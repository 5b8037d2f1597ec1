"""From Slack to the app: who gets an event, by which way, and how often it is tried.

An app hears of what it subscribed to, where it holds the scope and its bot is a member; the rest is dropped.
Events are retried (at once, after a minute, after five); commands and interactions never are. Everything has
three seconds.
"""

import secrets
from dataclasses import dataclass, field
from itertools import count

from bot.sandbox.apps import App
from bot.sandbox.clock import Clock, within
from bot.sandbox.errors import NoAnswerError
from bot.sandbox.faults import Faults
from bot.sandbox.kit.schema import Json
from bot.sandbox.records import Channel
from bot.sandbox.signing import DeliveryError, Reason, SignedHttp
from bot.sandbox.sockets import Sockets
from bot.sandbox.tasks import Tasks
from bot.sandbox.wire import Exchange, WireLog
from bot.sandbox.workspace import Workspace

ACK = 3.0
RETRY_AFTER = (0.0, 60.0, 300.0)  # seconds after the first attempt (docs.slack.dev/apis/events-api)

_TYPE_SCOPES = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}
_SUBSCRIPTIONS = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}
_MEMBERS_ONLY = ("message", "member_joined_channel", "member_left_channel", "reaction_added")
_SCOPES = {
    "user_change": "users:read",
    "team_join": "users:read",
    "subteam_members_changed": "usergroups:read",
    "subteam_updated": "usergroups:read",
    "reaction_added": "reactions:read",
    "app_home_opened": None,
    "app_uninstalled": None,
    "tokens_revoked": None,
}


@dataclass
class Delivery:
    """Carries events and interactions to apps; `in_flight` were sent and not yet answered."""

    workspace: Workspace
    clock: Clock
    faults: Faults
    sockets: Sockets
    http: SignedHttp
    log: WireLog
    tasks: Tasks
    in_flight: int = 0
    _ids: "count[int]" = field(default_factory=count)
    _held: list[tuple[App, Json]] = field(default_factory=list)

    # --- events

    def announce(self, event: Json, channel: Channel | None, only: App | None) -> None:
        """Tell every app (or only this one) that may hear of it."""
        for app in self.workspace.apps.values():
            if only in (None, app) and hears(app, event, channel):
                self._start(app, self._envelope(app, event))

    def _start(self, app: App, envelope: Json) -> None:
        plan = self.faults.take_event()
        if plan == "lose":
            return
        if plan == "reorder":
            self._held.append((app, envelope))
            return
        self.tasks.spawn(self._deliver(app, envelope))
        if plan == "duplicate":
            self.tasks.spawn(self._deliver(app, envelope))
        held, self._held = self._held, []
        for late in held:
            self.tasks.spawn(self._deliver(*late))

    def _envelope(self, app: App, event: Json) -> Json:
        team = self.workspace.team.id
        return {
            "token": app.verification_token,
            "team_id": team,
            "api_app_id": app.app_id,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev0SBX{next(self._ids):06d}",
            "event_time": int(self.clock.now()),
            "event_context": f"4-{app.app_id}",
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": team,
                    "user_id": app.bot_user_id,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": False,
        }

    async def _deliver(self, app: App, envelope: Json) -> None:
        born = self.clock.now()
        failure: DeliveryError | None = None
        for attempt in range(1 + len(RETRY_AFTER)):
            if attempt:
                await self.clock.sleep(max(0.0, born + RETRY_AFTER[attempt - 1] - self.clock.now()))
            try:
                await self._attempt(app, envelope, attempt, failure.reason if failure else None)
            except DeliveryError as error:
                failure = error
                if error.final:
                    return
            else:
                return

    async def _attempt(self, app: App, envelope: Json, attempt: int, reason: Reason | None) -> None:
        if app.socket_mode:
            retry = {"retry_attempt": attempt, "retry_reason": (reason or "").removeprefix("http_")}
            await self._by_socket(app, "events_api", envelope, retry, patient=True)
        else:
            headers = (
                {"x-slack-retry-num": str(attempt), "x-slack-retry-reason": str(reason)} if attempt else {}
            )
            await self._by_http(app, app.events_url, "events_api", envelope, headers)

    async def verify(self, app: App) -> bool:
        """Slack's first request to a new events URL: does the app echo the challenge?"""
        challenge = secrets.token_urlsafe(24)
        payload = {"type": "url_verification", "token": app.verification_token, "challenge": challenge}
        answer = await self._by_http(app, app.events_url, "events_api", payload, {})
        return challenge in (answer.get("challenge"), answer.get("text"))

    # --- interactions

    async def interact(self, app: App, kind: str, payload: Json, url: str | None = None) -> Json:
        """Ask the app once; its answer, or NoAnswerError with what the person is shown."""
        try:
            if app.socket_mode:
                return await self._by_socket(app, kind, payload, {}, patient=False)
            if url is None:
                raise NoAnswerError("app_missing_action_url", "the manifest names no address")
            return await self._by_http(app, url, kind, payload, {})
        except DeliveryError as error:
            raise NoAnswerError(_shown(error), error.reason) from error

    # --- the two ways

    async def _by_socket(self, app: App, kind: str, payload: Json, more: Json, *, patient: bool) -> Json:
        exchange = Exchange("to_app", kind, payload, self.clock.now(), app.app_id)
        frame = {"type": kind, "payload": payload, "accepts_response_payload": kind != "events_api", **more}

        async def send() -> Json:
            if patient:  # an event outlives the gap between two connections
                await self.sockets.arrival(app)
            self.log.append(exchange)
            self.in_flight += 1
            try:
                return await self.sockets.push(app, frame)
            finally:
                self.in_flight -= 1

        try:
            exchange.answer = await within(self.clock, ACK, send())
        except TimeoutError as error:
            raise DeliveryError("http_timeout") from error
        except ConnectionError as error:
            raise DeliveryError("connection_failed") from error
        finally:
            self.workspace.pulse.beat()
        return exchange.answer

    async def _by_http(
        self, app: App, url: str | None, kind: str, payload: Json, headers: dict[str, str]
    ) -> Json:
        exchange = Exchange("to_app", kind, payload, self.clock.now(), app.app_id)
        self.log.append(exchange)
        if url is None:
            raise DeliveryError("unknown_error", final=True)
        self.in_flight += 1
        try:
            return await within(self.clock, ACK, self.http.post(app, url, headers, exchange))
        except TimeoutError as error:
            raise DeliveryError("http_timeout") from error
        finally:
            self.in_flight -= 1
            self.workspace.pulse.beat()


def _shown(error: DeliveryError) -> str:
    """What a person reads when their command or click came to nothing."""
    if error.reason == "http_timeout":
        return "operation_timeout"
    if error.reason == "http_error":
        return "http_client_error" if error.status < 500 else "http_service_error"
    return "dispatch_failed"


def hears(app: App, event: Json, channel: Channel | None) -> bool:
    """Whether this app is told of this event."""
    kind = str(event["type"])
    name = f"message.{_SUBSCRIPTIONS[channel.kind]}" if kind == "message" and channel else kind
    scope = _scope(kind, channel)
    if name not in app.subscriptions or (scope is not None and scope not in app.scopes):
        return False
    if channel is None:
        return True
    inside = app.bot_user_id in channel.members
    members_only = channel.is_private or kind in _MEMBERS_ONLY or kind.endswith("_history_changed")
    return inside or not members_only


def _scope(kind: str, channel: Channel | None) -> str | None:
    if kind in _SCOPES:
        return _SCOPES[kind]
    family = (
        _TYPE_SCOPES[channel.kind] if channel else {"group": "groups"}.get(kind.partition("_")[0], "channels")
    )
    return f"{family}:{'history' if kind == 'message' or kind.endswith('_history_changed') else 'read'}"
