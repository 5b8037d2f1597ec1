"""The verbs of the page: read what the browser sent, do it with the persona's hands, answer with a sentence.

Rule: a verb has no power that the person has not; what is missing or odd in a request is refused in words.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from bot.sandbox.client import Outcome, Persona, Screen
from bot.sandbox.errors import CannotDoError, NoAnswerError, SlackError
from bot.sandbox.kit.schema import Json
from bot.sandbox.page.words import no_answer
from bot.sandbox.sandbox import Sandbox

LONGEST: Final = 12_000
"""Characters that Slack's composer takes (slack.com/help: longer messages become files)."""


class Given:
    """What the browser sent, read with suspicion."""

    def __init__(self, body: Json) -> None:
        self._body = body

    def text(self, key: str) -> str:
        """A string that is there and not empty."""
        value = self._body.get(key)
        if not isinstance(value, str) or not value.strip():
            raise CannotDoError(f"“{key}” is missing. Fill it in, or reload the page, and try again.")
        return value

    def maybe(self, key: str) -> str:
        """A string, or nothing."""
        value = self._body.get(key)
        return value if isinstance(value, str) else ""

    def flag(self, key: str) -> bool:
        """True only for true."""
        return self._body.get(key) is True

    def any(self, key: str) -> object:
        """Whatever it is; whoever takes it checks it."""
        return self._body.get(key)

    def inside(self, key: str) -> "Given":
        """An object in it."""
        value = self._body.get(key)
        if not isinstance(value, dict):
            raise CannotDoError(f"“{key}” is missing. Reload the page and try again.")
        return Given(value)


Verb = Callable[["Acts", Persona, Given], Awaitable[Json]]
VERBS: dict[str, Verb] = {}


def verb(work: Verb) -> Verb:
    """Enter a method of `Acts` into the table, under its own name."""
    VERBS[work.__name__] = work
    return work


