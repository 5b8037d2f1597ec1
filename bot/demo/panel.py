"""What stands beside the page and is not Slack: phone, access, the bot's process, the guide.

    GET  /beside/api/state?as=U..      everything the panel shows to that person, as of now
    POST /beside/api/query             {as, query, user?, password?}
    POST /beside/api/open              {as, user?, password?}     a session that is kept open
    POST /beside/api/close             {id}
    POST /beside/api/enrol             {as}                       a new authenticator, by the operator's hand
    POST /beside/api/kill              {}                         SIGKILL for the bot
    POST /beside/api/verify            {forged}                   on the history, or on a forged copy of it

Every answer is JSON: `ok`, and where it is not, `error` with a sentence. The page's guards stand before it.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import asyncpg
from aiohttp import web

from bot.core.model import Secret
from bot.demo import auditor
from bot.demo.attempts import QUERIES, Attempts, Login
from bot.demo.guide import GUIDE, Seen, told
from bot.demo.history import MOST_WRONG, History
from bot.demo.people import PEOPLE, handle_of
from bot.demo.plan import StageError
from bot.demo.stage import Stage
from bot.demo.supervisor import Life, Supervisor

BESIDE: Final = Path(__file__).parent / "beside"
MARK: Final = "bg-example-"
"""How our marks begin: the installation's name is that of the example configuration."""

_LONGEST: Final = 200
_DEATHS: Final = 3

Given = dict[str, Any]


class CannotError(Exception):
    """What was asked for cannot be done; a sentence says why."""


