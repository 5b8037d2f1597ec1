"""What is measured: `breakglass serve`, unchanged, in its own process, and a bare Bolt app in another.

Both are connected to one sandbox workspace in this process, over Socket Mode. What people do there, and when
the acknowledgement arrives, is timed here.
"""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import yaml

from bot.audit.checkpoint import Signer
from bot.core.model import RequestId
from bot.desk import mark_of
from bot.mfa import Vault
from bot.sandbox import App, Channel, Message, Persona, Sandbox
from bot.sandbox.wire import Exchange
from bot.slack.views import buttons
from tests.bench import bare
from tests.bench.provider import JOURNAL, Journal

T = TypeVar("T")

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
INSTALLATION: Final = "bench"
PEOPLE: Final = {
    "alice": "U0ALICE01",
    "bob": "U0BOB0001",
    "carol": "U0CAROL01",
    "dana": "U0DANA001",
    "erin": "U0ERIN0001",
}
PATIENCE: Final = 30.0
"""Seconds after which a measurement that does not come is an error."""


class Opened:
    """When an app last asked Slack to open a window."""

    def __init__(self) -> None:
        self.at = 0.0
        self._came = asyncio.Event()

    def hear(self, exchange: Exchange) -> None:
        """A Web API call was answered."""
        if exchange.method == "views.open":
            self.at = exchange.at
            self._came.set()

    async def after(self, act: Awaitable[object]) -> float:
        """Seconds from the beginning of `act` until Slack is asked to open the window."""
        self._came.clear()
        began = time.time()
        await act
        async with asyncio.timeout(PATIENCE):
            await self._came.wait()
        return self.at - began


@dataclass(frozen=True, slots=True)
class Scene:
    """Two apps in one workspace, and what is there to measure them with."""

    sandbox: Sandbox
    ours: App
    floor: App
    requests: Channel
    message: Message
    """What stands in the channel; buttons are pressed on it. Ours acts on a button's value alone."""
    opened: Opened
    journal: Journal

    def persona(self, who: str) -> Persona:
        """Somebody's hands and eyes in Slack."""
        return self.sandbox.persona(PEOPLE[who])

    async def command(self, line: str, who: str = "alice") -> None:
        """Types it; returns when it was acknowledged."""
        outcome = await self.persona(who).command(line, self.requests)
        assert outcome.ok, outcome

    async def files(self, who: str) -> RequestId:
        """Asks for the only access that `who` may have: the form opened, filled in and sent."""
        await self.opened.after(self.command("/breakglass", who))
        form = await self.sandbox.wait_for(lambda: self.persona(who).modal, PATIENCE)
        form.fill("Criteria", form.options("Criteria"))
        form.fill("Reason", "To see how long it takes.")
        complaints = await form.submit()
        assert complaints is None, complaints
        found = re.search(r"BG-[0-9A-Z]{6}", form.text())
        assert found is not None, form.text()
        await form.close()
        return RequestId(found[0])

    async def approves(self, who: str, id: RequestId) -> None:
        """Presses Approve on the request's card; returns when it was acknowledged."""
        await self._presses(who, self.ours, buttons.APPROVE, id)

    async def presses_bare(self, who: str) -> None:
        """Presses the button of the bare app; returns when it was acknowledged."""
        await self._presses(who, self.floor, bare.BUTTON, "BG-000000")

    async def _presses(self, who: str, app: App, action: str, value: str) -> None:
        user = self.sandbox.users[PEOPLE[who]]
        button = {"type": "button", "action_id": action, "block_id": "any", "value": value}
        await self.sandbox.interactions.act_on_message(user, app, self.message, button, {})

    async def granted(self, id: RequestId) -> tuple[float, float]:
        """Since when the provider has the lease, and until when it should; waits until it has it."""
        mark = mark_of(INSTALLATION, id)
        return await _there(lambda: self.journal.granted().get(mark))

    async def revoking(self, ids: Sequence[RequestId]) -> list[float]:
        """When the provider was first told to end each of them; waits until it was."""
        marks = [mark_of(INSTALLATION, id) for id in ids]

        def all_told() -> list[float] | None:
            told = self.journal.revoking()
            return [told[mark] for mark in marks] if told.keys() >= set(marks) else None

        return await _there(all_told)