class Acts:
    """Does what a person asks for on the page."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def do(self, body: object) -> Json:
        """The answer to one request: `ok`, or a sentence why not."""
        try:
            if not isinstance(body, dict):
                raise CannotDoError("The page sent something unreadable. Reload it and try again.")  # noqa: TRY301  one way to refuse
            return {"ok": True, **await self._work(body)}
        except CannotDoError as error:
            return {"ok": False, "error": _sentence(str(error))}
        except SlackError as error:
            return {"ok": False, "error": no_answer("This", error.code), "code": error.code}
        except NoAnswerError as error:
            return {"ok": False, "error": no_answer("This", error.code), "code": error.code}

    async def _work(self, body: Json) -> Json:
        given = Given(body)
        who = self._sandbox.users.get(given.text("as"))
        if who is None or who.is_bot:
            raise CannotDoError("There is nobody of that id to act as. Choose somebody else in the header.")
        work = VERBS.get(given.text("verb"))
        if work is None:
            raise CannotDoError("The page asked for something that is not known here. Reload it.")
        return await work(self, self._sandbox.persona(who.id), given)

    # --- words

    @verb
    async def say(self, persona: Persona, given: Given) -> Json:
        """Post, or run the command that the line begins with."""
        channel, text, thread = given.text("channel"), given.text("text").strip(), given.maybe("thread_ts")
        if text.startswith("/"):
            if thread:
                raise CannotDoError("Commands do not work in threads. Type it in the channel itself.")
            return _became(text.split()[0], await persona.command(text, channel))
        if len(text) > LONGEST:
            raise CannotDoError(f"A message has at most {LONGEST} characters; this one has {len(text)}.")
        message = await persona.post(channel, persona.typed(text), thread_ts=thread or None)
        return {"ts": message.ts}

    @verb
    async def edit(self, persona: Persona, given: Given) -> Json:
        """Change own words."""
        message = persona.seen(given.text("channel"), given.text("ts"))
        await persona.edit(message, persona.typed(given.text("text").strip()))
        return {}

    @verb
    async def delete(self, persona: Persona, given: Given) -> Json:
        """Delete a message."""
        await persona.delete(persona.seen(given.text("channel"), given.text("ts")))
        return {}

    @verb
    async def dismiss(self, persona: Persona, given: Given) -> Json:
        """Put away what only this person sees."""
        persona.dismiss(persona.seen(None, given.text("ts")))
        return {}

    # --- apps

    @verb
    async def open_home(self, persona: Persona, given: Given) -> Json:
        """Open an app's Home tab."""
        app = self._sandbox.workspace.apps.get(given.text("app_id"))
        if app is None:
            raise CannotDoError("That app is not installed here.")
        await persona.open_home(app)
        return {}

    @verb
    async def open_direct(self, persona: Persona, given: Given) -> Json:
        """Open a direct conversation."""
        return {"channel": (await persona.open_direct(given.text("user"))).id}

    @verb
    async def shortcut(self, persona: Persona, given: Given) -> Json:
        """A global shortcut, or one of a message."""
        name = given.text("callback_id")
        if given.maybe("ts"):
            message = persona.seen(given.text("channel"), given.text("ts"))
            return _became("The shortcut", await persona.message_shortcut(name, message))
        return _became("The shortcut", await persona.shortcut(name))

    @verb
    async def put(self, persona: Persona, given: Given) -> Json:
        """Keep what was filled in."""
        screen = _where(persona, given)
        screen.put(given.text("block_id"), given.text("action_id"), given.any("entry"))
        self._sandbox.workspace.pulse.beat()
        return {}

    @verb
    async def act(self, persona: Persona, given: Given) -> Json:
        """Press a button, choose an entry, let go of a field."""
        outcome = await _where(persona, given).act(
            given.text("block_id"),
            given.text("action_id"),
            option=given.any("option"),
            entry=given.any("entry"),
        )
        return _became("This", outcome)

    @verb
    async def suggest(self, persona: Persona, given: Given) -> Json:
        """The options for what was typed into a menu."""
        screen = _where(persona, given)
        block_id, action_id = given.text("block_id"), given.text("action_id")
        return {"options": await screen.suggest_for(block_id, action_id, given.maybe("typed"))}

    @verb
    async def submit(self, persona: Persona, given: Given) -> Json:
        """Hand in the window on top."""
        view, modal = given.text("view"), persona.modal
        if modal is None or modal.view.id != view:
            raise CannotDoError("This window is closed, or no longer on top.")
        wrong = await modal.hand_in()
        if wrong is None:
            return {}
        general = wrong.get("", "Some fields need another look.")
        return {"ok": False, "error": general, "fields": {key: text for key, text in wrong.items() if key}}

    @verb
    async def close(self, persona: Persona, given: Given) -> Json:
        """Close the window on top, or all of them."""
        view, modal = given.text("view"), persona.modal
        if modal is None or modal.view.id != view:
            return {}  # it is closed already
        await modal.close(everything=given.flag("everything"))
        return {}

    # --- channels

    @verb
    async def join(self, persona: Persona, given: Given) -> Json:
        """Become a member."""
        await persona.join(given.text("channel"))
        return {}

    @verb
    async def leave(self, persona: Persona, given: Given) -> Json:
        """Leave a channel."""
        await persona.leave(given.text("channel"))
        return {}

    @verb
    async def invite(self, persona: Persona, given: Given) -> Json:
        """Bring somebody in."""
        await persona.invite(given.text("channel"), given.text("user"))
        return {}

    @verb
    async def kick(self, persona: Persona, given: Given) -> Json:
        """Remove somebody."""
        await persona.kick(given.text("channel"), given.text("user"))
        return {}

    @verb
    async def topic(self, persona: Persona, given: Given) -> Json:
        """Set the line at the top; an empty one takes it away."""
        await persona.set_topic(given.text("channel"), given.maybe("topic").strip())
        return {}

    @verb
    async def rename(self, persona: Persona, given: Given) -> Json:
        """Rename a channel."""
        await persona.rename(given.text("channel"), given.text("name").strip().removeprefix("#"))
        return {}

    @verb
    async def archive(self, persona: Persona, given: Given) -> Json:
        """Archive a channel."""
        await persona.archive(given.text("channel"))
        return {}

    @verb
    async def unarchive(self, persona: Persona, given: Given) -> Json:
        """Bring a channel back."""
        await persona.unarchive(given.text("channel"))
        return {}

    @verb
    async def convert(self, persona: Persona, given: Given) -> Json:
        """Make a channel private, or public."""
        await persona.convert(given.text("channel"), private=given.flag("private"))
        return {}

    @verb
    async def restrict(self, persona: Persona, given: Given) -> Json:
        """Let only admins post, or everybody."""
        await persona.restrict(given.text("channel"), only_admins_post=given.flag("only_admins_post"))
        return {}


def _where(persona: Persona, given: Given) -> Screen:
    where = given.inside("where")
    if where.maybe("view"):
        return persona.screen(where.text("view"))
    return persona.on(persona.seen(where.text("channel"), where.text("ts")))


def _became(what: str, outcome: Outcome) -> Json:
    if outcome.error is not None:
        return {"ok": False, "error": no_answer(what, outcome.error), "code": outcome.error}
    return {"text": outcome.human_text()} if outcome.message else {}


def _sentence(text: str) -> str:
    done = text[:1].upper() + text[1:]
    return done if done.endswith((".", "?", "!")) else f"{done}."
