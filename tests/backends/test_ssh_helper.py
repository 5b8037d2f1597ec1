"""`breakglass-host` alone, in a folder of its own: what it takes, refuses, keeps and forgets."""

import ast
import base64
import getpass
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from bot.backends.ssh import host as helper
from bot.backends.ssh.host import Host

NOW = 2_000_000_000.0
MARK = "bg-acme-7k3q2m"
ME = getpass.getuser()
CERTIFICATE = base64.b64encode(b"a certificate").decode()
CA = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()

needs_keygen = pytest.mark.usefixtures("keygen_here")


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host(tmp_path: Path, clock: Clock) -> Host:
    """Set up, and swept just now, beside a pretended sshd that has no principals file."""
    sshd, config = tmp_path / "sshd", tmp_path / "sshd_config"
    sshd.write_text("#!/bin/sh\necho authorizedprincipalsfile none\n")
    sshd.chmod(0o755)
    config.touch()
    made = Host(
        "acme", CA, [ME], state=str(tmp_path / "state"), run=str(tmp_path / "run"), clock=clock,
        sshd=(str(sshd), "-f", str(config)),
    )  # fmt: skip
    for folder in ("state/grants", "state/ended", "run/sessions"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "state" / "ca.pub").write_text(f"{CA}\n")
    swept(made, clock.now)
    return made


