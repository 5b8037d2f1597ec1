"""Sets the stage: workspace, people, production database, keys, and the bot as a process of its own.

The configuration is the example that ships, with shorter times and a free port; nothing else differs from an
installation. The history is kept where BREAKGLASS_DATABASE_URL says, its keys beside it.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from bot.config import Transport
from bot.demo.authenticator import Authenticator
from bot.demo.ports import free_port
from bot.demo.production import Production
from bot.sandbox import App, Channel, Persona, Sandbox
from bot.slack.manifest import over_http

ROOT: Final = Path(__file__).resolve().parents[2]
SHORTER: Final = {
    'durations = ["15m", "30m", "1h"]': 'durations = ["8s", "15m", "30m", "1h"]',
    'checkpoint_every = "60s"': 'checkpoint_every = "2s"',
    'reconcile_every = "60s"': 'reconcile_every = "5s"',
}
"""What the tour changes in the example configuration, so that nobody waits a quarter of an hour."""

PEOPLE: Final = {
    "alice": ("U0ALICE01", "Alice Ito, on call"),
    "bob": ("U0BOB0001", "Bob Lindqvist, lead"),
    "carol": ("U0CAROL01", "Carol Mbeki, lead"),
    "dana": ("U0DANA001", "Dana Ferreira, security"),
    "mallory": ("U0MALLORY", "Mallory, no role"),
}


class StageError(Exception):
    """The stage could not be set; the text says what is missing."""


@dataclass(slots=True)
class Stage:
    """Everything a story needs."""

    sandbox: Sandbox
    app: App
    production: Production
    requests: Channel
    audit: Channel
    security: Channel
    env: dict[str, str]
    config: Path
    home: Path
    log: Path
    continued: bool
    """The history was there before: somebody kept it from an earlier tour."""
    phones: dict[str, Authenticator] = field(default_factory=dict)

    def persona(self, who: str) -> Persona:
        """Somebody's hands and eyes in Slack."""
        return self.sandbox.persona(PEOPLE[who][0])

    async def breakglass(self, *words: str) -> tuple[int, str]:
        """Runs the command line as an operator would: (exit code, what it printed)."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *words,
            env=self.env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode()

    async def breakglass_json(self, *words: str) -> Any:  # noqa: ANN401  whatever the command prints
        """The same with `--json`, which must succeed."""
        code, said = await self.breakglass(*words, "--json")
        if code != 0:
            raise StageError(f"breakglass {' '.join(words)} failed: {said}")
        return json.loads(said[said.index("{") :])

    async def enrol(self, who: str) -> None:
        """Gives somebody an authenticator, by the operator's hand."""
        found = await self.breakglass_json("enroll", "--person", PEOPLE[who][0], "--uri")
        self.phones[who] = Authenticator(found["uri"], again=self.continued)


@asynccontextmanager
async def stage(
    config: Path | None, say: Callable[[str], None], transport: Transport = "socket"
) -> AsyncIterator[Stage]:
    """Sets everything but the bot.

    Args:
        config: instead of the example that ships.
        say: told what is being prepared.
        transport: how Slack reaches the bot: over its WebSocket, or by signed requests.

    Raises:
        StageError: something that it needs is not here.
    """
    if not (ROOT / "manifest.yml").exists():
        raise StageError("It plays from a checkout of the repository, where manifest.yml and config/ are.")
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="breakglass-tour-")))
        say("starting a Slack workspace in a box")
        sandbox = await stack.enter_async_context(await Sandbox.start())
        port = free_port()
        manifest = (ROOT / "manifest.yml").read_text()
        if transport == "http":
            manifest = over_http(manifest, f"http://127.0.0.1:{port}")
        app = sandbox.install(yaml.safe_load(manifest))
        for handle, (id, name) in PEOPLE.items():
            sandbox.add_user(handle, name=name, id=id, email=f"{handle}@example.com")
        sandbox.add_usergroup("leads", [PEOPLE["bob"][0], PEOPLE["carol"][0]], id="S0LEADS001")
        everyone = [id for id, _ in PEOPLE.values()]
        requests = sandbox.add_channel("breakglass", members=[*everyone, app.bot_user_id], id="C0REQUEST1")
        watchers = [PEOPLE["dana"][0], app.bot_user_id]
        audit = sandbox.add_channel("breakglass-audit", private=True, members=watchers, id="C0AUDIT001")
        security = sandbox.add_channel("security", private=True, members=watchers, id="C0SECURE01")
        say("starting PostgreSQL as the production database")
        production = await stack.enter_async_context(Production())
        database = os.environ.get("BREAKGLASS_DATABASE_URL") or f"sqlite:///{home}/breakglass.db"
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SLACK_API_URL": sandbox.api_url,
            "SLACK_BOT_TOKEN": app.bot_token,
            **_secrets(app, transport),
            "BREAKGLASS_ALLOW_OTHER_SLACK": "1",
            "BREAKGLASS_DATABASE_URL": database,
            "BREAKGLASS_CONFIG": str(_shortened(config, home, port, transport)),
            "PROD_DB_URL": production.broker_url,
        }
        yield Stage(
            sandbox=sandbox,
            app=app,
            production=production,
            requests=requests,
            audit=audit,
            security=security,
            env=env,
            config=Path(env["BREAKGLASS_CONFIG"]),
            home=home,
            log=home / "server.log",
            continued=database_file(database).exists(),
        )


