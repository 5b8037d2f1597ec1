"""`breakglass manifest`, as a person uses it: what it prints can be pasted."""

from pathlib import Path

import pytest
import yaml

from tests.server.rig import ROOT, command

SHIPPED = str(ROOT / "manifest.yml")


def test_it_prints_a_manifest_that_names_the_address() -> None:
    said = command({}, "manifest", "--url", "https://bg.example.com", "--from", SHIPPED)
    assert (said.code, said.err) == (0, "")
    settings = yaml.safe_load(said.out)["settings"]
    assert settings["event_subscriptions"]["request_url"] == "https://bg.example.com/slack/events"
    assert settings["socket_mode_enabled"] is False


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "http://bg.example.com",
            "breakglass: Slack posts to https addresses alone. Write --url https://….\n",
        ),
        (
            "https://",
            "breakglass: “https://” is not a web address. Write one such as https://breakglass.example",
        ),
    ],
)
def test_an_address_that_slack_cannot_reach_is_a_sentence(url: str, sentence: str) -> None:
    said = command({}, "manifest", "--url", url, "--from", SHIPPED)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(sentence)


def test_a_manifest_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    said = command({}, "manifest", "--url", "https://bg.example.com", "--from", str(tmp_path / "none.yml"))
    assert (said.code, said.out) == (1, "")
    assert "No such file" in said.err
    assert "Traceback" not in said.err
