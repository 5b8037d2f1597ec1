"""The server as it is joined: one request from the form to its end."""

from datetime import timedelta

from bot.core import events as e
from bot.core.model import State
from tests.server.rig import OVER_BOTH, Rig


@OVER_BOTH
async def test_a_request_is_granted_ends_by_itself_and_all_of_it_is_told(it: Rig) -> None:
    await it.start()
    request = await it.active()
    await it.passes(timedelta(minutes=16))
    await it.reaches(request.id, State.AWAITING_REVIEW)
    assert it.truth.marks() == []
    await it.card(request.id, "the review is due")
    await it.keeps_its_promises()
    await it.stop()
    assert len(await it.told(e.ServerStopped)) == 1
