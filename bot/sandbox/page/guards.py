"""Who may ask the page at all. Any page on the web can make a browser send requests to 127.0.0.1.

Rule: the name asked for is ours (DNS rebinding), whatever changes something comes from our own page (Origin),
and all but the page's own files takes the random key that only a reader of our page knows.
"""

import hmac
import secrets
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

BODY_LIMIT: Final = 64 * 1024
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_READS: Final = ("GET", "HEAD")
_NEEDS_NO_KEY: Final = ("/", "/files/{name}", "/beside/{name}")
_STREAM: Final = "/stream"


class Guards:
    """The checks before every handler; `port` is known once the server listens."""

    def __init__(self) -> None:
        self.key = secrets.token_urlsafe(24)
        self.port = 0

    @property
    def middleware(self) -> Middleware:
        """For aiohttp: asks before it lets a request through."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            if refusal := self._refusal(request):
                raise web.HTTPForbidden(text=refusal)
            return await handler(request)

        return guarded

    async def dress(self, _request: web.Request, response: web.StreamResponse) -> None:
        """Put the headers on an answer, whoever made it."""
        response.headers.update(HEADERS)

    def _refusal(self, request: web.Request) -> str | None:
        hosts = (f"127.0.0.1:{self.port}", f"localhost:{self.port}")
        if request.host not in hosts:
            return f"This page answers only at http://{hosts[0]}/."
        if request.method not in _READS and request.headers.get("Origin") != f"http://{request.host}":
            return "Only the page itself may do this."
        if _place(request) not in _NEEDS_NO_KEY and not self._knows_the_key(request):
            return "The key of this page is missing or old. Reload the page."
        return None

    def _knows_the_key(self, request: web.Request) -> bool:
        given = request.headers.get("X-Page-Key")
        if given is None and _place(request) == _STREAM:
            given = request.query.get("key")  # an EventSource sends no headers of its own
        return given is not None and hmac.compare_digest(given.encode(), self.key.encode())


def _place(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""
