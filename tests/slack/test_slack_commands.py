"""`/breakglass` and what is typed after it."""

import pytest

from bot.core import events as e
from bot.core.model import State
from bot.slack.views.guide import read_id
from tests.core.samples import ANNA, EMIL
from tests.slack.bench import Bench


async def test_help_is_for_everybody(it: Bench) -> None:
    for text in ("help", " HELP  ", "Help\u200b"):
        outcome = await it.emil.command(f"/breakglass {text}", it.channel)
        assert "ends an access now" in outcome.human_text()


async def test_an_unknown_word_gets_the_nearest_command_and_the_help(it: Bench) -> None:
    outcome = await it.anna.command("/breakglass revok BG-7K3Q2M", it.channel)
    assert outcome.human_text().startswith("I do not know “revok”. Did you mean `/breakglass revoke`?")
    outcome = await it.anna.command("/breakglass <!channel>", it.channel)
    assert outcome.human_text().startswith("I do not know “<!channel>”.")
    assert outcome.message is not None
    assert outcome.message.mentions == frozenset()


async def test_status_tells_what_one_holds_and_what_waits(it: Bench) -> None:
    empty = await it.anna.command("/breakglass status", it.channel)
    assert empty.human_text() == "You hold nothing, nothing waits for you, and no review is due from you."
    request = await it.asks()
    assert f"What waits for your decision*\n• {request.id}" in (await it.status(it.ben))
    assert f"What you asked for*\n• {request.id}" in (await it.status(it.anna))
    await it.presses(it.ben, await it.card(request.id), "Approve")
    assert f"What you hold*\n• {request.id} Production database, read only, until" in await it.status(it.anna)
    await it.presses(it.anna, await it.card(request.id), "Hand back")
    assert f"Reports you owe*\n• {request.id}" in await it.status(it.anna)


@pytest.mark.parametrize(
    "typed", ["{id}", "{lower}", " {bare} ", "BG {bare}", "bg{bare}", "{id} it is over now"]
)
async def test_revoke_understands_an_id_however_it_is_typed(it: Bench, typed: str) -> None:
    request = await it.active()
    bare = request.id.removeprefix("BG-")
    line = typed.format(id=request.id, lower=request.id.lower(), bare=bare)
    outcome = await it.anna.command(f"/breakglass Revoke {line}", it.channel)
    await it.settle()
    assert "is being ended now" in outcome.human_text()
    ended = await it.rig.store.get(request.id)
    assert ended.state is State.AWAITING_REVIEW
    assert ended.end is not None
    assert (ended.end.reason is not None) == ("over" in typed)


async def test_revoke_without_an_id_or_with_a_wrong_one_says_how(it: Bench) -> None:
    assert "Which one?" in (await it.anna.command("/breakglass revoke", it.channel)).human_text()
    outcome = await it.anna.command("/breakglass revoke BG-000000", it.channel)
    assert "There is no request BG-000000" in outcome.human_text()
    assert await it.refused(ANNA) == ["unknown_request"]
    for word in ("revoke", "review"):
        outcome = await it.anna.command(f"/breakglass {word} <@{EMIL}> now", it.channel)
        assert "I find no id in “<@U0EMIL> now”; ids look like BG-7K3Q2M." in outcome.human_text()
        assert outcome.message is not None
        assert outcome.message.mentions == frozenset()


async def test_of_two_ids_in_one_line_the_second_is_said_to_be_left(it: Bench) -> None:
    first, second = await it.active(), await it.active()
    outcome = await it.anna.command(f"/breakglass revoke {first.id} and {second.id}", it.channel)
    await it.settle()
    assert f"{second.id} is not ended by that" in outcome.human_text()
    assert [await it.state(each.id) for each in (first, second)] == [State.AWAITING_REVIEW, State.ACTIVE]


async def test_an_id_alone_is_answered_with_what_can_be_done_with_it(it: Bench) -> None:
    outcome = await it.anna.command("/breakglass bg-7k3q2m", it.channel)
    assert "/breakglass revoke BG-7K3Q2M` ends that access now" in outcome.human_text()


