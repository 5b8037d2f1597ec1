"""The request form while it changes under somebody's hands: nothing counts that was not shown."""

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import AsyncMock, MagicMock

import pytest

from bot.core import events as e
from bot.sandbox import Modal
from bot.slack.listeners.forms import _Changes
from bot.slack.views.guide import FORM_CHANGED, FORM_STANDS
from tests.core.samples import ANNA, SCENARIO, TERMS, policy_of
from tests.slack.bench import FREE, Bench, bench

EXERCISE = "This is an exercise."
WHY = "The replica lags by an hour."
DRILL = replace(SCENARIO, key="drill", title="Drill", criteria=(EXERCISE,), accesses=("practice", "prod-db"))


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Bench]:
    """Two scenarios with criteria of their own: as many in one as are ticked in the other."""
    policy = policy_of(TERMS, FREE)
    async with bench(tmp_path, replace(policy, scenarios={**policy.scenarios, "drill": DRILL})) as made:
        yield made


async def is_shown_anew(it: Bench, form: Modal, criteria: list[str]) -> None:
    """Nothing was filed, and the person can go on: with what was typed, without what was ticked."""
    assert await it.rig.store.of_person(ANNA) == []
    assert FORM_CHANGED in form.text()
    assert form.options("Criteria") == criteria
    assert form.value("Criteria") == []
    assert form.value("Reason") == WHY


async def test_what_was_ticked_under_one_scenario_does_not_count_for_another(it: Bench) -> None:
    """The scenario is changed and the form sent before anybody could change its fields."""
    form = await it.form()
    await it.fill(form)
    form.fill("Scenario", "Drill")
    assert await form.submit() is None
    await is_shown_anew(it, form, [EXERCISE])
    assert form.value("Scenario") == "Drill"

    said = await form.submit()
    assert said is not None, "looking is not confirming"
    assert said == {"Criteria": "Please complete this required field."}
    form.fill("Criteria", [EXERCISE])
    assert await form.submit() is None
    assert (form.title, (await it.newest()).criteria) == ("Request sent", (EXERCISE,))


async def test_an_access_and_a_duration_count_only_under_what_they_were_shown_for(it: Bench) -> None:
    form = await it.form()
    await it.fill(form)
    form.fill("Access", "Practice")
    assert await form.submit() is None
    assert FORM_CHANGED in form.text()
    assert form.value("Access") == "Practice"
    assert "asks for no code" in form.text()
    assert form.value("Criteria") == list(SCENARIO.criteria), "those are the same as before"
    assert await form.submit() is None
    assert (await it.newest()).terms.access == "practice"


async def test_while_slack_does_not_change_the_form_it_files_nothing_and_is_shown_anew_when_sent(
    it: Bench,
) -> None:
    form = await it.form()
    it.sandbox.faults.add(method="views.update", kind="500", times=99)
    await it.fill(form)
    await form.choose("Scenario", "Drill")
    await it.settle()
    assert it.hears(it.anna) == [FORM_STANDS]
    assert form.options("Criteria") == list(SCENARIO.criteria)
    assert await form.submit() is None
    await is_shown_anew(it, form, [EXERCISE])


@pytest.mark.parametrize("kind", ["500", "html", "cut_before", "cut_after_store"])
async def test_a_change_that_slack_did_not_take_at_once_is_tried_again(it: Bench, kind: str) -> None:
    form = await it.form()
    it.sandbox.faults.add(method="views.update", kind=kind)  # type: ignore[arg-type]  # the kinds above
    await form.choose("Scenario", "Drill")
    await it.settle()
    assert form.options("Criteria") == [EXERCISE]
    assert it.hears(it.anna) == []


async def test_a_form_that_was_closed_is_left_in_peace(it: Bench) -> None:
    form = await it.form()
    it.sandbox.faults.add(method="views.update", kind="slow", delay=1)
    await form.choose("Scenario", "Drill")
    await it.sandbox.wait_for(lambda: it.sandbox.faults.planned == [])
    await form.close()
    await it.clock.advance(1)
    await it.settle()
    assert it.hears(it.anna) == []


async def test_criteria_that_changed_while_the_form_was_open_are_not_confirmed_by_old_ticks(
    it: Bench,
) -> None:
    """The server was restarted with another policy; the numbers of the boxes are the same."""
    form = await it.form()
    await it.fill(form)
    criteria = ("Somebody is in danger.", "A lawyer has agreed.")
    policy = it.rig.desk.policy
    harder = replace(policy.scenarios[SCENARIO.key], criteria=criteria)
    it.rig.desk.policy = replace(policy, scenarios={**policy.scenarios, SCENARIO.key: harder})
    assert await form.submit() is None
    await is_shown_anew(it, form, list(criteria))


async def test_a_late_change_does_not_bring_the_form_back_over_what_was_sent(it: Bench) -> None:
    form = await it.form()
    await it.fill(form, code="")
    it.sandbox.faults.add(method="views.update", kind="slow", delay=2)
    await form.choose("Access", "Practice")
    await it.sandbox.wait_for(lambda: it.sandbox.faults.planned == [])
    assert await form.submit() is None
    assert FORM_CHANGED in form.text()
    assert await form.submit() is None
    assert form.title == "Request sent"
    await it.clock.advance(2)
    await it.settle()
    assert form.title == "Request sent"
    assert await it.events(e.RequestOpened) == 1
    assert it.hears(it.anna) == []


async def test_of_two_quick_choices_the_later_one_is_shown_whichever_arrives_first(it: Bench) -> None:
    form = await it.form()
    it.sandbox.faults.add(method="views.update", kind="slow", delay=1)
    await form.choose("Scenario", "Drill")
    await it.sandbox.wait_for(lambda: it.sandbox.faults.planned == [])
    await form.choose("Scenario", "Replica lag")
    await it.sandbox.wait_for(lambda: len(it.sandbox.wire_log.calls("views.update")) > 0)
    await it.clock.advance(1)
    await it.settle()
    assert form.options("Criteria") == list(SCENARIO.criteria)


async def test_a_choice_made_before_the_last_change_was_seen_is_shown_too(it: Bench) -> None:
    """Slack tells which version of the window the person saw, and that one is gone by then."""
    form = await it.form()
    await form.choose("Scenario", "Drill")
    await it.settle()
    assert form.options("Criteria") == [EXERCISE]
    pressed = copy.deepcopy(it.sandbox.wire_log.pushes("interactive")[-1].args)
    pressed["trigger_id"] = "another"
    pressed["actions"][0]["action_ts"] = f"{float(pressed['actions'][0]['action_ts']) + 1:.6f}"
    chosen = pressed["view"]["state"]["values"]["scenario"]["scenario"]["selected_option"]
    chosen["value"] = SCENARIO.key
    await it.sandbox.delivery.interact(it.app, "interactive", pressed)
    await it.settle()
    assert form.options("Criteria") == list(SCENARIO.criteria)


@pytest.mark.parametrize("answered", ["first", "", None])
async def test_a_slack_that_names_no_new_version_of_a_window_sends_nobody_round_in_circles(
    answered: str | None,
) -> None:
    counter = MagicMock()
    counter.client.views_update = AsyncMock(return_value={"view": {"hash": answered}})
    changes = _Changes(counter)
    for _ in range(2):
        assert await changes._is_shown({"id": "V1", "hash": "first"}, {})
    assert changes._latest("first") == "first"
