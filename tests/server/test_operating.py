"""What operators and probes see: health pages, `revoke` with and without a server, refusals to start."""

import asyncio
import re
import signal
from datetime import timedelta

import pytest

from bot.backends.memory import Memory
from bot.core import events as e
from bot.core.errors import BreakglassError
from bot.core.model import OPERATOR, State, Why
from tests.server.rig import ALICE, CAROL, OVER_BOTH, Rig

# --- health ---------------------------------------------------------------------------------------------


async def test_health_is_that_the_process_answers_and_says_no_more(it: Rig) -> None:
    await it.start()
    assert await it.page("health") == (200, {"alive": True})


async def test_ready_is_200_when_access_can_be_granted(it: Rig) -> None:
    await it.start()
    assert await it.ready() == (200, {"ready": True, "trouble": {}})


@OVER_BOTH
async def test_before_slack_was_met_it_is_alive_and_not_ready(it: Rig) -> None:
    await it.sandbox.down()
    await it.start(wait=False)
    await it.until(lambda: it.told(e.ServerStarted))
    assert await it.page("health") == (200, {"alive": True})
    assert await it.ready() == (
        503,
        {
            "ready": False,
            "trouble": {
                "audit_channel": "the audit channel was not checked yet.",
                "slack": "nothing that people do in Slack arrives yet.",
            },
        },
    )


async def test_a_history_that_cannot_be_signed_and_a_keeper_that_sleeps_are_not_ready(it: Rig) -> None:
    server = await it.start()
    it.clock.forward(timedelta(seconds=60))
    status, said = await it.ready()
    assert (status, said["trouble"]) == (503, {"keeper": "the keeper has not swept lately."})
    await server.keeper.sweep()

    (it.home / "signing.key.signed").write_bytes((10**6).to_bytes(8, "big") + b"x" * 32 * 7)
    await server.store.note(e.BackendAnswers(backend="vault"))
    await it.until(lambda: "history" in it.trouble())
    status, said = await it.ready()
    assert status == 503
    assert "cannot be signed" in said["trouble"]["history"]


async def test_the_pages_name_no_person_and_no_request(it: Rig) -> None:
    await it.start()
    request = await it.active()
    said = f"{await it.page('health')} {await it.ready()}"
    assert request.id not in said
    assert ALICE not in said


# --- the command line beside the server -----------------------------------------------------------------


async def test_an_operator_ends_one_access_while_the_server_runs_and_its_card_shows_it(it: Rig) -> None:
    await it.start()
    request, other = await it.active(), await it.active()
    said = await it.breakglass("revoke", request.id.removeprefix("BG-").lower(), "--reason", "Phone call")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{request.id}: ended; the provider, asked again, no longer has it.\n"
    assert it.truth.marks() == [other.mark]
    (record,) = await it.told(e.RevokeOrdered)
    assert isinstance(record.event, e.RevokeOrdered)
    assert (record.event.actor, record.event.why) == (OPERATOR, Why.REVOKED)
    await it.card(request.id, "the review is due")
    await it.keeps_its_promises()


async def test_an_operator_ends_all_that_one_person_holds_or_all_there_is(it: Rig) -> None:
    await it.start()
    requests = {(await it.active()).id for _ in range(2)}
    none = await it.breakglass("revoke", "--person", CAROL)
    assert (none.code, none.out) == (0, "Nobody holds any access.\n")
    assert len(it.truth.marks()) == 2
    hers = await it.breakglass("revoke", "--person", ALICE, "--json")
    assert hers.code == 0
    assert {row["id"] for row in hers.json["revoked"]} == requests
    assert all(row["ended"] for row in hers.json["revoked"])
    await it.active()
    everything = await it.breakglass("revoke", "--all")
    assert everything.code == 0
    assert it.truth.marks() == []