async def _there(look: Callable[[], T | None]) -> T:
    async with asyncio.timeout(PATIENCE):
        while (found := look()) is None:  # noqa: ASYNC110  another process writes it to a file
            await asyncio.sleep(0.02)
        return found


# --- setting it -----------------------------------------------------------------------------------------


def environment(home: Path) -> dict[str, str]:
    """What a server with everything in `home` is told, apart from Slack."""
    key = home / "signing-key"
    Signer.generate(f"breakglass/{INSTALLATION}", key)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(_published(home))]),
        "BREAKGLASS_CONFIG": str(HERE / "breakglass.toml"),
        "BREAKGLASS_DATABASE_URL": f"sqlite:///{home}/breakglass.db",
        "BREAKGLASS_SECRET_KEYS": Vault.new_key(),
        "BREAKGLASS_SIGNING_KEY_FILE": str(key),
        "BREAKGLASS_ALLOW_OTHER_SLACK": "1",
        JOURNAL: str(home / "journal"),
    }


def _published(home: Path) -> Path:
    """A folder for PYTHONPATH in which `provider` is installed, as far as entry points can tell."""
    info = home / "site" / "bench_provider-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-provider\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[breakglass.backends]\nbench = tests.bench.provider\n")
    return info.parent


@asynccontextmanager
async def scene(home: Path, env: dict[str, str]) -> AsyncIterator[Scene]:
    """The workspace and both processes, connected."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(await Sandbox.start())
        sandbox.rates.enforced = False
        ours = sandbox.install(yaml.safe_load((ROOT / "manifest.yml").read_text()))
        floor = sandbox.install(bare.MANIFEST)
        for handle, id in PEOPLE.items():
            sandbox.add_user(handle, id=id)
        everyone = [*PEOPLE.values(), ours.bot_user_id]
        requests = sandbox.add_channel("requests", members=everyone, id="C0REQUEST1")
        watchers = [PEOPLE["dana"], ours.bot_user_id]
        sandbox.add_channel("audit", private=True, members=watchers, id="C0AUDIT001")
        sandbox.add_channel("security", private=True, members=watchers, id="C0SECURE01")
        message = await sandbox.persona(PEOPLE["dana"]).post(requests, "Somebody measures.")
        opened = Opened()
        sandbox.on_call(opened.hear)
        for app, words in ((ours, ("bot", "serve")), (floor, ("tests.bench.bare",))):
            slack = {"SLACK_API_URL": sandbox.api_url, "SLACK_BOT_TOKEN": app.bot_token}
            told = {**env, **slack, "SLACK_APP_TOKEN": app.app_token}
            log = home / f"{words[0]}.log"
            await stack.enter_async_context(_process(words, told, log))
            await _connected(sandbox, app, log)
        yield Scene(
            sandbox=sandbox,
            ours=ours,
            floor=floor,
            requests=requests,
            message=message,
            opened=opened,
            journal=Journal(Path(env[JOURNAL])),
        )


@asynccontextmanager
async def _process(words: Sequence[str], env: dict[str, str], log: Path) -> AsyncIterator[None]:
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *words, env=env, stdout=file, stderr=file, cwd=ROOT
        )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _connected(sandbox: Sandbox, app: App, log: Path) -> None:
    try:
        await sandbox.wait_for(lambda: sandbox.sockets.of(app.app_id), PATIENCE)
    except TimeoutError:
        raise RuntimeError(f"It did not connect to Slack:\n{_end_of(log)}") from None


def _end_of(log: Path) -> str:
    return log.read_text()[-4000:]
