"""The bot, unchanged, as a process of its own; and what systemd would do for it: start it again.

Rules: it is ended as an operator ends it, by SIGTERM. A death that nobody ordered is told, with the process's
last words, and followed by a new start; one that cannot live, or not even be started, is tried ever more
slowly, never given up.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from bot.demo.plan import StageError

READY_WITHIN: Final = 60.0
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds before each new start, longer while the process keeps dying young."""
YOUNG: Final = 10.0

Pause = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Life:
    """One process, from its start to its end; moments in seconds since 1970."""

    pid: int
    began_at: float
    log_from: int
    ready_at: float | None = None
    ended_at: float | None = None
    code: int | None = None
    on_purpose: Literal["", "killed", "stopped"] = ""
    last_words: str = ""

    def epitaph(self) -> str:
        """How it ended, as a sentence."""
        if self.on_purpose == "killed":
            return f"The bot (process {self.pid}) was killed with SIGKILL, as somebody asked."
        if self.code is not None and self.code < 0:
            return f"The bot (process {self.pid}) was killed by {signal.Signals(-self.code).name}."
        return f"The bot (process {self.pid}) ended by itself, with exit code {self.code}."

    def told_words(self) -> str:
        """Its last words, where they explain the end: whom somebody killed had no time for any."""
        return "" if self.on_purpose == "killed" else self.last_words


class Supervisor:
    """Keeps the bot running while the block runs; returns from entering it when the bot is ready.

    Args:
        env: the environment of the process.
        log: where it writes.
        is_ready: whether it answers, and Slack reaches it.
        tell: told of every end and new start.
        again: whether to start it again.
        pause: waits before a new start.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        log: Path,
        is_ready: Callable[[], Awaitable[bool]],
        tell: Callable[[str], None],
        *,
        again: bool,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._env = env
        self._log = log
        self._is_ready = is_ready
        self._tell = tell
        self._again = again
        self._pause = pause
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self.lives: list[Life] = []
        self.trouble = ""
        """Why it could not be started when that was tried last; empty when it could."""

    async def __aenter__(self) -> Self:
        try:
            await self._start()
            await self._until_ready()
        except BaseException:
            await self._stop()
            raise
        if self._again:
            self._watch = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        await self._stop()

    @property
    def life(self) -> Life:
        """The process of now, or the last one."""
        return self.lives[-1]

    def kill(self) -> bool:
        """SIGKILL: nothing of it is left but what it wrote before. False when it was dead already."""
        if self._process is None or self._process.returncode is not None:
            return False
        self.life.on_purpose = "killed"
        self._process.kill()
        return True

    def last_words(self) -> str:
        """The end of what the present process wrote."""
        if not self._log.exists():
            return "(nothing)"
        with self._log.open("rb") as log:
            start = self.life.log_from if self.lives else 0
            end = log.seek(0, os.SEEK_END)
            log.seek(max(start, end - 4000))
            return log.read().decode(errors="replace").strip() or "(nothing)"

    # --- how

    async def _start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bot", "serve"),
                env=self._env, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
            self.lives.append(Life(self._process.pid, time.time(), log.tell()))

    async def _until_ready(self) -> None:
        """Returns when it is ready, or has ended.

        Raises:
            StageError: the first one ended, or is not ready after a minute.
        """
        process, life = self._process, self.life
        assert process is not None
        deadline = time.monotonic() + READY_WITHIN
        while process.returncode is None:
            if await self._is_ready():
                life.ready_at = time.time()
                return
            if time.monotonic() > deadline:
                raise StageError(
                    f"The bot was not ready after a minute. Its last words:\n{self.last_words()}"
                )
            await asyncio.sleep(0.1)
        if len(self.lives) == 1:
            raise StageError(f"The bot ended at its start. Its last words:\n{self.last_words()}")

    async def _keep(self) -> None:
        failed = 0
        while True:
            assert self._process is not None
            code = await self._process.wait()
            life = self.life
            life.ended_at, life.code, life.last_words = time.time(), code, self.last_words()
            young = life.on_purpose != "killed" and life.ended_at - life.began_at < YOUNG
            failed = failed + 1 if young else 0
            words = f" Its last words:\n{life.told_words()}\n" if life.told_words() else ""
            self._tell(f"{life.epitaph()}{words} It is started again in {_pause(failed):.0f} s.")
            await self._pause(_pause(failed))
            failed = await self._start_again(failed)
            try:
                await self._until_ready()
            except (StageError, OSError) as error:
                self._tell(str(error))
                continue
            if self.life.ready_at is not None:
                took = self.life.ready_at - self.life.began_at
                self._tell(f"The bot is back (process {self.life.pid}), ready after {took:.1f} s.")

    async def _start_again(self, failed: int) -> int:
        """Tries until it can be started, however long; returns how often in a row that was in vain."""
        while True:
            try:
                await self._start()
            except OSError as error:
                failed += 1
                self.trouble = f"The bot cannot be started ({error}). It is tried again."
                self._tell(f"{self.trouble[:-1]} in {_pause(failed):.0f} s.")
                await self._pause(_pause(failed))
            else:
                self.trouble = ""
                return failed

    async def _stop(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self.life.on_purpose = "stopped"
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def _pause(failed: int) -> float:
    """Seconds to wait after so many failures in a row."""
    return PAUSES[min(failed, len(PAUSES) - 1)]
