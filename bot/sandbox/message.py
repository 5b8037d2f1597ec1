"""A message, its files, and the elements in it that a person can act on."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.sandbox.errors import CannotDoError
from bot.sandbox.kit import human_text, plain
from bot.sandbox.kit.schema import Json


@dataclass(frozen=True)
class File:
    """An uploaded file; `content` is None until its bytes have arrived."""

    id: str
    name: str
    length: int
    owner: str
    title: str = ""
    alt_text: str = ""
    content: bytes | None = field(default=None, repr=False)

    def to_json(self) -> Json:
        """As messages carry it."""
        return {
            "id": self.id,
            "name": self.name,
            "title": self.title,
            "size": self.length,
            "user": self.owner,
        }


@dataclass(frozen=True)
class Message:
    """A message as Slack stores it; `ephemeral_to` names the only person who sees it, outside the history."""

    channel: str
    ts: str
    text: str
    user: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    team: str | None = None
    blocks: tuple[Json, ...] = ()
    attachments: tuple[Json, ...] = ()
    metadata: Json | None = None
    thread_ts: str | None = None
    subtype: str | None = None
    edited: Json | None = None
    ephemeral_to: str | None = None
    client_msg_id: str | None = None
    broadcast: bool = False
    files: tuple[File, ...] = ()
    reactions: tuple[tuple[str, str], ...] = ()
    names: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def to_json(self, *, with_metadata: bool = True) -> Json:
        """As history and events carry it, without what it owes to its replies."""
        shape: Json = {"type": "message", "ts": self.ts, "text": self.text}
        for key in ("user", "bot_id", "app_id", "team", "thread_ts", "subtype", "edited", "client_msg_id"):
            if (value := getattr(self, key)) is not None:
                shape[key] = value
        if self.blocks:
            shape["blocks"] = list(self.blocks)
        if self.attachments:
            shape["attachments"] = list(self.attachments)
        if self.files:
            shape["files"] = [file.to_json() for file in self.files]
        if with_metadata and self.metadata:
            shape["metadata"] = self.metadata
        if self.reactions:
            shape["reactions"] = self._reactions()
        return shape

    def _reactions(self) -> list[Json]:
        by_name: dict[str, list[str]] = {}
        for name, user in self.reactions:
            by_name.setdefault(name, []).append(user)
        return [{"name": name, "users": users, "count": len(users)} for name, users in by_name.items()]

    def human_text(self) -> str:
        """What its reader sees: the blocks, or the text where there are none."""
        said = human_text(list(self.blocks), self.names) if self.blocks else plain(self.text, self.names)
        return "\n".join([said, *(file.title for file in self.files)]).strip("\n") if self.files else said

    def spoken(self) -> str:
        """What a screen reader or a notification says: the text alone."""
        return plain(self.text, self.names)

    def buttons(self) -> list[str]:
        """The visible texts of its buttons, in order."""
        return [plain(part["text"]["text"]) for part in self.elements() if part["type"] == "button"]

    def elements(self) -> list[Json]:
        """Everything in it that can be acted on; each carries the `block_id` it stands in."""
        return elements(list(self.blocks))

    @property
    def mentions(self) -> frozenset[str]:
        """Who is notified: ids, and `!channel`, `!here`, `!everyone`, wherever Slack would honour them."""
        honoured = " ".join([self.text, *_marked(list(self.blocks))]) if self.text or self.blocks else ""
        found = re.findall(
            r"<(?:@([UW][A-Z0-9]+)|!subteam\^([A-Z0-9]+)|(!(?:channel|here|everyone)))", honoured
        )
        return frozenset(part for match in found for part in match if part)


def _marked(value: object) -> list[str]:
    if isinstance(value, list):
        return [line for part in value for line in _marked(part)]
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            return [str(value["text"])]
        return [line for part in value.values() for line in _marked(part)]
    return []


def elements(blocks: list[Json]) -> list[Json]:
    """The interactive elements of these blocks in reading order, each with its `block_id` and its `label`."""
    found: list[Json] = []
    for block in blocks:
        place = {"block_id": block.get("block_id", "")}
        if block["type"] == "input":
            place |= {"label": plain(block["label"]["text"])}
            found.append({**block["element"], **place})
        elif block["type"] == "section" and block.get("accessory", {}).get("type", "image") != "image":
            place |= {"label": plain(block.get("text", {}).get("text", ""))}
            found.append({**block["accessory"], **place})
        elif block["type"] == "actions":
            found += [{**element, **place} for element in block["elements"]]
        found += elements(block.get("child_blocks", []))
    return found


def one_element(found: list[Json], label: str) -> Json:
    """The only element of that name; a person who sees two or none cannot press it."""
    if len(found) != 1:
        raise CannotDoError(f"{'no' if not found else len(found)} such elements: {label!r}")
    return found[0]