class Panel:
    """Answers for one stage. `close` hangs up what people keep open."""

    def __init__(self, stage: Stage, bot: Supervisor, history: History) -> None:
        self._stage = stage
        self._bot = bot
        self._history = history
        self._attempts = Attempts(stage.production)
        self._at_the_command_line = asyncio.Lock()
        self._verdict: dict[str, Any] | None = None
        self._sound = self._forged = False

    @property
    def routes(self) -> list[web.RouteDef]:
        """For `Beside`."""
        posts = (self.query, self.open, self.close_session, self.enrol, self.kill, self.verify)
        names = ("query", "open", "close", "enrol", "kill", "verify")
        made = [
            web.post(f"/beside/api/{name}", _answering(work)) for name, work in zip(names, posts, strict=True)
        ]
        return [web.get("/beside/api/state", self._state), *made]

    async def close(self) -> None:
        """Hangs up every session."""
        await self._attempts.close_all()

    # --- what is shown

    async def _state(self, request: web.Request) -> web.Response:
        try:
            return web.json_response({"ok": True, **await self.state(request.query.get("as", ""))})
        except CannotError as error:
            return web.json_response({"ok": False, "error": str(error)})

    async def state(self, id: str) -> dict[str, Any]:
        """Everything for this person; moments in seconds since 1970."""
        who = _somebody(id)
        lines = await self._history.look()
        try:
            catalogue = await self._stage.production.catalogue(MARK)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            catalogue = {"roles": [], "sessions": [], "trouble": str(error)}
        seen = Seen(
            lines,
            self._attempts.allowed,
            self._attempts.refused,
            self._attempts.cut,
            any(life.on_purpose == "killed" for life in self._bot.lives[:-1]),
            self._sound,
            self._forged,
        )
        return {
            "now": time.time(),
            "phone": await self._phone(who),
            "access": {
                "login": who,
                "queries": [{"id": id, "title": title, "sql": sql} for id, (title, sql) in QUERIES.items()],
                "last": next(
                    (made.to_json() for made in reversed(self._attempts.made) if made.who == who), None
                ),
                "sessions": [kept.to_json() for kept in self._attempts.sessions],
            },
            "catalogue": catalogue,
            "bot": self._process(),
            "verdict": self._verdict,
            "guide": told(GUIDE, seen),
        }

    async def _phone(self, who: str) -> dict[str, Any]:
        phone = self._stage.phones.get(who)
        if phone is None:
            return {"has": False}
        id = PEOPLE[who].id
        wrong = await self._history.wrong_codes(id)
        shown = phone.shown(await self._history.used_step(id))
        return {
            "has": True,
            "code": shown.code.reveal(),
            "wrong": phone.wrong(),
            "from": shown.takes_from,
            "until": shown.takes_until,
            "misses": wrong,
            "most": MOST_WRONG,
        }

    def _process(self) -> dict[str, Any]:
        life = self._bot.life
        running = life.ended_at is None
        state = "down" if not running else "running" if life.ready_at else "starting"
        ended = [each for each in self._bot.lives if each.ended_at is not None]
        return {
            "state": state,
            "pid": life.pid,
            "since": life.began_at if life.ended_at is None else life.ended_at,
            "trouble": self._bot.trouble,
            "deaths": [_death(each) for each in ended[-_DEATHS:]],
        }

    # --- what can be done

    async def query(self, given: Given) -> Given:
        """Runs a query as somebody."""
        who = _somebody(given.get("as"))
        name = given.get("query")
        if name not in QUERIES:
            raise CannotError("There is no such query. Reload the page.")
        made = await self._attempts.query(who, self._login(who, given), name)
        return {"attempt": made.to_json()}

    async def open(self, given: Given) -> Given:
        """Keeps a session open."""
        who = _somebody(given.get("as"))
        refused = await self._attempts.open(who, self._login(who, given))
        return {"opened": not refused, "refused": refused}

    async def close_session(self, given: Given) -> Given:
        """Hangs one up."""
        id = given.get("id")
        if not isinstance(id, int):
            raise CannotError("Say which session.")
        await self._attempts.close(id)
        return {}

    async def enrol(self, given: Given) -> Given:
        """A new authenticator: also lifts a lock-out."""
        who = _somebody(given.get("as"))
        if who not in self._stage.phones:
            raise CannotError("This person has no authenticator here: no role asks for their code.")
        async with self._at_the_command_line:
            await self._stage.enrol(who)
        return {}

    async def kill(self, _given: Given) -> Given:
        """Kills the bot."""
        if not self._bot.kill():
            raise CannotError("The bot is not running at this moment; it is being started again.")
        return {}

    async def verify(self, given: Given) -> Given:
        """Runs the verifier."""
        forged = given.get("forged") is True
        async with self._at_the_command_line:
            work = auditor.verify_forged if forged else auditor.verify
            found = await work(self._stage)
        self._sound |= not forged and found.code == 0
        self._forged |= forged and found.code == auditor.FOUND
        self._verdict = {"code": found.code, "words": found.words, "forged": found.forged, "at": time.time()}
        return {"verdict": self._verdict}

    def _login(self, who: str, given: Given) -> Login:
        user, password = given.get("user"), given.get("password")
        if user is None and password is None:
            return self._attempts.own(who)
        texts = [text.strip() for text in (user, password) if isinstance(text, str)]
        if len(texts) != 2 or not all(0 < len(text) <= _LONGEST for text in texts) or "\0" in "".join(texts):
            raise CannotError("Paste both user and password, as Slack shows them under “Show credential”.")
        return Login(texts[0], Secret(texts[1]))


def _somebody(id: object) -> str:
    handle = handle_of(id) if isinstance(id, str) else ""
    if not handle:
        raise CannotError("There is nobody of that id here. Choose somebody else.")
    return handle


def _death(life: Life) -> Given:
    return {"at": life.ended_at, "sentence": life.epitaph(), "words": life.told_words(), "pid": life.pid}


def _answering(work: Callable[[Given], Awaitable[Given]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that reads JSON and answers with JSON."""

    async def answer(request: web.Request) -> web.Response:
        try:
            given = json.loads(await request.read())
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            return web.json_response({"ok": False, "error": "The page sent something unreadable. Reload it."})
        try:
            return web.json_response({"ok": True, **await work(given)})
        except (CannotError, StageError) as error:
            return web.json_response({"ok": False, "error": str(error)})
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, RuntimeError) as error:
            return web.json_response({"ok": False, "error": f"It did not work: {error}"})

    return answer
