"""Words, names and moments as Slack payloads: made safe, cut to Slack's limits.

Rules: what people typed is shown as plain or rich text, never as mark-up, so that no mention, link or command
in it comes alive. Invisible characters are shown by their number. What is cut ends in a visible ellipsis.
Lengths are counted in UTF-16 units, as JavaScript counts them: never less than Slack counts.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from bot.core.model import OPERATOR, SYSTEM, PersonId, Words

Payload = dict[str, Any]
"""A piece of Block Kit, or the arguments of a message or a view."""

TEXT: Final = 3000
"""Characters in a text object (docs.slack.dev, text object)."""

MESSAGE: Final = 3800
"""Characters in a message's own text; chat.update refuses more than 4,000."""

LABEL: Final = 75
"""Characters on a button, in its accessibility label, in an option (docs.slack.dev, block elements)."""

ELLIPSIS: Final = "…"
NOTHING: Final = "–"  # noqa: RUF001  an en dash stands for "none", as in a table

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_BLANK_LETTERS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_PERSON: Final = re.compile(r"[UW][A-Z0-9]{2,}")
_GROUP: Final = re.compile(r"S[A-Z0-9]{2,}")


@dataclass(frozen=True, slots=True)
class Faces:
    """What people and roles are called. Empty is good enough: ids and names of roles stand in."""

    names: Mapping[PersonId, str] = field(default_factory=dict)
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Role -> ids of its people (`U...`) and user groups (`S...`), who are mentioned when it is asked."""

    def name(self, person: PersonId) -> str:
        """A short plain name, for places where a mention cannot stand. Not escaped."""
        if person in {SYSTEM, OPERATOR}:
            return "Breakglass" if person == SYSTEM else "the operator"
        return cut(one_line(self.names.get(person) or person), 40)

    def asked(self, roles: Sequence[str], most: int = 20) -> str:
        """Mentions of everyone in `roles`, as mrkdwn; the roles' names where nobody is known."""
        ids = list(dict.fromkeys(id for role in roles for id in self.roles.get(role, ())))
        if not ids:
            return escape(" or ".join(dict.fromkeys(roles)) or "nobody")
        more = f" and {len(ids) - most} more" if len(ids) > most else ""
        return " ".join(mention(id) for id in ids[:most]) + more


UNKNOWN: Final = Faces()


# --- making safe ----------------------------------------------------------------------------------------


def safe(text: str) -> str:
    """`text` in which nothing works unseen: a direction mark becomes `⟨U+202E⟩`, a run of them is counted."""
    shown: list[str] = []
    hidden, count = "", 0
    for char in text.replace("\r\n", "\n").replace("\t", " "):
        if char == hidden:
            count += 1
            continue
        if hidden:
            shown.append(_numbered(hidden, count))
        hidden, count = (char, 1) if _is_hidden(char) else ("", 0)
        if not hidden:
            shown.append(char)
    if hidden:
        shown.append(_numbered(hidden, count))
    return "".join(shown)


def _is_hidden(char: str) -> bool:
    return char != "\n" and (unicodedata.category(char) in _INVISIBLE or char in _BLANK_LETTERS)


def _numbered(char: str, count: int) -> str:
    return f"⟨U+{ord(char):04X}{f'×{count}' if count > 1 else ''}⟩"  # noqa: RUF001  "times", not the letter


def one_line(text: str) -> str:
    """Safe, and without line breaks."""
    return " ".join(safe(text).split())


def escape(text: str) -> str:
    """Foreign text as mrkdwn: no entity is left (docs.slack.dev, formatting: & < >), no address to link."""
    shown = safe(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return shown.replace("://", "[:]//")


# --- cutting --------------------------------------------------------------------------------------------


def length(text: str) -> int:
    """How long Slack may think this is."""
    return len(text) + sum(ord(char) > 0xFFFF for char in text)


def cut(text: str, limit: int) -> str:
    """`text`, or as much of it as fits with an ellipsis."""
    if length(text) <= limit:
        return text
    kept: list[str] = []
    room = limit - len(ELLIPSIS)
    for char in text:
        room -= length(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept).rstrip() + ELLIPSIS


def quoted(words: Words | str, limit: int) -> str:
    """People's words for a message's own text, in “quotes”: escaped, at most `limit` long, entities whole."""
    plain_words = safe(str(words)).strip()
    shown = escape(plain_words)
    while length(shown) > limit - 2:
        over = length(shown) - limit + 2
        plain_words = cut(plain_words, max(length(plain_words) - max(over // 5, 1), 1))
        shown = escape(plain_words)
    return f"“{shown}”"


# --- text objects ---------------------------------------------------------------------------------------


def plain(text: str, limit: int = TEXT) -> Payload:
    """A plain text object: nothing in it is ever active. Empty text becomes a dash, as Slack wants one."""
    return {"type": "plain_text", "text": cut(safe(text).strip() or NOTHING, limit), "emoji": False}


def mrkdwn(text: str, limit: int = TEXT) -> Payload:
    """Our own mark-up. Everything foreign in it went through `escape`, `mention` or `moment` before."""
    return {"type": "mrkdwn", "text": cut(text or NOTHING, limit), "verbatim": True}


def section(text: str) -> Payload:
    """A paragraph of our own mark-up."""
    return {"type": "section", "text": mrkdwn(text)}


def paragraph(text: str) -> Payload:
    """A paragraph of plain text, whoever wrote it."""
    return {"type": "section", "text": plain(text)}


def small(text: str) -> Payload:
    """A line in small print, plain."""
    return {"type": "context", "elements": [plain(text)]}


def alert(text: str, level: str = "info") -> Payload:
    """What must not be missed in a window, plain; messages cannot carry one (docs.slack.dev, alert block)."""
    return {"type": "alert", "level": level, "text": plain(text)}


def said(label: str, words: Words | str, limit: int = TEXT) -> Payload:
    """People's words under a label, as a quotation in rich text: shown to the letter, nothing comes alive."""
    text = cut(safe(str(words)).strip() or NOTHING, limit)
    heading = {"type": "text", "text": label, "style": {"bold": True}}
    return {
        "type": "rich_text",
        "elements": [
            {"type": "rich_text_section", "elements": [heading]},
            {"type": "rich_text_quote", "elements": [{"type": "text", "text": text}]},
        ],
    }


def verbatim(text: str) -> Payload:
    """Text to be copied, character by character."""
    inner = [{"type": "text", "text": text or NOTHING}]
    return {"type": "rich_text", "elements": [{"type": "rich_text_preformatted", "elements": inner}]}


# --- people and moments ---------------------------------------------------------------------------------


def mention(id: str) -> str:
    """A person or a user group, as mrkdwn that names (and, in a new message, notifies) them."""
    if id == SYSTEM:
        return "Breakglass"
    if id == OPERATOR:
        return "the operator (on the server)"
    if _GROUP.fullmatch(id):
        return f"<!subteam^{id}>"
    return f"<@{id}>" if _PERSON.fullmatch(id) else escape(one_line(id))


def moment(at: datetime) -> str:
    """A moment as mrkdwn, in each reader's own time zone."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{utc(at)}>"


def utc(at: datetime) -> str:
    """A moment where mrkdwn cannot stand: `2026-11-21 02:17 UTC`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def people_count(count: int) -> str:
    """`1 person`, `3 people`."""
    return "1 person" if count == 1 else f"{count} people"


def message(text: str, *blocks: Payload) -> Payload:
    """A message: its own text says everything, because screen readers and notifications read only that."""
    return {"text": cut(text, MESSAGE), **({"blocks": list(blocks)} if blocks else {})}
