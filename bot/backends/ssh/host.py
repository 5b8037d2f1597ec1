#!/usr/bin/env python3
"""What runs on a host, as root: one file, standard library only, Python 3.9 or later, Linux.

The rule: this host alone decides who is let in, and forgets nothing it must end. Each grant is a file here,
named by its mark. sshd asks `login` about every certificate of our authority, so a grant without its file is
no access. `login` notes sshd's process before it says yes, so every session is known by its mark. `sweep`
ends what is over once a minute, even if nobody is left to say so.

    login    called by sshd (AuthorizedPrincipalsCommand): prints the one principal that may come in, if any
    serve    called by the forced command of our control login: one question as JSON in, one answer out
    sweep    called by a timer every minute: ends what is over, writes the revocation list anew
    setup    called once by the operator; list, end MARK: by hand, when all else fails

Nothing is taken from a command line that came over the network. Files appear whole or not at all: written
beside their place and renamed. That matters most for the revocation list (KRL), since sshd refuses every key,
also yours, when it cannot read the file.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSION = 1
CONFIG = "/etc/breakglass/host.json"
PATIENCE = 5.0
"""Seconds until sessions that do not die are told as such."""
KINDLY = 0.5
"""Seconds that sshd has to close a connection in good order before it is killed."""
SWEEP_AGE = 180
"""Seconds since the last sweep after which no grant is taken: nobody would end its sessions here."""
KEEP_ENDED = 86_400
"""Seconds that an ended grant is remembered after its certificate is worth nothing."""
SKEW = 30
"""Seconds between our clock and the asker's at most: a certificate's times are judged by this one."""
SAME = ("login", "account", "until", "principal", "serial")
"""What makes two orders of one mark the same."""


class No(Exception):
    """This host says no; the text is a sentence. Nothing was granted."""


class Failed(Exception):
    """It could not be done, or not be confirmed; asking again may help."""


@dataclass(frozen=True)
class Host:
    """One host, as its operator configured it in `host.json`."""

    installation: str
    ca: str
    """Our authority's public key: `ssh-ed25519 AAAA...`, as in TrustedUserCAKeys."""
    accounts: list[str]
    """Accounts that may be granted here, and no others."""
    longest_hours: int = 12
    state: str = "/var/lib/breakglass"
    run: str = "/run/breakglass"
    sshd: tuple[str, ...] = ("/usr/sbin/sshd",)
    keygen: str = "ssh-keygen"
    clock: Callable[[], float] = time.time

    # --- what sshd asks ---------------------------------------------------------------------------------

    def login(self, user: str, key_id: str, ca: str) -> str:
        """The principal that may log in as `user` with this certificate; empty: nobody.

        sshd has checked the authority's signature, and checks the rest of the certificate after this.
        For another authority that the host trusts: what sshd does where it asks nobody.
        """
        if ca != self.ca.split()[1]:
            return user
        mark = key_id.partition(" ")[0]
        with self._locked():
            entry = self._entry("grants", mark) if self._ours(mark) else None
            if not entry or entry.get("account") != user or not self.clock() < entry.get("until", 0):
                return ""
            process = os.getppid()  # the sshd that serves this connection, for as long as it lives
            Path(self.run, "sessions", f"{mark}.{process}.{started(process)}").touch()
        return mark

    # --- what the control login asks ----------------------------------------------------------------------

    def answer(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Answers one question; `no` or `failed` holds a sentence when it cannot."""
        acts: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "offer": self.offer, "grant": self.grant, "end": self.end,
            "list": self.listed, "check": self.check,
        }  # fmt: skip
        act = acts.get(str(ask.get("do")))
        if act is None:
            return {"no": f"breakglass-host here is version {VERSION} and does not know {ask.get('do')!r}."}
        try:
            return {"did": ask["do"], **act(ask)}
        except No as error:
            return {"no": str(error)}
        except Failed as error:
            return {"failed": str(error)}
        except (OSError, subprocess.SubprocessError) as error:
            return {
                "failed": f"{type(error).__name__}: {error}. If files are missing: breakglass-host setup."
            }

    def offer(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Whether this host would take the grant; nothing is written."""
        entry = ask["entry"]
        mark, account = str(entry["mark"]), str(entry["account"])
        if not self._ours(mark):
            raise No(f"{mark} is not a mark of the installation {self.installation}, which this host serves.")
        if account not in self.accounts:
            raise No(f"The account {account} is not one of `accounts` in {CONFIG}.")
        if not exists(account):
            raise No(f"There is no account {account} here.")
        if self._entry("ended", mark) is not None:
            raise No(f"{mark} was ended here; it does not come back.")
        there = self._entry("grants", mark)
        if there is not None and any(there.get(word) != entry[word] for word in SAME):
            raise No(f"{mark} exists here for another order.")
        self._demand_time(float(ask["now"]), int(entry["until"]))
        return {"version": VERSION}

    def grant(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Takes a grant. The same again is the same; one that was ended here never comes back."""
        entry = ask["entry"]
        with self._locked():
            self.offer(ask)
            before = self._entry("grants", entry["mark"]) or {}
            hosts = sorted({*entry["hosts"], *before.get("hosts", [])})  # never forget one that may hold it
            write(self._file("grants", entry["mark"]), json.dumps({**entry, "hosts": hosts}))
            return {"entry": self._entry("grants", entry["mark"])}

    def end(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Ends one grant: (1) nobody comes in, (2) sessions are cut, (3) the serial is on the KRL.

        Never granted is success. `hosts` are those the grant was sent to, if this host knows.
        """
        mark = str(ask["mark"])
        if not self._ours(mark):
            raise No(f"{mark} is not a mark of the installation {self.installation}.")
        with self._locked():  # (1)
            entry = self._entry("grants", mark)
            if entry is not None:  # a rename, which needs no room on a full disk
                self._file("grants", mark).replace(self._file("ended", mark))
                settle(Path(self.state, "grants"))
        if self._cut(mark):  # (2)
            raise Failed(f"Sessions of {mark} are still alive after {PATIENCE:g} s.")
        if entry is not None:
            with suppress(Failed, OSError, subprocess.SubprocessError):  # (1) holds; the next sweep tries (3)
                self.write_krl()
        return {"hosts": (entry or self._entry("ended", mark) or {}).get("hosts")}

    def listed(self, _ask: dict[str, Any]) -> dict[str, Any]:
        """Every grant here, and every mark with a session that lives."""
        grants = {file.name: self._entry("grants", file.name) for file in self._files("grants")}
        ended = {mark: self._entry("ended", mark) for mark in self._sessions() if mark not in grants}
        return {"grants": {**ended, **grants}}

    def check(self, _ask: dict[str, Any]) -> dict[str, Any]:
        """What is wrong here: one sentence each, with its fix."""
        said = subprocess.run([*self.sshd, "-T"], capture_output=True, text=True, timeout=5, check=False)
        if said.returncode:
            raise Failed(f"sshd -T says: {said.stderr.strip()[:200]}")
        sshd = dict(line.split(" ", 1) for line in said.stdout.splitlines() if " " in line)
        krl = self._krl()
        wanted = " login %u %i %K"
        command = sshd.get("authorizedprincipalscommand", "")
        trusted = Path(sshd.get("trustedusercakeys", "none"))
        sentences = {
            f"sshd does not trust our authority. Put its public key into {self.state}/ca.pub (run "
            f"breakglass-host setup) and set TrustedUserCAKeys {self.state}/ca.pub.":
                not trusted.is_file() or self.ca.split()[1] not in trusted.read_text(),
            f"sshd does not ask breakglass-host. Set AuthorizedPrincipalsCommand to breakglass-host{wanted}.":
                not command.endswith(wanted),
            "breakglass-host must note sessions. Set AuthorizedPrincipalsCommandUser root.":
                sshd.get("authorizedprincipalscommanduser") != "root" and os.getuid() == 0,
            f"sshd does not read the revocation list. Set RevokedKeys {krl}.":
                sshd.get("revokedkeys") != str(krl),
            "The revocation list cannot be read: sshd refuses every key. Run breakglass-host setup.":
                not self._readable(krl),
            "sshd's log does not say which grant came in. Set LogLevel VERBOSE.":
                not sshd.get("loglevel", "").startswith(("VERBOSE", "DEBUG")),
            "The last sweep is minutes old: sessions would not end here by themselves. "
            "Enable the timer: systemctl enable --now breakglass-host.timer.":
                self.clock() - self._swept() > SWEEP_AGE,
        }  # fmt: skip
        problems = [sentence for sentence, wrong in sentences.items() if wrong]
        return {"version": VERSION, "now": self.clock(), "ca": self.ca, "problems": problems}

    # --- what happens by itself -----------------------------------------------------------------------------

    def sweep(self) -> None:
        """Ends what is over, and sessions whose grant is gone; each alone, so that none holds up another."""
        now, stuck = self.clock(), []
        over = {
            f.name
            for f in self._files("grants")
            if (self._entry("grants", f.name) or {}).get("until", 0) <= now
        }
        for mark in over | {m for m in self._sessions() if not self._file("grants", m).exists()}:
            answer = self.answer({"do": "end", "mark": mark})
            stuck += [answer[word] for word in ("failed", "no") if word in answer]
        with self._locked():
            for file in self._files("ended"):
                if (self._entry("ended", file.name) or {}).get("until", 0) + KEEP_ENDED < now:
                    file.unlink()
        self.write_krl()
        if stuck:
            raise Failed(" ".join(stuck))
        Path(self.run, "swept").touch()
        os.utime(Path(self.run, "swept"), (now, now))

    def setup(self) -> None:
        """Makes the folders, the authority's public key and a revocation list that sshd can read."""
        os.umask(0o022)
        for folder in (Path(self.state, "grants"), Path(self.state, "ended"), Path(self.run, "sessions")):
            folder.mkdir(parents=True, exist_ok=True)
        write(Path(self.state, "ca.pub"), f"{self.ca}\n")
        self.write_krl()

    def write_krl(self) -> None:
        """The serials of ended certificates that are still valid, put in place only once it can be read."""
        with self._locked():
            ended = [self._entry("ended", file.name) or {} for file in self._files("ended")]
            serials = [entry["serial"] for entry in ended if entry.get("until", 0) > self.clock()]
            new = Path(self.state, ".krl.new")
            make = [self.keygen, "-k", "-q", "-f", str(new), "-s", str(Path(self.state, "ca.pub"))]
            make += ["-z", str(int(self.clock())), "-"]
            words = "".join(f"serial: {int(serial)}\n" for serial in serials)
            made = subprocess.run(make, input=words, text=True, capture_output=True, timeout=5, check=False)
            listed = subprocess.run(
                [self.keygen, "-Q", "-l", "-f", str(new)],
                text=True,
                capture_output=True,
                timeout=5,
                check=False,
            )
            if (
                made.returncode
                or listed.returncode
                or any(f"serial: {s}\n" not in listed.stdout for s in serials)
            ):
                raise Failed("ssh-keygen made no revocation list that can be read; the one before stays.")
            new.chmod(0o644)
            new.replace(self._krl())

    # --- small things ---------------------------------------------------------------------------------------

    def _krl(self) -> Path:
        return Path(self.state, "revoked.krl")

    def _readable(self, krl: Path) -> bool:
        look = [self.keygen, "-Q", "-l", "-f", str(krl)]
        return not subprocess.run(look, capture_output=True, timeout=5, check=False).returncode

    def _ours(self, mark: str) -> bool:
        return re.fullmatch(f"bg-{re.escape(self.installation)}-[0-9a-z]{{6}}", mark) is not None

    def _demand_time(self, asked_at: float, until: int) -> None:
        now = self.clock()
        if abs(now - asked_at) > SKEW:
            raise No(
                f"The clock here is {now - asked_at:+.0f} s from Breakglass's. Set it right (chrony or ntpd)."
            )
        if not now < until <= now + self.longest_hours * 3600:
            raise No(
                f"The end must be within {self.longest_hours} hours from now (longest_hours in {CONFIG})."
            )
        if now - self._swept() > SWEEP_AGE:
            raise No("Sessions would not end here by themselves: enable breakglass-host.timer on this host.")

    def _swept(self) -> float:
        with suppress(FileNotFoundError):
            return Path(self.run, "swept").stat().st_mtime
        return 0.0

    @contextmanager
    def _locked(self) -> Iterator[None]:
        Path(self.run, "sessions").mkdir(parents=True, exist_ok=True)  # /run is empty after a boot
        with Path(self.run, "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _file(self, folder: str, mark: str) -> Path:
        return Path(self.state, folder, mark)

    def _files(self, folder: str) -> list[Path]:
        return [file for file in Path(self.state, folder).iterdir() if self._ours(file.name)]

    def _entry(self, folder: str, mark: str) -> dict[str, Any] | None:
        """None if it is not there; empty if nobody can read it: that lets nobody in, and can be ended."""
        try:
            found = json.loads(self._file(folder, mark).read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return {}
        whole = isinstance(found, dict) and all(type(found.get(word)) is int for word in ("until", "serial"))
        return found if whole else {}

    def _sessions(self) -> dict[str, list[int]]:
        """Processes of sshd that let a mark in and still live; notes of dead ones are removed."""
        found: dict[str, list[int]] = {}
        with suppress(FileNotFoundError):
            for note in Path(self.run, "sessions").iterdir():
                mark, process, since = note.name.rsplit(".", 2)
                if started(int(process)) == since:
                    found.setdefault(mark, []).append(int(process))
                else:
                    note.unlink(missing_ok=True)
        return found

    def _cut(self, mark: str) -> bool:
        """Ends the connections of a mark with everything that runs below them; whether any is left."""
        begun = time.monotonic()
        doomed: dict[int, str] = {}
        while True:
            heads = {pid: started(pid) for pid in self._sessions().get(mark, [])}
            doomed |= {pid: started(pid) for head in heads for pid in (*below(head), *in_scope(head))}
            alive = {pid for pid, since in (doomed | heads).items() if since and started(pid) == since}
            if not alive or time.monotonic() - begun > PATIENCE:
                return bool(alive)
            kindly = time.monotonic() - begun < KINDLY
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM if kindly and pid in heads else signal.SIGKILL)
            time.sleep(0.02)


# --- processes and files ----------------------------------------------------------------------------------


def exists(account: str) -> bool:
    """Whether this host knows the account, from wherever its accounts come."""
    try:
        pwd.getpwnam(account)
    except KeyError:
        return False
    return True


def started(pid: int) -> str:
    """When the process began, in ticks since boot, so that a number used again is told apart; "": gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]  # proc(5): field 22; the dead wait only for their parent


def below(head: int) -> list[int]:
    """Every process below one, children first."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, IndexError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found = list(parents.get(head, []))
    for pid in found:
        found += parents.get(pid, [])
    return found[::-1]


def in_scope(head: int, proc: str = "/proc", groups: str = "/sys/fs/cgroup") -> list[int]:
    """Every process in the connection's own session scope, where systemd-logind made one."""
    with suppress(OSError):
        for line in Path(proc, str(head), "cgroup").read_text().splitlines():
            path = line.split(":", 2)[2]
            if re.search(r"/session-[^/]+\.scope$", path):
                return [
                    int(pid) for pid in Path(groups, path.lstrip("/"), "cgroup.procs").read_text().split()
                ]
    return []


def write(path: Path, text: str) -> None:
    """The file appears whole, or not at all; a crash leaves the one before."""
    new = path.with_name(f".{path.name}.new")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    settle(path.parent)


def settle(folder: Path) -> None:
    """What was renamed in a folder is so after a power cut too: nothing that ended comes back."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def main(words: list[str]) -> int:
    """`breakglass-host [--config FILE] COMMAND`."""
    config = words[1] if words[:1] == ["--config"] else CONFIG
    words = words[2:] if words[:1] == ["--config"] else words
    try:
        host = Host(**json.loads(Path(config).read_text()))
        if words[:1] == ["login"] and len(words) == 4:
            print(host.login(*words[1:]))
        elif words == ["serve"]:
            print(json.dumps(host.answer(json.loads(sys.stdin.read(65_536)))))
        elif words in (["sweep"], ["setup"]):
            getattr(host, words[0])()
        elif words == ["list"] or (words[:1] == ["end"] and len(words) == 2):
            answer = host.answer({"do": words[0], "mark": words[-1]})
            print(json.dumps(answer, indent=2))
            return int("no" in answer or "failed" in answer)
        else:
            print(
                "breakglass-host setup | sweep | list | end MARK   (sshd runs: login, serve)", file=sys.stderr
            )
            return 2
    except (OSError, Failed) as error:
        print(f"breakglass-host: {error}", file=sys.stderr)
        return 1
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        print(f"breakglass-host: this was not understood ({type(error).__name__}: {error})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
