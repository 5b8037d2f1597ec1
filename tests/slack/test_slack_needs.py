"""The manifest asks for exactly what the code uses, and the code's own list of that cannot drift."""

import ast
import inspect
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import yaml
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import bolt, listeners, needs, watch
from bot.slack.views import buttons, form, guide, modals

ROOT = Path(__file__).parents[2]
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "manifest.yml").read_text())
SOURCES = sorted((ROOT / "bot" / "slack").rglob("*.py"))
API = {name for name, _ in inspect.getmembers(AsyncWebClient, inspect.iscoroutinefunction)}


class Recorder:
    """Stands for a Bolt app and writes down what is registered."""

    def __init__(self) -> None:
        self.heard: dict[str, list[str]] = {}

    def __getattr__(self, kind: str) -> Any:  # noqa: ANN401  whatever Bolt has
        def register(name: Any, **_more: Any) -> Any:  # noqa: ANN401  a name, or a listener
            if isinstance(name, str):
                self.heard.setdefault(kind, []).append(name)
            return lambda listener: listener

        return register


@pytest.fixture
def heard() -> dict[str, list[str]]:
    recorder: Any = Recorder()
    listeners.register(recorder, MagicMock())
    watch.register(recorder, MagicMock(), MagicMock(), MagicMock())
    return recorder.heard  # type: ignore[no-any-return]  # the recorder stands for an app


def methods_called() -> set[str]:
    """Every Web API method named after a dot in our sources: `client.views_open`, called or handed on."""
    found = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in API and "client" in ast.unparse(node.value):
                found.add(node.attr)
    return found


def test_every_method_that_is_called_is_listed_and_no_other() -> None:
    assert methods_called() == set(needs.METHODS_USED)


def test_every_event_that_is_heard_is_listed_and_no_other(heard: dict[str, list[str]]) -> None:
    assert sorted(heard["event"]) == sorted(needs.EVENTS_USED)


def test_the_manifest_has_exactly_the_scopes_that_are_needed() -> None:
    scopes = {scope for wanted in needs.METHODS_USED.values() for scope in wanted}
    subscriptions = [subscription for each in needs.EVENTS_USED.values() for subscription in each.values()]
    scopes |= {scope for wanted in subscriptions for scope in wanted} | {needs.COMMANDS_SCOPE}
    assert sorted(MANIFEST["oauth_config"]["scopes"]["bot"]) == sorted(scopes)
    assert "user" not in MANIFEST["oauth_config"]["scopes"], "nothing is done in anybody's name"


def test_the_manifest_subscribes_to_exactly_the_events_that_are_heard() -> None:
    subscribed = {name for each in needs.EVENTS_USED.values() for name in each}
    listed = MANIFEST["settings"]["event_subscriptions"]["bot_events"]
    assert sorted(listed) == sorted(subscribed)


def test_the_manifests_command_and_shortcut_are_listened_to(heard: dict[str, list[str]]) -> None:
    features = MANIFEST["features"]
    assert [one["command"] for one in features["slash_commands"]] == heard["command"] == [guide.COMMAND]
    assert [one["callback_id"] for one in features["shortcuts"]] == heard["shortcut"] == [needs.SHORTCUT]
    assert features["slash_commands"][0]["should_escape"]


def test_every_button_menu_and_window_has_its_listener(heard: dict[str, list[str]]) -> None:
    named = {value for name, value in vars(buttons).items() if name.isupper() and isinstance(value, str)}
    assert set(heard["action"]) == named | {form.SCENARIO, form.ACCESS}
    assert set(heard["options"]) == {form.SCENARIO, form.ACCESS}
    windows = (form.CALLBACK, modals.PROVE, modals.APPROVE, modals.DENY, modals.REPORT, modals.REVIEW)
    assert set(heard["view"]) == {*windows, modals.ENROL, modals.ENROL_CODE}


def test_every_word_of_the_help_is_a_command() -> None:
    for word in guide.WORDS[1:]:
        assert f"{guide.COMMAND} {word}" in guide.HELP


def test_the_manifest_needs_no_public_address() -> None:
    assert MANIFEST["settings"]["socket_mode_enabled"]
    assert "url" not in str(MANIFEST).casefold().replace("curl", "")


def test_bolt_is_set_up_by_the_rules() -> None:
    source = inspect.getsource(bolt.build_app)
    for rule in (
        "ignoring_self_events_enabled=False",
        "raise_error_for_unhandled_request=True",
        "process_before_response=True",
    ):
        assert rule in source
