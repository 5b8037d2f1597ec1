"""The command line as an operator reads it: what is typed, how it ends, what is printed.

Exit codes: 0 done; 1 not done; 2 called or configured wrongly; 3 something was found.
"""

import asyncio
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
from contextlib import chdir, closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bot import __version__
from bot.config import Http
from bot.core import events as e
from bot.core.model import State
from bot.demo.authenticator import Authenticator
from bot.web import asking
from tests.server.rig import ALICE, ROOT, Rig, Said, command

COMMANDS = ("serve", "check", "health", "migrate", "status", "revoke", "verify", "enroll", "keygen", "demo")


# --- help -----------------------------------------------------------------------------------------------


def test_help_mentions_every_command_and_the_exit_codes() -> None:
    said = command({}, "--help")
    assert said.code == 0
    for name in COMMANDS:
        assert re.search(rf"^\s+{name}\s", said.out, re.MULTILINE), name
    assert (
        "Exit codes: 0 done; 1 not done; 2 called or configured wrongly; 3 something was found."
        in " ".join(said.out.split())
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    said = command({}, name, "--help")
    assert said.code == 0
    assert "--config" in said.out
    assert len(said.out.split("\n\n")[1]) > 20, "a sentence says what it is for"


def test_version_is_that_of_the_package() -> None:
    assert command({}, "--version").out == f"{__version__}\n"


@pytest.mark.parametrize(
    "words",
    [[], ["rekove"], ["revoke"], ["revoke", "BG-1", "--all"], ["enroll"], ["verify", "--no-such"]],
    ids=lambda words: " ".join(words) or "nothing",
)
def test_what_is_called_wrongly_is_2_and_says_how_it_is_called(words: list[str]) -> None:
    said = command({}, *words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("usage: breakglass")


def test_the_installed_command_and_the_module_are_the_same(tmp_path: Path) -> None:
    env = {**os.environ, "BREAKGLASS_DATABASE_URL": f"sqlite:///{tmp_path}/none.db"}
    ran = subprocess.run(
        [sys.executable, "-m", "bot", "status"],
        check=False, capture_output=True, text=True, env=env, cwd=ROOT,
    )  # fmt: skip
    said = command(env, "status")
    assert (ran.returncode, ran.stdout, ran.stderr) == (said.code, said.out, said.err)


# --- migrate, status ------------------------------------------------------------------------------------


def test_migrate_makes_the_database_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    env = {"BREAKGLASS_DATABASE_URL": f"sqlite:///{tmp_path}/new.db"}
    made = command(env, "migrate", "--json").json
    assert made["before"] is None
    newest = made["after"]
    said = Said(0, f"The database is up to date: schema {newest}.\n", "")
    assert command(env, "migrate") == said
    assert command(env, "migrate", "--json").json == {"before": newest, "after": newest}


def test_a_database_that_is_not_there_or_not_migrated_says_what_to_run(tmp_path: Path) -> None:
    env = {"BREAKGLASS_DATABASE_URL": f"sqlite:///{tmp_path}/none.db"}
    said = command(env, "status")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"breakglass: BREAKGLASS_DATABASE_URL: There is no database at {tmp_path}/none.db. "
        "Mend the address, or make the database there: breakglass migrate\n"
    )
    sqlite3.connect(tmp_path / "none.db").close()
    (tmp_path / "none.db").touch()
    said = command(env, "status")
    assert (said.code, said.out) == (1, "")
    assert said.err.endswith("Run: breakglass migrate\n")


@pytest.mark.parametrize(
    "words", [["enroll", "--person", ALICE], ["revoke", "--all"], ["status"], ["verify"]]
)
async def test_a_command_on_a_database_that_is_not_there_leaves_none_behind(
    it: Rig, words: list[str]
) -> None:
    file = it.home / "elsewhere.db"
    it.env["BREAKGLASS_DATABASE_URL"] = f"sqlite:///{file}"
    said = await it.breakglass(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err.endswith("make the database there: breakglass migrate\n")
    assert not file.exists()
    assert (await it.breakglass("migrate")).code == 0
    assert (await it.breakglass(*words)).err == ""


async def test_status_lists_what_is_not_over_oldest_first(it: Rig) -> None:
    assert (await it.breakglass("status")).out == "Nothing is open: nobody holds or waits for access.\n"
    await it.start()
    active, waiting = await it.active(), await it.asks()
    said = await it.breakglass("status")
    first, second = said.out.splitlines()
    assert said.code == 0
    assert re.fullmatch(rf"{active.id}  vault for {ALICE}, until [-0-9T:]{{19}} UTC: is active\.", first)
    assert second == f"{waiting.id}  vault for {ALICE}: is waiting for approval."
    rows = (await it.breakglass("status", "--json")).json["requests"]
    assert [row["id"] for row in rows] == [active.id, waiting.id]
    assert rows[0]["approvals"] == ["U0BOB0001"]


# --- enroll, keygen -------------------------------------------------------------------------------------


async def test_a_token_lets_one_person_enrol_from_slack_once(it: Rig) -> None:
    said = await it.breakglass("enroll", "--person", ALICE)
    assert said.code == 0
    token, *rest = said.out.splitlines()
    assert re.fullmatch(r"[0-9A-F]{4}(-[0-9A-F]{4}){3}", token)
    assert " ".join(rest) == (
        f"Give this to {ALICE} alone, in person or by phone. It works once, within 24 hours: "
        "they type /breakglass enroll in Slack and enter it there."
    )
    await it.start()
    assert (await it.alice.command("/breakglass enroll")).ok
    window = await it.found(lambda: it.alice.modal)
    window.fill(window.labels()[0], token)
    assert await window.submit() is None
    assert it.alice.modal is not None
    assert "code" in it.alice.modal.text().lower()


async def test_uri_enrols_at_once_and_its_codes_count(it: Rig) -> None:
    said = await it.breakglass("enroll", "--person", ALICE, "--uri", "--json")
    assert said.code == 0
    uri = urlsplit(said.json["uri"])
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert "secret" in parse_qs(uri.query)
    await it.start()
    it.phone = Authenticator(said.json["uri"])
    request = await it.asks("The vault, with a code")
    assert request.state is State.AWAITING_APPROVAL


async def test_keygen_makes_two_keys_that_only_their_owner_can_read(it: Rig) -> None:
    file = it.home / "new.key"
    said = await it.breakglass("keygen", "--signing-key", str(file))
    assert said.code == 0
    secret, signing, verifier = said.out.splitlines()
    assert re.fullmatch(r"BREAKGLASS_SECRET_KEYS=[-\w]{43}=", secret)
    assert signing == f"BREAKGLASS_SIGNING_KEY_FILE={file}"
    assert "breakglass/acme+" in verifier
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip().split("+", 4)[4] not in said.out, "the signing key stays in its file"


async def test_keygen_never_overwrites_a_key(it: Rig) -> None:
    file = it.home / "signing.key"
    before = file.read_text()
    said = await it.breakglass("keygen", "--signing-key", str(file))
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"breakglass: {file} is there already, and a key is never overwritten. "
        "Name another file with --signing-key.\n"
    )
    assert file.read_text() == before


async def test_keygen_in_a_folder_that_is_not_there_says_how_to_make_it(it: Rig) -> None:
    file = it.home / "not there" / "signing.key"
    said = await it.breakglass("keygen", "--signing-key", str(file))
    assert (said.code, said.out) == (1, "")
    assert "there is no folder" in said.err
    assert "overwritten" not in said.err
    mend = said.err.rpartition(": ")[2].strip()
    await asyncio.to_thread(subprocess.run, mend, shell=True, check=True)
    assert (await it.breakglass("keygen", "--signing-key", str(file))).code == 0
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


async def test_keygen_where_no_file_can_be_made_says_why(it: Rig) -> None:
    said = await it.breakglass("keygen", "--signing-key", str(it.home / "signing.key" / "new.key"))
    assert (said.code, said.out) == (1, "")
    assert "cannot be made (Not a directory)" in said.err
    assert "overwritten" not in said.err


async def test_the_keys_that_keygen_makes_are_those_the_server_takes(it: Rig) -> None:
    made = (await it.breakglass("keygen", "--signing-key", str(it.home / "new.key"), "--json")).json
    it.env["BREAKGLASS_SECRET_KEYS"] = made["secret_key"]
    it.env["BREAKGLASS_SIGNING_KEY_FILE"] = made["signing_key_file"]
    await it.start()
    await it.until(lambda: it.spans("breakglass_checkpoint"))
    said = await it.breakglass("verify", "--key", made["verifier_key"])
    assert said.code == 0


# --- verify ---------------------------------------------------------------------------------------------


async def channel(it: Rig) -> Path:
    """What an auditor copied from the channel."""
    await it.until(lambda: it.spans("breakglass_checkpoint"))
    file = it.home / "copied.txt"
    file.write_text("\n".join(message.human_text() for message in it.audit()))
    return file


async def test_verify_says_that_a_sound_history_is_sound_and_what_it_did_not_check(it: Rig) -> None:
    await it.start()
    await it.asks()
    file = await channel(it)
    alone = await it.breakglass("verify")
    assert (alone.code, alone.err) == (0, "")
    assert re.search(r"✓ Sound\. Root [0-9a-f]{16}…", alone.out)
    assert "! Whoever has the signing key can rewrite all of it." in alone.out
    assert "add --checkpoints FILE" in alone.out
    with_file = await it.breakglass("verify", "--checkpoints", str(file))
    assert with_file.code == 0
    assert "!" not in with_file.out
    without_key = {**it.env, "BREAKGLASS_SIGNING_KEY_FILE": ""}
    said = await asyncio.to_thread(command, without_key, "verify")
    assert said.code == 0
    assert "! Signatures were not checked: no verifier key. Add --key" in said.out


async def test_verify_is_3_and_names_the_line_when_the_history_was_changed(it: Rig) -> None:
    await it.start()
    await it.asks()
    await it.stop()
    with closing(sqlite3.connect(it.home / "breakglass.db")) as db:
        db.execute("DROP TRIGGER events_no_update")
        db.execute("UPDATE events SET body = replace(body, 'U0ALICE01', 'U0CAROL01') WHERE seq = 3")
        db.commit()
    said = await it.breakglass("verify", "--json")
    assert said.code == 3
    assert not said.json["sound"]
    assert {row["seq"] for row in said.json["findings"] if row["check"] == "rows"} == {3}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--key", "nonsense"], "--key: This is not a verifier key of the form name+id+base64."),
        (["--checkpoints", "/no/such/file"], "--checkpoints: /no/such/file cannot be read"),
        (["--checkpoints", os.devnull], "holds no checkpoint. Copy whole messages."),
    ],
)
async def test_what_verify_is_given_wrongly_is_2_and_says_what(it: Rig, words: list[str], says: str) -> None:
    said = await it.breakglass("verify", *words)
    assert (said.code, said.out) == (2, "")
    assert says in said.err


