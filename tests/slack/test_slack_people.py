"""The directory against a workspace that counts calls: fresh enough for whoever decides, and never too much.

Time is virtual. The client tries nothing again, so that a refused call would show.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.errors import Refused
from bot.core.model import PersonId
from bot.sandbox import App, Sandbox, VirtualClock
from bot.slack.people import MAX_AGE, REFRESH, SlackPeople
from tests.slack.bench import MANIFEST, Members

MINUTES = 15
PEOPLE = 300
GROUPS = 40


@dataclass
class Town:
    """A workspace full of people with a role, and the directory of them."""

    sandbox: Sandbox
    clock: VirtualClock
    app: App
    people: SlackPeople
    persons: list[PersonId]
    groups: list[str]

    def answers(self, method: str) -> list[str]:
        """What was wrong with each call so far; empty where nothing was."""
        calls = self.sandbox.wire_log.calls(method)
        return [str((call.answer or {}).get("error", "")) for call in calls]

    def oldest(self) -> timedelta:
        """How long ago the longest unseen of them was asked for."""
        now = datetime.fromtimestamp(self.clock.now(), UTC)
        return max(now - self.people._asked(person) for person in self.persons)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    clock = VirtualClock()
    async with await Sandbox.start(clock=clock) as sandbox:
        assert sandbox.rates.enforced
        app = sandbox.install(MANIFEST)
        persons = [PersonId(sandbox.add_user(f"p{n:03}").id) for n in range(PEOPLE)]
        per = PEOPLE // GROUPS + 1
        groups = [
            sandbox.add_usergroup(f"g{n:02}", persons[n * per : (n + 1) * per]).id for n in range(GROUPS)
        ]
        roles = {"oncall": Members(tuple(persons)), "leads": Members((), tuple(groups))}
        client = AsyncWebClient(app.bot_token, base_url=sandbox.api_url, retry_handlers=[])
        people = SlackPeople(client, roles, lambda: datetime.fromtimestamp(clock.now(), UTC))
        people.team = sandbox.workspace.team.id
        yield Town(sandbox, clock, app, people, persons, groups)


async def test_three_hundred_people_and_forty_groups_stay_known_without_meeting_slacks_limit(
    town: Town,
) -> None:
    """From the start on, with somebody deciding every minute on people whose turn is still to come."""
    ages: list[timedelta] = []

    async def minute(seconds: float) -> None:
        assert timedelta(seconds=seconds) == REFRESH
        await town.clock.advance(seconds)
        ages.append(town.oldest())
        deciding = sorted(town.persons, key=town.people._asked)[:4]
        roster = await town.people.roster(*deciding)
        assert set(deciding) <= roster.people.keys()
        assert (
            max(map(town.people._asked, deciding)) >= datetime.fromtimestamp(town.clock.now(), UTC) - MAX_AGE
        )
        if len(ages) == MINUTES:
            raise asyncio.CancelledError

    town.people._pause = minute
    await town.people.refresh()
    with pytest.raises(asyncio.CancelledError):
        await town.people.keep_fresh()

    assert set(town.answers("users.info")) == set(town.answers("usergroups.list")) == {""}
    assert town.people.known().roles["leads"] == set(town.persons)
    assert max(ages[PEOPLE // 50 :]) <= timedelta(minutes=PEOPLE // 50), "everybody has their turn"


async def test_after_an_outage_whoever_decides_is_asked_for_and_all_groups_at_once(town: Town) -> None:
    await town.people.refresh()
    await town.clock.advance(2 * MAX_AGE.total_seconds())
    town.sandbox.wire_log.clear()
    roster = await town.people.roster(*town.persons[:3])
    assert len(town.answers("users.info")) == 3
    assert len(town.answers("usergroups.list")) == 1
    assert roster.roles["leads"] == set(town.persons)


async def test_a_click_does_not_stand_in_line_behind_the_refresh(town: Town) -> None:
    """The refresh hangs on every call it has under way; whoever decides is asked for beside it."""
    await town.people.refresh()
    await town.clock.advance(REFRESH.total_seconds())
    town.sandbox.faults.add(method="users.info", kind="slow", delay=3600, times=4)
    refresh = asyncio.create_task(town.people.refresh())
    await town.sandbox.wait_for(lambda: town.sandbox.faults.planned == [])
    newcomer = PersonId(town.sandbox.add_user("nora").id)
    roster = await asyncio.wait_for(town.people.roster(newcomer), 5)
    assert roster.people[newcomer].name == "nora"
    assert not refresh.done()
    await town.clock.advance(3600)
    await refresh


async def test_many_who_decide_at_once_ask_for_the_groups_once(town: Town) -> None:
    await asyncio.gather(*(town.people.roster() for _ in range(30)))
    assert town.answers("usergroups.list") == [""]


async def test_a_group_that_changed_is_asked_for_before_anybody_decides_and_remembered_until_then(
    town: Town,
) -> None:
    await town.people.refresh()
    gone = town.sandbox.workspace.usergroups[town.groups[0]].users[0]
    town.sandbox.set_usergroup(town.groups[0], [])
    town.people.regrouped(town.groups[0])
    assert gone in town.people.known().roles["leads"]

    town.sandbox.faults.add(method="usergroups.list", kind="503")
    with pytest.raises(Refused, match="does not answer who is who"):
        await town.people.roster()
    assert gone in town.people.known().roles["leads"], "enough to take access away"
    assert gone not in (await town.people.roster()).roles["leads"]


async def test_a_change_that_comes_while_slack_is_answering_is_asked_for_again(town: Town) -> None:
    town.sandbox.faults.add(method="usergroups.list", kind="slow", delay=1)
    first = asyncio.create_task(town.people.roster())
    await town.sandbox.wait_for(lambda: town.sandbox.faults.planned == [])
    town.people.regrouped(town.groups[0])
    second = asyncio.create_task(town.people.roster())
    await town.clock.advance(1)
    await asyncio.gather(first, second)
    assert town.answers("usergroups.list") == ["", ""]


async def test_what_slacks_event_says_is_not_overwritten_by_an_answer_from_before(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, ask, arrives = town.persons[0], town.people._client.users_info, asyncio.Event()

    async def late(**about: str) -> object:
        answer = await ask(user=about["user"])
        await arrives.wait()
        return answer

    monkeypatch.setattr(town.people._client, "users_info", late)
    asking = asyncio.create_task(town.people.roster(person))
    await town.sandbox.wait_for(lambda: town.answers("users.info") == [""])
    town.sandbox.deactivate(person)
    town.people.changed(town.sandbox.users[person].to_json(with_email=False))
    arrives.set()
    assert not (await asking).people[person].active


async def test_a_group_that_is_gone_is_nobody(town: Town) -> None:
    del town.sandbox.workspace.usergroups[town.groups[0]]
    roster = await town.people.roster()
    assert len(roster.roles["leads"]) == PEOPLE - (PEOPLE // GROUPS + 1)
