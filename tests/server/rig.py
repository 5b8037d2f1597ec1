"""The whole server in this process, as `bot.app` joins it, against a strict Slack workspace.

    async with rig(tmp_path) as it:
        await it.start()                          # boot sweep, Slack, Socket Mode: everything but the signals
        request = await it.active()               # Alice asks, Bob presses Approve, the provider lets her in
        await it.until(lambda: ...)               # what is under way gets there
        await it.crash()                          # gone, with all it knew; `start` is the next process

The clock runs with real time and can be put forward. The server's own pauses are `HURRY` times shorter; the
times that Slack and the keeper set are real. `it.truth` is what the provider really holds.
"""

import asyncio
import gc
import io
import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from unittest import mock

import aiohttp
import pytest
import yaml

from bot.app import Server, assemble, run
from bot.audit import canonical
from bot.audit.checkpoint import Signer
from bot.cli import main
from bot.config import SERVE, Config, load
from bot.core import events as e
from bot.core.model import OPERATOR, PersonId, Request, RequestId, State
from bot.demo.authenticator import Authenticator
from bot.demo.ports import free_port
from bot.factors import Factors
from bot.mfa import Vault
from bot.office import office
from bot.sandbox import App, Message, Modal, Outcome, Persona, Sandbox
from bot.slack.manifest import over_http
from bot.store import Store, is_file, only_server, open_engine, shown
from tests.server.ledger import ENTRY_POINTS, Truth
from tests.store.fresh import fresh, plain

ROOT: Final = Path(__file__).resolve().parents[2]
MANIFEST: Final[dict[str, Any]] = yaml.safe_load((ROOT / "manifest.yml").read_text())
HURRY: Final = 50.0

ALICE, BOB, CAROL, DANA, OLGA = map(
    PersonId, ("U0ALICE01", "U0BOB0001", "U0CAROL01", "U0DANA001", "U0OLGA001")
)
"""On call; two leads, Bob listed and Carol by her group; security; an owner of the workspace, in no role."""

REQUESTS, AUDIT, SECURITY, LEADS = "C0REQUEST1", "C0AUDIT001", "C0SECURE01", "S0LEADS001"

CONFIG: Final = """
installation = "acme"
[channels]
requests = "C0REQUEST1"
audit = "C0AUDIT001"
security = "C0SECURE01"
[http]
listen = "127.0.0.1:@PORT@"
[slack]
transport = "@TRANSPORT@"
[history]
checkpoint_every = "1s"
[keeper]
reconcile_every = "5s"
grant_deadline = "5s"
[roles.on-call]
users = ["U0ALICE01"]
[roles.leads]
users = ["U0BOB0001"]
groups = ["S0LEADS001"]
[roles.security]
users = ["U0DANA001"]
[desk]
security = ["security"]
[review]
reviewers = ["security"]
[backends.vault]
kind = "ledger"
folder = "@FOLDER@"
[backends.vault.people]
U0ALICE01 = "alice"
[accesses.vault]
title = "The vault"
environment = "practice"
risk = "low"
backend = "vault"
scope = { role = "ro" }
durations = ["15m", "1h"]
requesters = ["on-call"]
approval = [{ roles = ["leads"] }]
mfa = "none"
approver_mfa = "none"
[accesses.proven]
title = "The vault, with a code"
environment = "production"
risk = "high"
backend = "vault"
scope = { role = "rw" }
durations = ["15m"]
requesters = ["on-call"]
approval = [{ roles = ["leads"] }]
mfa = "totp"
approver_mfa = "none"
[scenarios.locked]
title = "Locked"
criteria = ["Customers are affected"]
accesses = ["vault", "proven"]
"""

T = TypeVar("T")

OVER_BOTH: Final = pytest.mark.parametrize("it", ["socket", "http"], indirect=True)
"""A story that must go the same way whichever way Slack reaches the server."""


