"""docs/connect.md, followed to the letter: from an empty folder to the first grant, in the sandbox.

Only what differs from one reader to the next is put in: their folders, tokens, ids and a free port.
"""

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import aiohttp
import pytest
import yaml

from bot.demo.authenticator import Authenticator
from bot.demo.people import PEOPLE, Places, settle
from bot.demo.ports import free_port
from bot.sandbox import App, Message, Modal, Sandbox

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = (ROOT / "docs" / "connect.md").read_text()
BLOCKS: Final = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
ALICE: Final = PEOPLE["alice"].id

pytestmark = pytest.mark.heavy


class Reader:
    """Somebody at a shell with the page open. What one block exports, the next one has."""

    def __init__(self, checkout: Path, env: Mapping[str, str], instead: Mapping[str, str]) -> None:
        self.checkout = checkout
        self.env = dict(env)
        self.instead = instead
        self.followed: list[str] = []

    def next(self, word: str) -> str:
        """The next block of the page, in which this command stands, with what is the reader's own."""
        block: str = BLOCKS[len(self.followed)]
        assert word in block, f"{word!r} is not what the page says next, but {block!r}"
        self.followed.append(block)
        for text, own in self.instead.items():
            block = block.replace(text, own)
        return block

    async def runs(self, block: str) -> str:
        """What it printed. It succeeds, `check` also where something is found."""
        lines = [
            line + " || test $? = 3" if line == "breakglass check" else line for line in block.splitlines()
        ]
        exported = self.checkout / ".exported"
        script = "\n".join(["set -eu", *lines, f"env -0 > {exported}"])
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-c", script), cwd=self.checkout, env=self.env,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, complained = (out.decode() for out in await shell.communicate())
        assert shell.returncode == 0, f"{block}{said}{complained}"
        pairs = (pair.partition("=") for pair in exported.read_text().split("\0") if pair)
        self.env = {name: value for name, _, value in pairs}
        exported.unlink()
        return said

    @asynccontextmanager
    async def leaves_running(self, block: str, port: int) -> AsyncIterator[None]:
        """It runs beside, from being ready on."""
        log = self.checkout.with_name("server.log")
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *("bash", "-c", f"exec {block}"), cwd=self.checkout, env=self.env, stdout=out, stderr=out
            )
        try:
            async with asyncio.timeout(60):
                while not await _is_ready(port):
                    assert process.returncode is None, log.read_text()
                    await asyncio.sleep(0.1)
            yield
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0, log.read_text()


async def _is_ready(port: int) -> bool:
    with suppress(aiohttp.ClientError):
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/ready") as answer:
            return answer.status == 200
    return False


@pytest.fixture
async def workspace() -> AsyncIterator[tuple[Sandbox, App, Places]]:
    """A workspace with the app of manifest.yml. Its ids are those of the example, so none is looked up."""
    async with await Sandbox.start() as sandbox:
        app = sandbox.install(yaml.safe_load((ROOT / "manifest.yml").read_text()))
        yield sandbox, app, settle(sandbox, app)


