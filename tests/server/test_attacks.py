"""Whoever owns the database file is found out; `python -m tests.server.attacks` prints how."""

import asyncio
import re
from pathlib import Path

import pytest

from bot.core import events as e
from bot.operate.looking import reading
from bot.operate.verifying import Verified
from tests.server.attacks import ATTACKS, FORGED_WORDS, Attack, Scene, scene, words_falsified

pytestmark = pytest.mark.xdist_group("attacks")

by_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.letter} {attack.what}")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """One real history, which every attack copies."""
    return asyncio.run(scene(tmp_path_factory.mktemp("attacks")))


def lines_named(found: Verified, check: str) -> set[int]:
    """Every line that this check's sentences name, ranges included."""
    named: set[int] = set()
    for row in found["findings"]:
        if row["check"] == check:
            named |= {int(number) for number in re.findall(r"line (\d+)", row["sentence"])}
            for first, last in re.findall(r"lines (\d+) to (\d+)", row["sentence"]):
                named |= set(range(int(first), int(last) + 1))
    return named


@by_attack
async def test_verify_finds_it_here_or_has_nothing_to_find_it_by(
    played: Scene, attack: Attack, tmp_path: Path
) -> None:
    found = await played.after(attack, tmp_path / "copy", channel=False)
    assert {row["check"] for row in found["findings"]} >= ({attack.here} if attack.here else set())
    assert found["sound"] is (not attack.here), found["findings"]
    if attack.line is not None and attack.here and attack.here != "head":
        assert played.target + attack.line in lines_named(found, attack.here)


@by_attack
async def test_with_the_channels_checkpoints_everything_is_found(
    played: Scene, attack: Attack, tmp_path: Path
) -> None:
    found = await played.after(attack, tmp_path / "copy", channel=True)
    assert {row["check"] for row in found["findings"]} >= ({attack.channel} if attack.channel else set())
    assert found["sound"] is (not attack.channel), found["findings"]
    if attack.line is not None:
        assert played.target + attack.line in lines_named(found, attack.channel)


async def test_the_untouched_history_is_sound_also_against_the_channel(played: Scene, tmp_path: Path) -> None:
    nothing = Attack("-", "nothing", lambda _copy: None, "", "")
    found = await played.after(nothing, tmp_path / "copy", channel=True)
    assert found["findings"] == []
    assert found["collected"] >= 2


async def test_falsified_words_are_named_by_their_lines_and_not_shown_as_somebodys(
    played: Scene, tmp_path: Path
) -> None:
    attack = Attack("w", "change somebody's words", words_falsified, "words", line=None)
    home = tmp_path / "copy"
    found = await played.after(attack, home, channel=False)
    env = {"BREAKGLASS_DATABASE_URL": f"sqlite:///{home}/breakglass.db"}
    async with reading(env) as reader:
        requests = await reader.everything()
        records = await reader.records(0, await reader.last_seq() + 1)
    opened = [record.seq for record in records if isinstance(record.event, e.RequestOpened)]
    assert lines_named(found, "words") == set(opened)
    assert {row["kind"] for row in found["findings"]} == {"tampered"}
    said = [str(request.reason) for request in requests.values()]
    assert said == ["[falsified; see breakglass verify]"] * len(opened)
    assert FORGED_WORDS not in repr(requests)


async def test_a_finding_says_whether_something_was_changed_or_is_missing(
    played: Scene, tmp_path: Path
) -> None:
    kinds = {}
    for attack in ATTACKS:
        if attack.letter in {"b", "g2", "l"}:
            found = await played.after(attack, tmp_path / attack.letter, channel=False)
            kinds[attack.letter] = {row["kind"] for row in found["findings"] if row["check"] == attack.here}
    assert kinds == {"b": {"tampered"}, "g2": {"incomplete"}, "l": {"incomplete"}}