class Clock:
    """Real time, put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def forward(self, by: timedelta) -> None:
        self.ahead += by


async def hurried(seconds: float) -> None:
    """A pause of the server, for who has no time."""
    await asyncio.sleep(seconds / HURRY)


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  whatever the command prints
        return json.loads(self.out)


@dataclass
class Rig:
    """The workspace, the database, the provider, and at most one server over them."""

    home: Path
    sandbox: Sandbox
    app: App
    env: dict[str, str]
    truth: Truth
    store: Store
    """The database as anybody may read it, whether or not a server runs."""
    clock: Clock
    server: Server | None = None
    phone: Authenticator | None = None
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    # --- people and places ------------------------------------------------------------------------------

    @property
    def alice(self) -> Persona:
        return self.sandbox.persona(ALICE)

    @property
    def bob(self) -> Persona:
        return self.sandbox.persona(BOB)

    @property
    def carol(self) -> Persona:
        return self.sandbox.persona(CAROL)

    @property
    def dana(self) -> Persona:
        return self.sandbox.persona(DANA)

    @property
    def olga(self) -> Persona:
        return self.sandbox.persona(OLGA)

    def audit(self) -> list[Message]:
        """What stands in the audit channel."""
        return [m for m in self.sandbox.workspace.messages[AUDIT].values() if m.subtype is None]

    def entries(self) -> list[Message]:
        """Those with lines of the history."""
        return [m for m in self.audit() if (m.metadata or {}).get("event_type") == "breakglass_audit"]

    def alarms(self) -> list[str]:
        """What the security channel reads, oldest first."""
        found = self.sandbox.workspace.messages[SECURITY].values()
        return [message.human_text() for message in found if message.bot_id]

    def lines_told(self) -> list[int]:
        """The numbers of the history's lines in the audit channel, in the order in which they stand there."""
        return [line for first, last in self.spans() for line in range(first, last + 1)]

    def spans(self, kind: str = "breakglass_audit") -> list[tuple[int, int]]:
        """First and last number that each message in the audit channel carries."""
        carried = [message.metadata or {} for message in self.audit()]
        found = [one["event_payload"] for one in carried if one.get("event_type") == kind]
        return [(payload["first"], payload["last"]) for payload in found]

    def cards(self, id: RequestId | None = None) -> list[Message]:
        """The cards in the requests channel, or those of one request."""
        found = []
        for message in self.sandbox.workspace.messages[REQUESTS].values():
            is_card = (message.metadata or {}).get("event_type") == "breakglass_card"
            if is_card and (id is None or id in message.human_text()):
                found.append(message)
        return found

    # --- the server's life ------------------------------------------------------------------------------

    @property
    def place(self) -> str:
        """The database, as people are told."""
        return shown(self.env["BREAKGLASS_DATABASE_URL"])

    @property
    def config(self) -> Config:
        return load(Path(self.env["BREAKGLASS_CONFIG"]), self.env, need=SERVE)

    async def start(self, *, wait: bool = True, hurry: bool = True) -> Server:
        """Starts a server; returns once it is connected to Slack, or at once without `wait`."""
        right = await self._open.enter_async_context(
            only_server(self.config.environment.database_url.reveal())
        )
        place = await self._open.enter_async_context(office(self.config, self.env, self.clock))
        pause = hurried if hurry else asyncio.sleep
        self.server = assemble(self.config, place, clock=self.clock, pause=pause, right=right)
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(run(self.server, self._stop))
        if wait:
            await self.connected()
        return self.server

    async def connected(self) -> None:
        """It is connected, trusts its channel, and has told the audit channel all there was to tell."""
        await self.until(lambda: bool(self.sandbox.sockets.all()) or not self.app.socket_mode)
        await self.until(lambda: not self.trouble())
        await self.told_all()

    async def stop(self) -> None:
        """Ends it in good order; raises what it died of."""
        self._stop.set()
        task, self._task = self._task, None
        try:
            if task is not None:
                await self._ends(task)
        finally:
            await self._close()

    async def _ends(self, task: asyncio.Task[None]) -> None:
        """Waits until it has stopped; when it does not, says at what it waits."""
        done, _ = await asyncio.wait({task}, timeout=20)
        if not done:
            for one in asyncio.all_tasks():
                one.print_stack(limit=4)
            task.cancel()
            raise TimeoutError("The server does not stop.")
        await task

    async def crash(self) -> None:
        """It is gone: nothing is finished, nothing is said."""
        task, self._task = self._task, None
        if task is not None:
            keeper = self.server.keeper if self.server else None
            task.cancel()
            acts = list(keeper._tasks) if keeper else []
            for act in acts:
                act.cancel()
            await asyncio.gather(task, *acts, return_exceptions=True)
        await self._close()

    async def died(self) -> BaseException | None:
        """What the server died of, once it has."""
        assert self._task is not None
        await asyncio.wait({self._task}, timeout=10)
        task, self._task = self._task, None
        await self._close()
        return None if task.cancelled() else task.exception()

    async def _close(self) -> None:
        self.server = None
        await self._open.aclose()
        self._open = AsyncExitStack()

    def trouble(self) -> Mapping[str, str]:
        """What `/ready` would say."""
        return self.server.trouble() if self.server else {"server": "there is none"}

    async def ready(self) -> tuple[int, Any]:
        """What `/ready` says."""
        return await self.page("ready")

    async def page(self, name: str) -> tuple[int, Any]:
        """A page of the server, over HTTP."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://{self.config.http.listen}/{name}") as answer,
        ):
            return answer.status, await answer.json()

    # --- moves ------------------------------------------------------------------------------------------

    async def asks(self, access: str = "The vault") -> Request:
        """Alice fills the form in and sends it."""
        form = await self.form()
        await self.fill(form, access)
        wrong = await form.submit()
        assert wrong is None, wrong
        await form.close()
        return (await self.store.of_person(ALICE))[0]

    async def form(self) -> Modal:
        outcome = await self.alice.command("/breakglass", REQUESTS)
        assert outcome.ok, outcome.error
        return await self.window(self.alice, "Break-glass access")

    async def fill(self, form: Modal, access: str = "The vault") -> None:
        if form.value("Access") != access:
            before = form.view.hash
            await form.choose("Access", access)
            await self.until(lambda: form.view.hash != before)
        form.fill("Criteria", form.options("Criteria"))
        form.fill("Reason", "The locks hold everybody up.")
        if access != "The vault":
            assert self.phone is not None
            form.fill("Code", await self.phone.code())

    async def window(self, who: Persona, title: str) -> Modal:
        def seen() -> Modal | None:
            return who.modal if who.modal is not None and who.modal.title == title else None

        return await self.found(seen)

    async def card(self, id: RequestId, saying: str = "") -> Message:
        """The request's card, once it says this."""

        def seen() -> Message | None:
            return next((card for card in self.cards(id) if saying in card.human_text()), None)

        return await self.found(seen)

    async def presses(self, who: Persona, card: Message, label: str) -> Outcome:
        """Presses a button and says yes to its question, if it has one."""
        button = next(one for one in card.elements() if one["text"]["text"] == label)
        return await who.press(card, label, confirm=True if "confirm" in button else None)

    async def approved(self, id: RequestId, by: Persona | None = None) -> None:
        """Bob, or somebody else, presses Approve."""
        outcome = await self.presses(by or self.bob, await self.card(id, "Waiting for approval"), "Approve")
        assert outcome.ok, outcome.error

    async def active(self, access: str = "The vault") -> Request:
        """Asked, approved, and in at the provider."""
        request = await self.asks(access)
        await self.approved(request.id)
        await self.reaches(request.id, State.ACTIVE)
        assert request.mark in self.truth.marks()
        return await self.store.get(request.id)

    async def enrolled(self) -> None:
        """Alice has an authenticator."""
        factors = Factors(self.store, Vault(self.config.environment.secret_keys), "Breakglass")
        enrolment = await factors.enrol_directly(ALICE, OPERATOR)
        self.phone = Authenticator(enrolment.uri.reveal(), clock=lambda: self.clock().timestamp())

    def hears(self, who: Persona) -> list[str]:
        """Every sentence said to this person alone."""
        found = [message.human_text() for message in who.ephemerals()]
        return found + [m.human_text() for m in who.direct_messages() if m.bot_id is not None]

    async def passes(self, by: timedelta) -> None:
        """Time passes, and the keeper looks."""
        self.clock.forward(by)
        assert self.server is not None
        await self.server.keeper.sweep()

    # --- the command line -------------------------------------------------------------------------------

    async def breakglass(self, *words: str) -> Said:
        """Runs a command as an operator would, beside whatever server runs."""
        return await asyncio.to_thread(command, self.env, *words)

    @asynccontextmanager
    async def process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """The real server, as a process of its own, from being ready to its end."""
        log = self.home / "server.log"
        with log.open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bot", "serve", env=self.env, stdout=out, stderr=out
            )
        try:
            async with asyncio.timeout(30):
                while not await self._is_up(process):
                    assert process.returncode is None, log.read_text()
                    await asyncio.sleep(0.05)
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()

    async def _is_up(self, process: asyncio.subprocess.Process) -> bool:
        if process.returncode is not None or (self.app.socket_mode and not self.sandbox.sockets.all()):
            return False
        with suppress(aiohttp.ClientError):
            return (await self.ready())[0] == 200
        return False

    # --- what is true -----------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], object | Awaitable[object]]) -> None:
        """Returns once it is so; a failure after ten real seconds."""
        async with asyncio.timeout(10):
            while True:
                so = condition()
                if await so if isinstance(so, Awaitable) else so:
                    return
                if self._task is not None and self._task.done() and not self._task.cancelled():
                    self._task.result()
                await asyncio.sleep(0.005)

    async def found(self, look: Callable[[], T | None]) -> T:
        """The first thing that `look` gives."""
        seen: list[T] = []

        def there() -> bool:
            thing = look()
            if thing is not None:
                seen.append(thing)
            return bool(seen)

        await self.until(there)
        return seen[0]

    async def reaches(self, id: RequestId, state: State) -> None:
        async def there() -> bool:
            return (await self.store.get(id)).state is state

        await self.until(there)

    async def told_all(self) -> None:
        """The audit channel shows the whole history."""

        async def complete() -> bool:
            return await self.store.cursor("audit") == (await self.store.head()).size

        await self.until(complete)

    async def told(self, kind: type[e.Event]) -> list[canonical.Record]:
        """Every fact of this kind."""
        records = await self.store.records(0, (await self.store.head()).size)
        return [record for record in records if isinstance(record.event, kind)]

    async def alarmed(self, *saying: str) -> str:
        """The first alarm that says all of this, once it is there."""

        def heard() -> str | None:
            return next((text for text in self.alarms() if all(part in text for part in saying)), None)

        return await self.found(heard)

    async def keeps_its_promises(self) -> None:
        """The audit channel has every line once, in order; no access outlives its request; all verifies."""
        if self.server is not None:
            await self.told_all()
            assert self.lines_told() == list(range(len(self.lines_told()))), "every line once, in order"
        held = {request.mark for request in await self.store.held_by()}
        assert {mark for mark in self.truth.marks() if mark.startswith("bg-acme-")} <= held
        found = await self.breakglass("verify", "--json")
        findings = [row for row in found.json["findings"] if row["check"] != "unsealed"]
        assert findings == []


