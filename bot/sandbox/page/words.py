"""What a person reads when an app or Slack says no: Slack's codes, as sentences that say what to do next."""

from collections.abc import Mapping
from typing import Final

_NO_ANSWER: Final[Mapping[str, str]] = {
    "operation_timeout": "the app did not answer within three seconds. Try again in a moment",
    "dispatch_failed": "the app could not be reached; is it running? Try again in a moment",
    "app_missing_action_url": "the app has no address for this; its manifest must name one",
    "http_client_error": "the app refused the request. Whoever runs it finds why in its log",
    "http_service_error": "the app failed while it answered. Try again; whoever runs it finds why in its log",
    "invalid_command_response": "the app answered with something that cannot be shown",
    "message_not_found": "the message was deleted meanwhile",
    "thread_not_found": "the message of this thread was deleted; nobody can reply to it any more",
}


def no_answer(what: str, code: str) -> str:
    """`what` (a command, a button, ...) came to nothing; the code stands at the end, as Slack shows it."""
    because = _NO_ANSWER.get(code, "it was refused")
    return f"{what} failed: {because} ({code})."
