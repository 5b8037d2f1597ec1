"""HTTP mode: requests signed as Slack signs them, and what an app's answer to one means."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlencode

import aiohttp

from bot.sandbox.apps import App
from bot.sandbox.faults import Faults
from bot.sandbox.kit.schema import Json
from bot.sandbox.wire import Exchange

REDIRECTS = 2
Reason: TypeAlias = Literal[
    "http_timeout", "too_many_redirects", "connection_failed", "ssl_error", "http_error", "unknown_error"
]


class DeliveryError(Exception):
    """A delivery that failed; `final` when the app asked for no retry, `status` when it answered at all."""

    def __init__(self, reason: Reason, *, final: bool = False, status: int = 0) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.final = final
        self.status = status


@dataclass
class SignedHttp:
    """Sends signed requests. Timestamps are real time: the receiver compares them with its own clock."""

    session: aiohttp.ClientSession
    faults: Faults

    async def post(self, app: App, url: str, headers: dict[str, str], log: Exchange) -> Json:
        """Deliver the payload that `log` holds; the answer as a dictionary, or DeliveryError."""
        body, content_type = encoded(log.method, log.args)
        stamp = str(int(time.time() + self.faults.skew))
        signed = {
            **headers,
            "Content-Type": content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": signature(app.signing_secret, stamp, body),
        }
        if self.faults.tamper:
            body = body[:-1] + bytes([body[-1] ^ 1])
        log.url, log.headers, log.body = url, signed, body
        return await self.send(log)

    async def send(self, log: Exchange) -> Json:
        """Send the very request that `log` describes, again if need be: a replay."""
        try:
            async with self.session.post(
                log.url, data=log.body, headers=dict(log.headers), max_redirects=REDIRECTS
            ) as answer:
                log.status = answer.status
                text = await answer.text()
                if not 200 <= answer.status < 300:
                    final = answer.headers.get("x-slack-no-retry") == "1"
                    raise DeliveryError("http_error", final=final, status=answer.status)
                log.answer = _read(text, answer.content_type)
                return log.answer
        except aiohttp.TooManyRedirects as error:
            raise DeliveryError("too_many_redirects") from error
        except aiohttp.ClientSSLError as error:
            raise DeliveryError("ssl_error") from error
        except aiohttp.ClientConnectionError as error:
            raise DeliveryError("connection_failed") from error
        except aiohttp.ClientError as error:
            raise DeliveryError("unknown_error") from error


def signature(secret: str, stamp: str, body: bytes) -> str:
    """v0 signature (docs.slack.dev/authentication/verifying-requests-from-slack)."""
    return "v0=" + hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()


def encoded(kind: str, payload: Json) -> tuple[bytes, str]:
    """The body and content type of each kind of request."""
    if kind == "events_api":
        return json.dumps(payload).encode(), "application/json"
    fields = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
    return urlencode(fields).encode(), "application/x-www-form-urlencoded"


def _read(text: str, content_type: str) -> Json:
    """An answer of the app; what is no JSON object is text to be shown."""
    if content_type == "application/json":
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        if isinstance(body, dict):
            return body
    return {"text": text} if text else {}
