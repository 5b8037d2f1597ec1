"""The connection to a host: one question as JSON, one answer, within one deadline.

The rule: no host is believed to be itself without a key from the settings, and nothing of ours is offered to
it but the control key: no agent, no configuration file of whoever runs us. A connection lives for one
question.
asyncssh's errors end here.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import asyncssh

from bot.core.errors import BackendError, BackendRefused, BackendUnavailable

LONGEST_ANSWER: Final = 4 << 20
"""Bytes. A grant is listed in about half a kilobyte."""

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Host:
    """Where a host is, and the keys by which it is known."""

    name: str
    address: str
    port: int
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Control:
    """Our control login on every host.

    `slots` bounds how many connections are open at a time; a host's deadline begins when it has one, so that
    a host is not called silent because there are many.
    """

    hosts: Mapping[str, Host]
    user: str
    key: asyncssh.SSHKey = field(repr=False)
    deadline: float
    slots: asyncio.Semaphore = field(repr=False)

    async def ask_each(
        self, names: Iterable[str], question: Mapping[str, object]
    ) -> tuple[dict[str, Answer], dict[str, BackendError]]:
        """Asks hosts at the same time: the answers, and what went wrong, by name. None holds up another."""

        async def one(name: str) -> Answer | BackendError:
            try:
                return await self.ask(name, question)
            except BackendError as error:
                return error

        names = list(names)
        found = dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))
        return (
            {name: answer for name, answer in found.items() if not isinstance(answer, BackendError)},
            {name: error for name, error in found.items() if isinstance(error, BackendError)},
        )

    async def ask(self, name: str, question: Mapping[str, object]) -> Answer:
        """One question to one host.

        Raises:
            BackendRefused, BackendUnavailable: whatever went wrong, led by the host's name.
        """
        try:
            async with self.slots, asyncio.timeout(self.deadline), self.connect(name) as connection:
                said = await printed(connection, "breakglass-host serve", json.dumps(question))
        except (OSError, TimeoutError, asyncssh.Error, asyncssh.ProcessError) as error:
            raise self._told(name, error) from None
        try:
            answer = json.loads(said)
            assert isinstance(answer, dict)
            assert {"no", "failed"} & set(answer) or answer.get("did") == question["do"]
        except (ValueError, AssertionError, RecursionError):
            raise BackendUnavailable(
                f"{name}: breakglass-host gave no answer that can be read. Run it on the host to see why."
            ) from None
        if "no" in answer:
            raise BackendRefused(f"{name}: {str(answer['no'])[:300]}")
        if "failed" in answer:
            raise BackendUnavailable(f"{name}: {str(answer['failed'])[:300]}")
        return answer

    def connect(self, name: str) -> Any:  # noqa: ANN401 - asyncssh's own context manager
        """A connection, for whoever needs more than one question; asyncssh's errors come through."""
        host = self.hosts[name]
        trusted = [asyncssh.import_public_key(key) for key in host.keys]
        return asyncssh.connect(
            host.address,
            host.port,
            username=self.user,
            client_keys=[self.key],
            known_hosts=(trusted, [], []),
            config=None,
            agent_path=None,
            preferred_auth="publickey",
            keepalive_interval=0,
        )

    def _told(self, name: str, error: Exception) -> BackendError:
        if isinstance(error, TimeoutError):
            return BackendUnavailable(f"{name} did not answer within {self.deadline:g} s.")
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return BackendRefused(
                f"{name} showed another host key than host_keys names: it was made anew, or it is another "
                "machine. Look at it, then mend host_keys."
            )
        if isinstance(error, asyncssh.PermissionDenied):
            return BackendRefused(f"{name} refused our control key for {self.user}. Put it back there.")
        return BackendUnavailable(f"{name} cannot be reached ({type(error).__name__}).")


async def printed(connection: asyncssh.SSHClientConnection, command: str, told: str) -> str:
    """What a command there prints. No more is read than an answer can be long: the host may be another's."""
    said = ""
    process = await connection.create_process(command, input=told, stderr=asyncssh.DEVNULL)
    while len(said) <= LONGEST_ANSWER and (more := await process.stdout.read(1 << 16)):
        said += str(more)
    return said[
        :LONGEST_ANSWER
    ]  # the process ends with its connection: waiting for it would have no deadline
