"""The app's manifest for the other transport, derived from the one that ships (`manifest.yml`, Socket Mode).

Rule: its text is changed, not its data, so that the comments that say why each scope is there stay for the
person who pastes it.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from bot.core.errors import BreakglassError
from bot.slack.http import PATH

_CHANGES: Final = (
    (r"( +)- command: /breakglass\n", r"\g<0>\g<1>  url: {url}\n"),
    (r"( +)event_subscriptions:\n", r"\g<0>\g<1>  request_url: {url}\n"),
    (
        r"( +)interactivity:\n +is_enabled: true\n",
        r"\g<0>\g<1>  request_url: {url}\n\g<1>  message_menu_options_url: {url}\n",
    ),
    (
        r"socket_mode_enabled: true[^\n]*\n",
        r"socket_mode_enabled: false   # Slack posts to the addresses above\n",
    ),
)
"""Where Slack must know an address: the command, events, interactions, menus that are searched by typing."""


def over_http(manifest: str, url: str) -> str:
    """The manifest with which Slack posts to `url` instead of waiting for a connection.

    Args:
        manifest: the text of `manifest.yml`.
        url: where Slack reaches the server; `/slack/events` is added unless it ends so.

    Raises:
        BreakglassError: the text is not our manifest, or Slack cannot post there.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.query or parts.fragment:
        raise BreakglassError(
            f"“{url}” is not a web address. Write one such as https://breakglass.example.com."
        )
    if re.search(r"[\s#'\"\\{}]", url):
        raise BreakglassError("The address has characters that do not belong in one. Write it without them.")
    address = url if parts.path.endswith(PATH) else url.rstrip("/") + PATH
    for pattern, change in _CHANGES:
        manifest, found = re.subn(pattern, change.replace("{url}", address), manifest)
        if found != 1:
            raise BreakglassError(
                "This is not the manifest that ships with Breakglass. Take manifest.yml as it is."
            )
    return manifest
