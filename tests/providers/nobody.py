"""Somebody without root's power over files, so that rights count also where root runs the tests."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

NOBODY: Final = 10_001
"""The user in the image; any but root would do."""


@contextmanager
def powerless() -> Iterator[None]:
    """Inside, this process may do with files what `NOBODY` may; whoever is not root stays who they are."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that everybody can reach; pytest's own are shut to all but their owner."""
    folder = Path(tempfile.mkdtemp(prefix="breakglass-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for inner in folder.rglob("*"):
            if inner.is_dir():
                inner.chmod(0o700)
        shutil.rmtree(folder)


def give(path: Path) -> None:
    """Makes it `NOBODY`'s, where that is somebody else."""
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