def command(env: Mapping[str, str], *words: str) -> Said:
    """Runs the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with mock.patch.dict(os.environ, env), redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 2
    return Said(code, out.getvalue(), err.getvalue())


@asynccontextmanager
async def rig(
    home: Path, *, changes: Mapping[str, str] | None = None, transport: str = "socket"
) -> AsyncIterator[Rig]:
    """A workspace with people and channels, a database, a provider and keys in `home`. No server yet.

    Args:
        home: an empty folder.
        changes: texts of the configuration, and what stands there instead.
        transport: how Slack reaches the server.
    """
    others = frozenset(threading.enumerate())
    async with await Sandbox.start() as sandbox:
        sandbox.rates.enforced = False
        port = str(free_port())
        manifest = (ROOT / "manifest.yml").read_text()
        if transport == "http":
            manifest = over_http(manifest, f"http://127.0.0.1:{port}")
        app = _furnish(sandbox, yaml.safe_load(manifest))
        folder = home / "truth"
        folder.mkdir()
        address = await fresh(home / "breakglass.db")
        told = {"@PORT@": port, "@FOLDER@": str(folder), "@TRANSPORT@": transport, **(changes or {})}
        env = _environment(home, sandbox, app, told, address)
        clock = Clock()
        engine = open_engine(address)
        it = Rig(home, sandbox, app, env, Truth(folder), Store(engine, clock), clock)
        with mock.patch.object(sys, "path", [*sys.path, str(home / "plugins")]):
            try:
                yield it
            finally:
                await it.crash()
                await engine.dispose()
                await _connections_closed(address, others)


async def _connections_closed(address: str, others: Collection[threading.Thread]) -> None:
    """Who was cut off in the middle of a question to the database left a connection to the collector.

    It is collected here and not in a later test, which would fail by its warning. One to SQLite closes
    in a thread of its own, which needs this loop to the end; `others` are not ours to wait for.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        if not is_file(address):
            gc.collect()
        for _ in range(8):
            ours = [thread for thread in threading.enumerate() if thread not in others]
            if not any("_connection_worker_thread" in thread.name for thread in ours):
                return
            gc.collect()
            await asyncio.sleep(0.01)