async def test_handing_back_may_be_typed_in_the_words_of_the_card(it: Bench) -> None:
    request = await it.active()
    outcome = await it.anna.command(f"/breakglass hand back {request.id}", it.channel)
    await it.settle()
    assert "is being ended now" in outcome.human_text()
    assert await it.state(request.id) is State.AWAITING_REVIEW


async def test_revoke_by_somebody_who_may_not_is_refused_and_recorded(it: Bench) -> None:
    request = await it.active()
    outcome = await it.emil.command(f"/breakglass revoke {request.id}", it.channel)
    assert "Only the holder" in outcome.human_text()
    assert await it.refused(EMIL) == ["may_not_revoke"]


async def test_review_by_command_opens_the_same_window(it: Bench) -> None:
    request = await it.active()
    await it.presses(it.anna, await it.card(request.id), "Hand back")
    await it.rig.desk.report(request.id, ANNA, "I restarted the replica.", it.rig.key())
    await it.cara.command(f"/breakglass review {request.id.lower()}", it.channel)
    assert "I restarted the replica." in (await it.window(it.cara, "Review")).text()


@pytest.mark.parametrize(
    ("typed", "id", "rest"),
    [
        (["bg-7k3q2m"], "BG-7K3Q2M", []),
        (["7K3Q2M", "late"], "BG-7K3Q2M", ["late"]),
        (["BG", "7K3Q2M"], "BG-7K3Q2M", []),
        (["BG-7K3Q2M,"], "BG-7K3Q2M", []),
        (["bgBG1234"], "BG-BG1234", []),
        (["BG1234"], "BG-BG1234", []),
        (["bg-oil123"], "BG-011123", []),
        (["bg7k3q2m"], "BG-7K3Q2M", []),
        (["bg", "-", "7k3q2m", "late"], "BG-7K3Q2M", ["late"]),
        (["BG\u20137K3Q2M"], "BG-7K3Q2M", []),
        (["#BG-7K3Q2M"], "BG-7K3Q2M", []),
        (["ＢＧ-７K3Q2M"], "BG-7K3Q2M", []),  # noqa: RUF001  as some keyboards write
        (["request", "BG-7K3Q2M", "is", "over"], "BG-7K3Q2M", ["is", "over"]),
        (["<@U0ANNA>", "BG-7K3Q2M"], "BG-7K3Q2M", []),
        (["7K3Q2M", "as", "in", "BG-AAAAAA"], "BG-7K3Q2M", ["as", "in", "BG-AAAAAA"]),
        (["bg"], None, []),
        (["bg-7k3q2"], None, []),
        (["bg-7k3q2mm"], None, []),
        (["<@U1>"], None, []),
        (["<@WABCDE>"], None, []),
        (["all", "of", "7K3Q2M"], None, []),
    ],
)
def test_ids_are_read_forgivingly(typed: list[str], id: str | None, rest: list[str]) -> None:
    assert read_id(typed) == (id, rest)


async def test_a_second_factor_is_set_up_with_a_token_and_its_first_code(it: Bench) -> None:
    token = await it.rig.factors.issue_enrolment(EMIL, EMIL)
    await it.emil.command("/breakglass enroll", it.channel)
    window = await it.window(it.emil, "Enrol: 1 of 2")
    window.fill("Enrolment token", "WRONG")
    said = await window.submit()
    assert said is not None
    assert "not valid for you" in said["Enrolment token"]
    assert await it.refused(EMIL) == ["bad_token"]

    window.fill("Enrolment token", token.reveal().lower())
    assert await window.submit() is None
    assert window.title == "Enrol: 2 of 2"
    secret = it.secret_on(window)
    assert secret not in window.view.content["private_metadata"], "what is remembered there is sealed"
    assert token.reveal() not in str(await it.rig.history())

    window.fill("Code", "000000")
    said = await window.submit()
    assert said is not None
    assert "not right" in said["Code"]
    window.fill("Code", it.code_of(secret))
    assert await window.submit() is None
    assert window.title == "Enrolled"
    assert await it.rig.store.factor(EMIL) is not None
    assert await it.events(e.Enrolled) == 4, "Anna, Ben and Cara were enrolled before"
