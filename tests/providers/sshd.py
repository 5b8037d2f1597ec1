"""A real sshd with a configuration, keys and `breakglass-host` of its own in a temporary folder.

It listens on 127.0.0.1 and lets in only the account it runs as, unless it runs as root. Nothing of the
machine's own sshd, accounts or keys is touched.
"""

import getpass
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.backends.ssh import host
from bot.demo.ports import free_port

HELPER = Path(host.__file__)
PYTHON = os.path.realpath(sys.executable)  # sshd runs only what root owns, all the way up


def missing() -> str:
    """Why no sshd can be started here; empty: one can."""
    names = {"sshd": find_sshd(), "ssh": shutil.which("ssh"), "ssh-keygen": shutil.which("ssh-keygen")}
    absent = [name for name, path in names.items() if not path]
    if absent:
        return f"SSH: {', '.join(absent)} not installed (Debian: apt-get install openssh-server)"
    if Path(PYTHON).stat().st_uid != 0:
        return f"SSH: sshd would not run {PYTHON}, which root does not own"
    return ""


def find_sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def make_key(path: Path, *words: str) -> str:
    """A key pair by ssh-keygen; its public line."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path), *words], check=True
    )
    return path.with_name(f"{path.name}.pub").read_text().strip()


@dataclass
class Sshd:
    """One host."""

    folder: Path
    installation: str
    ca: str
    """Public key of the authority it trusts."""
    control: str
    """Public key of our control login."""
    accounts: list[str] = field(default_factory=lambda: [getpass.getuser()])
    extra: str = ""
    """More lines for sshd_config."""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.host_key = make_key(self.folder / "host_key")
        self.state, self.run = self.folder / "state", self.folder / "run"
        self.config, self.log = self.folder / "host.json", self.folder / "sshd.log"
        self.sshd_config, self.keys = self.folder / "sshd_config", self.folder / "authorized_keys"
        self.configure()
        self.helper("setup")
        self.helper("sweep")
        self.authorize()
        self.sshd_config.write_text(
            f"""
            Port {self.port}
            ListenAddress 127.0.0.1
            HostKey {self.folder}/host_key
            PidFile none
            UsePAM no
            StrictModes no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin yes
            AuthorizedKeysFile {self.keys}
            LogLevel VERBOSE
            TrustedUserCAKeys {self.state}/ca.pub
            RevokedKeys {self.state}/revoked.krl
            AuthorizedPrincipalsCommand {PYTHON} -I {HELPER} --config {self.config} login %u %i %K %k
            AuthorizedPrincipalsCommandUser {getpass.getuser()}
            {self.extra}
            """
        )

    def configure(self, **changes: object) -> None:
        """What the operator writes into host.json."""
        settings = {
            "installation": self.installation,
            "ca": self.ca,
            "accounts": self.accounts,
            "state": str(self.state),
            "run": str(self.run),
            "sshd": [find_sshd(), "-f", str(self.sshd_config)],
        }
        self.config.write_text(json.dumps({**settings, **changes}))
        self.config.chmod(0o644)

    @property
    def serve(self) -> str:
        """The forced command of our control login."""
        return f"{PYTHON} -I {HELPER} --config {self.config} serve"

    def authorize(self, *more: str, options: str = "restrict,") -> None:
        """Who may log in without a certificate: our control login, and `more` lines."""
        self.keys.write_text("\n".join([f'{options}command="{self.serve}" {self.control}', *more, ""]))

    def helper(self, *words: str) -> str:
        """Runs breakglass-host as the operator, or its timer, does."""
        done = subprocess.run(
            [PYTHON, "-I", str(HELPER), "--config", str(self.config), *words],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def start(self) -> None:
        """Starts sshd and waits until it listens."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(
                mode=0o755, exist_ok=True
            )  # Debian's service makes it; sshd insists on it
        binary = find_sshd()
        assert binary is not None
        self.process = subprocess.Popen(
            [binary, "-D", "-f", str(self.sshd_config), "-E", str(self.log)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 120
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "sshd did not listen"
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends sshd and every connection of it, as a machine that goes down does."""
        if self.process is None:
            return
        for pid in [*host.below(self.process.pid), self.process.pid]:
            with_signal(pid)
        self.process.wait(10)
        self.process = None

    def marks(self) -> set[str]:
        """Grants on this host, whoever's."""
        return {file.name for file in (self.state / "grants").iterdir() if not file.name.startswith(".")}

    def logged(self, pattern: str) -> list[str]:
        """What sshd wrote down."""
        return re.findall(pattern, self.log.read_text())

    @property
    def serials(self) -> set[int]:
        """What is on the revocation list, as ssh-keygen reads it."""
        krl = ["ssh-keygen", "-Q", "-l", "-f", str(self.state / "revoked.krl")]
        said = subprocess.run(krl, capture_output=True, text=True, check=True).stdout
        return {int(serial) for serial in re.findall(r"^serial: (\d+)$", said, re.MULTILINE)}


def with_signal(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def sshd_folder() -> Iterator[Path]:
    """A folder for hosts that every account may enter."""
    with TemporaryDirectory(prefix="breakglass-ssh-") as place:
        Path(place).chmod(0o755)
        yield Path(place)