# --- what is no bug of ours -----------------------------------------------------------------------------


async def test_a_file_that_is_no_database_is_1_and_says_so(it: Rig) -> None:
    (it.home / "breakglass.db").write_bytes(b"not a database, not at all" * 100)
    for words in (["status"], ["verify"], ["revoke", "--all"]):
        said = await it.breakglass(*words)
        assert (said.code, said.out) == (1, "")
        assert said.err == (
            "breakglass: The database cannot be used (file is not a database). "
            "Mend it, or BREAKGLASS_DATABASE_URL.\n"
        )


async def test_a_file_that_is_no_signing_key_refuses_to_start_and_says_how_to_make_one(it: Rig) -> None:
    (it.home / "signing.key").write_text("hunter2")
    said = await it.breakglass("serve")
    assert said.code == 1
    assert said.err == (
        f"breakglass: {it.home}/signing.key is not a signing key. "
        f"Make one with: breakglass keygen --signing-key {it.home}/signing.key\n"
    )


async def test_a_signer_that_could_not_remember_refuses_to_start_and_check_says_the_same(it: Rig) -> None:
    it.env["BREAKGLASS_SIGNING_MEMORY"] = str(it.home / "elsewhere" / "memory")
    sentence = (
        f"The signer cannot remember what it signs: {it.home}/elsewhere is no folder that this process may "
        "write to."
    )
    said = await it.breakglass("serve")
    mend = "Make it one, or name a file in another folder in BREAKGLASS_SIGNING_MEMORY."
    assert (said.code, said.err) == (1, f"breakglass: {sentence} {mend}\n")
    found = (await it.breakglass("check", "--json")).json["findings"]
    assert [
        (row["severity"], row["step"], row["sentence"])
        for row in found
        if row["key"] == "BREAKGLASS_SIGNING_MEMORY"
    ] == [("error", "keys", sentence)]