async def test_the_page_leads_from_an_empty_folder_to_the_first_grant(
    workspace: tuple[Sandbox, App, Places], tmp_path: Path
) -> None:
    sandbox, app, places = workspace
    instead = {
        "/etc/breakglass": f"{tmp_path}/etc",
        "/var/lib/breakglass": f"{tmp_path}/lib",
        "xoxb-…": app.bot_token,
        "xapp-…": app.app_token,
        "U0123ABCD": ALICE,
    }
    assert [text for text in instead if text not in PAGE] == []
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "config", checkout / "config")
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SLACK_API_URL": sandbox.api_url,
        "BREAKGLASS_ALLOW_OTHER_SLACK": "1",
    }
    reader = Reader(checkout, env, instead)

    installing, checking = reader.next("pip install").splitlines()
    assert installing.split("#")[0].split() == ["pip", "install", '".[postgres]"']
    assert "SLACK_BOT_TOKEN: It is not set." in await reader.runs(checking)
    await reader.runs(reader.next("cp config/breakglass.toml"))
    port = free_port()
    file = tmp_path / "etc" / "breakglass.toml"
    file.write_text(_without_a_database(file.read_text()).replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
    await reader.runs(reader.next("SLACK_BOT_TOKEN"))
    printed = await reader.runs(reader.next("breakglass keygen"))
    await reader.runs("".join(f"export {line}\n" for line in printed.splitlines() if line[0] != "#"))
    assert "was migrated" in await reader.runs(reader.next("breakglass migrate"))
    walked = await reader.runs("breakglass check")
    assert "✗" not in walked
    assert [line[0] for line in walked.splitlines() if re.match(r"\S \d\. ", line)] == [*"✓✓✓✓✓✓✓✓!"]

    async with reader.leaves_running(reader.next("breakglass serve"), port):
        printed = await reader.runs(reader.next("breakglass enroll"))
        phone = await _enrols(sandbox, token=printed.splitlines()[0])
        await _is_granted(sandbox, places, phone)
    assert reader.followed == BLOCKS
    assert [path.name for path in checkout.iterdir()] == ["config"], "nothing lies about"


def _without_a_database(text: str) -> str:
    """The example without the tables that step 7 names."""
    (step,) = re.findall(r"take out what leads\n(.*?)What is left", PAGE, re.DOTALL)
    tables = re.findall(r"`([\w.-]+)`", step)
    assert len(tables) == 5
    for table in tables:
        header, rest = rf"^\[{re.escape(table)}(\.people)?\].*\n", r"(?:(?!\[).*\n)*"
        text, found = re.subn(header + rest, "", text, flags=re.MULTILINE)
        assert found, table
    return text


async def _enrols(sandbox: Sandbox, token: str) -> Authenticator:
    """Alice sets her second factor up in Slack; the key is typed, and there is nothing to scan."""
    alice = sandbox.persona(ALICE)
    assert (await alice.command("/breakglass enroll")).ok
    window = await _window(sandbox, "Enrol: 1 of 2")
    window.fill("Enrolment token", token)
    assert await window.submit() is None
    window = await _window(sandbox, "Enrol: 2 of 2")
    (uri,) = re.findall(r"otpauth://\S+", window.text())
    phone = Authenticator(uri)
    assert phone.secret.reveal() in window.text().replace(" ", ""), "the key to type"
    window.fill("Code", await phone.code())
    assert await window.submit() is None
    return phone


async def _is_granted(sandbox: Sandbox, places: Places, phone: Authenticator) -> None:
    """Alice asks for the practice, Bob presses Approve, and she is in."""
    await (await _window(sandbox, "Enrolled")).close(everything=True)
    assert (await sandbox.persona(ALICE).command("/breakglass", places.requests)).ok
    form = await _window(sandbox, "Break-glass access")
    assert form.value("Access") == "Practice: a pretend system"
    form.fill("Criteria", form.options("Criteria"))
    form.fill("Reason", "To see the whole way before it matters.")
    form.fill("Code", await phone.code())
    assert await form.submit() is None
    bob = sandbox.persona(PEOPLE["bob"].id)
    card = await _card(sandbox, places, "Waiting for approval")
    assert (await bob.press(card, "Approve", confirm=True)).ok
    await _card(sandbox, places, "Active")


async def _window(sandbox: Sandbox, title: str) -> Modal:
    def there() -> Modal | None:
        modal = sandbox.persona(ALICE).modal
        return modal if modal is not None and modal.title == title else None

    return await sandbox.wait_for(there, timeout=10)


async def _card(sandbox: Sandbox, places: Places, saying: str) -> Message:
    def there() -> Message | None:
        messages = sandbox.persona(ALICE).messages(places.requests)
        return next((message for message in messages if saying in message.human_text()), None)

    return await sandbox.wait_for(there, timeout=10)
