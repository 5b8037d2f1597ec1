"""What is not taken at its word: the schedule's column, a provider's answer, a signer without memory."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.access import TOLERANCE
from bot.audit.checkpoint import Signer
from bot.core import events as e
from bot.core.errors import BreakglassError, Refused, Stale
from bot.core.model import OPERATOR, Lease, Mfa, Order, Secret, State, Why
from bot.factors import WRONG_CODES
from bot.mfa import Vault
from bot.operate.verifying import report_on
from bot.reconciler import SETTLING
from bot.sealer import Sealer
from bot.store.also import enrol
from tests.core.samples import ANNA, BEN, DORA, MINUTE
from tests.desk.pretend import Mood
from tests.desk.rig import Rig
from tests.desk.test_faults import fails_once

HOUR = timedelta(hours=1)


async def test_an_access_whose_due_moment_was_wiped_ends_all_the_same(it: Rig) -> None:
    request = await it.active()
    await it.tampered("UPDATE requests SET due_at = NULL")
    assert request.expires_at is not None
    it.clock.now = request.expires_at
    await it.keeper.reconcile()
    await it.settled()
    assert it.vault.ledger == {}
    assert await it.state(request.id) is State.AWAITING_REVIEW


@pytest.mark.parametrize("put", ["state = 'gone-mad'", "due_at = -4000000000000000000"])
async def test_a_row_that_somebody_filled_with_what_it_cannot_hold_keeps_nothing_from_ending(
    it: Rig, put: str
) -> None:
    """Not even itself: what it says of itself decides, and the server starts over it."""
    mad, sound = await it.active(), await it.active()
    await it.tampered(f"UPDATE requests SET {put} WHERE id = '{mad.id}'")
    it.clock.forward(HOUR)
    await it.boot()
    assert it.vault.ledger == {}
    assert {await it.state(mad.id), await it.state(sound.id)} == {State.AWAITING_REVIEW}
    assert it.keeper.is_fresh(it.clock.now)


async def test_an_access_whose_state_was_falsified_is_known_by_its_mark_and_ended(it: Rig) -> None:
    mad = await it.active()
    it.vault.foreign("bg-acme-zzzzzz")
    await it.tampered("UPDATE requests SET state = 'gone-mad'")
    await it.keeper.reconcile()
    assert it.vault.ledger == {}
    assert [record.request for record in await it.told(e.OrphanFound)].count(mad.id) == 1


async def test_a_new_grant_that_the_list_does_not_show_yet_is_not_gone(it: Rig) -> None:
    request = await it.active()
    lease = it.vault.ledger.pop(request.mark)
    it.clock.now += SETTLING - timedelta(seconds=1)
    await it.keeper.reconcile()
    assert await it.state(request.id) is State.ACTIVE
    it.vault.ledger[request.mark] = lease


async def test_an_end_that_was_moved_at_the_provider_is_flagged(it: Rig) -> None:
    request = await it.active()
    lease = it.vault.ledger[request.mark]
    assert lease.expires_at is not None
    it.vault.ledger[request.mark] = replace(lease, expires_at=lease.expires_at + HOUR)
    await it.keeper.reconcile()
    assert "its end was moved to" in (await it.store.get(request.id)).altered


@pytest.mark.parametrize("what", ["a later end", "another mark"])
async def test_a_provider_that_grants_other_than_ordered_lets_nobody_in(
    it: Rig, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered = it.vault.grant

    async def other(order: Order) -> Lease:
        lease = await ordered(order)
        if what == "another mark":
            return replace(lease, mark=type(order.mark)("bg-acme-000000"))
        return replace(lease, expires_at=order.expires_at + TOLERANCE + timedelta(seconds=1))

    monkeypatch.setattr(it.vault, "grant", other)
    request = await it.asked()
    await it.approved(request.id)
    failed = await it.store.get(request.id)
    assert failed.end is not None
    assert (failed.state, failed.end.why) == (State.FAILED, Why.FAILED)
    assert it.vault.ledger == {}


async def test_a_credential_is_not_shown_after_the_end_even_while_the_keeper_is_late(it: Rig) -> None:
    it.vault.with_handoff = True
    request = await it.active()
    assert request.expires_at is not None
    it.clock.now = request.expires_at
    with pytest.raises(Stale):
        await it.desk.reveal(request.id, ANNA, it.key())
    assert await it.told(e.HandoffShown) == []


async def test_an_orphan_that_cannot_be_ended_is_said_once_per_reason(it: Rig) -> None:
    it.vault.foreign("bg-acme-zzzzzz")
    it.vault.will("revoke", Mood.IS_SILENT, Mood.IS_SILENT, Mood.REFUSES)
    for _ in range(4):
        await it.keeper.reconcile()
    errors = [
        record.event.error
        for record in await it.told(e.OrphanRemains)
        if isinstance(record.event, e.OrphanRemains)
    ]
    assert errors == ["The provider gave no answer.", "The provider said no."]
    assert it.vault.ledger == {}


@pytest.mark.parametrize("fact", [e.OrphanFound, e.OrphanRemains, e.OrphanEnded])
async def test_an_alarm_about_an_orphan_that_could_not_be_recorded_is_told_by_the_next_look(
    it: Rig, fact: type[e.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    it.vault.foreign("bg-acme-zzzzzz")
    (lease,) = await it.vault.live()
    it.vault.will("revoke", *[Mood.REFUSES] * (1 if fact is e.OrphanFound else 2))
    fails_once(it, monkeypatch, "note", lambda told: isinstance(told, fact))
    for _ in range(4):
        with suppress(OSError):
            await it.access.end_unexplained("vault", lease.as_order(), None)
    kinds = (e.OrphanFound, e.OrphanRemains, e.OrphanEnded)
    told = [type(record.event) for record in await it.history() if isinstance(record.event, kinds)]
    assert told[: len(kinds)] == list(kinds)


async def test_the_operators_token_lifts_a_lock_out(it: Rig) -> None:
    request = await it.desk.ask(it.form())
    for _ in range(WRONG_CODES):
        with pytest.raises(Refused):
            await it.desk.prove(request.id, ANNA, "000000", it.key())
    with pytest.raises(Refused) as locked:
        await it.desk.prove(request.id, ANNA, it.code(ANNA), it.key())
    assert locked.value.code == "locked"
    await it.desk.factors.issue_enrolment(ANNA, OPERATOR)
    proved = await it.desk.prove(request.id, ANNA, it.code(ANNA), it.key())
    assert proved.state is State.AWAITING_APPROVAL


# --- the signer -----------------------------------------------------------------------------------------


def sealer_of(it: Rig, signer: Signer) -> Sealer:
    return Sealer(it.store, signer, every=MINUTE, heartbeat=HOUR)


async def test_a_signer_that_lost_its_memory_goes_on_from_the_last_checkpoint(
    it: Rig, tmp_path: Path
) -> None:
    signer = Signer.generate("breakglass/acme", tmp_path / "key")
    assert await sealer_of(it, signer).seal()
    signer.memory.unlink()
    await it.asked()
    sealer = sealer_of(it, signer)
    assert await sealer.seal()
    assert sealer.closed() is None


REWRITES = {
    "sqlite": ["DROP TRIGGER events_no_update", "UPDATE events SET body = body || ' ' WHERE seq = 1"],
    "postgres": [
        "ALTER TABLE events DISABLE TRIGGER events_append_only",
        "UPDATE events SET body = body || ' '::bytea WHERE seq = 1",
    ],
}


async def test_a_signer_that_lost_its_memory_does_not_sign_a_rewritten_history(
    it: Rig, tmp_path: Path, kind: str
) -> None:
    await it.asked()
    signer = Signer.generate("breakglass/acme", tmp_path / "key")
    assert await sealer_of(it, signer).seal()
    signer.memory.unlink()
    await it.tampered(*REWRITES[kind])
    await it.asked()
    sealer = sealer_of(it, signer)
    assert not await sealer.seal()
    assert "memory is gone" in str(sealer.closed())
    async with it.engine.connect() as raw:
        refused = await raw.exec_driver_sql("SELECT count(*) FROM events WHERE type = 'signing_refused'")
        assert refused.scalar() == 1


async def test_a_lost_signing_key_is_replaced_once_its_public_half_vouches_for_what_it_signed(
    it: Rig, tmp_path: Path
) -> None:
    """Key and memory are gone; an auditor still has the verifier key. See docs/operations.md."""
    lost = Signer.generate("breakglass/acme", tmp_path / "lost")
    assert await sealer_of(it, lost).seal()
    await it.asked()
    new = Signer.generate("breakglass/acme", tmp_path / "new")
    sealer = sealer_of(it, new)
    assert not await sealer.seal()
    assert "No signature of 'breakglass/acme' on this checkpoint holds" in str(sealer.closed())
    (tmp_path / "new.earlier").write_text(f"{lost.verifier}\n")
    assert await sealer.seal()
    assert sealer.closed() is None
    keys = [new.verifier, *new.earlier()]
    async with it.store.at_once() as reader:
        report = await report_on(reader, keys, memory=new.last())
        assert (report.sound, report.checkpoints) == (True, 2)
        assert not (await report_on(reader, keys[:1])).sound, (
            "the new key alone vouches for the new ones only"
        )


async def test_whatever_rests_is_sealed_anew_and_the_old_key_can_go(it: Rig) -> None:
    """Factors, also of people who never come by, and credentials that were not collected yet."""
    it.vault.with_handoff = True
    await it.enrol(BEN)
    request = await it.active()
    new = Secret(Vault.new_key())
    rotated = Vault([new, it.vault_key])
    lost = Vault([Secret(Vault.new_key())]).seal(Secret("of another time"))
    await it.store.note(e.Enrolled(actor=DORA, person=DORA, method=Mfa.TOTP), also=[enrol(DORA, lost, -1)])
    before = await it.history()
    assert await it.store.reseal(rotated.renew) == 3
    assert await it.store.reseal(rotated.renew) == 0
    assert await it.history() == before
    it.vault_key = new
    await it.crash()
    await it.boot()
    handoff = await it.desk.reveal(request.id, ANNA, it.key())
    assert [secret.reveal() for _, secret in handoff.fields] == [f"hunter2 {request.mark}"]
    it.clock.forward(timedelta(seconds=30))
    for person in (ANNA, BEN):
        await it.factors.prove(person, it.code(person))
    assert await it.store.factor(DORA) == (lost, -1), "what no key opens is left for the key to come back"
    await it.keeps_its_promises()


async def test_a_lost_secret_key_costs_factors_and_never_the_power_to_end_access(it: Rig) -> None:
    request, waiting = await it.active(), await it.asked()
    it.vault_key = Secret(Vault.new_key())
    await it.crash()
    await it.boot()
    with pytest.raises(BreakglassError):
        await it.desk.ask(it.form(code=it.code(ANNA)))
    ended = await it.revoked(request.id)
    assert ended.state is State.AWAITING_REVIEW
    assert it.vault.ledger == {}
    await it.enrol(ANNA)
    assert (await it.asked()).state is State.AWAITING_APPROVAL
    assert (await it.state(waiting.id)) is State.AWAITING_APPROVAL
    await it.keeps_its_promises()