async def test_a_memory_elsewhere_is_the_one_that_serve_keeps_and_verify_reads(it: Rig) -> None:
    memory = it.home / "elsewhere" / "memory"
    memory.parent.mkdir()
    it.env["BREAKGLASS_SIGNING_MEMORY"] = str(memory)
    await it.start()
    await it.until(lambda: it.spans("breakglass_checkpoint"))
    await it.stop()
    assert memory.exists()
    assert not (it.home / "signing.key.signed").exists()
    assert (await it.breakglass("verify")).code == 0
    memory.write_bytes((10**6).to_bytes(8, "big") + b"x" * 32 * 7)
    said = await it.breakglass("verify")
    assert said.code == 3
    assert "in the signer's memory" in said.out


async def test_check_opens_the_signing_key_and_says_when_it_is_none(it: Rig) -> None:
    (it.home / "signing.key").write_text("hunter2")
    said = await it.breakglass("check", "--json")
    assert said.code == 3
    (found,) = [row for row in said.json["findings"] if row["key"] == "BREAKGLASS_SIGNING_KEY_FILE"]
    assert found["sentence"] == f"{it.home}/signing.key is not a signing key."
    assert found["fix"].startswith("Make one with: breakglass keygen")
    assert "hunter2" not in said.out


# --- which file, and health -------------------------------------------------------------------------------


