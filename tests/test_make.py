"""Setting up by `make`: the rule that every target needs, in a folder of its own, without the network.

`uv` is a wheel of two lines here; the virtual environment, pip and make are the real ones.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = "#!python\nimport sys\nsys.exit(0 if sys.argv[1] == 'sync' else 'no such command')\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout as far as the rule looks at it."""
    for name in ("Makefile", "pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, tmp_path)
    with zipfile.ZipFile(tmp_path / "uv-0-py3-none-any.whl", "w") as wheel:
        script = zipfile.ZipInfo("uv-0.data/scripts/uv")
        script.external_attr = 0o100755 << 16  # a file that may be run
        wheel.writestr(script, SCRIPT)
        wheel.writestr("uv-0.dist-info/METADATA", "Metadata-Version: 2.1\nName: uv\nVersion: 0\n")
        wheel.writestr(
            "uv-0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("uv-0.dist-info/RECORD", "")
    return tmp_path


@pytest.mark.heavy
def test_a_virtual_environment_that_was_interrupted_is_made_anew(checkout: Path) -> None:
    """Ctrl-C while pip is put into it leaves a python without pip; only setting up again mends it."""
    interrupted = [sys.executable, "-m", "venv", "--without-pip", ".venv"]
    subprocess.run(interrupted, cwd=checkout, check=True)
    env = {name: text for name, text in os.environ.items() if not name.startswith(("MAKE", "VIRTUAL_ENV"))}
    done = subprocess.run(
        ["make", ".venv/.ready", f"PYTHON={sys.executable}", "UV=./uv-0-py3-none-any.whl"],
        cwd=checkout, env=env, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "Setting up .venv (about half a minute, once)\n")
    assert (checkout / ".venv/.ready").exists()
