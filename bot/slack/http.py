"""Slack over HTTP: `POST /slack/events`, where only what Slack signed gets any further.

Rules: the signature over the raw body is checked before a byte of it is parsed, and who fails it is told
nothing. The same signed request acts once: it is remembered in the database, so that neither a restart nor a
second server forgets it. Until Slack is met nothing is taken; Slack tries its events again. Whatever is
refused is counted, and logged at most once a minute, without a word of what was sent.

TLS is a proxy's business: this listens where `[http] listen` says, on a private address.
"""

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.signature import Clock, SignatureVerifier

from bot.core.model import Secret
from bot.slack.echo import Echo
from bot.store import DatabaseTrouble, Duplicate, Store, also

log = logging.getLogger(__name__)

PATH: Final = "/slack/events"

LARGEST: Final = 1024 * 1024
"""Bytes of a body. The largest thing that Slack sends back is a window of at most 250 kB (docs.slack.dev,
views.open, `view_too_large`); in a form each of its bytes may take three; what people typed comes on top."""

IN_TIME: Final = 3.0
"""Seconds that Slack waits for an answer (docs.slack.dev, apis/events-api): later, nobody reads it."""

SAY_EVERY: Final = 60.0
"""Seconds between two lines in the log about refused requests, however many there are."""

CONTENT_TYPES: Final = frozenset({"application/json", "application/x-www-form-urlencoded"})


class _Now(Clock):
    """The verifier's clock, passed in."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now  # type: ignore[method-assign]  # the verifier asks for exactly this


class SignedHttp:
    """Takes Slack's requests to real Bolt.

    Args:
        store: remembers what was taken.
        secrets: any of them may have signed; two while the secret is changed.
        echo: told of everything that arrives; knows when something should have.
        clock: seconds since 1970, to which Slack's timestamps are held (300 s either way).
    """

    def __init__(
        self, store: Store, secrets: Sequence[Secret], echo: Echo, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._echo = echo
        self._verifiers = [SignatureVerifier(secret.reveal(), _Now(clock)) for secret in secrets]
        self._clock = clock
        self._app: AsyncApp | None = None
        self._answering: set[asyncio.Task[object]] = set()
        self.refused: Counter[str] = Counter()
        """What was refused since the start, by reason."""
        self.taken = 0
        """How many requests were Slack's, and new."""
        self._unsaid: Counter[str] = Counter()
        self._silent_until = 0.0

    @property
    def routes(self) -> list[web.RouteDef]:
        """What the web server needs to know."""
        return [web.post(PATH, self._receive)]

    def closed(self) -> str | None:
        """Why nothing is taken now, or None."""
        if self._app is None:
            return "nothing that people do in Slack arrives yet."
        if self._echo.is_deaf():
            return (
                "nothing that people do in Slack arrives, not even our own posts come back. Compare the "
                f"Request URLs in the app's settings with the proxy that leads to {PATH} here."
            )
        return None

    async def watch(self) -> None:
        """Nothing to watch: Slack comes to us."""

    @asynccontextmanager
    async def hears(self, app: AsyncApp) -> AsyncIterator[None]:
        """Takes requests while the block runs; those that are inside at its end are answered first."""
        self._app = app
        self._echo.forget()  # Slack tries again later what it could not deliver until now
        try:
            yield
        finally:
            self._app = None
            if self._answering:
                await asyncio.wait(self._answering, timeout=IN_TIME)

    # --- one request ------------------------------------------------------------------------------------

    async def _receive(self, request: web.Request) -> web.Response:
        app, task = self._app, asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            body, signature = await self._signed_body(request)
            said = _parsed(body, request)
            return await self._dispatch(app, said, signature)
        except _Refusal as refusal:
            self._count(refusal.because)
            return web.Response(status=refusal.status)
        finally:
            self._answering.discard(task)

    async def _signed_body(self, request: web.Request) -> tuple[bytes, str]:
        """The raw body and its signature. What cannot be right is refused before its body is read."""
        stamp, signature = _only(request, "X-Slack-Request-Timestamp"), _only(request, "X-Slack-Signature")
        if not re.fullmatch(r"[0-9]{1,12}", stamp) or not re.fullmatch(r"v0=[0-9a-f]{64}", signature):
            raise _Refusal(401, "no signature")
        if (request.content_length or 0) > LARGEST:
            raise _Refusal(413, "too large")
        try:
            async with asyncio.timeout(IN_TIME):
                body = await request.clone(client_max_size=LARGEST).read()
        except web.HTTPRequestEntityTooLarge:  # it had not said so beforehand
            raise _Refusal(413, "too large") from None
        except TimeoutError:
            raise _Refusal(408, "too slow") from None
        if not self._is_signed(body, stamp, signature):
            raise _Refusal(401, "wrong signature or time")
        return body, signature

    def _is_signed(self, body: bytes, stamp: str, signature: str) -> bool:
        try:
            return any(verifier.is_valid(body, stamp, signature) for verifier in self._verifiers)
        except UnicodeDecodeError:  # Slack writes UTF-8, and the verifier reads it
            return False

    async def _dispatch(self, app: AsyncApp | None, said: AsyncBoltRequest, signature: str) -> web.Response:
        if app is None:
            raise _Refusal(503, "not ready")
        try:
            # Slack signs each delivery anew, a retry too. The same signature again is a copy, somebody's or a
            # proxy's of ours: it is told what an event is told, and nothing happens.
            await self._store.do(also.first_time(f"http:{signature}"))
        except Duplicate:
            raise _Refusal(200, "replayed") from None
        except DatabaseTrouble:
            raise _Refusal(503, "database") from None
        self.taken += 1
        self._echo.heard()
        return await to_aiohttp_response(await app.async_dispatch(said))

    # --- refusing ---------------------------------------------------------------------------------------

    def _count(self, because: str) -> None:
        self.refused[because] += 1
        self._unsaid[because] += 1
        now = self._clock()
        if now >= self._silent_until:
            self._silent_until = now + SAY_EVERY
            counts = ", ".join(f"{reason}: {count}" for reason, count in sorted(self._unsaid.items()))
            hint = "" if self.taken else " None was good since the start: compare SLACK_SIGNING_SECRET."
            log.warning("Requests refused at %s since the last such line: %s.%s", PATH, counts, hint)
            self._unsaid.clear()


class _Refusal(Exception):
    def __init__(self, status: int, because: str) -> None:
        super().__init__(because)
        self.status, self.because = status, because


def _only(request: web.Request, header: str) -> str:
    """The one value of a header; empty where it is missing, or there twice and nobody knows which holds."""
    values = request.headers.getall(header, [])
    return values[0] if len(values) == 1 else ""


def _parsed(body: bytes, request: web.Request) -> AsyncBoltRequest:
    """The request as Bolt reads it."""
    if request.content_type not in CONTENT_TYPES:
        raise _Refusal(415, "content type")
    try:
        said = AsyncBoltRequest(body=body.decode(), headers=dict(request.headers))
    except (ValueError, RecursionError, TypeError, AttributeError, LookupError):
        raise _Refusal(400, "not understood") from None
    known = ("type", "command", "ssl_check")
    if not isinstance(said.body, dict) or not any(isinstance(said.body.get(word), str) for word in known):
        raise _Refusal(400, "not understood")
    return said
