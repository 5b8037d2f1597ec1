"""`breakglass-host` and others: another account of the host, a thief with the control key, a dying sshd."""

import base64
import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.backends.ssh import host as helper
from bot.backends.ssh.host import Host
from tests.backends.test_ssh_helper import CA, CERTIFICATE, MARK, ME, NOW, ask, clock, grants, host
from tests.providers.fixtures import absent
from tests.providers.sshd import sshd_folder

__all__ = ["clock", "host"]
needs_keygen = pytest.mark.usefixtures("keygen_here")
NOBODY = 65534


@contextmanager
def locked(host: Host) -> Iterator[None]:
    """Another breakglass-host is at work, and does not come back."""
    with Path(host.run, ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- another account on the host ----------------------------------------------------------------------------


@needs_keygen
def test_only_root_can_enter_what_an_older_helper_had_left_open(host: Host) -> None:
    folders = [Path(host.state, name) for name in (".", "grants", "ended")]
    folders += [Path(host.run), Path(host.run, "sessions")]
    for folder in folders:
        folder.chmod(0o755)
    host.sweep()
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 5
    host.answer(ask())
    for file in (Path(host.state, "grants", MARK), Path(host.run, ".lock")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@needs_keygen
def test_another_account_can_neither_read_a_grant_nor_hold_up_its_end() -> None:
    if os.getuid() != 0:
        absent("SSH: only root can try it as another account")
    with sshd_folder() as place:  # which every account may enter
        config = place / "host.json"
        words = {"installation": "acme", "ca": CA, "accounts": [ME]}
        config.write_text(json.dumps({**words, "state": f"{place}/state", "run": f"{place}/run"}))
        config.chmod(0o644)

        def as_root(*words: str) -> str:
            command = [sys.executable, "-I", helper.__file__, "--config", str(config), *words]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        def as_nobody(*words: str) -> int:
            said = subprocess.run(words, user=NOBODY, group=NOBODY, extra_groups=[], check=False, timeout=10)
            return said.returncode

        as_root("setup")
        (place / "state" / "grants" / MARK).write_text(json.dumps(ask()["entry"]))
        as_root("list")
        assert as_nobody("cat", str(config)) == 0, "the test itself: nobody reads what nobody may"
        for path in ("state/grants", f"state/grants/{MARK}", "state/ca.pub", "run/sessions", "run/.lock"):
            assert (place / path).exists()
            assert as_nobody("sh", "-c", f"exec 9< {place}/{path}") != 0, path
        assert as_nobody("flock", "-n", f"{place}/run", "true") != 0
        assert as_nobody("flock", "-n", f"{place}/run/.lock", "true") != 0
        as_root("end", MARK)
        assert json.loads(as_root("list"))["grants"] == {}


def test_nobody_waits_for_ever_for_another_breakglass_host(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper, "WAIT", 0.0)
    host.answer(ask())
    with locked(host):
        assert "has held" in host.answer({"do": "end", "mark": MARK})["failed"]
        assert "fuser -v" in host.answer(ask(mark="bg-acme-bbbbbb"))["failed"]
        with pytest.raises(helper.Failed, match="has held"):
            host.sweep()
    assert host.answer({"do": "end", "mark": MARK})["hosts"] == ["one"]


@pytest.mark.parametrize("folder", ["state", "state/grants", "run", "run/sessions"])
def test_a_link_in_the_place_of_a_folder_is_not_followed(host: Host, tmp_path: Path, folder: str) -> None:
    place, elsewhere = tmp_path / folder, tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    assert "no folder of root's own" in host.answer({"do": "end", "mark": MARK})["failed"]


def test_a_link_in_the_place_of_a_file_to_be_is_not_followed(host: Host, tmp_path: Path) -> None:
    for name in ("secret", "lock"):
        (tmp_path / name).write_text("as it was")
    Path(host.state, "grants", f".{MARK}.new").symlink_to(tmp_path / "secret")
    assert "entry" in host.answer(ask())
    Path(host.run, ".lock").unlink()
    Path(host.run, ".lock").symlink_to(tmp_path / "lock")
    assert "failed" in host.answer({"do": "end", "mark": MARK})
    assert (tmp_path / "secret").read_text() == (tmp_path / "lock").read_text() == "as it was"


def test_a_process_may_call_itself_what_it_likes_and_is_found_all_the_same() -> None:
    """Its name stands in /proc/PID/stat: any bytes, brackets too. It must hold up no end."""
    rename = r"open('/proc/self/comm','wb').write(b'\xff) S 1 (\xfe'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", rename], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as odd:
        assert odd.stdout is not None
        odd.stdout.readline()
        assert odd.pid in helper.below(os.getpid())
        assert helper.started(odd.pid)
        odd.communicate(b"\n")


# --- the control key alone ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [{"until": float(NOW) + 60}, {"until": str(int(NOW) + 60)}, {"until": True}, {"serial": -1},
     {"serial": 2**63}, {"serial": 10**5000}, {"hosts": "one"}, {"hosts": [1]}, {"hosts": None},
     {"principal": "a" * 1001}, {"note": ["n"]}, {"certificates": ["e3b0"]}, {"certificates": [""]},
     {"certificates": [7]}],
)  # fmt: skip
def test_an_order_that_is_none_is_never_kept(host: Host, words: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        host.answer(ask(**words))
    assert grants(host) == set()


def test_only_what_belongs_to_an_order_is_kept(host: Host) -> None:
    kept = host.answer(ask(more="x" * 50_000))["entry"]
    assert kept == ask()["entry"]


def test_a_time_that_is_no_number_is_no_time(host: Host) -> None:
    assert "clock here" in host.answer(ask(now=float("nan")))["no"]


def test_a_grant_without_a_certificate_is_not_taken(host: Host) -> None:
    assert "No certificate" in host.answer(ask(certificates=[]))["no"]
    old = ask()
    del old["entry"]["certificates"]
    assert "Update Breakglass" in host.answer(old)["no"]
    assert grants(host) == set()


def test_a_host_takes_so_many_grants_and_certificates_and_no_more(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper, "MOST_GRANTS", 2)
    monkeypatch.setattr(helper, "MOST_CERTIFICATES", 3)
    hashes = [helper.digest(base64.b64encode(bytes([number])).decode()) for number in range(5)]
    for one in hashes:
        kept = host.answer(ask(certificates=[one]))["entry"]["certificates"]
    assert kept == hashes[-3:]
    host.answer({"do": "end", "mark": MARK})
    assert "entry" in host.answer(ask(mark="bg-acme-bbbbbb"))
    assert "no more are taken" in host.answer(ask(mark="bg-acme-cccccc"))["no"]
    assert "entry" in host.answer(ask(mark="bg-acme-bbbbbb")), "what is here already is the same again"
    monkeypatch.setattr(helper, "LONGEST", 700)
    longer = ask(mark="bg-acme-bbbbbb", hosts=[f"web-{number}" for number in range(100)])
    assert "longer than 700 bytes" in host.answer(longer)["no"]


# --- a dying sshd -------------------------------------------------------------------------------------------


@pytest.fixture
def sshd(host: Host, tmp_path: Path) -> Callable[[str], subprocess.Popen[str]]:
    """A pretended sshd that asks about a certificate: a shell by that name, with the real helper below it."""
    config, shell = tmp_path / "host.json", tmp_path / "sshd-session"
    words = {"installation": "acme", "ca": CA, "accounts": [ME], "state": host.state, "run": host.run}
    config.write_text(json.dumps(words))
    config.chmod(0o600)
    shutil.copy("/bin/sh", shell)
    Path(host.state, "grants", MARK).write_text(json.dumps(ask(until=2**33)["entry"]))
    words_of_helper = [sys.executable, "-I", helper.__file__, "--config", str(config), "login"]

    def start(program: str = str(shell)) -> subprocess.Popen[str]:
        asked = [*words_of_helper, ME, f"{MARK} alice", CA.split()[1], CERTIFICATE]
        return subprocess.Popen(
            [program, "-c", '"$@" & echo $!; wait', "sh", *asked], stdout=subprocess.PIPE, text=True
        )

    return start


def test_an_sshd_that_waits_for_the_answer_is_noted(
    host: Host, sshd: Callable[..., subprocess.Popen[str]]
) -> None:
    with sshd() as asking:
        said, _ = asking.communicate(timeout=30)
    assert said.splitlines()[1:] == [MARK]
    (note,) = Path(host.run, "sessions").iterdir()
    assert note.name.startswith(f"{MARK}.{asking.pid}.")


def test_an_operator_who_asks_by_hand_is_not_noted(
    host: Host, sshd: Callable[..., subprocess.Popen[str]]
) -> None:
    """Their shell would be cut with the next end."""
    with sshd("/bin/sh") as asking:
        said, _ = asking.communicate(timeout=30)
    assert said.splitlines()[1:] == [""]
    assert list(Path(host.run, "sessions").iterdir()) == []


def test_an_sshd_that_dies_while_we_wait_gets_no_answer_and_nobody_is_noted_for_it(
    host: Host, sshd: Callable[..., subprocess.Popen[str]]
) -> None:
    """Whoever adopts us then, the first process as a rule, must not be cut at the next end."""
    with sshd() as asking:
        assert asking.stdout is not None
        with locked(host):
            pid = int(asking.stdout.readline())
            until = time.monotonic() + 30
            while not waits_for(pid, Path(host.run, ".lock")):
                assert time.monotonic() < until
            asking.kill()
            asking.wait()
        assert asking.stdout.read() == "\n"
    assert list(Path(host.run, "sessions").iterdir()) == []


def waits_for(pid: int, lock: Path) -> bool:
    """Whether a process has the lock's file open."""
    try:
        return any(file.readlink() == lock for file in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


# --- files, settings, environment ---------------------------------------------------------------------------


@needs_keygen
def test_a_revocation_list_is_on_disk_before_it_has_its_place_and_the_place_after(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut in between would leave an empty list, with which sshd refuses every key."""
    done: list[str] = []
    fsync, replaced = os.fsync, Path.replace

    def noted(handle: int) -> None:
        done.append(f"fsync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        fsync(handle)

    def moved(path: Path, target: Path) -> Path:
        done.append(f"rename {path.name}")
        return replaced(path, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "replace", moved)
    host.write_krl()
    assert done == ["fsync .krl.new", "rename .krl.new", "fsync state"]


def command(config: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-I", helper.__file__, "--config", str(config), *words]
    env = {**os.environ, **environment}
    return subprocess.run(line, env=env, capture_output=True, text=True, check=False)


@needs_keygen
def test_settings_that_others_can_change_and_their_programs_are_not_used(tmp_path: Path) -> None:
    """host.json names what root runs; so does PATH."""
    config, false = tmp_path / "host.json", tmp_path / "bin" / "ssh-keygen"
    false.parent.mkdir()
    false.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    false.chmod(0o755)
    words = {"installation": "acme", "ca": CA, "accounts": [ME]}
    config.write_text(json.dumps({**words, "state": f"{tmp_path}/state", "run": f"{tmp_path}/run"}))
    for mode in (0o602, 0o620):
        config.chmod(mode)
        done = command(config, "setup")
        assert done.returncode == 1
        assert "Others can change" in done.stderr
    config.chmod(0o644)
    assert command(config, "setup", PATH=f"{false.parent}:{os.environ['PATH']}").returncode == 0
    assert not (tmp_path / "ran").exists()


def test_the_helper_starts_without_anything_of_whoever_calls_it() -> None:
    assert Path(helper.__file__).read_text().startswith("#!/usr/bin/python3 -I\n")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("AuthorizedPrincipalsFile /x", []),  # sshd -T tells of these two
        ("Match User a Group b\nAuthorizedPrincipalsFile /x", []),
        ("Match Address 10.0.0.0/8\nAuthorizedPrincipalsFile none", []),
        (
            "Match Address 10.0.0.0/8\n# AuthorizedPrincipalsFile /x\nMatch all\nAuthorizedPrincipalsFile /x",
            [],
        ),
        ("Match User a Address 10.0.0.0/8\nAuthorizedPrincipalsFile /x", [2]),
        ('match localport=22\n\t"authorizedprincipalsfile"="/x"', [2]),
        ("Match Host a\n  AUTHORIZEDPRINCIPALSFILE = /x\nMatch user b\nAuthorizedPrincipalsFile /x", [2]),
    ],
)
def test_a_match_that_sshd_cannot_be_asked_about_is_looked_up(
    tmp_path: Path, lines: str, found: list[int]
) -> None:
    config = tmp_path / "sshd_config"
    config.write_text(lines)
    assert helper.principals_files(config) == [f"in {config} line {number}" for number in found]


def test_included_files_are_looked_up_too_and_a_circle_ends(tmp_path: Path) -> None:
    config, more = tmp_path / "sshd_config", tmp_path / "a b.conf"
    config.write_text(f'Match Host x\nInclude "{tmp_path}/a *.conf" /nowhere/*.conf # comment\n')
    more.write_text(f"AuthorizedPrincipalsFile /x\nInclude {config}\n")
    found = helper.principals_files(config)
    assert set(found) == {f"in {more} line 1"}
