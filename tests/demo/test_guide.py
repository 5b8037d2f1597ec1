"""The guide: what ticks a step, and what does not."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from bot.backends import registry
from bot.config import load
from bot.core.events import VOCABULARY
from bot.core.model import Mark, Order
from bot.demo.guide import GUIDE, Seen, Step, told
from bot.demo.people import PEOPLE
from bot.demo.plan import EXAMPLE
from bot.slack.views.says import ENDED_BY

STEPS: Final = {step.id: step for chapter in GUIDE for step in chapter.steps}
ALICE, BOB, CAROL, MALLORY = (PEOPLE[who].id for who in ("alice", "bob", "carol", "mallory"))


def line(type: str, actor: str = "system", request: str | None = "BG-1", **data: object) -> dict[str, Any]:
    assert type in VOCABULARY
    return {"type": type, "actor": actor, "request": request, "data": data}


def seen(*lines: dict[str, Any]) -> Seen:
    return Seen([{**each, "seq": seq} for seq, each in enumerate(lines)])


GRANTED, ENDED = line("access_granted"), line("access_ended")
STARTED, STOPPED = line("server_started", request=None), line("server_stopped", request=None)

TICKED: Final = {
    "before": Seen([], refused=frozenset({("alice", "read")})),
    "ask": seen(line("proof_accepted", ALICE)),
    "self": seen(line("attempt_refused", ALICE, code="self_approval")),
    "stranger": seen(line("attempt_refused", MALLORY, code="may_not_decide")),
    "approve": seen(GRANTED),
    "read": Seen([], allowed=frozenset({("alice", "read")})),
    "cut": Seen([], cut=frozenset({"alice"})),
    "report": seen(line("report_filed", ALICE)),
    "review": seen(line("review_signed", BOB)),
    "shown": seen(line("handoff_shown", ALICE)),
    "repair": Seen([], allowed=frozenset({("alice", "change")})),
    "codes": seen(*[line("proof_refused", CAROL, code="wrong")] * 5),
    "delete": seen(line("audit_entry_deleted")),
    "post": seen(line("foreign_post")),
    "kill": Seen([], killed=True),
    "soul": seen(STARTED, GRANTED, STARTED, ENDED),
    "verify": Seen([], sound=True),
    "forge": Seen([], forged=True),
}


@pytest.mark.parametrize("id", STEPS)
def test_each_step_is_ticked_by_what_it_asks_for_and_by_nothing_else(id: str) -> None:
    assert [name for name in TICKED if STEPS[id].done(TICKED[name])] == [id] + (
        ["soul"] if id == "approve" else []
    )
    assert not STEPS[id].done(seen())


@pytest.mark.parametrize(
    "lines",
    [
        (STARTED, GRANTED, ENDED, STARTED),
        (STARTED, GRANTED, STOPPED, STARTED, ENDED),
        (STARTED, STARTED, GRANTED, ENDED),
        (STARTED, GRANTED, STARTED),
    ],
    ids=["ended before the crash", "stopped in good order", "granted after the crash", "not ended yet"],
)
def test_an_end_counts_as_in_spite_of_the_crash_only_when_the_crash_lies_between(
    lines: tuple[dict[str, Any], ...],
) -> None:
    assert not STEPS["soul"].done(seen(*lines))


def test_five_wrong_codes_of_two_people_lock_nobody() -> None:
    lines = [line("proof_refused", who, code="wrong") for who in (BOB, BOB, BOB, CAROL, CAROL)]
    assert not STEPS["codes"].done(seen(*lines))


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_step_leads_somewhere_that_exists(step: Step) -> None:
    config = load(EXAMPLE, {}, need=())
    channels = {config.channels.requests, config.channels.audit, config.channels.security}
    assert step.go in {"", *channels}
    assert step.who in {"", *PEOPLE}
    assert step.panel in {"", "access", "bot", "phone"}
    assert step.go or step.panel


def test_the_guide_travels_as_json_and_says_what_is_done() -> None:
    found = json.loads(json.dumps(told(GUIDE, TICKED["ask"])))
    done = [step["id"] for chapter in found for step in chapter["steps"] if step["done"]]
    assert done == ["ask"]
    assert len({step["id"] for chapter in found for step in chapter["steps"]}) == len(STEPS)


def test_it_says_of_the_end_of_the_first_access_what_the_card_says() -> None:
    config = load(EXAMPLE, {}, need=())
    terms = config.policy.accesses["prod-db-read"]
    made = config.backends[terms.backend]
    env = {"PROD_DB_URL": "postgresql://broker@127.0.0.1/prod"}
    backend = registry.create(made.kind, made.settings, name="prod-db", installation="example", env=env)
    order = Order(Mark("bg-example-7k3q2m"), "alice", terms.scope, datetime.now(UTC) + timedelta(minutes=1))
    says, _, _ = ENDED_BY[backend.ending(order).by].partition(":")
    assert says in STEPS["cut"].text
