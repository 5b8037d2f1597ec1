"""The Web API over HTTP: parse, let faults happen, authenticate, limit, check, run, answer.

Slack answers 200 to everything but rate limits and its own failures; the outcome is in `ok`.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from bot.sandbox.apps import App, Token
from bot.sandbox.arguments import Arguments, read_arguments
from bot.sandbox.clock import Clock
from bot.sandbox.errors import SlackError
from bot.sandbox.faults import Fault, Faults
from bot.sandbox.kit.schema import Json
from bot.sandbox.methods import METHODS, Call, Method
from bot.sandbox.modals import Modals
from bot.sandbox.rates import Rates
from bot.sandbox.wire import Exchange, Listener, WireLog
from bot.sandbox.workspace import Workspace

HTML = "<!DOCTYPE html><html><body>Something went wrong. We are looking into it.</body></html>"
NOBODY = Token("user", "", None)


@dataclass
class Api:
    """The handler of /api/{method}; everything it needs is passed in."""

    workspace: Workspace
    modals: Modals
    clock: Clock
    faults: Faults
    rates: Rates
    log: WireLog
    new_socket_url: Callable[[App], str]
    base_url: str = ""
    listeners: list[Listener] = field(default_factory=list)
    in_flight: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call, from bytes to bytes."""
        name = request.match_info["method"]
        given = await read_arguments(request)
        secret = _bearer(request) or str(given.values.pop("token", ""))
        token = self.workspace.tokens.get(secret)
        exchange = Exchange("to_slack", name, given.values, self.clock.now(), token.app_id if token else None)
        self.log.append(exchange)
        self.in_flight += 1
        try:
            return await self._answered(request, exchange, secret, given)
        finally:
            self.in_flight -= 1
            self._tell(exchange)

    async def _answered(
        self, request: web.Request, exchange: Exchange, secret: str, given: Arguments
    ) -> web.StreamResponse:
        fault = self.faults.take(exchange.method)
        await self._wait(fault)
        if fault is not None and (early := self._failed(request, fault, exchange)) is not None:
            return early
        status, answer, headers = self._outcome(exchange.method, secret, given)
        exchange.answer, exchange.status = answer, status
        if fault is not None and fault.kind == "cut_after_store":
            exchange.answer = None
            return _cut(request)
        headers["x-slack-req-id"] = secrets.token_hex(16)
        return web.json_response(answer, status=status, headers=headers)

    async def _wait(self, fault: Fault | None) -> None:
        pause = self.faults.latency + (fault.delay if fault is not None else 0)
        if pause:
            await self.clock.sleep(pause)

    def _failed(self, request: web.Request, fault: Fault, exchange: Exchange) -> web.StreamResponse | None:
        if fault.kind == "cut_before":
            return _cut(request)
        body: Json = {"ok": False, "error": fault.error}
        headers: dict[str, str] = {}
        if fault.kind == "ratelimited":
            body, headers, exchange.status = (
                {"ok": False, "error": "ratelimited"},
                _retry(fault.retry_after),
                429,
            )
        elif fault.kind in ("500", "503"):
            code = "fatal_error" if fault.kind == "500" else "service_unavailable"
            body, exchange.status = {"ok": False, "error": code}, int(fault.kind)
        elif fault.kind == "html":
            exchange.status = 503
            return web.Response(text=HTML, status=503, content_type="text/html")
        elif fault.kind == "error":
            exchange.status = 200
        else:
            return None
        exchange.answer = body
        return web.json_response(body, status=exchange.status, headers=headers)

    def _outcome(self, name: str, secret: str, given: Arguments) -> tuple[int, Json, dict[str, str]]:
        warnings = list(given.warnings)
        try:
            method, token = self._admitted(name, secret, given)
            app = self.workspace.apps.get(token.app_id or "")
            if (wait := self._limit(method, token, given.values)) is not None:
                return 429, {"ok": False, "error": "ratelimited"}, _retry(wait)
            call = Call(
                args=given.values,
                token=token,
                app=app,
                workspace=self.workspace,
                modals=self.modals,
                base_url=self.base_url,
                new_socket_url=self.new_socket_url,
            )
            body = _run(method, call)
        except SlackError as error:
            answer: Json = {"ok": False, "error": error.code, **error.extra}
            if error.messages:
                answer["response_metadata"] = {"messages": list(error.messages)}
            return 200, _warned(answer, warnings), {}
        warnings += [f"unknown_argument:{extra}" for extra in sorted(set(given.values) - method.args)]
        held = app.scopes if app is not None and token.kind == "bot" else ()
        scopes = {"x-oauth-scopes": ",".join(sorted(held))} if held else {}
        return 200, _warned({"ok": True, **body}, warnings), scopes

    def _admitted(self, name: str, secret: str, given: Arguments) -> tuple[Method, Token]:
        """The method and who calls it, when it is readable, exists, and they may call it at all."""
        if given.error is not None:
            raise SlackError(given.error)
        method = METHODS.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        return method, self._token(secret, method)

    def _token(self, secret: str, method: Method) -> Token:
        if not secret:
            if "none" in method.tokens:
                return NOBODY
            raise SlackError("not_authed")
        token = self.workspace.tokens.get(secret)
        if token is None:
            raise SlackError("invalid_auth")
        if token.state == "revoked":
            raise SlackError("token_revoked")
        user = self.workspace.users.get(token.user_id)
        if user is not None and user.deleted:
            raise SlackError("account_inactive")
        if token.kind not in method.tokens:
            raise SlackError("not_allowed_token_type")
        return token

    def _limit(self, method: Method, token: Token, args: Json) -> int | None:
        caller, now = token.app_id or token.user_id, self.clock.now()
        if method.name == "chat.postMessage":
            return self.rates.wait_to_post(caller, str(args.get("channel")), now)
        return self.rates.wait(caller, method.name, method.tier, now) if method.tier else None

    def _tell(self, exchange: Exchange) -> None:
        for listener in self.listeners:
            listener(exchange)
        self.workspace.pulse.beat()


def _run(method: Method, call: Call) -> Json:
    if method.scope:
        call.need(method.scope)
    missing = [name for name in method.required if call.args.get(name) in (None, "")]
    if missing:
        messages = [f"[ERROR] missing required field: {name} [json-pointer:/{name}]" for name in missing]
        raise SlackError("invalid_arguments", messages)
    return method.run(call)


def _warned(answer: Json, warnings: list[str]) -> Json:
    if not warnings:
        return answer
    metadata = {**answer.get("response_metadata", {}), "warnings": warnings}
    return {**answer, "warning": ",".join(warnings), "response_metadata": metadata}


def _retry(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def _bearer(request: web.Request) -> str:
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if kind == "Bearer" else ""


def _cut(request: web.Request) -> web.StreamResponse:
    """End the connection without a word; the response below never reaches anybody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
