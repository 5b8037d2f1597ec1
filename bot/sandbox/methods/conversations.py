"""conversations.*: reading and managing channels. A private channel the caller is not in does not exist."""

import re

from bot.sandbox.errors import SlackError
from bot.sandbox.kit.schema import Json
from bot.sandbox.message import Message
from bot.sandbox.methods.call import Call, method
from bot.sandbox.records import Channel

_TYPES = {"public_channel": "channel", "private_channel": "group", "im": "im", "mpim": "mpim"}
_WINDOW = "latest oldest inclusive limit cursor include_all_metadata"
_OPEN_BOUND = "9999999999.999999"


def _shape(call: Call, channel: Channel) -> Json:
    return channel.to_json(call.caller.id)


@method("conversations.info", tier=3, required="channel", args="include_num_members include_locale")
def info(call: Call) -> Json:
    """One channel."""
    channel = call.channel()
    call.need_for(channel, "read")
    shape = _shape(call, channel)
    return {
        "channel": shape | ({"num_members": len(channel.members)} if call.flag("include_num_members") else {})
    }


@method("conversations.members", tier=4, required="channel", args="cursor limit")
def members(call: Call) -> Json:
    """Who is in it."""
    channel = call.channel()
    call.need_for(channel, "read")
    users, more = call.page(channel.members, limit=100, most=1000)
    return {"members": users, **more}


@method("conversations.list", tier=2, args="types exclude_archived limit cursor team_id")
def list_(call: Call) -> Json:
    """The channels the caller can see, of the kinds asked for."""
    kinds = []
    for name in call.listed("types", "public_channel"):
        if name not in _TYPES:
            raise SlackError("invalid_types")
        kinds.append(_TYPES[name])
        call.need(
            {"channel": "channels:read", "group": "groups:read"}.get(_TYPES[name], f"{_TYPES[name]}:read")
        )
    seen = [
        channel
        for channel in call.workspace.channels.values()
        if channel.kind in kinds
        and (not channel.is_private or call.caller.id in channel.members)
        and not (call.flag("exclude_archived") and channel.is_archived)
    ]
    page, more = call.page(seen, limit=100, most=1000)
    return {"channels": [_shape(call, channel) for channel in page], **more}


def _readable(call: Call) -> Channel:
    channel = call.channel()
    call.need_for(channel, "history")
    if call.caller.id not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def _window(call: Call, found: list[Message]) -> list[Message]:
    oldest, latest = call.text("oldest", "0"), call.text("latest") or _OPEN_BOUND
    low, high = _ts(oldest), _ts(latest)
    if call.flag("inclusive"):
        return [message for message in found if low <= _ts(message.ts) <= high]
    return [message for message in found if low < _ts(message.ts) < high]


def _ts(text: str) -> tuple[int, int]:
    """Timestamps compare as numbers of two parts; as floats they lose the last digit."""
    if not re.fullmatch(r"\d+(\.\d{1,6})?", text):
        raise SlackError("invalid_ts_latest")
    seconds, _, micros = text.partition(".")
    return int(seconds), int(micros.ljust(6, "0") or 0)


def _listed(call: Call, message: Message) -> Json:
    shape = message.to_json(with_metadata=call.flag("include_all_metadata"))
    if replies := call.workspace.replies(message):
        writers = list(dict.fromkeys(reply.user for reply in replies))
        shape |= {
            "thread_ts": message.ts,
            "reply_count": len(replies),
            "reply_users": writers,
            "reply_users_count": len(writers),
            "latest_reply": replies[-1].ts,
        }
    pinned = call.workspace.pins.get(message.channel, [])
    return shape | ({"pinned_to": [message.channel]} if message.ts in pinned else {})


@method("conversations.history", tier=3, required="channel", args=_WINDOW)
def history(call: Call) -> Json:
    """Newest first, without replies; metadata only when asked for."""
    channel = _readable(call)
    found = [
        message
        for message in reversed(call.workspace.messages[channel.id].values())
        if message.thread_ts in (None, message.ts) or message.broadcast
    ]
    page, more = call.page(_window(call, found), limit=100, most=999)
    has_more = bool(more["response_metadata"]["next_cursor"])
    pins = len(call.workspace.pins.get(channel.id, []))
    shown = [_listed(call, message) for message in page]
    return {"messages": shown, "has_more": has_more, "pin_count": pins, **(more if has_more else {})}


@method("conversations.replies", tier=3, required="channel ts", args=_WINDOW)
def replies(call: Call) -> Json:
    """A thread: the parent, then its replies, oldest first."""
    channel = _readable(call)
    parent = call.workspace.find(channel.id, call.text("ts"))
    if parent is None:
        raise SlackError("thread_not_found")
    found = [parent, *_window(call, call.workspace.replies(parent))]
    page, more = call.page(found, limit=1000, most=1000)
    has_more = bool(more["response_metadata"]["next_cursor"])
    shown = [_listed(call, message) for message in page]
    return {"messages": shown, "has_more": has_more, **(more if has_more else {})}


