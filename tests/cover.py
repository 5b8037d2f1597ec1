"""Branch coverage of `bot/core`, by `tests/core` alone: `python -m tests.cover`, which is `make cover`.

What the other tests run of it does not count: the rules of the core are shown by the core's own tests. The
figure is branches taken of branches there are, without the lines that soften the usual total.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Final

import pytest

LEAST: Final = 95.0


def main() -> int:
    """Runs the tests, prints the figure. 0 when they pass and it is high enough."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        options = ["--cov=bot.core", "--cov-branch", "--cov-report=", f"--cov-report=json:{report}"]
        failed = pytest.main(["-q", "-n", "2", "tests/core", *options])
        if failed:
            return int(failed)
        measured = json.loads(report.read_text())
    totals = measured["totals"]
    found = float(totals["percent_branches_covered"])
    taken = f"{totals['covered_branches']} of {totals['num_branches']}"
    sys.stdout.write(
        f"Branch coverage of bot/core: {found:.1f} % ({taken}), by tests/core alone; least {LEAST:.0f} %.\n"
    )
    if found >= LEAST:
        return 0
    for name, file in measured["files"].items():
        for start, end in file["missing_branches"]:
            sys.stdout.write(f"{name}:{start}: never goes on to {f'line {end}' if end > 0 else 'the end'}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
