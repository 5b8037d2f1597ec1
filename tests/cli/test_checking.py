"""`breakglass check` on a workspace: the walk to a first grant, and all that is missing on the way."""

import asyncio
import os
from dataclasses import replace

from bot.check import TITLES, Step
from bot.core import events as e
from bot.demo.ports import free_port
from bot.mfa import Vault
from tests.server.rig import ALICE, AUDIT, CAROL, DANA, OVER_BOTH, REQUESTS, SECURITY, Rig, command


def edit(it: Rig, **changes: str) -> None:
    """Changes the reviewed file: each text by another."""
    file = it.home / "breakglass.toml"
    text = file.read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text)


async def test_every_mistake_of_a_wrong_file_is_listed_with_its_key_and_its_mending(it: Rig) -> None:
    edit(
        it,
        **{
            'requesters = ["on-call"]': 'requesters = ["on-cal"]',
            'accesses = ["vault", "proven"]': 'accesses = ["volt"]',
            'kind = "ledger"': 'kind = "leger"',
        },
    )
    said = await it.breakglass("check")
    assert (said.code, said.err) == (3, "")
    for key, mending in (
        ("accesses.vault.requesters[0]", "Did you mean “on-call”?"),
        ("scenarios.locked.accesses[0]", "Did you mean “vault”?"),
        ("backends.vault.kind", "Known here:"),
    ):
        assert f"    ✗ {key}: " in said.out
        assert mending in said.out.partition(f"✗ {key}")[2], key
    assert said.out.count("Did you mean “on-call”?") == 1, "one mending for two accesses is said once"
    assert "· 2. The Slack app  Not looked at yet." in said.out


async def test_slack_is_asked_who_would_be_locked_out_and_nothing_is_changed(it: Rig) -> None:
    it.sandbox.deactivate(CAROL)
    it.sandbox.deactivate("U0BOB0001")
    await it.olga.archive(AUDIT)
    said = await it.breakglass("check", "--json")
    assert said.code == 3
    found = {row["key"]: row for row in said.json["findings"] if row["severity"] == "error"}
    assert "channels.audit" in found
    assert any("approv" in row["sentence"] for row in found.values()), "nobody can say yes"
    assert all(row["fix"] for row in said.json["findings"]), "no finding without its mending"
    assert await it.told(e.InstallationCreated) == [], "it changes nothing"


@OVER_BOTH
async def test_a_sound_installation_is_walked_through_to_the_end(it: Rig) -> None:
    assert (await it.breakglass("enroll", "--person", ALICE, "--uri")).code == 0
    said = await it.breakglass("check")
    assert (said.code, said.err) == (0, "")
    for number, title in enumerate(TITLES.values(), 1):
        assert f"✓ {number}. {title}" in said.out
    assert "@breakglass in the workspace “Sandbox” (T0SANDBOX1)." in said.out
    assert "type /breakglass in Slack" in said.out, "what cannot be seen from here is said"


async def test_a_database_that_is_not_there_yet_is_the_one_thing_to_do(it: Rig) -> None:
    """No mistake, so the exit code is 0; what is to be done is said, and doing it is enough."""
    it.env["BREAKGLASS_DATABASE_URL"] = f"sqlite:///{it.home}/new.db"
    said = await it.breakglass("check")
    assert (said.code, said.err) == (0, "")
    assert "✗" not in said.out
    assert "· 6. The database" in said.out
    last = said.out.splitlines()[-1]
    assert last == "1 step is not done. Do what is said under the ·, then check again."
    below = said.out.partition("· 6.")[2].splitlines()[2]
    assert below.strip() == "Mend the address, or make the database there: breakglass migrate"
    assert (await it.breakglass("migrate")).code == 0
    assert "✓ 6. The database" in (await it.breakglass("check")).out


async def test_without_any_environment_everything_that_is_missing_is_said(it: Rig) -> None:
    bare = {name: "" for name in it.env if name.startswith(("SLACK_", "BREAKGLASS_S", "BREAKGLASS_D"))}
    said = await asyncio.to_thread(command, {**it.env, **bare}, "check")
    assert said.code == 3
    for name in (
        "SLACK_BOT_TOKEN",
        "SLACK_APP_TOKEN",
        "BREAKGLASS_SECRET_KEYS",
        "BREAKGLASS_SIGNING_KEY_FILE",
    ):
        assert f"✗ {name}: It is not set." in said.out


