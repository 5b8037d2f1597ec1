"""What a person reads: entities resolved, mark-up of machines gone, block by block in the order shown."""

import re
from collections.abc import Iterator, Mapping

from bot.sandbox.kit.schema import Json

_ENTITY = re.compile(r"<([^<>]+)>")
_SKIPPED = ("type", "block_id", "action_id", "value", "url", "image_url", "style", "confirm", "options")
_REFERENCES = (("user", "user_id", "@"), ("usergroup", "usergroup_id", "@"), ("channel", "channel_id", "#"))
_SKIPPED_TOO = (
    "option_groups",
    "initial_option",
    "initial_options",
    "accessibility_label",
    "column_settings",
)


def plain(text: str, names: Mapping[str, str] | None = None) -> str:
    """Stored mrkdwn as its reader sees it; `names` maps ids of people, groups and channels to names."""
    shown = _ENTITY.sub(lambda found: _entity(found.group(1), names or {}), text)
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _entity(inner: str, names: Mapping[str, str]) -> str:
    head, _, label = inner.partition("|")
    if head.startswith("!date^"):
        return label or head
    if head.startswith("!subteam^"):
        group = head.removeprefix("!subteam^")
        return "@" + names.get(group, label.removeprefix("@") or group)
    if head[0] in "@#":
        return head[0] + names.get(head[1:], label or head[1:])
    if head.startswith("!"):
        return "@" + head[1:]
    return label or head


def human_text(blocks: list[Json], names: Mapping[str, str] | None = None) -> str:
    """All text of these blocks, one line for each text object."""
    return "\n".join(line for block in blocks for line in _lines(block, names or {}))


def _lines(value: object, names: Mapping[str, str]) -> Iterator[str]:
    if isinstance(value, list):
        for part in value:
            yield from _lines(part, names)
    elif isinstance(value, dict):
        yield from _object(value, names)


def _object(value: Json, names: Mapping[str, str]) -> Iterator[str]:
    kind = value.get("type")
    if kind in ("mrkdwn", "plain_text"):
        yield plain(value["text"], names)
    elif kind in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"):
        yield "".join(_inline(part, names) for part in value["elements"])
    elif kind == "raw_number":
        yield str(value.get("text", value["value"]))
    elif kind in ("raw_text", "markdown"):
        yield str(value["text"])
    elif kind == "image":
        yield str(value["alt_text"])
    else:
        for key, part in value.items():
            if key in _SKIPPED or key in _SKIPPED_TOO:
                continue
            if kind == "data_visualization" and key == "title":
                yield str(part)
            else:
                yield from _lines(part, names)


def _inline(part: Json, names: Mapping[str, str]) -> str:
    """One piece of rich text; ids become names."""
    for kind, key, sign in _REFERENCES:
        if part["type"] == kind:
            return sign + names.get(part[key], part[key])
    if part["type"] == "broadcast":
        return "@" + str(part["range"])
    if part["type"] == "emoji":
        return f":{part['name']}:"
    return str(part.get("text") or part.get("fallback") or part.get("url") or part.get("value", ""))