async def test_what_remains_of_all_that_was_ended_is_listed_with_exit_code_1(it: Rig) -> None:
    """Every order stands in the history, and each card says whose doing it was."""
    await it.start()
    requests = [await it.active() for _ in range(3)]
    it.truth.is_deaf()
    said = await it.breakglass("revoke", "--all", "--reason", "Drill")
    assert (said.code, said.err) == (1, "Ordered for 3. Now the providers are asked.\n")
    for line, request in zip(said.out.splitlines(), requests, strict=True):
        assert line.startswith(f"{request.id}: ordered, but not confirmed (The provider gave no answer.).")
    orders = [record.event for record in await it.told(e.RevokeOrdered)]
    assert [order.why for order in orders if isinstance(order, e.RevokeOrdered)] == [Why.KILLED] * 3
    it.truth.is_deaf(deaf=False)
    again = await it.breakglass("revoke", "--all")
    assert again.code == 0
    assert it.truth.marks() == []
    await it.card(requests[0].id, "the operator (on the server) ended it with the kill switch")


async def test_an_operator_ends_access_while_no_server_runs_and_the_next_one_shows_it(it: Rig) -> None:
    await it.start()
    request = await it.active()
    await it.crash()
    said = await it.breakglass("revoke", "--all")
    assert said.code == 0
    assert it.truth.marks() == []
    await it.start()
    await it.card(request.id, "the review is due")
    await it.keeps_its_promises()


async def test_an_operator_ends_access_while_slack_is_down(it: Rig) -> None:
    await it.start()
    request = await it.active()
    await it.sandbox.down()
    said = await it.breakglass("revoke", request.id)
    assert said.code == 0
    assert it.truth.marks() == []


async def test_what_lives_in_the_servers_process_is_ordered_from_outside_and_ended_by_the_server(
    it: Rig,
) -> None:
    """The command's own copy of such a provider is empty, and would agree to every end."""
    file, ledger = it.home / "breakglass.toml", f'kind = "ledger"\nfolder = "{it.home}/truth"'
    assert ledger in file.read_text()
    memory = 'kind = "memory"\nprincipals = ["alice"]\nroles = ["ro", "rw"]'
    file.write_text(file.read_text().replace(ledger, memory))
    server = await it.start()
    backend = server.desk._providers["vault"].backend
    assert isinstance(backend, Memory)
    request = await it.asks()
    await it.approved(request.id)
    await it.reaches(request.id, State.ACTIVE)
    said = await it.breakglass("revoke", request.id, "--json")
    assert said.code == 1, "it is not ended yet, and that is said"
    (row,) = said.json["revoked"]
    assert (row["state"], row["ended"]) == ("revoking", False)
    assert "It lives inside the server's process: the server ends it within seconds" in row["sentence"]
    await it.passes(timedelta(seconds=10))
    await it.reaches(request.id, State.AWAITING_REVIEW)
    assert backend.provider.entries == {}
    await server.keeper.reconcile()
    assert await it.told(e.OrphanFound) == [], "nothing was left unexplained"


async def test_what_the_provider_does_not_confirm_is_exit_code_1_and_the_server_goes_on_trying(
    it: Rig,
) -> None:
    await it.start()
    request = await it.active()
    it.truth.is_deaf()
    said = await it.breakglass("revoke", request.id, "--json")
    assert said.code == 1
    (row,) = said.json["revoked"]
    assert (row["state"], row["ended"]) == ("revoking", False)
    assert "The provider gave no answer." in row["sentence"]
    assert "A running server goes on trying" in row["sentence"]
    it.truth.is_deaf(deaf=False)
    await it.passes(timedelta(minutes=1))
    await it.reaches(request.id, State.AWAITING_REVIEW)
    assert it.truth.marks() == []


async def test_what_is_stuck_is_named_with_what_to_do_by_hand_and_nothing_new_is_granted_there(
    it: Rig,
) -> None:
    await it.start()
    request = await it.active()
    it.truth.is_deaf()
    for _ in range(6):
        assert (await it.breakglass("revoke", request.id)).code == 1
    await it.passes(timedelta(seconds=1))
    by_hand = f"rm {request.mark}.json"
    await it.alarmed("Access not ended", f"{request.mark} of alice", "at vault", f"By hand: {by_hand}")
    status = await it.breakglass("status")
    assert f"{request.mark} of alice at vault may still exist. By hand: {by_hand}\n" in status.out
    (row,) = (await it.breakglass("status", "--json")).json["requests"]
    assert (row["backend"], row["mark"], row["principal"]) == ("vault", request.mark, "alice")
    assert row["by_hand"] == by_hand

    code, said = await it.ready()
    assert (code, list(said["trouble"])) == (503, ["stuck"])
    assert "access at vault should have ended" in said["trouble"]["stuck"]
    form = await it.form()
    await it.fill(form)
    assert f"the end of {request.id} there is overdue" in str(await form.submit())
    await form.close()

    it.truth.is_deaf(deaf=False)
    it.truth.take(request.mark)
    assert (await it.breakglass("revoke", request.id)).code == 0
    await it.passes(timedelta(seconds=1))
    assert (await it.ready())[0] == 200
    await it.active()
    await it.keeps_its_promises()