@method("conversations.open", tier=3, args="channel users return_im prevent_creation")
def open_(call: Call) -> Json:
    """The direct conversation with one person (im:write) or several (mpim:write)."""
    if call.text("channel"):
        channel = call.channel()
    else:
        users = call.listed("users")
        if not users:
            raise SlackError("users_list_not_supplied")
        call.need("im:write" if len(users) == 1 else "mpim:write")
        if any(user not in call.workspace.users for user in users):
            raise SlackError("user_not_found")
        if any(call.workspace.users[user].deleted for user in users):
            raise SlackError("user_disabled")
        channel = call.workspace.direct(call.caller.id, *users)
    return {"channel": _shape(call, channel) if call.flag("return_im") else {"id": channel.id}}


@method("conversations.join", tier=3, scope="channels:join", required="channel")
def join(call: Call) -> Json:
    """Become a member of a public channel."""
    channel = _manageable(call)
    if channel.kind != "channel":
        raise SlackError("method_not_supported_for_channel_type")
    call.workspace.join(channel.id, call.caller.id)
    return {"channel": _shape(call, call.workspace.channels[channel.id])}


def _manageable(call: Call, right: str | None = None) -> Channel:
    channel = call.channel()
    if right:
        call.need_for(channel, right)
    if channel.is_archived:
        raise SlackError("is_archived")
    return channel


def _must_govern(call: Call) -> None:
    """Archiving and the like are for admins when a person asks; apps are held by their scopes alone."""
    if call.app is None and not call.caller.governs:
        raise SlackError("restricted_action")


@method("conversations.create", tier=2, required="name", args="is_private team_id")
def create(call: Call) -> Json:
    """A new channel with the caller in it."""
    name, private = call.text("name"), call.flag("is_private")
    call.need("groups:write" if private else "channels:manage")
    _free_name(call, name)
    channel = call.workspace.add_channel(name, "group" if private else "channel", [call.caller.id])
    return {"channel": _shape(call, channel)}


def _free_name(call: Call, name: str) -> None:
    if not re.fullmatch(r"[\w-]{1,80}", name) or name != name.lower():
        raise SlackError("invalid_name_specials")
    if any(channel.name == name for channel in call.workspace.channels.values()):
        raise SlackError("name_taken")


_MANAGE = {"channel": "channels:manage", "group": "groups:write", "im": "im:write", "mpim": "mpim:write"}


@method("conversations.archive", tier=2, required="channel")
def archive(call: Call) -> Json:
    """Close a channel."""
    channel = call.channel()
    call.need(_MANAGE[channel.kind])
    _must_govern(call)
    if channel.is_archived:
        raise SlackError("already_archived")
    call.workspace.archive(channel.id, call.caller.id)
    return {}


@method("conversations.unarchive", tier=2, required="channel")
def unarchive(call: Call) -> Json:
    """Open it again."""
    channel = call.channel()
    call.need(_MANAGE[channel.kind])
    _must_govern(call)
    if not channel.is_archived:
        raise SlackError("not_archived")
    call.workspace.archive(channel.id, call.caller.id, archived=False)
    return {}


@method("conversations.rename", tier=2, required="channel name")
def rename(call: Call) -> Json:
    """Another name."""
    channel = _manageable(call)
    call.need(_MANAGE[channel.kind])
    _must_govern(call)
    _free_name(call, call.text("name"))
    call.workspace.rename(channel.id, call.caller.id, call.text("name"))
    return {"channel": _shape(call, call.workspace.channels[channel.id])}


@method("conversations.invite", tier=3, required="channel users", args="force")
def invite(call: Call) -> Json:
    """Bring people in."""
    channel = _manageable(call)
    call.need(_MANAGE[channel.kind])
    if call.caller.id not in channel.members:
        raise SlackError("not_in_channel")
    users = call.listed("users")
    if any(user not in call.workspace.users for user in users):
        raise SlackError("user_not_found")
    if all(user in channel.members for user in users):
        raise SlackError("already_in_channel")
    for user in users:
        call.workspace.join(channel.id, user, call.caller.id)
    return {"channel": _shape(call, call.workspace.channels[channel.id])}


@method("conversations.kick", tier=3, required="channel user")
def kick(call: Call) -> Json:
    """Remove somebody."""
    channel = _manageable(call)
    call.need(_MANAGE[channel.kind])
    _must_govern(call)
    if call.user().id == call.caller.id:
        raise SlackError("cant_kick_self")
    if call.user().id not in channel.members:
        raise SlackError("not_in_channel")
    call.workspace.leave(channel.id, call.user().id, call.caller.id)
    return {}


@method("conversations.leave", tier=3, required="channel")
def leave(call: Call) -> Json:
    """Go."""
    channel = _manageable(call)
    call.need(_MANAGE[channel.kind])
    if call.caller.id not in channel.members:
        return {"not_in_channel": True}
    call.workspace.leave(channel.id, call.caller.id)
    return {}


@method("conversations.setTopic", tier=2, required="channel topic")
def set_topic(call: Call) -> Json:
    """The line at the top."""
    channel = _manageable(call)
    call.need(_MANAGE[channel.kind])
    call.workspace.describe(channel.id, call.caller.id, topic=call.text("topic"))
    return {"channel": _shape(call, call.workspace.channels[channel.id])}


@method("conversations.setPurpose", tier=2, required="channel purpose")
def set_purpose(call: Call) -> Json:
    """What it is for."""
    channel = _manageable(call)
    call.need(_MANAGE[channel.kind])
    call.workspace.describe(channel.id, call.caller.id, purpose=call.text("purpose"))
    return {"purpose": call.text("purpose")}
