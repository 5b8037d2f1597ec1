"""One person, one authority and one host of their own: a real sshd, a real ssh, a network that can fail."""

import asyncio
import getpass
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bot.backends import Backend, registry
from bot.backends.ssh.adapter import Ssh
from bot.core.model import Lease, Order
from tests.providers.proxy import Proxy, proxy_to
from tests.providers.sshd import Sshd, make_key, sshd_folder

ME = getpass.getuser()


class SshRig:
    no_sessions = ""
    no_preexisting = "a host does not tell by what else a person could log in there"

    def __init__(self, folder: Path, *, registered: bool, account: str = ME, extra: str = "") -> None:
        self.folder, self.registered, self.account = folder, registered, account
        self.installation = f"t{secrets.token_hex(4)}"
        self.scope = {"login": "shell"}
        self.principal = "alice"
        self.ca, self.control = folder / "ca", folder / "control"
        for name in ("ca", "control", "own", "standing"):
            make_key(folder / name)
        self.secrets: Sequence[str] = [
            "".join(path.read_text().splitlines()[1:-1])[100:140] for path in (self.ca, self.control)
        ]
        self.sshd = self.new_host("one", extra)
        self.people: list[asyncio.subprocess.Process] = []
        self.proxy: Proxy
        self.backend: Backend

    def new_host(self, name: str, extra: str = "") -> Sshd:
        place = self.folder / name
        place.mkdir()
        ca, control = ((self.folder / f"{key}.pub").read_text().strip() for key in ("ca", "control"))
        return Sshd(place, self.installation, ca, control, [self.account], extra)

    def settings(self, **changes: object) -> dict[str, Any]:
        return {
            "ca_key_file": str(self.ca),
            "control_key_file": str(self.control),
            "control_user": ME,
            "hosts": {
                "one": {
                    "address": "127.0.0.1",
                    "port": self.proxy.port,
                    "host_keys": [self.sshd.host_key],
                }
            },
            "logins": {"shell": {"account": self.account, "hosts": ["one"]}},
            "keys": {"alice": (self.folder / "own.pub").read_text()} if self.registered else {},
            **changes,
        }

    def again(self, patience: float | None = None, **changes: object) -> Ssh:
        raw = self.settings(deadline_s=patience or 20.0, **changes)
        built = registry.create("ssh", raw, name="hosts", installation=self.installation, env={})
        assert isinstance(built, Ssh)
        return built

    def client(self, lease: Lease | None, *words: str, key: str = "", host: Sshd | None = None) -> list[str]:
        """The person's own ssh with what was handed over, and nothing else; straight to the host."""
        folder = self.folder / f"person-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        handed = {k: v.reveal() for k, v in lease.handoff.fields} if lease and lease.handoff else {}
        private = handed.get("private key") or (self.folder / (key or "own")).read_text()
        (folder / "key").write_text(private)
        (folder / "key").chmod(0o600)
        host = host or self.sshd
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{host.port} {host.host_key}\n")
        options = ["BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={folder}/known_hosts"]
        if "certificate" in handed:
            (folder / "key-cert.pub").write_text(handed["certificate"])
            options.append(f"CertificateFile={folder}/key-cert.pub")
        start = ["ssh", "-F", "none", "-p", str(host.port), "-i", str(folder / "key")]
        return [*start, *(f"-o{option}" for option in options), f"{self.account}@127.0.0.1", *words]

    async def says(self, command: list[str]) -> tuple[int, str]:
        """Runs the client to its end: its exit code, and what it printed."""
        running = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await running.communicate()
        assert running.returncode is not None
        return running.returncode, out.decode()

    async def gets_in(self, lease: Lease | None, key: str = "") -> bool:
        code, said = await self.says(self.client(lease, "echo inside", key=key))
        assert code == 0 or "Permission denied" in said or "closed" in said.lower(), said
        return (code, said) == (0, "inside\n")

    async def works(self, _order: Order | None, lease: Lease | None) -> bool:
        return await self.gets_in(lease)

    async def open(self, command: list[str]) -> asyncio.subprocess.Process:
        running = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self.people.append(running)
        return running

    async def open_session(
        self, lease: Lease | None, key: str = "", command: str = "cat"
    ) -> Callable[[], Awaitable[bool]]:
        """A shell at work: it lives while it still answers."""
        running = await self.open(self.client(lease, command, key=key))
        return lambda: echoes(running)

    async def give_before(self) -> None:
        self.sshd.authorize((self.folder / "standing.pub").read_text().strip())

    async def standing_works(self) -> bool:
        return await self.gets_in(None, key="standing")

    async def plant(self, name: str) -> None:
        entry = {"mark": name, "login": "shell", "account": self.account, "until": 2**33, "hosts": ["one"]}
        (self.sshd.state / "grants" / name).write_text(json.dumps(entry))

    async def names(self) -> set[str]:
        return self.sshd.marks()

    async def refuse(self) -> None:
        self.sshd.configure(accounts=[])

    def cut(self) -> None:
        self.proxy.cut()

    def pause(self) -> None:
        self.proxy.pause()

    def swallow(self) -> None:
        before = self.sshd.marks()
        self.proxy.swallow_when(lambda: self.sshd.marks() != before)

    def heal(self) -> None:
        self.proxy.heal()

    async def stop(self) -> None:
        for running in self.people:
            if running.returncode is None:
                running.kill()
            await running.communicate()


async def echoes(running: asyncio.subprocess.Process) -> bool:
    """Whether a session still answers what is typed."""
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        running.stdin.write(b"still here\n")
        await running.stdin.drain()
        async with asyncio.timeout(10):
            return await running.stdout.readline() == b"still here\n"
    except (ConnectionError, TimeoutError):
        return False


@asynccontextmanager
async def ssh_rig(*, registered: bool, account: str = ME, extra: str = "") -> AsyncIterator[SshRig]:
    """A rig, and nothing left of it afterwards."""
    with sshd_folder() as folder:
        rig = await asyncio.to_thread(
            lambda: SshRig(folder, registered=registered, account=account, extra=extra)
        )
        await asyncio.to_thread(rig.sshd.start)
        try:
            async with proxy_to("127.0.0.1", rig.sshd.port) as proxy:
                rig.proxy = proxy
                rig.backend = rig.again()
                yield rig
                await rig.stop()
        finally:
            await asyncio.to_thread(rig.sshd.stop)
