"""pins.* and reactions.*: marks on messages."""

from bot.sandbox.errors import SlackError
from bot.sandbox.kit.schema import Json
from bot.sandbox.message import Message
from bot.sandbox.methods.call import Call, method


def _marked(call: Call) -> Message:
    channel = call.channel()
    if call.caller.id not in channel.members:
        raise SlackError("not_in_channel")
    message = call.workspace.find(channel.id, call.text("timestamp"))
    if message is None:
        raise SlackError("message_not_found")
    return message


@method("pins.add", tier=2, scope="pins:write", required="channel", args="timestamp")
def pins_add(call: Call) -> Json:
    """Pin a message to its channel."""
    message = _marked(call)
    pins = call.workspace.pins.setdefault(message.channel, [])
    if message.ts in pins:
        raise SlackError("already_pinned")
    pins.append(message.ts)
    call.workspace.pulse.beat()
    return {}


@method("reactions.add", tier=3, scope="reactions:write", required="channel name timestamp")
def reactions_add(call: Call) -> Json:
    """React to a message."""
    message, name = _marked(call), call.text("name").strip(":")
    if (name, call.caller.id) in message.reactions:
        raise SlackError("already_reacted")
    call.workspace.react(message, call.caller.id, name)
    return {}
