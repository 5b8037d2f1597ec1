"""`breakglass copy`: the history moves to another database, and is verified before and after.

Rule: both addresses come from the environment, for they hold passwords; neither is ever printed with one.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict

from bot.config import COPY, VERIFY, ConfigError, Environment
from bot.core.errors import BreakglassError
from bot.office import require_there, utc_now
from bot.operate.verifying import keys_of, report_on
from bot.store import (
    Reader,
    cancel,
    copy,
    is_file,
    migrate,
    only_server,
    open_engine,
    require_current,
    require_rights,
    shown,
)


class CopiedRow(TypedDict):
    """What was copied; `already`: an earlier run had finished it, and nothing was done now."""

    events: int
    root: str
    rows: dict[str, int]
    to: str
    already: bool


class Unsound(BreakglassError):
    """The history that was to be copied, or what arrived of it, does not verify."""


async def copied(env: Mapping[str, str], tell: Callable[[str], None]) -> CopiedRow:
    """Copies the history of BREAKGLASS_DATABASE_URL to BREAKGLASS_COPY_TO and marks the source as moved.

    Args:
        env: the environment. With the signing key file in it, signatures and the signer's memory count too.
        tell: hears sentences of progress.

    Raises:
        AlreadyServed: a server runs on one of the two.
        NotEmpty, Unsound, WrongRights, SchemaOutdated, DatabaseUnreachable: nothing was changed.
    """
    environment = Environment.read(env, need=COPY)
    here, there = environment.database_url.reveal(), environment.copy_to.reveal()
    require_there(here)
    if _named(here) == _named(there):
        raise ConfigError(["BREAKGLASS_COPY_TO: It names the same database as BREAKGLASS_DATABASE_URL."])
    keys, memory = keys_of(env, ())

    async def check(reader: Reader) -> None:
        report = await report_on(reader, keys, memory=memory)
        if not report.sound:
            found = "\n".join(finding.sentence for finding in report.findings)
            raise Unsound(f"{found}\nThe history is not sound, so nothing was copied. See: breakglass verify")

    async with only_server(here):
        source, target = open_engine(here, patient=True), open_engine(there, patient=True)
        try:
            await require_current(source)
            if is_file(there):
                await migrate(target)
            await require_current(target)
            await require_rights(target)
            async with only_server(there):
                done = await copy(source, target, to=shown(there), clock=utc_now, check=check, tell=tell)
        finally:
            await source.dispose()
            await target.dispose()
    return {
        "events": done.events,
        "root": done.root.hex(),
        "rows": done.rows,
        "to": shown(there),
        "already": done.already,
    }


async def cancelled(env: Mapping[str, str]) -> bool:
    """Takes the mark off the source of a copy that is never to be used. Returns whether there was one."""
    url = Environment.read(env, need=VERIFY).database_url.reveal()
    require_there(url)
    async with only_server(url):
        engine = open_engine(url)
        try:
            await require_current(engine)
            return await cancel(engine)
        finally:
            await engine.dispose()


def copied_text(found: CopiedRow) -> str:
    """The outcome for a person, with what to do next."""
    done = "were copied before; nothing was done now" if found["already"] else "copied and verified"
    return (
        f"✓ {found['events']} events {done}. Root {found['root'][:16]}…\n"
        f"The history grows at {found['to']} from now on; the source is marked and no server starts on it.\n"
        "Next: name the new database in BREAKGLASS_DATABASE_URL, take BREAKGLASS_COPY_TO away, and start "
        "the server."
    )


def _named(url: str) -> str:
    return str(Path(shown(url)).resolve()) if is_file(url) else shown(url)
