"""The parts of the stage: the configuration it plays with, the phone, the history's place."""

import os
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pyotp
import pytest

from bot.config import load
from bot.core.model import Secret
from bot.demo.authenticator import Authenticator
from bot.demo.plan import EXAMPLE, TOUR, Plan, StageError
from bot.demo.stage import _inherited
from bot.mfa import check

URI = "otpauth://totp/Breakglass:U0ALICE01?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Breakglass"


@pytest.mark.parametrize("plan", [Plan(), TOUR, Plan(transport="http"), Plan(durations=("8s",))])
def test_the_configuration_of_a_performance_is_the_example_with_other_times(
    tmp_path: Path, plan: Plan
) -> None:
    file = tmp_path / "breakglass.toml"
    plan.write(file, 20_123)
    load(file, {}, need=())  # it is one that the bot takes
    example, played = (tomllib.loads(text) for text in (EXAMPLE.read_text(), file.read_text()))
    reading, changing = played["accesses"]["prod-db-read"], played["accesses"]["prod-db-admin"]
    assert (reading.pop("durations"), changing.pop("durations")) == (
        list(plan.durations),
        list(plan.change_durations),
    )
    assert played["slack"].pop("transport") == plan.transport
    assert played["http"].pop("listen") == "127.0.0.1:20123"
    for place, key in (("history", "checkpoint_every"), ("keeper", "reconcile_every")):
        assert played[place].pop(key) != example[place].pop(key)
    for access in ("prod-db-read", "prod-db-admin"):
        del example["accesses"][access]["durations"]
    del example["slack"]["transport"], example["http"]["listen"]
    assert played == example


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b"installation = 'mine'\n"])
def test_a_configuration_that_cannot_be_played_with_is_a_sentence(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "mine.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StageError, match=r"cannot be read|does not say"):
        Plan(config=file).write(tmp_path / "out.toml", 20_123)
    assert not (tmp_path / "out.toml").exists()


@pytest.mark.parametrize("ahead", [-1, 0, 1, 2, 3])
def test_the_phone_shows_the_first_unused_code_that_the_desk_takes(ahead: int) -> None:
    now = 1_795_246_652.0
    used = int(now) // 30 + ahead
    shown = Authenticator(URI, clock=lambda: now).shown(used)
    moment = max(now, shown.takes_from)
    step = _taken(shown.code, moment)
    assert step > used
    assert (shown.takes_from <= now) == (ahead < 1)
    assert _taken(shown.code, shown.takes_until - 1) == step


def _taken(code: Secret, at: float) -> int:
    secret = Authenticator(URI).secret
    return check(secret, code.reveal(), datetime.fromtimestamp(at, UTC), -1)


def test_looking_at_the_phone_uses_nothing_up() -> None:
    phone = Authenticator(URI, clock=lambda: 1_795_246_652.0)
    assert phone.shown(-1) == phone.shown(-1)
    assert phone.shown(-1).code.reveal() == pyotp.TOTP(phone.secret.reveal()).at(1_795_246_652)
    assert phone.wrong() != phone.shown(-1).code.reveal()


def test_what_belongs_to_a_real_installation_does_not_reach_the_bot_of_a_demo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("BREAKGLASS_DATABASE_URL", "BREAKGLASS_SECRET_KEYS", "SLACK_BOT_TOKEN"):
        monkeypatch.setenv(name, "real")
    assert "real" not in _inherited(Plan()).values()
    assert "PATH" in _inherited(Plan()) or "PATH" not in os.environ