@pytest.fixture
def login(host: Host, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What the helper says to sshd, for which our own parent stands here."""
    monkeypatch.setattr(helper, "is_sshd", lambda pid: pid == os.getppid())

    def login(user: str, key_id: str, ca: str = CA.split()[1], certificate: str = CERTIFICATE) -> str:
        return host.login(os.getppid(), user, key_id, ca, certificate)

    return login


def swept(host: Host, at: float) -> None:
    note = Path(host.run, "swept")
    note.touch()
    os.utime(note, (at, at))


def ask(do: str = "grant", now: float = NOW, **changes: object) -> dict[str, Any]:
    entry = {
        "mark": MARK, "login": "shell", "narrowed": "", "account": ME, "until": int(NOW) + 1800,
        "principal": "alice", "note": "BG-7K3Q2M", "serial": 7, "hosts": ["one"],
        "certificates": [helper.digest(CERTIFICATE)], **changes,
    }  # fmt: skip
    return {"do": do, "entry": entry, "now": now}


def grants(host: Host) -> set[str]:
    return {file.name for file in Path(host.state, "grants").iterdir()}


def test_a_grant_is_one_file_and_the_same_again_is_the_same(host: Host) -> None:
    assert host.answer(ask())["entry"]["hosts"] == ["one"]
    assert host.answer(ask())["did"] == "grant"
    assert grants(host) == {MARK}


def test_an_offer_writes_nothing(host: Host) -> None:
    assert "no" not in host.answer(ask("offer"))
    assert grants(host) == set()


def test_hosts_once_told_of_a_grant_are_never_forgotten(host: Host) -> None:
    host.answer(ask(hosts=["one", "two"]))
    assert host.answer(ask(hosts=["one", "three"]))["entry"]["hosts"] == ["one", "three", "two"]


@pytest.mark.parametrize("do", ["offer", "grant"])
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"account": "root" if ME != "root" else "daemon"}, "is not one of `accounts`"),
        ({"mark": "bg-other-7k3q2m"}, "not a mark of the installation acme"),
        ({"mark": "bg-acme-2-7k3q2m"}, "not a mark of the installation acme"),
        ({"mark": "../../etc/passwd"}, "not a mark of the installation acme"),
        ({"mark": f"{MARK}\n"}, "not a mark of the installation acme"),
        ({"until": int(NOW)}, "within 12 hours"),
        ({"until": int(NOW) + 12 * 3600 + 1}, "within 12 hours"),
        ({"now": NOW - 31}, "clock here is +31 s from Breakglass's"),
        ({"now": NOW + 31}, "clock here is -31 s from Breakglass's"),
    ],
)
def test_what_a_host_does_not_take(host: Host, do: str, words: dict[str, Any], sentence: str) -> None:
    assert sentence in host.answer(ask(do, **words))["no"]
    assert grants(host) == set()


def test_an_account_that_is_gone_is_told(host: Host) -> None:
    host.accounts.append("nobody-of-this-name")
    assert "There is no account" in host.answer(ask(account="nobody-of-this-name"))["no"]


@pytest.mark.parametrize("words", [{"until": int(NOW) + 60}, {"principal": "bob"}, {"login": "other"}])
def test_another_order_with_the_same_mark_changes_nothing(host: Host, words: dict[str, Any]) -> None:
    host.answer(ask())
    assert "exists here for another order" in host.answer(ask(**words))["no"]
    assert json.loads(Path(host.state, "grants", MARK).read_text())["principal"] == "alice"


def test_no_grant_is_taken_where_nothing_would_end_its_sessions(host: Host) -> None:
    swept(host, NOW - 181)
    assert "enable breakglass-host.timer" in host.answer(ask())["no"]
    Path(host.run, "swept").unlink()
    assert "enable breakglass-host.timer" in host.answer(ask())["no"]


def test_ending_what_was_never_granted_is_success_and_leaves_nothing(host: Host) -> None:
    assert host.answer({"do": "end", "mark": MARK}) == {"did": "end", "hosts": None}
    assert list(Path(host.state, "ended").iterdir()) == []


def test_ending_says_again_and_again_where_it_was_sent(host: Host) -> None:
    host.answer(ask(hosts=["one", "two"]))
    for _ in range(2):
        assert host.answer({"do": "end", "mark": MARK})["hosts"] == ["one", "two"]
    assert grants(host) == set()
    assert "does not come back" in host.answer(ask())["no"]


@needs_keygen
def test_what_is_over_is_swept_and_what_is_not_stays(host: Host, clock: Clock) -> None:
    host.answer(ask())
    host.answer(ask(mark="bg-acme-bbbbbb", until=int(NOW) + 60))
    clock.now += 60
    host.sweep()
    assert grants(host) == {MARK}


@needs_keygen
def test_an_ended_grant_is_forgotten_a_day_after_its_certificate_is_worth_nothing(
    host: Host, clock: Clock
) -> None:
    host.answer(ask())
    host.answer({"do": "end", "mark": MARK})
    clock.now += 1800 + helper.KEEP_ENDED
    host.sweep()
    assert list(Path(host.state, "ended").iterdir())
    clock.now += 1
    host.sweep()
    assert list(Path(host.state, "ended").iterdir()) == []


@needs_keygen
def test_the_revocation_list_has_the_serials_of_ended_certificates_that_still_run(
    host: Host, clock: Clock
) -> None:
    def listed() -> str:
        krl = [host.keygen, "-Q", "-l", "-f", f"{host.state}/revoked.krl"]
        return subprocess.run(krl, capture_output=True, text=True, check=True).stdout

    host.write_krl()
    assert "serial" not in listed()
    for mark, serial in (("bg-acme-aaaaaa", 7), ("bg-acme-bbbbbb", 2**63 - 1)):
        host.answer(ask(mark=mark, serial=serial))
        host.answer({"do": "end", "mark": mark})
    assert f"serial: 7\nserial: {2**63 - 1}\n" in listed()
    clock.now += 1800
    host.sweep()
    assert "serial" not in listed()


@needs_keygen
def test_what_a_crash_left_half_written_is_not_there(host: Host) -> None:
    Path(host.state, "grants", f".{MARK}.new").write_text('{"mar')
    assert host.answer({"do": "list"})["grants"] == {}
    host.sweep()
    assert host.answer(ask())["entry"]["mark"] == MARK


@needs_keygen
def test_a_file_that_cannot_be_read_is_swept(host: Host) -> None:
    Path(host.state, "grants", MARK).write_text('{"mar')
    host.sweep()
    assert grants(host) == set()


def test_a_host_that_was_not_set_up_says_so(tmp_path: Path) -> None:
    bare = Host("acme", CA, [ME], state=str(tmp_path / "none"), run=str(tmp_path / "run"))
    assert "breakglass-host setup" in bare.answer({"do": "list"})["failed"]


@pytest.mark.parametrize("asked", [{}, {"do": "answer"}, {"do": "sweep"}, {"do": ["list"]}, {"do": None}])
def test_only_the_five_questions_are_answered(host: Host, asked: dict[str, Any]) -> None:
    assert "does not know" in host.answer(asked)["no"]


def test_login_asks_for_account_time_and_mark(host: Host, clock: Clock, login: Callable[..., str]) -> None:
    assert login(ME, f"{MARK} alice") == "", "no grant yet"
    host.answer(ask())
    assert login(ME, f"{MARK} alice") == MARK
    assert login("other", f"{MARK} alice") == ""
    assert login(ME, "bg-acme-bbbbbb alice") == ""
    assert login(ME, "../grants/x") == ""
    assert login(ME, "") == ""
    clock.now += 1799
    assert login(ME, MARK) == MARK
    clock.now += 1
    assert login(ME, MARK) == ""


def test_login_lets_in_the_certificates_it_was_told_of_and_no_other(
    host: Host, login: Callable[..., str]
) -> None:
    second = base64.b64encode(b"signed at the second attempt").decode()
    host.answer(ask())
    assert login(ME, MARK, certificate=second) == ""
    host.answer(ask(certificates=[helper.digest(second)]))
    assert login(ME, MARK, certificate=second) == MARK
    assert login(ME, MARK) == MARK, "an attempt that somebody was handed is not forgotten"
    for other in (base64.b64encode(b"a certificatf").decode(), CERTIFICATE[:-4], "", "no base64"):
        assert login(ME, MARK, certificate=other) == ""


def test_login_notes_the_process_before_it_says_yes(host: Host, login: Callable[..., str]) -> None:
    host.answer(ask())
    login(ME, MARK)
    (note,) = Path(host.run, "sessions").iterdir()
    assert note.name == f"{MARK}.{os.getppid()}.{helper.started(os.getppid())}"


def test_login_says_nothing_if_the_note_cannot_be_made(host: Host, login: Callable[..., str]) -> None:
    host.answer(ask())
    Path(host.run, "sessions").rmdir()
    Path(host.run, "sessions").write_text("a file where the folder should be")
    with pytest.raises(helper.Failed, match="no folder of root's own"):
        login(ME, MARK)


def test_login_says_nothing_to_a_process_that_is_no_sshd(host: Host) -> None:
    """The first process, nobody, ourselves, whoever started us, and one that is gone."""
    host.answer(ask())
    for asker in (1, 0, os.getpid(), os.getppid(), 2**22 + 1):
        assert host.login(asker, ME, MARK, CA.split()[1], CERTIFICATE) == ""
    assert list(Path(host.run, "sessions").iterdir()) == []


def test_a_note_about_the_first_process_or_one_that_never_was_ends_nothing(host: Host) -> None:
    """An older helper could leave one: 1 when its sshd had been killed, no start time when it was gone."""
    host.answer(ask())
    for left in (f"1.{helper.started(1)}", "0.", f"{2**22 + 1}.", "1", "-1.5", "x.y"):
        Path(host.run, "sessions", f"{MARK}.{left}").touch()
    assert host._sessions() == {}
    assert list(Path(host.run, "sessions").iterdir()) == []


def test_the_first_process_is_not_cut_even_if_it_were_noted(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _signal: signals.append(pid))
    monkeypatch.setattr(Host, "_sessions", lambda _host: {MARK: [1]})
    monkeypatch.setattr(helper, "below", lambda _head: [1, 0])
    assert host._cut(MARK) is False
    assert signals == []


def test_another_authority_lets_in_nobody_unless_the_operator_named_it(
    host: Host, login: Callable[..., str]
) -> None:
    assert login("bob", f"{MARK} alice", "AAAAtheirs") == ""
    opened = replace(host, other_authorities=("ssh-ed25519 AAAAtheirs their-ca",))
    for ca, said in (("AAAAtheirs", "bob"), ("AAAAothers", "")):
        assert opened.login(os.getppid(), "bob", f"{MARK} alice", ca, CERTIFICATE) == said
    assert list(Path(host.run, "sessions").iterdir()) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("0::/user.slice/user-1000.slice/session-4.scope", [41, 42]),
        ("0::/system.slice/ssh.service", []),
        ("0::/user.slice/user-1000.slice/user@1000.service", []),
    ],
)
def test_a_session_scope_of_systemd_holds_what_left_the_connection(
    tmp_path: Path, line: str, found: list[int]
) -> None:
    """A pretended /proc and cgroup tree: no systemd runs in the tests."""
    for pid, parent, its in ((40, 7, line), (7, 1, "0::/system.slice/ssh.service")):
        (tmp_path / "proc" / str(pid)).mkdir(parents=True)
        (tmp_path / "proc" / str(pid) / "cgroup").write_text(f"{its}\n")
        (tmp_path / "proc" / str(pid) / "stat").write_text(f"{pid} (sshd: a) b) S {parent} 0 0\n")
    group = tmp_path / "cgroup" / line.partition("::/")[2]
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text("41\n42\n")
    assert helper.in_scope(40, str(tmp_path / "proc"), str(tmp_path / "cgroup")) == found
    (tmp_path / "proc" / "7" / "cgroup").write_text(f"{line}\n")
    assert helper.in_scope(40, str(tmp_path / "proc"), str(tmp_path / "cgroup")) == [], (
        "the scope of whoever started sshd by hand, with all else that they do there"
    )


# --- as a command ------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    config = tmp_path / "host.json"
    words = {"installation": "acme", "ca": CA, "accounts": [ME]}
    config.write_text(json.dumps({**words, "state": str(tmp_path / "s"), "run": str(tmp_path / "r")}))
    config.chmod(0o644)

    def run(*words: str, said: str = "", before: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-W", "error", helper.__file__, "--config", str(config), *words]
        shell = ["sh", "-c", f'{before} exec "$@"', "sh", *command]
        return subprocess.run(shell, input=said, capture_output=True, text=True, check=False)

    return run


@needs_keygen
def test_an_operator_can_set_it_up_list_and_end_by_hand(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert run("setup").returncode == run("sweep").returncode == 0
    assert (tmp_path / "s" / "ca.pub").read_text() == f"{CA}\n"
    (tmp_path / "s" / "grants" / MARK).write_text(json.dumps({**ask()["entry"]}))
    assert json.loads(run("list").stdout)["grants"][MARK]["principal"] == "alice"
    assert run("end", MARK).returncode == 0
    assert json.loads(run("list").stdout)["grants"] == {}
    assert run("end", "bg-other-7k3q2m").returncode == 1


@needs_keygen
def test_a_disk_that_takes_nothing_more_holds_up_no_end(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """No file may grow by a byte: the kernel says so to every write."""
    run("setup")
    for mark in (MARK, "bg-acme-bbbbbb"):
        (tmp_path / "s" / "grants" / mark).write_text(json.dumps(ask(mark=mark, until=1)["entry"]))
    full = "ulimit -f 0;"
    assert run("end", MARK, before=full).returncode == 0
    assert json.loads(run("list").stdout)["grants"].keys() == {"bg-acme-bbbbbb"}
    assert run("sweep", before=full).returncode == 1, "the revocation list could not be written: say so"
    assert json.loads(run("list").stdout)["grants"] == {}
    assert run("sweep").returncode == 0


@pytest.mark.parametrize(
    "said", ["", "nonsense", "[]", "7", '{"do": "grant"}', '{"do": "grant", "entry": 7}']
)
def test_nonsense_from_the_network_is_an_error_and_no_traceback(
    run: Callable[..., subprocess.CompletedProcess[str]], said: str
) -> None:
    done = run("serve", said=said)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("breakglass-host: ")
    assert "Traceback" not in done.stderr


def test_an_unknown_command_says_which_there_are(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run("begin")
    assert done.returncode == 2
    assert "setup | sweep | list | end MARK" in done.stderr


def test_the_documented_host_json_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "backends" / "ssh.md").read_text()
    (text,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert Host(**json.loads(text)).accounts == ["deploy"]


def test_it_is_one_file_of_the_standard_library_that_an_older_python_can_read() -> None:
    tree = ast.parse(Path(helper.__file__).read_text(), feature_version=(3, 9))
    names = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= set(sys.stdlib_module_names)