async def test_revoking_what_is_over_or_never_was_is_exit_code_1_and_says_so(it: Rig) -> None:
    await it.start()
    waiting = await it.asks()
    said = await it.breakglass("revoke", waiting.id)
    assert said.code == 1
    assert said.err == f"breakglass: {waiting.id} is waiting for approval. There is no access to end.\n"
    said = await it.breakglass("revoke", "BG-000000")
    assert said.code == 1
    assert said.err == "breakglass: There is no request BG-000000. `status` lists those that are open.\n"


async def test_status_and_verify_run_beside_the_server(it: Rig) -> None:
    await it.start()
    request = await it.active()
    status = await it.breakglass("status", "--json")
    (row,) = status.json["requests"]
    assert (row["id"], row["state"], row["requester"]) == (request.id, "active", ALICE)
    verified = await it.breakglass("verify", "--json")
    assert verified.code == 0
    assert verified.json["sound"]


# --- refusals to start ----------------------------------------------------------------------------------


async def test_a_removed_backend_that_still_holds_access_refuses_to_start(it: Rig) -> None:
    await it.start()
    request = await it.active()
    await it.crash()
    config = it.home / "breakglass.toml"
    there = config.read_text()
    config.write_text(there.replace("[backends.vault", "[backends.other").replace('"vault"\ns', '"other"\ns'))
    with pytest.raises(BreakglassError) as refused:
        await it.start(wait=False)
    assert str(refused.value) == (
        "Access is held at vault, which the configuration no longer has. "
        "Put the backend back until that access has ended; nobody else can end it."
    )
    said = await it.breakglass("revoke", request.id)
    assert said.code == 1
    assert (
        f"The backend vault cannot be reached from here: put it back, or end {request.mark} by hand"
        in said.out
    )
    config.write_text(there)
    assert (await it.breakglass("revoke", request.id)).code == 0


async def test_a_changed_policy_lets_what_is_held_run_on_and_end_on_time(it: Rig) -> None:
    await it.start()
    request = await it.active()
    await it.stop()
    config = it.home / "breakglass.toml"
    config.write_text(config.read_text().replace('durations = ["15m", "1h"]', 'durations = ["5m"]'))
    await it.start()
    assert (await it.store.get(request.id)).state is State.ACTIVE
    await it.passes(timedelta(minutes=16))
    await it.reaches(request.id, State.AWAITING_REVIEW)
    assert it.truth.marks() == []


# --- real processes -------------------------------------------------------------------------------------


@OVER_BOTH
async def test_sigterm_finishes_what_is_under_way_at_the_provider_and_is_in_the_history(it: Rig) -> None:
    async with it.process() as process:
        request = await it.active()
        it.truth.is_slow_at("revoke", 1.0)
        await it.presses(it.alice, await it.card(request.id, "Active"), "Hand back")
        await it.until(lambda: it.truth.calls("revoke") == 1)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 12) == 0
        assert it.truth.marks() == []
        assert (await it.store.get(request.id)).state is State.AWAITING_REVIEW
        assert len(await it.told(e.ServerStopped)) == 1
    await it.start()
    await it.card(request.id, "the review is due")
    await it.keeps_its_promises()


async def test_a_second_server_on_one_database_ends_with_1_and_says_why_while_kill_frees_it(
    it: Rig,
) -> None:
    async with it.process() as process:
        second = await it.breakglass("serve")
        assert second.code == 1
        assert re.fullmatch(
            rf"breakglass: Another server \(process {process.pid}( on .+)?\) serves {it.place}\. "
            r"Stop it first, or give this one its own database\.\n",
            second.err,
        )
        assert (await it.breakglass("status")).code == 0
        assert (await it.breakglass("verify")).code == 0
        request = await it.asks()
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with it.process():
        await it.card(request.id, "Waiting for approval")
        assert len(it.cards(request.id)) == 1
