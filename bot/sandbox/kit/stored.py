"""What Slack makes of what was sent.

An app never gets back what it posted: bare `&` and `<` become entities, addresses become links, emoji become
`:codes:`, missing ids are invented and defaults filled in. A program that compares texts raises false alarms,
and here it does so in a test.
"""

import re
import secrets
import string as letters
import unicodedata

from bot.sandbox.kit.schema import Json

# Codes that do not follow from the Unicode name; the rest is derived from it.
_CODES = {
    "✅": "white_check_mark",
    "❌": "x",
    "⚠": "warning",
    "🚨": "rotating_light",
    "🔒": "lock",
    "🔓": "unlock",
    "🔑": "key",
    "⏳": "hourglass_flowing_sand",
    "⌛": "hourglass",
    "🎉": "tada",
    "👍": "+1",
    "👎": "-1",
    "🔴": "red_circle",
    "🟢": "large_green_circle",
    "🟡": "large_yellow_circle",
    "🛑": "octagonal_sign",
    "🔥": "fire",
    "👀": "eyes",
    "📌": "pushpin",
    "🧯": "fire_extinguisher",
}
_EMOJI = re.compile("[\u231a-\u23ff\u25fd\u25fe\u2600-\u27bf\u2b50\u2b55\U0001f300-\U0001faff]\ufe0f?")
_ENTITY = re.compile(r"<(?:[@#!][^<>]+|(?:https?|mailto|slack)[^<>\s][^<>]*)>")
_ADDRESS = re.compile(r"https?://[^\s<>|]+[^\s<>|.,;:!?)\]'\"]")
_ALPHABET = letters.ascii_letters + letters.digits


def invented_id() -> str:
    """An id of the kind Slack gives to blocks and actions without one."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(5))


def stored_text(text: str) -> str:
    """Mrkdwn text as Slack keeps it; applying it twice changes nothing more."""
    parts: list[str] = []
    position = 0
    for entity in _ENTITY.finditer(text):
        parts += [_linked(text[position : entity.start()]), entity.group()]
        position = entity.end()
    parts.append(_linked(text[position:]))
    return _coded("".join(parts))


def _escaped(text: str) -> str:
    bare = re.sub(r"&(?!amp;|lt;|gt;)", "&amp;", text)
    return bare.replace("<", "&lt;").replace(">", "&gt;")


def _linked(text: str) -> str:
    return _ADDRESS.sub(lambda found: f"<{found.group()}>", _escaped(text))


def _coded(text: str) -> str:
    return _EMOJI.sub(_code, text)


def _code(found: re.Match[str]) -> str:
    sign = found.group()[0]
    name = _CODES.get(sign) or unicodedata.name(sign, "").lower().replace(" ", "_").replace("-", "_")
    return f":{name}:" if name else found.group()


def stored_blocks(blocks: list[Json]) -> list[Json]:
    """Blocks as Slack keeps them: ids invented, defaults filled in, texts altered."""
    return [_stored_block(block) for block in blocks]


def stored_view(view: Json) -> Json:
    """A view as Slack keeps it; keys an app left out are there, empty."""
    empty = {"private_metadata": "", "callback_id": "", "external_id": "", "close": None, "submit": None}
    flags = {"clear_on_close": False, "notify_on_close": False}
    texts = {key: _walk(view[key]) for key in ("title", "submit", "close") if view.get(key)}
    return {**empty, **flags, **view, **texts, "blocks": stored_blocks(view["blocks"])}


def _stored_block(block: Json) -> Json:
    kept: Json = _walk(block)
    kept.setdefault("block_id", invented_id())
    for key in ("element", "accessory"):
        if key in kept and kept[key].get("type") != "image":
            kept[key].setdefault("action_id", invented_id())
    if kept["type"] == "actions":
        for element in kept["elements"]:
            element.setdefault("action_id", invented_id())
    if kept["type"] == "input":
        kept.setdefault("optional", False)
        kept.setdefault("dispatch_action", False)
    if "child_blocks" in kept:
        kept["child_blocks"] = [_stored_block(child) for child in kept["child_blocks"]]
    return kept


def _walk(value: object) -> Json:
    done = _walked(value)
    assert isinstance(done, dict)
    return done


def _walked(value: object) -> object:
    if isinstance(value, list):
        return [_walked(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "mrkdwn":
        return {**value, "text": stored_text(value["text"]), "verbatim": value.get("verbatim", False)}
    if value.get("type") == "plain_text":
        return {**value, "text": _coded(_escaped(value["text"])), "emoji": value.get("emoji", True)}
    return {key: _walked(part) for key, part in value.items()}
