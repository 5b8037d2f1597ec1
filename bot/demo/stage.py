"""Sets the stage: workspace, people, production database, keys, authenticators, and the bot as a process.

One stage, two uses: the tour plays a story on it, the demo leaves it to whoever opens the page. Nothing but
what `plan` names differs from an installation; the operator's part is done with the operator's commands.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from bot.demo.authenticator import Authenticator
from bot.demo.keeping import Keeping, keep_history
from bot.demo.narrator import Narrator
from bot.demo.people import PEOPLE, Places, settle
from bot.demo.plan import MANIFEST, ROOT, Plan, StageError
from bot.demo.ports import free_port
from bot.demo.production import Production
from bot.demo.supervisor import Supervisor
from bot.sandbox import App, Persona, Sandbox
from bot.slack.manifest import over_http

OURS: Final = ("BREAKGLASS_", "SLACK_")
"""Variables of a real installation, which the demo must not touch even when they are set here."""


@dataclass(slots=True)
class Stage:
    """Everything a story needs but the bot."""

    sandbox: Sandbox
    app: App
    production: Production
    places: Places
    keeping: Keeping
    env: dict[str, str]
    home: Path
    port: int
    phones: dict[str, Authenticator] = field(default_factory=dict)

    def persona(self, who: str) -> Persona:
        """Somebody's hands and eyes in Slack."""
        return self.sandbox.persona(PEOPLE[who].id)

    async def breakglass(self, *words: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        """Runs the command line as an operator would: exit code, standard output, standard error.

        `env` is added to the environment of the stage.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", *words), env={**self.env, **(env or {})},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        try:
            said, complained = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return process.returncode, said.decode(), complained.decode()

    async def breakglass_json(self, *words: str, env: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401  whatever the command prints
        """The same with `--json`, which must succeed."""
        code, said, complained = await self.breakglass(*words, "--json", env=env)
        if code != 0:
            raise StageError(f"breakglass {' '.join(words)} failed: {complained or said}")
        return json.loads(said)

    async def enrol(self, who: str) -> None:
        """Gives somebody an authenticator, by the operator's hand; it voids the one before."""
        again = self.keeping.continued or who in self.phones
        found = await self.breakglass_json("enroll", "--person", PEOPLE[who].id, "--uri")
        self.phones[who] = Authenticator(found["uri"], again=again)

    def supervised(self, tell: Callable[[str], None], *, again: bool) -> Supervisor:
        """The bot, to be entered; `again` starts it again when it dies."""
        return Supervisor(self.env, self.home / "server.log", self._is_ready, tell, again=again)

    async def _is_ready(self) -> bool:
        """It says so itself, and Slack reaches it: by its socket, or at its address (a challenge)."""
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"http://127.0.0.1:{self.port}/ready") as answer,
            ):
                if answer.status != 200:
                    return False
        except aiohttp.ClientError:
            return False
        if self.app.socket_mode:
            return bool(self.sandbox.sockets.all())
        return await self.sandbox.verify_url(self.app)


@asynccontextmanager
async def stage(plan: Plan, narrator: Narrator) -> AsyncIterator[Stage]:
    """Sets everything but the bot, one step after the other.

    Raises:
        StageError: something that it needs is not here.
    """
    if not MANIFEST.exists():
        raise StageError("It plays from a checkout of the repository, where manifest.yml and config/ are.")
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="breakglass-demo-")))
        port = free_port()
        plan.write(home / "breakglass.toml", port)
        async with narrator.step("A Slack workspace in a box, with six people in it"):
            sandbox = await stack.enter_async_context(await Sandbox.start())
            app = sandbox.install(_manifest(plan, port))
            places = settle(sandbox, app)
        async with narrator.step("PostgreSQL as the production database; nobody may read it yet"):
            production = await stack.enter_async_context(Production())
        async with narrator.step("The operator makes keys and brings the bot's database to its schema"):
            keeping = await keep_history(plan, home, production)
            env = {
                **_inherited(plan),
                **keeping.env,
                **_slack(sandbox, app),
                "BREAKGLASS_CONFIG": str(home / "breakglass.toml"),
                "PROD_DB_URL": production.broker_url,
            }
            ready = Stage(sandbox, app, production, places, keeping, env, home, port)
            await _all(_make_keys(ready), ready.breakglass_json("migrate", env=keeping.owner))
        names = [who for who, part in PEOPLE.items() if part.has_authenticator]
        async with narrator.step("The operator gives Alice, Bob, Carol and Dana authenticators"):
            await _all(*(ready.enrol(who) for who in names))
        yield ready


async def _all(*works: Coroutine[Any, Any, Any]) -> None:
    """Side by side, and all of them to their end, also when one fails: nothing goes on behind our back."""
    for outcome in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def _manifest(plan: Plan, port: int) -> Any:  # noqa: ANN401  YAML
    text = MANIFEST.read_text()
    return yaml.safe_load(over_http(text, f"http://127.0.0.1:{port}") if plan.transport == "http" else text)


def _inherited(plan: Plan) -> dict[str, str]:
    """Our own environment, without what belongs to a real installation unless the plan wants it."""
    if plan.inherits:
        return {**os.environ, "PYTHONPATH": str(ROOT)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**kept, "PYTHONPATH": str(ROOT)}


def _slack(sandbox: Sandbox, app: App) -> dict[str, str]:
    """How to reach the workspace: what this transport needs, and not what the other does."""
    own = (
        {"SLACK_APP_TOKEN": app.app_token}
        if app.socket_mode
        else {"SLACK_SIGNING_SECRET": app.signing_secret}
    )
    return {
        "SLACK_API_URL": sandbox.api_url,
        "SLACK_BOT_TOKEN": app.bot_token,
        "BREAKGLASS_ALLOW_OTHER_SLACK": "1",
        **own,
    }


async def _make_keys(stage: Stage) -> None:
    """Keys for the history: those in the environment, those kept beside the database, or new ones."""
    signing = stage.keeping.keys.with_suffix(".signing-key")
    secret = stage.keeping.keys.with_suffix(".secret-key")
    if not (signing.exists() and secret.exists()):
        made = await stage.breakglass_json("keygen", "--signing-key", str(signing))
        secret.touch(mode=0o600)
        secret.write_text(made["secret_key"])
    stage.env.setdefault("BREAKGLASS_SIGNING_KEY_FILE", str(signing))
    stage.env.setdefault("BREAKGLASS_SECRET_KEYS", secret.read_text())
