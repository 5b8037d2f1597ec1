"""chat.*: what an app says. It may change only its own words, and text without blocks drops the blocks."""

import json

from bot.sandbox.errors import SlackError
from bot.sandbox.kit import Problem, check_message, check_view
from bot.sandbox.kit.schema import Json
from bot.sandbox.message import Message
from bot.sandbox.methods.call import Call, method
from bot.sandbox.records import Channel

_SAID = (
    "text blocks attachments metadata markdown_text parse link_names mrkdwn unfurl_links unfurl_media "
    "username icon_emoji icon_url as_user thread_ts reply_broadcast"
)
ATTACHMENTS = 100
MARKDOWN = 12_000
UPDATE_TEXT = 4_000
METADATA_BYTES = 16_000


@method("chat.postMessage", tier=0, scope="chat:write", required="channel", args=_SAID)
def post_message(call: Call) -> Json:
    """Say something in a channel, or to a person by user id."""
    if call.text("channel") in call.workspace.users:
        channel = call.workspace.direct(call.caller.id, call.text("channel"))
    else:
        channel = _writable(call)
    said = _said(call, needed=True)
    thread = call.text("thread_ts") or None
    if thread:
        parent = call.workspace.thread_parent(channel.id, thread)
        thread = parent.thread_ts or parent.ts
    broadcast = call.flag("reply_broadcast")
    message = call.workspace.store(
        Message(
            channel=channel.id,
            ts=call.workspace.new_ts(),
            thread_ts=thread,
            broadcast=broadcast,
            subtype="thread_broadcast" if broadcast and thread else None,
            **said,
            **_signature(call),
        )
    )
    return {"channel": channel.id, "ts": message.ts, "message": message.to_json()}


@method(
    "chat.update",
    tier=3,
    scope="chat:write",
    required="channel ts",
    args=f"{_SAID} file_ids",
)
def update(call: Call) -> Json:
    """Change own words. Text alone removes the blocks; neither leaves both as they are."""
    channel, message = call.channel(), _message(call)
    if channel.is_archived:
        raise SlackError("is_archived")
    if not _own(call, message) or message.subtype == "tombstone":
        raise SlackError("cant_update_message")
    said = _said(call, needed=False)
    if len(str(said["text"])) > UPDATE_TEXT:
        raise SlackError("msg_too_long")
    given = set(call.args)
    if not given & {"text", "blocks", "attachments", "markdown_text", "metadata"}:
        raise SlackError("no_text")
    changes: Json = {}
    if given & {"text", "markdown_text", "blocks"}:
        changes["blocks"] = said["blocks"]
    if given & {"text", "markdown_text"}:
        changes["text"] = said["text"]
    for key in given & {"attachments", "metadata"}:
        changes[key] = said[key]
    new = call.workspace.edit(message, call.caller.id, **changes)
    return {"channel": channel.id, "ts": new.ts, "text": new.text, "message": new.to_json()}


@method("chat.delete", tier=3, scope="chat:write", required="channel ts", args="as_user")
def delete(call: Call) -> Json:
    """Take own words back; a person who is an admin, anybody's."""
    channel, message = call.channel(), _message(call)
    if message.subtype == "tombstone":
        raise SlackError("message_not_found")
    if not _own(call, message) and not call.caller.governs:
        raise SlackError("cant_delete_message")
    call.workspace.delete(message)
    return {"channel": channel.id, "ts": message.ts}


@method("chat.postEphemeral", tier=4, scope="chat:write", required="channel user", args=_SAID)
def post_ephemeral(call: Call) -> Json:
    """Show something to one member of a channel, who may lose it at any time."""
    channel = _writable(call)
    if call.user().id not in channel.members:
        raise SlackError("user_not_in_channel")
    message = call.workspace.whisper(
        Message(
            channel=channel.id,
            ts=call.workspace.new_ts(),
            thread_ts=call.text("thread_ts") or None,
            ephemeral_to=call.text("user"),
            **_said(call, needed=True),
            **_signature(call),
        )
    )
    return {"message_ts": message.ts}


@method("chat.getPermalink", tier=0, required="channel message_ts")
def get_permalink(call: Call) -> Json:
    """The address of a message."""
    channel = call.channel()
    message = call.workspace.find(channel.id, call.text("message_ts"))
    if message is None:
        raise SlackError("message_not_found")
    link = f"{call.base_url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    return {"channel": channel.id, "permalink": link}


@method("blocks.validate", tier=4, args="blocks message view")
def validate(call: Call) -> Json:
    """Say what would be wrong with a payload, without sending it."""
    problems = _problems(call.args)
    if problems is None:
        raise SlackError("invalid_arguments", ["[ERROR] one of blocks, message, view is required"])
    if problems:
        errors = [
            {"pointer": found.pointer, "code": found.code, "message": found.message, "constraint": None}
            for found in problems
        ]
        raise SlackError("invalid_blocks", [str(found) for found in problems], errors=errors)
    return {}


def _writable(call: Call) -> Channel:
    channel = call.channel()
    if channel.is_archived:
        raise SlackError("is_archived")
    public = call.app is not None and not channel.is_private and "chat:write.public" in call.app.scopes
    if call.caller.id not in channel.members and not public:
        raise SlackError("not_in_channel")
    if channel.only_admins_post and not call.caller.governs:
        raise SlackError("restricted_action")
    return channel


def _message(call: Call) -> Message:
    message = call.workspace.find(call.channel().id, call.text("ts"))
    if message is None:
        raise SlackError("message_not_found")
    return message


def _own(call: Call, message: Message) -> bool:
    if call.app is not None:
        return message.bot_id == call.app.bot_id
    return message.user == call.caller.id and message.bot_id is None


def _signature(call: Call) -> Json:
    shape: Json = {"user": call.caller.id, "team": call.workspace.team.id}
    return shape | ({"bot_id": call.app.bot_id, "app_id": call.app.app_id} if call.app else {})


def _said(call: Call, *, needed: bool) -> Json:
    """The content of a message, checked; both ways of writing markdown exclude each other."""
    blocks, attachments = call.args.get("blocks") or [], call.args.get("attachments") or []
    markdown = call.text("markdown_text")
    text = call.text("text")
    if markdown and (text or blocks):
        raise SlackError("markdown_text_conflict")
    if len(markdown) > MARKDOWN:
        raise SlackError("msg_too_long")
    if isinstance(blocks, str) or isinstance(attachments, str):
        raise SlackError("invalid_blocks_format" if isinstance(blocks, str) else "invalid_attachments")
    if len(attachments) > ATTACHMENTS:
        raise SlackError("too_many_attachments")
    if problems := check_message(blocks):
        raise SlackError(
            "invalid_blocks", [str(found) for found in problems], errors=[p.message for p in problems]
        )
    if needed and not (text or blocks or attachments or markdown):
        raise SlackError("no_text")
    metadata = call.args.get("metadata")
    return {
        "text": text or markdown,
        "blocks": tuple(blocks),
        "attachments": tuple(attachments),
        "metadata": _metadata(metadata) if metadata else None,
    }


def _metadata(metadata: object) -> Json:
    if not isinstance(metadata, dict):
        raise SlackError("invalid_metadata_format")
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        raise SlackError("invalid_metadata_schema")
    if len(json.dumps(metadata)) > METADATA_BYTES:
        raise SlackError("metadata_too_large")
    return metadata


def _problems(args: Json) -> list[Problem] | None:
    if "view" in args:
        return check_view(args["view"])
    if "message" in args:
        message = args["message"]
        return check_message(message.get("blocks", []) if isinstance(message, dict) else message)
    return check_message(args["blocks"]) if "blocks" in args else None
