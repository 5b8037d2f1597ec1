"""`python -m tests.bench`: timings as ratios against a floor measured in the same run. It asserts nothing."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.acks import commands
from tests.bench.endings import endings
from tests.bench.figures import Figure, table
from tests.bench.floor import Commits
from tests.bench.grants import grants
from tests.bench.history import checking, writing
from tests.bench.scene import environment, scene


async def main() -> None:
    """Measures everything and prints the table."""
    began = time.monotonic()
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="breakglass-bench-") as folder:
        home = Path(folder)
        env = environment(home)
        commits = Commits(home / "floor.db")
        await commits.prepare()
        async with scene(home, env) as it:
            found += await commands(it)
            found += await grants(it, commits)
            found += await endings(it, commits)
        found += [await writing(home, commits), await checking(env)]
        await commits.close()
    _say(f"\n{table(found)}\n\nMeasured in {time.monotonic() - began:.0f} s.\n")


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