def test_the_option_names_the_file_before_the_environment_does(tmp_path: Path) -> None:
    named = {"BREAKGLASS_CONFIG": "/named/in/the/environment.toml"}
    for words, env, file in (
        (["--config", "/named/by/the/option.toml"], named, "/named/by/the/option.toml"),
        ([], named, "/named/in/the/environment.toml"),
        ([], {"BREAKGLASS_CONFIG": ""}, "config/breakglass.toml"),
    ):
        with chdir(tmp_path):
            assert f"{file}: It cannot be read" in command(env, "keygen", *words).err


async def test_health_is_0_while_the_server_of_this_configuration_lives_and_1_when_not(it: Rig) -> None:
    listen = it.config.http.listen
    said = await it.breakglass("health")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"breakglass: No server answers at {listen} (")
    await it.sandbox.down()
    await it.start(wait=False)
    await it.until(lambda: it.told(e.ServerStarted))
    said = await it.breakglass("health")
    assert (said.code, said.err) == (0, ""), "it lives, though it is not ready"
    file = it.home / "breakglass.toml"
    file.write_text(file.read_text().replace("127.0.0.1:", "0.0.0.0:"))
    assert (await it.breakglass("health")).code == 0, "who listens everywhere is asked here"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[http", "does not say where the server listens. See: breakglass check"),
        ("http = 3", "does not say where the server listens. See: breakglass check"),
        ('[http]\nlisten = "here"', "does not say where the server listens. See: breakglass check"),
        (
            '[http]\nlisten = "127.0.0.1:0"',
            "lets the server listen at any free port. Name one: [http] listen",
        ),
    ],
)
async def test_health_cannot_ask_where_the_file_does_not_say(it: Rig, text: str, says: str) -> None:
    (it.home / "breakglass.toml").write_text(text)
    said = await it.breakglass("health")
    assert (said.code, said.err) == (1, f"breakglass: {it.home}/breakglass.toml {says}\n")


def test_health_needs_nothing_heavy_for_it_runs_every_few_seconds(tmp_path: Path) -> None:
    """And asks where a file that says nothing lets the server listen."""
    assert Http().listen == asking.LISTENS
    (tmp_path / "breakglass.toml").touch()
    asked = (
        "import sys; from bot.web import asking; asking.ask = print; from bot.cli import main; "
        "assert main(['health']) == 0; print({name.partition('.')[0] for name in sys.modules})"
    )
    env = {**os.environ, "BREAKGLASS_CONFIG": str(tmp_path / "breakglass.toml")}
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert "'asyncio'" in done.stdout
    for heavy in ("pydantic", "cryptography", "sqlalchemy", "aiohttp", "slack_sdk", "asyncpg"):
        assert f"'{heavy}'" not in done.stdout


# --- programs -------------------------------------------------------------------------------------------


async def test_json_is_alone_on_standard_output(it: Rig) -> None:
    await it.start()
    request = await it.active()
    for words in (
        ["check"], ["migrate"], ["status"], ["revoke", request.id], ["verify"],
        ["enroll", "--person", ALICE], ["keygen", "--signing-key", str(it.home / "more.key")],
    ):  # fmt: skip
        said = await it.breakglass(*words, "--json")
        assert isinstance(json.loads(said.out), dict), words


async def test_no_secret_is_printed_but_the_one_that_was_asked_for(it: Rig) -> None:
    await it.start()
    secrets = [it.app.bot_token, it.app.app_token, it.env["BREAKGLASS_SECRET_KEYS"]]
    secrets.append((it.home / "signing.key").read_text().strip().split("+", 4)[4])
    it.sandbox.revoke(it.app)
    for words in (["check"], ["status"], ["verify"], ["revoke", "--all"], ["serve"]):
        env = {**it.env, "BREAKGLASS_CONFIG": "/no/such/file"} if words == ["serve"] else it.env
        said = await asyncio.to_thread(command, env, *words)
        assert not [secret for secret in secrets if secret in said.out + said.err], words


@pytest.mark.parametrize("words", [["serve"], ["revoke", "--all"], ["enroll", "--person", ALICE]])
async def test_a_missing_configuration_is_2_and_says_where_it_was_looked_for(
    it: Rig, words: list[str]
) -> None:
    said = await it.breakglass(*words, "--config", "/no/such/file")
    assert (said.code, said.out) == (2, "")
    assert "breakglass: /no/such/file: It cannot be read (No such file or directory)." in said.err
    assert said.err.endswith("Name another with --config.\n")


async def test_a_database_of_another_installation_is_refused(it: Rig) -> None:
    await it.start()
    await it.stop()
    config = it.home / "breakglass.toml"
    config.write_text(config.read_text().replace('installation = "acme"', 'installation = "other"'))
    said = await it.breakglass("revoke", "--all")
    assert said.code == 1
    assert said.err == (
        "breakglass: This database is the history of installation 'acme', not of 'other'. "
        "Name another one in BREAKGLASS_DATABASE_URL, or mend `installation` in the file.\n"
    )
