"""One server per SQLite file: an operating-system lock beside it, which a crash releases by itself.

Reading commands and the command line's `revoke` do not need it. On PostgreSQL it does nothing: there the
database itself keeps writers apart.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from bot.core.errors import BreakglassError


class AlreadyServed(BreakglassError):
    """Another server holds this database."""


@contextmanager
def only_server(url: str) -> Iterator[None]:
    """Holds the right to serve the database at `url` while the block runs.

    Raises:
        AlreadyServed: another process has it; the text names the file and the process.
    """
    parsed = make_url(url)
    if not parsed.drivername.startswith("sqlite") or parsed.database in {None, "", ":memory:"}:
        yield
        return
    # Resolved: a second name of the same file (a link) must meet the same lock.
    path = Path(f"{Path(str(parsed.database)).resolve()}.lock")
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyServed(
                f"Another server (process {file.read().strip() or 'unknown'}) serves {parsed.database}. "
                "Stop it first, or give this one its own database. For several servers use PostgreSQL."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
