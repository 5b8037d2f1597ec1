"""Starting the bot again, as systemd would: real processes, pauses passed in."""

import asyncio
import os
from pathlib import Path

from bot.demo.plan import ROOT
from bot.demo.supervisor import Supervisor


async def test_a_bot_that_cannot_be_started_is_told_tried_ever_more_slowly_and_not_given_up(
    tmp_path: Path,
) -> None:
    """Its log cannot be opened for three starts, as when the disk is full or the folder is gone."""
    folder, away = tmp_path / "home", tmp_path / "away"
    folder.mkdir()
    told: list[str] = []
    pauses: list[tuple[float, str]] = []
    back = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.append((seconds, bot.trouble))
        if len(pauses) == 4:
            away.rename(folder)

    async def is_ready() -> bool:
        return True

    def tell(sentence: str) -> None:
        told.append(sentence)
        if "is back" in sentence:
            back.set()

    env = {**os.environ, "PYTHONPATH": str(ROOT), "BREAKGLASS_CONFIG": str(tmp_path / "none.toml")}
    bot = Supervisor(env, folder / "server.log", is_ready, tell, again=True, pause=pause)
    async with bot:
        folder.rename(away)
        assert bot.kill()
        await asyncio.wait_for(back.wait(), 10)
        assert bot.trouble == ""
        assert len(bot.lives) == 2
    assert [seconds for seconds, _ in pauses] == [1, 2, 4, 8]
    assert pauses[0][1] == ""
    for number in (1, 2, 3):
        assert pauses[number][1].startswith("The bot cannot be started (")
        assert "No such file or directory" in told[number]
        assert told[number].endswith(f"It is tried again in {2**number} s.")
