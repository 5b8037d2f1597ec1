"""Two kinds of no: Slack's server says one to an app, Slack's client the other to a person."""

from collections.abc import Iterable, Mapping


class SlackError(Exception):
    """An answer `{"ok": false, "error": code, ...}` with the extra keys Slack puts beside it."""

    def __init__(self, code: str, messages: Iterable[str] = (), **extra: object) -> None:
        super().__init__(code)
        self.code = code
        self.messages = tuple(messages)
        self.extra: Mapping[str, object] = extra


class CannotDoError(Exception):
    """The person's client does not let them do this: no such button, field or option, or a dialog is open."""


class NoAnswerError(Exception):
    """The app did not answer an interaction: `code` is what the person is shown, `reason` what Slack logs."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code} ({reason})")
        self.code = code
        self.reason = reason
