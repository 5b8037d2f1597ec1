"""Is each host set up, and is our control login there enough and no more? One sentence per problem."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Final

import asyncssh

from bot.backends.ssh.certificate import Authority
from bot.backends.ssh.control import Answer, Control, printed
from bot.backends.ssh.host import SKEW, VERSION
from bot.core.errors import BackendError

_PROBE: Final = "echo breakglass-has-a-shell"


async def problems(control: Control, authority: Authority) -> Sequence[str]:
    """Asks every host, and changes nothing there."""
    asked = time.time()
    answers, failed = await control.ask_each(control.hosts, {"do": "check"})
    found = [str(error) for error in failed.values()]
    for name, answer in answers.items():
        found += [f"{name}: {sentence}" for sentence in _of_host(answer, authority, asked)]
    for sentences in await asyncio.gather(*(_of_login(control, name) for name in answers)):
        found += sentences
    return found


def another_version(answer: Answer) -> str:
    """What is wrong with a host whose helper is not like ours; empty: it is."""
    theirs = str(answer.get("version"))[:20]
    if theirs == str(VERSION):
        return ""
    return f"its breakglass-host is version {theirs}, and ours is {VERSION}. Install ours there."


def _of_host(answer: Answer, authority: Authority, asked: float) -> Iterator[str]:
    if other := another_version(answer):
        yield other
        return
    yield from map(str, answer["problems"])
    if str(answer["ca"]).split()[:2] != authority.public.split():
        yield f'it is set up for another authority. Put "{authority.public}" into /etc/breakglass/host.json.'
    off = answer["now"] - (asked + time.time()) / 2
    if abs(off) > SKEW:
        yield f"its clock is {off:+.0f} s from ours. Set it right (chrony or ntpd)."


async def _of_login(control: Control, name: str) -> list[str]:
    """Tries what our own login must not be able to do."""
    restrict = (
        f"{name}: our control login can %s. Begin its line in authorized_keys with restrict,command=..."
    )
    found = []
    try:
        async with asyncio.timeout(control.deadline), control.slots, control.connect(name) as connection:
            if _PROBE.split()[1] in await printed(connection, _PROBE, "{}"):
                found.append(restrict % "run any command")
            try:
                _, writer = await connection.open_connection("127.0.0.1", 1)
                writer.close()
                found.append(restrict % "forward ports")
            except asyncssh.ChannelOpenError as error:
                if error.code != asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                    found.append(restrict % "forward ports")
    except (OSError, TimeoutError, asyncssh.Error, BackendError) as error:
        found.append(f"{name}: what our control login can do could not be tried ({type(error).__name__}).")
    return found
