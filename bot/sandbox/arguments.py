"""The arguments of a Web API call, in each of the encodings Slack takes: query, form, multipart, JSON.

In a form, structured arguments are JSON in a string; they are decoded here, so that no method has to ask.
"""

import json
from dataclasses import dataclass

from aiohttp import web

from bot.sandbox.kit.schema import Json

STRUCTURED = ("blocks", "view", "attachments", "metadata", "message", "files")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True)
class Arguments:
    """What was sent, warnings about the way it was sent, and the error when it could not be read."""

    values: Json
    warnings: tuple[str, ...] = ()
    error: str | None = None


async def read_arguments(request: web.Request) -> Arguments:
    """The arguments of this request."""
    query: Json = dict(request.query)
    if request.method == "GET":
        return Arguments(_decoded(query))
    charset = "charset" in request.headers.get("Content-Type", "")
    if request.content_type == "application/json":
        return _from_json(query, await request.read(), charset=charset)
    if request.content_type in FORMS:
        form = await request.post()
        values = query | {name: value for name, value in form.items() if isinstance(value, str)}
        return Arguments(_decoded(values), ("superfluous_charset",) if charset else ())
    unread = bool(await request.read())
    return Arguments(_decoded(query), error="invalid_post_type" if unread else None)


def _from_json(query: Json, raw: bytes, *, charset: bool) -> Arguments:
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        return Arguments(query, error="invalid_json")
    if not isinstance(body, dict):
        return Arguments(query, error="json_not_object")
    return Arguments(query | body, () if charset else ("missing_charset",))


def _decoded(values: Json) -> Json:
    for name in STRUCTURED:
        if isinstance(values.get(name), str):
            try:
                values[name] = json.loads(values[name])
            except ValueError:
                continue  # the method says in its own words that this is no JSON
    return values