async def test_a_change_of_secret_keys_is_followed_from_the_new_key_to_the_end_of_the_old_one(
    it: Rig,
) -> None:
    async def said() -> list[str]:
        found = (await it.breakglass("check", "--json")).json["findings"]
        return [row["sentence"] for row in found if row["key"] == "BREAKGLASS_SECRET_KEYS"]

    assert (await it.breakglass("enroll", "--person", ALICE, "--uri")).code == 0
    old, new = it.env["BREAKGLASS_SECRET_KEYS"], Vault.new_key()
    assert await said() == []
    it.env["BREAKGLASS_SECRET_KEYS"] = f"{new},{old}"
    assert await said() == ["An old key still seals 1 of 1 stored secrets."]
    await it.start()
    await it.stop()
    assert await said() == ["An old key is listed, and it seals nothing any more."]
    it.env["BREAKGLASS_SECRET_KEYS"] = new
    assert await said() == []
    assert "✓ 9. Second factors  1 person has one." in (await it.breakglass("check")).out


async def test_a_factor_that_no_key_opens_counts_for_nothing(it: Rig) -> None:
    assert (await it.breakglass("enroll", "--person", ALICE, "--uri")).code == 0
    it.env["BREAKGLASS_SECRET_KEYS"] = Vault.new_key()
    found = (await it.breakglass("check", "--json")).json["findings"]
    assert {row["key"]: row["sentence"] for row in found} == {
        "BREAKGLASS_SECRET_KEYS": "None of the keys opens 1 of 1 stored secrets.",
        "roles.on-call": (
            "alice (U0ALICE01) has no second factor yet, and so cannot get “The vault, with a code”."
        ),
    }


async def test_slack_not_answering_hides_only_what_slack_knows(it: Rig) -> None:
    await it.sandbox.down()
    said = await it.breakglass("check", "--json")
    assert said.code == 3
    (error,) = [row for row in said.json["findings"] if row["severity"] == "error"]
    assert error["sentence"].startswith("Slack did not say who is who: it does not answer")
    states = {row["step"]: row["state"] for row in said.json["steps"]}
    assert states["app"] == "missing"
    assert [step for step, state in states.items() if state == "unseen"] == [
        "channels", "people", "accesses", "factors",
    ]  # fmt: skip


async def test_thirteen_things_wrong_at_once_are_all_said_each_once_and_each_with_what_to_do(it: Rig) -> None:
    app = it.app
    scopes = app.scopes - {"commands", "im:write"}
    it.sandbox.workspace.apps[app.app_id] = replace(app, scopes=scopes)
    it.env["SLACK_APP_TOKEN"] = "xapp-1-of-another-app"
    it.sandbox.workspace.leave(REQUESTS, app.bot_user_id)
    await it.olga.convert(AUDIT, private=False)
    await it.olga.archive(SECURITY)
    it.sandbox.deactivate(DANA)
    edit(
        it,
        **{
            'users = ["U0BOB0001"]': 'users = ["U0ALICE01", "U0NOBODY1"]',
            'groups = ["S0LEADS001"]': 'groups = ["S0GONE0001"]',
            '[backends.vault.people]\nU0ALICE01 = "alice"': (
                "[backends.vault.people]\n[backends.prod]\nkind = 'postgres'\nurl_env = 'PROD'\n"
                "roles = ['ro']\n[backends.prod.people]\nU0ALICE01 = 'alice'"
            ),
        },
    )
    os.chmod(it.env["BREAKGLASS_SIGNING_KEY_FILE"], 0o644)  # noqa: PTH101  no path object is at hand
    it.env["PROD"] = f"postgresql://broker:hunter2@127.0.0.1:{free_port()}/prod"
    said = await it.breakglass("check", "--json")
    assert said.code == 3
    found = [(row["severity"], row["key"], row["sentence"]) for row in said.json["findings"]]
    for severity, key, words in (
        ("error", "slack", "scope commands"),
        ("error", "slack", "scope im:write"),
        ("error", "SLACK_APP_TOKEN", "Slack opens no socket with it"),
        ("error", "channels.requests", "The bot is not in #breakglass"),
        ("warning", "channels.audit", "#audit is public"),
        ("error", "channels.security", "#security is archived"),
        ("error", "desk.security", "Nobody is told of alarms"),
        ("error", "roles.leads.users", "Slack does not know U0NOBODY1"),
        ("error", "roles.leads.groups", "user group S0GONE0001"),
        ("error", "accesses.vault.approval", "can never be approved"),
        ("error", "accesses.vault", "cannot be granted"),
        ("error", "BREAKGLASS_SIGNING_KEY_FILE", "is open to others than its owner"),
        ("error", "backends.prod", ""),
    ):
        match = [row for row in found if row[:2] == (severity, key) and words in row[2]]
        assert len(match) == 1, (key, found)
    assert len(set(found)) == len(found), "nothing is said twice"
    assert [row for row in said.json["findings"] if not row["fix"]] == []
    assert {row["step"] for row in said.json["findings"]} <= {*Step}
    assert "hunter2" not in said.out
    states = {row["step"]: row["state"] for row in said.json["steps"]}
    assert [step for step, state in states.items() if state == "done"] == ["file", "database", "factors"]
