"""docs/contracts.md says what others rely on; each part of it is held here against the code."""

import argparse
import asyncio
import re
from dataclasses import fields
from pathlib import Path

import pytest

from bot import cli
from bot.config.environment import VARIABLES
from bot.core.events import VOCABULARY, type_of
from bot.core.machine import TRANSITIONS
from bot.core.model import RequestId
from bot.desk import mark_of, new_request_id
from bot.operate.checking import Problem, Report, Stand
from bot.operate.ending import RevokedRow
from bot.operate.keys import Keys
from bot.operate.looking import StatusRow
from bot.operate.verifying import FoundRow, Verified

CONTRACTS = (Path(__file__).parents[1] / "docs" / "contracts.md").read_text()


def section(title: str) -> str:
    """The text under one heading."""
    return CONTRACTS.split(f"## {title}", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, without headings."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def ticked(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def test_the_state_table_is_the_machine() -> None:
    documented = [tuple(ticked(cell)[0] for cell in row) for row in rows(section("3. States"))]
    assert documented == [
        (state.value, type_of(event), after.value)
        for state, moves in TRANSITIONS.items()
        for event, after in moves.items()
    ]


def test_the_event_table_is_the_vocabulary() -> None:
    table = section("5. Events").split("| Type |", 1)[1]
    documented = {ticked(row[0])[0]: ticked(row[1]) for row in rows(table)}
    assert documented == {
        name: [field.name for field in fields(cls) if field.name != "actor"]
        for name, cls in VOCABULARY.items()
    }


def test_every_command_and_option_is_documented() -> None:
    documented = {ticked(row[0])[0]: set(ticked(row[1])) for row in rows(section("2. Commands"))}
    parser = cli.parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction)).choices
    found = {
        name: {
            option.split()[0]
            for action in sub._actions
            for option in (action.option_strings or [action.metavar or ""])
            if option not in {"-h", "--help", "--config", "--json"}
        }
        for name, sub in commands.items()
    }
    assert {name: {o.split()[0] for o in options} for name, options in documented.items()} == found


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        ("status", {"requests", *StatusRow.__annotations__}),
        ("revoke", {"revoked", *RevokedRow.__annotations__}),
        ("verify", {*Verified.__annotations__, *FoundRow.__annotations__}),
        (
            "check",
            {"done", "missing", "unseen", "error", "warning"}
            | {*Report.__annotations__, *Stand.__annotations__, *Problem.__annotations__},
        ),
        ("keygen", {*Keys.__annotations__}),
    ],
)
def test_the_json_shapes_are_documented(command: str, keys: set[str]) -> None:
    row = next(row for row in rows(section("2. Commands")) if ticked(row[0])[0] == command)
    assert set(ticked(row[2])) == keys


def test_every_environment_variable_is_named() -> None:
    assert set(VARIABLES) <= set(ticked(section("1. The configuration")))


def test_the_mark_is_as_documented() -> None:
    id = new_request_id()
    assert re.fullmatch(r"BG-[0-9A-HJKMNP-TV-Z]{6}", id)
    assert mark_of("acme-eu", RequestId("BG-7K3Q2M")) == "bg-acme-eu-7k3q2m"


def test_a_wrong_call_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["revoke"])
    assert stopped.value.code == 2
    assert "usage: breakglass revoke" in capsys.readouterr().err


def test_a_wrong_configuration_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err
    asyncio.set_event_loop(None)