def _furnish(sandbox: Sandbox, manifest: dict[str, Any]) -> App:
    app = sandbox.install(manifest)
    for id, handle in ((ALICE, "alice"), (BOB, "bob"), (CAROL, "carol"), (DANA, "dana")):
        sandbox.add_user(handle, id=id)
    sandbox.add_user("olga", id=OLGA, is_owner=True, is_admin=True)
    sandbox.add_usergroup("leads", [CAROL], id=LEADS)
    everyone = [ALICE, BOB, CAROL, DANA, OLGA, app.bot_user_id]
    sandbox.add_channel("breakglass", members=everyone, id=REQUESTS)
    sandbox.add_channel("audit", private=True, members=[DANA, OLGA, app.bot_user_id], id=AUDIT)
    sandbox.add_channel("security", private=True, members=[DANA, app.bot_user_id], id=SECURITY)
    return app


def _environment(
    home: Path, sandbox: Sandbox, app: App, changes: Mapping[str, str], address: str
) -> dict[str, str]:
    text = CONFIG
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    (home / "breakglass.toml").write_text(text)
    installed = home / "plugins" / "ledger-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: ledger\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(ENTRY_POINTS)
    Signer.generate("breakglass/acme", home / "signing.key")
    return {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{home / 'plugins'}",
        "SLACK_API_URL": sandbox.api_url,
        "SLACK_BOT_TOKEN": app.bot_token,
        **(
            {"SLACK_APP_TOKEN": app.app_token}
            if app.socket_mode
            else {"SLACK_SIGNING_SECRET": app.signing_secret}
        ),
        "BREAKGLASS_ALLOW_OTHER_SLACK": "1",
        "BREAKGLASS_DATABASE_URL": plain(address),
        "BREAKGLASS_CONFIG": str(home / "breakglass.toml"),
        "BREAKGLASS_SECRET_KEYS": Vault.new_key(),
        "BREAKGLASS_SIGNING_KEY_FILE": str(home / "signing.key"),
    }
