#!/usr/bin/python3 -I
"""What runs on a host, as root: one file, standard library only, Python 3.9 or later, Linux.

The rule: this host alone decides who is let in, and forgets nothing it must end. Each grant is a file here,
named by its mark, with the hash of each certificate that was signed for it. sshd asks `login` about every
certificate of our authority, so one that no file names is no access, whoever signed it. `login` notes sshd's
process before it says yes, so every session is known by its mark. `sweep` ends what is over once a minute,
even if nobody is left to say so.

    login    called by sshd (AuthorizedPrincipalsCommand): prints the one principal that may come in, if any
    serve    called by the forced command of our control login: one question as JSON in, one answer out
    sweep    called by a timer every minute: ends what is over, writes the revocation list anew
    setup    called once by the operator; list, end MARK: by hand, when all else fails

Nothing is taken from a command line that came over the network. Who merely has an account here can neither
read what is granted nor hold up an end: the folders are root's alone, and nobody waits for ever. Files appear
whole or not at all: written beside their place and renamed. That matters most for the revocation list (KRL),
since sshd refuses every key, also yours, when it cannot read the file.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import pwd
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSION = 2
CONFIG = "/etc/breakglass/host.json"
OURSELVES = Path(__file__).resolve()
SSHD_CONFIG = Path("/etc/ssh/sshd_config")
ASKED = "login %u %i %K %k"
"""What sshd must tell us; sshd_config(5), TOKENS: account, key id, the authority's key, the certificate."""
OTHERS = ("nobody", "root")
"""Accounts that stand for all that are not granted here."""
PATIENCE = 5.0
"""Seconds until sessions that do not die are told as such."""
KINDLY = 0.5
"""Seconds that sshd has to close a connection in good order before it is killed."""
WAIT = 5.0
"""Seconds that one of us waits for another; then it says so, rather than hang."""
SWEEP_AGE = 180
"""Seconds since the last sweep after which no grant is taken: nobody would end its sessions here."""
KEEP_ENDED = 86_400
"""Seconds that an ended grant is remembered after its certificate is worth nothing."""
SKEW = 30
"""Seconds between our clock and the asker's at most: a certificate's times are judged by this one."""
SAME = ("login", "account", "until", "principal", "serial")
"""What makes two orders of one mark the same. Each attempt signs a certificate of its own, all known."""
WORDS = ("mark", "login", "narrowed", "account", "principal", "note")
LONGEST = 65_536
"""Bytes of a question, and of a grant's file."""
MOST_GRANTS = 1000
"""Grants that a host holds or remembers, so that the control key alone cannot fill its disk."""
MOST_CERTIFICATES = 20
"""Attempts at one grant whose certificates are known; an older one is worth nothing."""


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
    other_authorities: tuple[str, ...] = ()
    """Public keys of authorities of yours, whose certificates log in as any account that they name."""
    state: str = "/var/lib/breakglass"
    run: str = "/run/breakglass"
    sshd: tuple[str, ...] = ("/usr/sbin/sshd",)
    keygen: str = "ssh-keygen"
    clock: Callable[[], float] = time.time

    # --- what sshd asks ---------------------------------------------------------------------------------

    def login(self, asker: int, user: str, key_id: str, ca: str, certificate: str) -> str:
        """The principal that may log in as `user` with this certificate; empty: nobody.

        sshd has checked the authority's signature, and checks the rest of the certificate after this. `asker`
        is the process that asks: the sshd that serves this connection, for as long as it lives.
        """
        if ca != self.ca.split()[1]:
            listed = {line.split()[1] for line in self.other_authorities}
            return user if ca in listed else ""  # what sshd does where it asks nobody
        mark = key_id.partition(" ")[0]
        if not self._ours(mark):
            return ""
        with self._locked():
            entry = self._entry("grants", mark) or {}
            if (
                entry.get("account") != user
                or not self.clock() < entry["until"]
                or digest(certificate) not in entry.get("certificates", [])
            ):
                return ""
            since = started(asker)
            if not is_sshd(asker) or not since or os.getppid() != asker:
                return ""  # it is gone or never was: whatever has its place now must not be cut for it
            Path(self.run, "sessions", f"{mark}.{asker}.{since}").touch()
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
        entry = whole(ask["entry"])
        mark, account = entry["mark"], entry["account"]
        if not self._ours(mark):
            raise No(f"{mark} is not a mark of the installation {self.installation}, which this host serves.")
        if account not in self.accounts:
            raise No(f"The account {account} is not one of `accounts` in {CONFIG}.")
        if not exists(account):
            raise No(f"There is no account {account} here.")
        self._before(entry)
        self._demand_time(float(ask["now"]), entry["until"])
        if elsewhere := self._asked_elsewhere([account]):
            raise No(elsewhere)
        return {"version": VERSION}

    def grant(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Takes a grant. The same again is the same; one that was ended here never comes back."""
        self.offer(ask)
        entry = whole(ask["entry"])
        if not entry["certificates"]:
            raise No("No certificate is named that this grant would let in.")
        with self._locked():
            before = self._before(entry)
            for told in ("hosts", "certificates"):  # never forget one that may have it
                entry[told] = list(dict.fromkeys([*before.get(told, []), *entry[told]]))
            entry["hosts"].sort()
            entry["certificates"] = entry["certificates"][-MOST_CERTIFICATES:]
            text = json.dumps(entry)
            if len(text) > LONGEST:
                raise No(f"The grant is longer than {LONGEST} bytes.")
            write(self._file("grants", entry["mark"]), text)
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
        accounts = self.accounts or [OTHERS[0]]
        wrong: dict[str, list[str]] = {}
        for account in accounts:
            for sentence in self._misheard(account):
                wrong.setdefault(sentence, []).append(account)
        problems = [  # said once, and about whom where a Match makes it so for some
            sentence if whose == accounts else f"For {', '.join(whose)}: {sentence}"
            for sentence, whose in wrong.items()
        ]
        everywhere = [self._sshd_says(account) for account in OTHERS]
        if any(
            self._trusted(told) and told.get("authorizedprincipalscommand") == "none" for told in everywhere
        ):
            problems.append(
                "sshd trusts our authority also where it does not ask breakglass-host: there, whoever has "
                f"that key opens every account. Set AuthorizedPrincipalsCommand {OURSELVES} {ASKED} "
                "outside of every Match, and reload sshd."
            )
        if elsewhere := self._asked_elsewhere(accounts):
            problems.append(elsewhere)
        if not self._readable(self._krl()):
            problems.append(
                "The revocation list cannot be read: sshd refuses every key. Run breakglass-host setup."
            )
        if self.clock() - self._swept() > SWEEP_AGE:
            problems.append(
                "The last sweep is minutes old: sessions would not end here by themselves. "
                "Enable the timer: systemctl enable --now breakglass-host.timer."
            )
        return {"version": VERSION, "now": self.clock(), "ca": self.ca, "problems": problems}

    def _misheard(self, account: str) -> list[str]:
        """What sshd is not told, as it would treat a login to this account."""
        told, krl = self._sshd_says(account), self._krl()
        sentences = {
            f"sshd does not trust our authority. Put its public key into {self.state}/ca.pub (run "
            f"breakglass-host setup) and set TrustedUserCAKeys {self.state}/ca.pub.":
                not self._trusted(told),
            "sshd does not ask breakglass-host, or not about the certificate itself: nobody is let in. "
            f"Set AuthorizedPrincipalsCommand {OURSELVES} {ASKED}, and reload sshd.":
                not asks(told),
            "breakglass-host must note sessions. Set AuthorizedPrincipalsCommandUser root.":
                told.get("authorizedprincipalscommanduser") != "root" and os.getuid() == 0,
            f"sshd does not read the revocation list. Set RevokedKeys {krl}.":
                told.get("revokedkeys") != str(krl),
            "sshd's log does not say which grant came in. Set LogLevel VERBOSE.":
                not told.get("loglevel", "").startswith(("VERBOSE", "DEBUG")),
        }  # fmt: skip
        return [sentence for sentence, wrong in sentences.items() if wrong]

    def _asked_elsewhere(self, accounts: list[str]) -> str:
        """Why sshd would let a grant in without asking us: then nobody notes the session. Empty: it asks.

        sshd looks into a principals file first. What it would do for an account it says itself; it cannot be
        asked about every address, port and name that a Match may be about, so those lines are looked up.
        """
        told = {account: self._sshd_says(account).get("authorizedprincipalsfile") for account in accounts}
        where = [f"for {account}" for account, file in told.items() if file != "none"]
        where += principals_files(self._sshd_config())
        if not where:
            return ""
        return (
            "Set AuthorizedPrincipalsFile none, and reload sshd: it looks into that file before it asks "
            f"breakglass-host, and who is in it comes in unnoted and is not cut. So it is {', '.join(where)}."
        )

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
        with self._locked():
            write(Path(self.state, "ca.pub"), f"{self.ca}\n")
        self.write_krl()

    def write_krl(self) -> None:
        """The serials of ended certificates that are still valid, put in place only once it can be read."""
        with self._locked():
            ended = [self._entry("ended", file.name) or {} for file in self._files("ended")]
            serials = [entry["serial"] for entry in ended if entry.get("until", 0) > self.clock()]
            new = Path(self.state, ".krl.new")
            new.unlink(missing_ok=True)
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
            put(new, self._krl())

    # --- small things ---------------------------------------------------------------------------------------

    def _krl(self) -> Path:
        return Path(self.state, "revoked.krl")

    def _sshd_says(self, account: str) -> dict[str, str]:
        """How sshd is configured for a login to this account."""
        about = f"user={account},host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22"
        ask = [*self.sshd, "-T", "-C", about]
        said = subprocess.run(ask, capture_output=True, text=True, errors="replace", timeout=5, check=False)
        if said.returncode:
            raise Failed(f"sshd -T says: {said.stderr.strip()[:200]}")
        return dict(line.split(" ", 1) for line in said.stdout.splitlines() if " " in line)

    def _sshd_config(self) -> Path:
        given = list(self.sshd)
        return Path(given[given.index("-f") + 1]) if "-f" in given else SSHD_CONFIG

    def _trusted(self, told: dict[str, str]) -> bool:
        trusted = Path(told.get("trustedusercakeys", "none"))
        return trusted.is_file() and self.ca.split()[1] in trusted.read_text()

    def _readable(self, krl: Path) -> bool:
        look = [self.keygen, "-Q", "-l", "-f", str(krl)]
        return not subprocess.run(look, capture_output=True, timeout=5, check=False).returncode

    def _ours(self, mark: str) -> bool:
        return re.fullmatch(f"bg-{re.escape(self.installation)}-[0-9a-z]{{6}}", mark) is not None

    def _demand_time(self, asked_at: float, until: int) -> None:
        now = self.clock()
        if not abs(now - asked_at) <= SKEW:  # so that NaN is no time
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

    def _before(self, entry: dict[str, Any]) -> dict[str, Any]:
        """What is here about this order already; empty: nothing yet."""
        mark = entry["mark"]
        if self._entry("ended", mark) is not None:
            raise No(f"{mark} was ended here; it does not come back.")
        there = self._entry("grants", mark)
        if there is not None and any(there.get(word) != entry[word] for word in SAME):
            raise No(f"{mark} exists here for another order.")
        if there is None and len(self._files("grants")) + len(self._files("ended")) >= MOST_GRANTS:
            raise No(
                f"{MOST_GRANTS} grants are held or remembered here, and no more are taken: see "
                "breakglass-host list."
            )
        return there or {}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One of us at a time. The folders are made where they are missing: /run is empty after a boot."""
        for folder in (
            self.run,
            f"{self.run}/sessions",
            self.state,
            f"{self.state}/grants",
            f"{self.state}/ended",
        ):
            own(Path(folder))
        place = Path(self.run, ".lock")  # a name that no version used whose folder others could enter
        lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            begun = time.monotonic()
            while not taken(lock):
                if time.monotonic() - begun > WAIT:
                    raise Failed(
                        f"Another breakglass-host has held {place} for {WAIT:g} s. See which one: "
                        f"fuser -v {place}"
                    )
                time.sleep(0.02)
            yield
        finally:
            os.close(lock)

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
        return found if isinstance(found, dict) and numbered(found) else {}

    def _sessions(self) -> dict[str, list[int]]:
        """Processes of sshd that let a mark in and still live; notes of dead ones are removed."""
        found: dict[str, list[int]] = {}
        with suppress(FileNotFoundError):
            for note in Path(self.run, "sessions").iterdir():
                words = re.fullmatch(r"(.+)\.([0-9]{1,10})\.([0-9]+)", note.name)
                if words and int(words[2]) > 1 and started(int(words[2])) == words[3]:
                    found.setdefault(words[1], []).append(int(words[2]))
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
            alive = {
                pid
                for pid, since in (doomed | heads).items()
                if pid > 1 and since and started(pid) == since  # 1 is the host itself
            }
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


def fields(pid: int, proc: str = "/proc") -> list[str]:
    """What proc(5) has about a process in `stat`, from field 3 on; OSError: it is gone.

    Field 2 is the name, which a process gives itself: any bytes, brackets too.
    """
    return Path(proc, str(pid), "stat").read_bytes().rpartition(b")")[2].decode().split()


def started(pid: int) -> str:
    """When the process began, in ticks since boot, so that a number used again is told apart; "": gone."""
    try:
        found = fields(pid)
    except OSError:
        return ""
    return "" if found[0] in "ZX" else found[19]  # field 22; the dead wait only for their parent


def is_sshd(pid: int) -> bool:
    """Whether the process is one of sshd's, and not the host's first, a shell, or who adopts orphans."""
    try:
        program = Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return False
    return pid > 1 and program.startswith("sshd")  # sshd-session since OpenSSH 9.8, sshd.pam on Alpine


def below(head: int) -> list[int]:
    """Every process below one, children first."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, IndexError):
                parents.setdefault(int(fields(int(folder.name))[1]), []).append(int(folder.name))
    found = list(parents.get(head, []))
    for pid in found:
        found += parents.get(pid, [])
    return found[::-1]


def in_scope(head: int, proc: str = "/proc", groups: str = "/sys/fs/cgroup") -> list[int]:
    """Every process in the connection's own session scope, where systemd-logind made one.

    One that sshd itself is in is not the connection's: that of whoever started sshd by hand.
    """

    def group(pid: str) -> str:
        with suppress(OSError):
            for line in Path(proc, pid, "cgroup").read_text().splitlines():
                path = line.split(":", 2)[2]
                if re.search(r"/session-[^/]+\.scope$", path):
                    return path
        return ""

    with suppress(OSError):
        path = group(str(head))
        if path and path != group(fields(head, proc)[1]):
            return [int(pid) for pid in Path(groups, path.lstrip("/"), "cgroup.procs").read_text().split()]
    return []


def own(folder: Path) -> None:
    """Makes a folder that nobody else can enter, and shuts one that others could."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    there = folder.lstat()
    if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.geteuid():
        raise Failed(f"{folder} is no folder of root's own. See who made it, and take it away.")
    if stat.S_IMODE(there.st_mode) != 0o700:
        folder.chmod(0o700)


def taken(lock: int) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write(path: Path, text: str) -> None:
    """The file appears whole, or not at all; a crash leaves the one before."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    put(new, path)


def put(new: Path, place: Path) -> None:
    """What was written beside its place takes it, and has it after a power cut too."""
    settle(new)
    new.replace(place)
    settle(place.parent)


def settle(path: Path) -> None:
    """A file, or what was renamed in a folder, is so after a power cut too: nothing that ended comes back."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- what others tell us ----------------------------------------------------------------------------------


def digest(certificate: str) -> str:
    """SHA-256 of a certificate as sshd gives it (base64), in hex: every byte counts. "": it is none."""
    try:
        return hashlib.sha256(base64.b64decode(certificate, validate=True)).hexdigest()
    except ValueError:
        return ""


def numbered(entry: dict[str, Any]) -> bool:
    """Whether its numbers are what they are in a certificate."""
    return all(type(entry.get(word)) is int and 0 <= entry[word] < 2**63 for word in ("until", "serial"))


def whole(entry: dict[str, Any]) -> dict[str, Any]:
    """An order with what belongs to it and nothing else."""
    if "certificates" not in entry:
        raise No(
            f"breakglass-host here is version {VERSION}; Breakglass is older, and does not say which "
            "certificate it is about. Update Breakglass."
        )
    found = {word: entry[word] for word in (*WORDS, "until", "serial", "hosts", "certificates")}
    lists = [found["hosts"], found["certificates"]]
    if (
        not numbered(found)
        or not all(isinstance(texts, list) for texts in lists)
        or not all(isinstance(text, str) and len(text) <= 1000 for texts in lists for text in texts)
        or not all(isinstance(found[word], str) and len(found[word]) <= 1000 for word in WORDS)
        or not all(re.fullmatch("[0-9a-f]{64}", text) for text in found["certificates"])
    ):
        raise ValueError("this is no order")
    return found


def asks(told: dict[str, str]) -> bool:
    """Whether sshd, as `sshd -T` tells, asks us all that we must know."""
    return told.get("authorizedprincipalscommand", "").endswith(f" {ASKED}")


def principals_files(config: Path, exact: bool = True, depth: int = 0) -> list[str]:
    """Where sshd's configuration names a principals file under a Match about more than who logs in.

    sshd_config(5): a line begins with its keyword; a Match reaches to the next Match, or to the file's end.
    """
    found = []
    for number, line in enumerate(config.read_text(errors="replace").splitlines(), 1):
        words = [word.strip('"').lower() for word in re.split(r"[\s=]+", line.strip())]
        if words[0] == "match":
            exact = set(words[1::2]) <= {"all", "user", "group"}
        elif words[0] == "include" and depth < 16:  # as deep as sshd follows
            for pattern in shlex.split(line.strip()[len("include") :].lstrip(" \t="), comments=True):
                for file in sorted(Path("/").glob(str(SSHD_CONFIG.parent / pattern)[1:])):
                    found += principals_files(file, exact, depth + 1)
        elif words[0] == "authorizedprincipalsfile" and words[1:2] != ["none"] and not exact:
            found.append(f"in {config} line {number}")
    return found


def read(config: str) -> Host:
    """The operator's settings: they name programs that run as root."""
    with Path(config).open() as file:
        there = os.fstat(file.fileno())
        if there.st_mode & 0o022 or there.st_uid not in (0, os.geteuid()):
            raise Failed(f"Others can change {config}. Run: chown root {config}; chmod 0644 {config}")
        return Host(**json.load(file))


def main(words: list[str]) -> int:
    """`breakglass-host [--config FILE] COMMAND`."""
    asker = os.getppid()  # at once: whoever adopts us when it dies must not be taken for it
    os.umask(0o077)
    os.environ.clear()  # nothing of whoever called reaches the programs we run
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    config = words[1] if words[:1] == ["--config"] else CONFIG
    words = words[2:] if words[:1] == ["--config"] else words
    try:
        host = read(config)
        if words[:1] == ["login"] and len(words) == 5:
            print(host.login(asker, *words[1:]))
        elif words == ["serve"]:
            print(json.dumps(host.answer(json.loads(sys.stdin.read(LONGEST)))))
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
    except (OSError, Failed, subprocess.SubprocessError) as error:
        print(f"breakglass-host: {error}", file=sys.stderr)
        return 1
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        print(f"breakglass-host: this was not understood ({type(error).__name__}: {error})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
