"""files.*: the three steps of an upload: ask for an address, send the bytes, share the file."""

from dataclasses import replace

from bot.sandbox.errors import SlackError
from bot.sandbox.kit import check_message
from bot.sandbox.kit.schema import Json
from bot.sandbox.message import File, Message
from bot.sandbox.methods.call import Call, method

CHANNELS = 100


@method(
    "files.getUploadURLExternal",
    tier=4,
    scope="files:write",
    required="filename length",
    args="alt_txt alt_text snippet_type",
)
def get_upload_url(call: Call) -> Json:
    """Step one: an address for so many bytes."""
    if call.number("length", 0) <= 0:
        raise SlackError("invalid_arguments", ["[ERROR] must be greater than 0 [json-pointer:/length]"])
    file = File(
        id=call.workspace.new_id("F"),
        name=call.text("filename"),
        length=call.number("length", 0),
        owner=call.caller.id,
        alt_text=call.text("alt_txt") or call.text("alt_text"),
    )
    call.workspace.files[file.id] = file
    return {"upload_url": f"{call.base_url}/upload/{file.id}", "file_id": file.id}


@method(
    "files.completeUploadExternal",
    tier=4,
    scope="files:write",
    required="files",
    args="channel_id channels thread_ts initial_comment blocks",
)
def complete_upload(call: Call) -> Json:
    """Step three: give the files their titles and, where a channel is named, show them there."""
    files = [_titled(call, entry) for entry in _entries(call)]
    channels = [*call.listed("channel_id"), *call.listed("channels")]
    if len(channels) > CHANNELS:
        raise SlackError(
            "invalid_arguments", ["[ERROR] no more than 100 items allowed [json-pointer:/channels]"]
        )
    blocks = call.args.get("blocks") or []
    if problems := check_message(blocks):
        raise SlackError("invalid_blocks", [str(found) for found in problems])
    for channel_id in channels:
        _share(call, channel_id, files, blocks)
    return {"files": [file.to_json() for file in files]}


def _entries(call: Call) -> list[Json]:
    entries = call.args["files"]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SlackError("invalid_arguments", ["[ERROR] must provide an array [json-pointer:/files]"])
    return entries


def _titled(call: Call, entry: Json) -> File:
    file = call.workspace.files.get(str(entry.get("id")))
    if file is None or file.owner != call.caller.id or file.content is None:
        raise SlackError("file_not_found")
    titled = replace(file, title=str(entry.get("title") or file.name))
    call.workspace.files[file.id] = titled
    return titled


def _share(call: Call, channel_id: str, files: list[File], blocks: list[Json]) -> None:
    channel = call.workspace.channels.get(channel_id)
    if channel is None or call.caller.id not in channel.members:
        raise SlackError("channel_not_found")
    thread = call.text("thread_ts") or None
    if thread:
        call.workspace.thread_parent(channel.id, thread)
    call.workspace.store(
        Message(
            channel=channel.id,
            ts=call.workspace.new_ts(),
            text=call.text("initial_comment"),
            user=call.caller.id,
            bot_id=call.app.bot_id if call.app else None,
            app_id=call.app.app_id if call.app else None,
            team=call.workspace.team.id,
            blocks=tuple(blocks),
            thread_ts=thread,
            subtype="file_share",
            files=tuple(files),
        )
    )
