"""A new database by the real migrations, run once per test process: the file is copied after that."""

import tempfile
from pathlib import Path

from bot.store import migrate, open_engine

_migrated: list[bytes] = []


async def fresh(file: Path) -> str:
    """Puts a migrated database at `file`; returns its address."""
    if not _migrated:
        with tempfile.TemporaryDirectory() as folder:
            engine = open_engine(f"sqlite+aiosqlite:///{folder}/migrated.db")
            await migrate(engine)
            await engine.dispose()
            _migrated.append(Path(folder, "migrated.db").read_bytes())  # noqa: ASYNC240  once, and small
    file.write_bytes(_migrated[0])  # noqa: ASYNC240  the same
    return f"sqlite+aiosqlite:///{file}"
