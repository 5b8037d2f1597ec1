"""The manifest for HTTP: what a person pastes, derived from the one that ships."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.core.errors import BreakglassError
from bot.slack.manifest import over_http

TEXT = (Path(__file__).parents[2] / "manifest.yml").read_text()
URL = "https://breakglass.example.com/slack/events"


def without_addresses(value: Any) -> Any:  # noqa: ANN401  YAML
    """All of it but the addresses and the switch."""
    dropped = {"url", "request_url", "message_menu_options_url", "socket_mode_enabled"}
    if isinstance(value, dict):
        return {key: without_addresses(item) for key, item in value.items() if key not in dropped}
    return [without_addresses(item) for item in value] if isinstance(value, list) else value


def test_slack_knows_an_address_for_everything_it_sends() -> None:
    found = yaml.safe_load(over_http(TEXT, "https://breakglass.example.com"))
    assert [command["url"] for command in found["features"]["slash_commands"]] == [URL]
    assert found["settings"]["event_subscriptions"]["request_url"] == URL
    assert found["settings"]["interactivity"] == {
        "is_enabled": True,
        "request_url": URL,
        "message_menu_options_url": URL,
    }
    assert found["settings"]["socket_mode_enabled"] is False


def test_nothing_else_differs_and_the_reasons_stay() -> None:
    found = over_http(TEXT, "https://breakglass.example.com/")
    assert without_addresses(yaml.safe_load(found)) == without_addresses(yaml.safe_load(TEXT))
    assert "# audit entries" in found or "audit entries, alarms" in found


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (URL, URL),
        ("https://example.com/emergency", "https://example.com/emergency/slack/events"),
        ("https://example.com:8443/", "https://example.com:8443/slack/events"),
    ],
)
def test_the_path_is_added_unless_it_is_there(url: str, address: str) -> None:
    found = yaml.safe_load(over_http(TEXT, url))
    assert found["settings"]["interactivity"]["request_url"] == address


@pytest.mark.parametrize(
    "url",
    [
        "breakglass.example.com",
        "ftp://example.com",
        "https://",
        "https://example.com?x=1",
        "https://example.com/#x",
    ],
)
def test_what_is_no_web_address_is_a_sentence(url: str) -> None:
    with pytest.raises(BreakglassError, match=r"is not a web address\. Write one such as https://"):
        over_http(TEXT, url)


@pytest.mark.parametrize(
    "url", ["https://example.com/a b", "https://e.com/{x}", "https://e.com/x\n  evil: true"]
)
def test_an_address_cannot_break_out_of_its_line(url: str) -> None:
    with pytest.raises(BreakglassError):
        over_http(TEXT, url)


@pytest.mark.parametrize("text", ["", "a: b\n", over_http(TEXT, URL)])
def test_another_manifest_is_refused(text: str) -> None:
    with pytest.raises(BreakglassError, match="not the manifest that ships"):
        over_http(text, URL)
