"""Asks the server on this machine whether it lives: `breakglass health`, for whatever restarts it if not.

Rule: it runs every few seconds beside the server, so it needs the standard library alone, and of the
configuration only where to ask.
"""

import tomllib
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from bot.core.errors import BreakglassError

LISTENS: Final = "127.0.0.1:8080"
"""Where a server listens whose file does not say so: the default of `[http] listen`."""

EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  asked on this machine, not listened at
"""Who listens at every address of this machine is asked at this one."""

PATIENCE: Final = 2.0
"""Seconds for the answer. A container's own health check waits three."""


def ask(file: Path) -> None:
    """Silent when the server of the configuration in `file` answers `GET /health` as it should.

    Raises:
        BreakglassError: it does not, or the file does not say where it listens.
    """
    listen = _listens(file)
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    connection = HTTPConnection(EVERYWHERE.get(host, host), int(port), timeout=PATIENCE)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise BreakglassError(f"No server answers at {listen} ({error}). Its log says why.") from None
    finally:
        connection.close()
    if status != 200:
        raise BreakglassError(f"What answers at {listen} is not a healthy server: status {status}.")


def _listens(file: Path) -> str:
    try:
        found: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
        listen = found.get("http", {}).get("listen", LISTENS)
        port = int(listen.rpartition(":")[2])
    except (OSError, ValueError, AttributeError):
        raise BreakglassError(
            f"{file} does not say where the server listens. See: breakglass check"
        ) from None
    if port == 0:
        raise BreakglassError(f"{file} lets the server listen at any free port. Name one: [http] listen")
    return str(listen)
