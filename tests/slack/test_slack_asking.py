"""Asking for access from Slack, and everything that can be wrong with it."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.core import events as e
from bot.core.model import State
from bot.slack.views.guide import FAILED, NOTHING_OFFERED, TOO_SLOW, USED_UP
from tests.core.samples import ANNA, EMIL, SCENARIO, TERMS, policy_of
from tests.slack.bench import Bench, bench


async def test_the_form_has_its_seven_fields_and_the_first_choice_made(it: Bench) -> None:
    form = await it.form()
    assert form.labels() == ["Scenario", "Criteria", "Access", "Duration", "Reason", "Incident", "Code"]
    assert form.value("Scenario") == "Replica lag"
    assert form.value("Access") == "Production database, read only"
    assert form.value("Duration") == "15 min"
    assert "1 of leads must approve" in form.text()
    assert "Only Breakglass ends it" in form.text(), "how it ends is told before anybody asks"


async def test_what_a_reason_must_have_is_said_before_anybody_gets_it_wrong(it: Bench) -> None:
    assert "At least 10 characters" in (await it.form()).text()


async def test_the_shortcut_opens_the_same_form(it: Bench) -> None:
    assert (await it.anna.shortcut("breakglass_request")).ok
    assert (await it.window(it.anna)).title == "Break-glass access"


async def test_a_right_form_files_one_request_that_waits_for_approval(it: Bench) -> None:
    request = await it.asks(reason="The replica lags by an hour.")
    assert request.state is State.AWAITING_APPROVAL
    assert request.reason.text == "The replica lags by an hour."
    card = await it.card(request.id)
    assert "The replica lags by an hour." in card.human_text()
    assert "The replica lags by an hour." in card.spoken(), "who hears the card hears the reason too"


async def test_without_a_code_the_request_is_filed_and_waits_for_it(it: Bench) -> None:
    form = await it.form()
    await it.fill(form, code="")
    assert await form.submit() is None
    assert form.title == "Request sent"
    assert "It waits for your code" in form.text()
    request = await it.newest()
    assert request.state is State.AWAITING_MFA

    await it.presses(it.anna, await it.card(request.id), "Enter code")
    window = await it.window(it.anna, "Enter your code")
    window.fill("Code", it.fresh_code(ANNA))
    assert await window.submit() is None
    assert await it.state(request.id) is State.AWAITING_APPROVAL


async def test_an_access_without_second_factor_needs_no_code(it: Bench) -> None:
    request = await it.asks(access="Practice", code="")
    assert request.state is State.AWAITING_APPROVAL


async def test_another_access_keeps_what_was_typed(it: Bench) -> None:
    form = await it.form()
    form.fill("Reason", "The replica lags by an hour.")
    form.fill("Criteria", form.options("Criteria"))
    await form.choose("Access", "Practice")
    await it.sandbox.wait_for(lambda: "asks for no code" in form.text())
    assert form.value("Access") == "Practice"
    assert form.value("Reason") == "The replica lags by an hour."
    assert form.value("Criteria") == list(SCENARIO.criteria)


async def test_another_scenario_asks_for_its_own_criteria(tmp_path: Path) -> None:
    drill = replace(SCENARIO, key="drill", title="Drill", criteria=("This is an exercise.",))
    policy = policy_of(TERMS)
    async with bench(tmp_path, replace(policy, scenarios={**policy.scenarios, "drill": drill})) as it:
        form = await it.form()
        form.fill("Criteria", form.options("Criteria"))
        form.fill("Reason", "The replica lags by an hour.")
        await form.choose("Scenario", "Drill")
        await it.sandbox.wait_for(lambda: form.options("Criteria") == ["This is an exercise."])
        assert form.value("Criteria") == []
        assert form.value("Reason") == "The replica lags by an hour."


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("Criteria", [SCENARIO.criteria[0]], "Confirm every criterion"),
        ("Reason", "no", "Say in at least 10 characters"),
        ("Reason", "\u200b" * 40, "Say in at least 10 characters"),
        ("Code", "000000", "That code is not right"),
        ("Code", "abc", "A code is six digits"),
    ],
)
async def test_what_can_be_mended_is_said_at_its_field(
    it: Bench, field: str, value: object, says: str
) -> None:
    form = await it.form()
    await it.fill(form)
    form.fill(field, value)
    said = await form.submit()
    assert said is not None
    assert list(said) == [field]
    assert says in said[field]
    assert form.is_open, "nothing that was typed is lost"
    assert await it.rig.store.of_person(ANNA) == []


async def test_a_wrong_code_is_on_the_record_and_the_form_can_be_sent_again(it: Bench) -> None:
    form = await it.form()
    await it.fill(form, code="000000")
    assert await form.submit() is not None
    assert await it.refused(ANNA) == ["wrong"]
    form.fill("Code", it.fresh_code(ANNA))
    assert await form.submit() is None
    assert (await it.newest()).state is State.AWAITING_APPROVAL


async def test_a_used_code_is_refused_and_on_the_record(it: Bench) -> None:
    code = it.fresh_code(ANNA)
    await it.asks(code=code)
    form = await it.form()
    await it.fill(form, code=code)
    said = await form.submit()
    assert said is not None
    assert "used already" in said["Code"]
    assert await it.refused(ANNA) == ["replayed"]


async def test_five_guesses_lock_the_code_and_the_sixth_is_told_so(it: Bench) -> None:
    form = await it.form()
    for guess in range(5):
        await it.fill(form, code=f"00000{guess}")
        assert await form.submit() is not None
    await it.fill(form)
    said = await form.submit()
    assert said is not None
    assert "5 wrong codes" in said["Code"]
    assert await it.refused(ANNA) == ["wrong"] * 5 + ["locked"]
    assert await it.events(e.LockedOut) == 1


async def test_one_form_delivered_three_times_files_one_request(it: Bench) -> None:
    request = await it.asks()
    await it.again()
    assert await it.rig.store.of_person(ANNA) == [request]
    assert await it.events(e.RequestOpened) == 1
    assert await it.refused(ANNA) == []


async def test_one_form_delivered_again_to_another_server_files_one_request(it: Bench) -> None:
    """What is remembered in memory is gone; the database remembers too."""
    request = await it.asks()
    await it.reconnect()
    await it.again()
    assert await it.rig.store.of_person(ANNA) == [request]
    assert await it.refused(ANNA) == []


# --- triggers -------------------------------------------------------------------------------------------


async def test_an_expired_trigger_is_told_to_the_person(it: Bench) -> None:
    it.sandbox.faults.add(method="views.open", kind="error", error="expired_trigger_id")
    assert (await it.anna.command("/breakglass", it.channel)).ok
    await it.settle()
    assert it.hears(it.anna) == [TOO_SLOW]
    assert await it.refused(ANNA) == ["expired_trigger"]


async def test_a_used_trigger_is_told_to_the_person(it: Bench) -> None:
    it.sandbox.faults.add(method="views.open", kind="error", error="exchanged_trigger_id")
    assert (await it.anna.command("/breakglass", it.channel)).ok
    await it.settle()
    assert it.hears(it.anna) == [USED_UP]
    assert await it.refused(ANNA) == ["used_trigger"]


async def test_a_trigger_that_was_used_up_is_told_and_recorded_once_however_often_it_comes(
    it: Bench,
) -> None:
    it.sandbox.faults.add(method="views.open", kind="error", error="exchanged_trigger_id", times=2)
    assert (await it.anna.command("/breakglass", it.channel)).ok
    await it.settle()
    await it.reconnect()
    last = it.sandbox.wire_log.pushes("slash_commands")[-1]
    await it.sandbox.delivery.interact(it.app, "slash_commands", last.args)
    await it.settle()
    assert it.hears(it.anna) == [USED_UP]
    assert await it.refused(ANNA) == ["used_trigger"]


async def test_a_window_that_slack_does_not_open_is_told_and_recorded(it: Bench) -> None:
    it.sandbox.faults.add(method="views.open", kind="500")
    assert (await it.anna.command("/breakglass enroll", it.channel)).ok
    await it.settle()
    assert it.hears(it.anna) == [FAILED]
    assert await it.refused(ANNA) == ["no_window"]


async def test_a_window_that_opened_although_the_answer_was_lost_can_be_used(it: Bench) -> None:
    it.sandbox.faults.add(method="views.open", kind="cut_after_store")
    form = await it.form()
    await it.settle()
    await it.fill(form)
    assert await form.submit() is None


async def test_where_no_ephemeral_reaches_the_person_a_direct_message_does(it: Bench) -> None:
    elsewhere = it.sandbox.add_channel("elsewhere", private=True, members=[ANNA])
    it.sandbox.faults.add(method="views.open", kind="error", error="expired_trigger_id")
    assert (await it.anna.command("/breakglass", elsewhere)).ok
    await it.settle()
    assert it.hears(it.anna) == [TOO_SLOW]
    assert it.anna.direct_messages()[-1].human_text() == TOO_SLOW


async def test_a_command_delivered_again_opens_one_window(it: Bench) -> None:
    await it.form()
    last = it.sandbox.wire_log.pushes("slash_commands")[-1]
    await it.sandbox.delivery.interact(it.app, "slash_commands", last.args)
    await it.settle()
    assert len(it.sandbox.wire_log.calls("views.open")) == 1
    assert it.hears(it.anna) == []


# --- who may not ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "code", "says"),
    [
        ({"deleted": True}, "deactivated", "deactivated"),
        ({"is_restricted": True}, "guest", "Guest accounts have no say here"),
        ({"is_ultra_restricted": True}, "guest", "Guest accounts have no say here"),
        ({"is_bot": True}, "bot", "humans only"),
        ({"is_stranger": True}, "stranger", "other organisations"),
        ({"team_id": "T0OTHER001"}, "stranger", "other organisations"),
    ],
)
async def test_who_is_no_colleague_cannot_even_begin(
    it: Bench, facts: dict[str, object], code: str, says: str
) -> None:
    form = await it.form()
    await it.fill(form)
    it.sandbox.change_user(ANNA, **facts)
    await it.knows(ANNA)
    said = await form.submit()
    assert said is not None
    assert says in " ".join(said.values())
    assert await it.refused(ANNA) == [code]
    assert await it.rig.store.of_person(ANNA) == []


async def test_somebody_without_a_role_is_told_whose_it_is(it: Bench) -> None:
    outcome = await it.emil.command("/breakglass", it.channel)
    assert "open to: oncall" in outcome.human_text()
    assert await it.refused(EMIL) == ["may_not_ask"]
    assert it.emil.modal is None


async def test_somebody_whom_no_provider_knows_is_told_so(it: Bench) -> None:
    it.rig.desk._providers = {
        name: replace(provider, principals={}) for name, provider in it.rig.desk._providers.items()
    }
    outcome = await it.anna.command("/breakglass", it.channel)
    assert outcome.human_text() == NOTHING_OFFERED


async def test_a_closed_desk_keeps_what_was_typed(it: Bench) -> None:
    form = await it.form()
    await it.fill(form)
    it.rig.closed = "the audit channel was archived."
    said = await form.submit()
    assert said is not None
    assert "the audit channel was archived" in " ".join(said.values())
    assert form.value("Reason") == "The replica lags by an hour."
    it.rig.closed = None
    form.fill("Code", it.fresh_code(ANNA))
    assert await form.submit() is None


# --- many choices, hostile words ------------------------------------------------------------------------


async def test_more_accesses_than_slack_shows_are_searched_by_typing(tmp_path: Path) -> None:
    many = [replace(TERMS, access=f"db-{n:03}", title=f"Database number {n}") for n in range(140)]
    async with bench(tmp_path, policy_of(*many)) as it:
        form = await it.form()
        assert form.value("Access") == "Database number 0"
        assert len(await form.suggest("Access", "")) == 100
        assert await form.suggest("Access", "number 137") == ["Database number 137"]
        assert await form.suggest("Access", "nothing like it") == []
        await form.suggest("Access", "137")
        await it.fill(form, access="Database number 137")
        assert await form.submit() is None
        assert (await it.newest()).terms.access == "db-137"


HOSTILE = [
    "<!channel> look <@U0BEN> at <https://evil.example|this> & <#C1> now",
    "@channel @here *bold* `code` https://evil.example :fire:",
    "\u202egnp.exe\u202c and \u200b\u200b\u2066zero width\u2069 here",
    "x" * 3000,
    "\U0001f525" * 1500,
    "&amp;lt;" * 300,
    "line one\nline two\r\n\tline three",
]


@pytest.mark.parametrize("reason", HOSTILE)
async def test_hostile_words_are_shown_and_do_nothing(it: Bench, reason: str) -> None:
    request = await it.asks(reason=reason)
    assert request.reason.text == reason.strip()
    card = await it.card(request.id)
    assert card.mentions <= {ANNA}, "nobody is called by what somebody typed"
    shown = card.human_text()
    assert not set(shown) & set("\u202e\u200b\u2066"), "nothing works unseen"
    for word in ("evil.example", "zero width", "line three"):
        assert (word in reason) == (word in shown)
    assert "<https://evil" not in card.text
