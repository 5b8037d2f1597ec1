"""The wire log for the inspector: the last exchanges as JSON, without what must not stand on a projector.

Rule: an inspector may show who says what to whom; it never shows what would let its reader act as somebody.
Left out are tokens, signing secrets and addresses that are keys, by name and by value; what an app shows in a
window as a block of code (a credential, a set-up key) or remembers there; and codes typed into fields.
"""

import re
from collections.abc import Collection
from typing import Final

from bot.sandbox.apps import App
from bot.sandbox.kit.schema import Json
from bot.sandbox.wire import Exchange

LAST: Final = 300
HIDDEN: Final = "[hidden]"
_KEYS: Final = ("token", "response_url", "upload_url", "trigger_id", "private_metadata", "bot_access_token")
_CODE: Final = re.compile(r"(?=\S*\d)\S{6,}|\d{3}\s\d{3}")  # a one-time code, a token: one word with a digit
_TOKEN: Final = re.compile(r"\bx(?:ox[a-z]|app)-[\w-]+")


def shown(number: int, exchange: Exchange, secrets: Collection[str]) -> Json:
    """One exchange as the page gets it; `secrets` are the values that no text may hold."""
    args: object = exchange.args
    answer: object = exchange.answer
    if exchange.method == "apps.connections.open" and exchange.answer:
        answer = {**exchange.answer, "url": HIDDEN}
    if exchange.method.startswith("views.") or exchange.direction == "to_app":
        args, answer = _windowless(args), _windowless(answer)
    return {
        "id": str(number),
        "direction": exchange.direction,
        "method": exchange.method,
        "at": exchange.at,
        "status": exchange.status,
        "ok": _ok(exchange),
        "app_id": exchange.app_id,
        "args": _clean(args, secrets),
        "answer": _clean(answer, secrets),
    }


def secrets_of(apps: Collection[App], tokens: Collection[str]) -> frozenset[str]:
    """What no text of the log may hold."""
    own = {value for app in apps for value in (app.signing_secret, app.verification_token)}
    return frozenset({*own, *tokens})


def _ok(exchange: Exchange) -> bool | None:
    """Whether it went well; None while nobody has answered."""
    if exchange.answer is None:
        return None
    if exchange.direction == "to_slack" and "ok" in exchange.answer:
        return bool(exchange.answer["ok"])
    return exchange.status is None or 200 <= exchange.status < 300


def _clean(value: object, secrets: Collection[str]) -> object:
    if isinstance(value, dict):
        return {
            key: HIDDEN if key in _KEYS and part else _clean(part, secrets) for key, part in value.items()
        }
    if isinstance(value, list):
        return [_clean(part, secrets) for part in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return _TOKEN.sub(HIDDEN, value)
    return value


def _windowless(value: object) -> object:
    """The payload without what a window shows to one person as code, and without typed codes."""
    if isinstance(value, list):
        return [_windowless(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "rich_text_preformatted":
        return {**value, "elements": HIDDEN}
    if value.get("type") == "plain_text_input" and _CODE.fullmatch(str(value.get("value") or "").strip()):
        return {**value, "value": HIDDEN}
    return {key: _windowless(part) for key, part in value.items()}