async def make_keys(stage: Stage) -> None:
    """Keys for the history: those in the environment, those beside the database, or new ones."""
    kept = database_file(stage.env["BREAKGLASS_DATABASE_URL"])
    signing, secret = kept.with_name(kept.name + ".signing-key"), kept.with_name(kept.name + ".secret-key")
    if not (signing.exists() and secret.exists()):
        made = await stage.breakglass_json("keygen", "--signing-key", str(signing))
        secret.touch(mode=0o600)
        secret.write_text(made["secret_key"])
    stage.env.setdefault("BREAKGLASS_SIGNING_KEY_FILE", str(signing))
    stage.env.setdefault("BREAKGLASS_SECRET_KEYS", secret.read_text())


@asynccontextmanager
async def server(stage: Stage) -> AsyncIterator[None]:
    """The bot, unchanged, while the block runs. Ended as an operator ends it, by SIGTERM."""
    with stage.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "serve", env=stage.env, stdout=log, stderr=log
        )
    try:
        await _until_ready(stage, process)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 20)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _until_ready(stage: Stage, process: asyncio.subprocess.Process) -> None:
    port = stage.config.read_text().partition('listen = "127.0.0.1:')[2].partition('"')[0]
    async with aiohttp.ClientSession() as http:
        for _ in range(600):
            if process.returncode is not None:
                raise StageError(f"The server ended at its start:\n{last_words(stage)}")
            try:
                async with http.get(f"http://127.0.0.1:{port}/ready") as answer:
                    if answer.status == 200 and await _is_heard(stage):
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    raise StageError(f"The server was not ready after a minute:\n{last_words(stage)}")


async def _is_heard(stage: Stage) -> bool:
    """Slack reaches the bot: by its socket, or at its address, which echoes the challenge of a new one."""
    if stage.app.socket_mode:
        return bool(stage.sandbox.sockets.all())
    return await stage.sandbox.verify_url(stage.app)


def last_words(stage: Stage) -> str:
    """The end of the server's log."""
    return stage.log.read_text()[-4000:] if stage.log.exists() else "(nothing)"


def _secrets(app: App, transport: Transport) -> dict[str, str]:
    """What this transport needs, and not what the other does."""
    if transport == "http":
        return {"SLACK_SIGNING_SECRET": app.signing_secret}
    return {"SLACK_APP_TOKEN": app.app_token}


def _shortened(config: Path | None, home: Path, port: int, transport: Transport) -> Path:
    text = (config or ROOT / "config" / "breakglass.toml").read_text()
    here = {
        'listen = "127.0.0.1:8080"': f'listen = "127.0.0.1:{port}"',
        'transport = "socket"': f'transport = "{transport}"',
    }
    for long, short in {**SHORTER, **here}.items():
        if long not in text:
            raise StageError(f"The configuration no longer says {long}, which the tour shortens.")
        text = text.replace(long, short)
    file = home / "breakglass.toml"
    file.write_text(text)
    return file


def database_file(url: str) -> Path:
    """The file of an SQLite database; a name that does not exist for any other."""
    scheme, _, rest = url.partition(":///")
    return Path(rest) if scheme.startswith("sqlite") else Path("history")
