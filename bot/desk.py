"""The verbs: ask, prove, withdraw, approve, deny, revoke (and hand back), reveal, report, review.

Each verb is one path: look (people, request), ask policy, record, and only then act outside. A refusal is
recorded before it is told. Two people at once are no error: the guards ask the second one anew.
"""

import asyncio
import functools
import secrets
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, ParamSpec, Protocol, TypeVar

from bot.access import Access, Provider
from bot.core import events as e
from bot.core import machine
from bot.core import policy as rules
from bot.core.errors import BackendRefused, Refused, Stale
from bot.core.model import (
    Ending,
    Handoff,
    Mark,
    Mfa,
    Order,
    PersonId,
    Policy,
    Request,
    RequestId,
    Roster,
    Scenario,
    State,
    Terms,
    Verdict,
    Words,
)
from bot.factors import MISSED, Factors
from bot.mfa import Enrolment
from bot.store import Raced, Store, UnknownRequest, also

RACES: Final = 5
"""Lost races before somebody is told to try again; each needs another commit on the same request."""

PATIENCE: Final = timedelta(seconds=1)
"""Ending access waits no longer than this for the directory."""

TOO_LATE: Final = "stale"
"""The code of an attempt that the request had moved on from: nobody's fault, and no alarm."""

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


P = ParamSpec("P")
R = TypeVar("R")


def _from_the_top(verb: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Runs a verb again when the request changed between its look and its record: every guard asks anew."""

    @functools.wraps(verb)
    async def again(*args: P.args, **kwargs: P.kwargs) -> R:
        for _ in range(RACES):
            with suppress(Raced):
                return await verb(*args, **kwargs)
        return await verb(*args, **kwargs)

    return again


class People(Protocol):
    """Who is who. Answers come from memory where they are fresh enough: nobody waits at 02:17."""

    async def roster(self, *persons: PersonId) -> Roster:
        """Everybody in any role, and these persons.

        Raises:
            Refused: the directory does not answer.
        """
        ...

    def known(self) -> Roster:
        """What is remembered, however old: enough to take access away."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the request form says. `keys` name the interaction, so that a second delivery changes nothing."""

    person: PersonId
    scenario: str
    access: str
    criteria: tuple[str, ...]
    duration: timedelta
    reason: str
    incident: str = ""
    code: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """What somebody may ask for, and how it would end for them."""

    scenario: Scenario
    accesses: tuple[tuple[Terms, Ending], ...]


class Desk:
    """One installation's desk.

    Args:
        policy: the rules in force.
        store: the history.
        access: the acts at providers.
        providers: the configured backends.
        people: the directory.
        factors: second factors.
        closed: says why no new access may be granted now, or None; revoking never asks.
        start: runs a grant beside the caller, supervised.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        installation: str,
        store: Store,
        access: Access,
        providers: Mapping[str, Provider],
        people: People,
        factors: Factors,
        closed: Callable[[], str | None],
        start: Callable[[Request], None],
    ) -> None:
        self.policy = policy
        self.store = store
        self.people = people
        self._installation = installation
        self._access = access
        self._providers = providers
        self.factors = factors
        self._closed = closed
        self._start = start

    # --- asking -----------------------------------------------------------------------------------------

    async def offers(self, person: PersonId) -> list[Offer]:
        """What `person` may ask for now, in the configuration's order."""
        roster = await self.people.roster(person)
        offers = []
        for scenario, accesses in rules.scenarios_for(self.policy, person, roster):
            endings = []
            for terms in accesses:
                try:
                    endings.append((terms, self._ending(terms, person)))
                except Refused:
                    continue
            if endings:
                offers.append(Offer(scenario, tuple(endings)))
        return offers

    async def ask(self, ask: Ask) -> Request:
        """Files a request. With a right code it waits for approval, without one for the code.

        Raises:
            Refused: with the field of the form to mend. Nothing was filed.
            Duplicate: this form was filed already.
        """
        async with self._refusals("ask", ask.person, keys=ask.keys[:1]):
            roster = await self.people.roster(ask.person)
            terms = rules.may_ask(self.policy, ask.scenario, ask.access, ask.person, roster)
            scenario = self.policy.scenarios[ask.scenario]
            reason = unicodedata.normalize("NFC", ask.reason).strip()
            rules.is_well_asked(
                scenario,
                terms,
                criteria=ask.criteria,
                duration=ask.duration,
                reason=reason,
                incident=ask.incident.strip(),
            )
            self._is_open()
            ending = self._ending(terms, ask.person)
            request_id = new_request_id()
            opened = e.RequestOpened(
                actor=ask.person,
                id=request_id,
                scenario=ask.scenario,
                criteria=scenario.criteria,
                terms=terms,
                policy=self.policy.hash,
                duration=ask.duration,
                reason=_said(reason),
                incident=ask.incident.strip(),
                principal=self._principal(terms, ask.person),
                mark=mark_of(self._installation, request_id),
                ending=ending,
                lapses_at=self.store.now() + rules.CHALLENGE_LIFE,
                scenario_title=scenario.title,
            )
            more: list[e.Event] = []
            steps = [*(also.first_time(key) for key in ask.keys), also.ends_at(terms.backend)]
            if terms.mfa is Mfa.NONE:
                more.append(e.MfaNotRequired(actor=ask.person))
            elif ask.code:
                proof, used = await self.factors.prove(ask.person, ask.code)
                more.append(e.ProofAccepted(actor=ask.person, proof=proof))
                steps.append(used)
            return await self.store.open(opened, *more, also=steps)

    @_from_the_top
    async def prove(self, id: RequestId, person: PersonId, code: str, key: str) -> Request:
        """The requester's code: for a request that waits for it, or for one that was approved too slowly."""
        async with self._refusals("prove", person, id, (key,)):
            request = await self.store.look(id)
            rules.may_prove(request, person)
            await self._is_in_time(request)
            proof, used = await self.factors.prove(person, code)
            event: e.Event = e.ProofAccepted(actor=person, proof=proof)
            steps = [used, also.first_time(key)]
            if request.state is State.APPROVED_STALE:
                await self._may_grant(request)
                event = e.Activated(actor=person, proof=proof, expires_at=self.store.now() + request.duration)
                steps.append(also.ends_at(request.terms.backend))
            request = await self.store.record(request, event, also=steps)
        return self._carry_on(request)

    @_from_the_top
    async def withdraw(self, id: RequestId, person: PersonId, key: str) -> Request:
        """The requester takes it back."""
        async with self._refusals("withdraw", person, id, (key,)):
            request = await self.store.look(id)
            rules.may_withdraw(request, person)
            event = e.RequestWithdrawn(actor=person)
            return await self.store.record(request, event, also=[also.first_time(key)])

    # --- deciding ---------------------------------------------------------------------------------------

    @_from_the_top
    async def approve(self, id: RequestId, person: PersonId, key: str, code: str = "") -> Request:
        """One human's yes. The last one that is needed commits the intention to grant and starts it.

        Raises:
            Refused, Stale, Duplicate: nothing changed; except that a request whose policy changed lapses.
        """
        async with self._refusals("approve", person, id, (key,)):
            request = await self.store.look(id)
            roster = await self._roster_of(request, person)
            tier = rules.may_approve(request, person, roster)
            await self._is_in_time(request)
            await self._may_grant(request, roster, e.ApprovalGiven(actor=person, tier=tier))
            steps = [also.first_time(key), also.ends_at(request.terms.backend)]
            proof = None
            if request.terms.approver_mfa is not Mfa.NONE:
                proof, used = await self.factors.prove(person, code)
                steps.append(used)
            events = rules.after_approval(request, person, tier, proof, self.store.now())
            request = await self.store.record(request, *events, also=steps)
        return self._carry_on(request)

    @_from_the_top
    async def deny(self, id: RequestId, person: PersonId, reason: str, key: str) -> Request:
        """One approver's no, with its reason. It ends the request."""
        async with self._refusals("deny", person, id, (key,)):
            request = await self.store.look(id)
            rules.may_deny(request, person, await self._roster_of(request, person))
            text = rules.is_said(reason, "why not; the requester and the reviewer read it", "reason")
            event = e.RequestDenied(actor=person, reason=_said(text))
            return await self.store.record(request, event, also=[also.first_time(key)])

    # --- ending -----------------------------------------------------------------------------------------

    @_from_the_top
    async def revoke(
        self, id: RequestId, person: PersonId, reason: str = "", key: str = "", *, killing: bool = False
    ) -> Request:
        """Orders the end: by the holder (hands back), an approver, security or the operator (kills, too).

        The order is committed when this returns; the act follows at once, and again until it has worked.
        """
        async with self._refusals("revoke", person, id, (key,) if key else ()):
            request = await self.store.look(id)
            roster = await self._whoever_answers(request, person)
            why = rules.may_revoke(request, person, self.policy, roster, killing=killing)
            words = _said(reason) if reason.strip() else None
            event = e.RevokeOrdered(actor=person, why=why, reason=words)
            steps = [also.first_time(key)] if key else []
            request = await self.store.record(request, event, also=steps)
        return self._carry_on(request)

    @_from_the_top
    async def reveal(self, id: RequestId, person: PersonId, key: str) -> Handoff:
        """The one-time credential, once, to the requester. After this it exists nowhere with us."""
        async with self._refusals("reveal", person, id, (key,)):
            request = await self.store.look(id)
            rules.may_see_handoff(request, person)
            if request.expires_at is not None and self.store.now() >= request.expires_at:
                raise Stale(f"{id} is over; its credential is not shown any more.")
            sealed = await self.store.handoff(id)
            if sealed is None:
                # Somebody was between our two looks; the next one tells what is true.
                raise Raced(f"The credential of {id} is no longer here. Hand back and ask again.")
            handoff = self._access.unpack(sealed)
            steps = [also.first_time(key), also.drop_handoff(id)]
            await self.store.record(request, e.HandoffShown(actor=person), also=steps)
            return handoff

    # --- reviewing --------------------------------------------------------------------------------------

    @_from_the_top
    async def report(self, id: RequestId, person: PersonId, text: str, key: str) -> Request:
        """The requester says what was done."""
        async with self._refusals("report", person, id, (key,)):
            request = await self.store.look(id)
            rules.may_report(request, person)
            said = rules.is_said(text, "what you did with this access", "report", least=10)
            event = e.ReportFiled(actor=person, report=_said(said))
            return await self.store.record(request, event, also=[also.first_time(key)])

    async def may_review(self, id: RequestId, person: PersonId, key: str) -> None:
        """Whether `person` may review now: asked before the form is shown."""
        async with self._refusals("review", person, id, (key,)):
            request = await self.store.look(id)
            rules.may_review(request, person, await self._roster_of(request, person), self.store.now())

    @_from_the_top
    async def review(
        self,
        id: RequestId,
        person: PersonId,
        *,
        verdict: Verdict,
        less_was_possible: bool,
        follow_ups: str,
        key: str,
    ) -> Request:
        """Another human judges the use."""
        async with self._refusals("review", person, id, (key,)):
            request = await self.store.look(id)
            rules.may_review(request, person, await self._roster_of(request, person), self.store.now())
            said = rules.is_said(follow_ups, "what follows from it, or “nothing”", "follow_ups")
            event = e.ReviewSigned(
                actor=person,
                verdict=verdict,
                less_was_possible=less_was_possible,
                follow_ups=_said(said),
            )
            return await self.store.record(request, event, also=[also.first_time(key)])

    # --- enrolling --------------------------------------------------------------------------------------

    async def begin_enrolment(self, person: PersonId, token: str, key: str) -> tuple[Enrolment, str]:
        """A fresh secret to show to `person`, and the same sealed, to be given to `finish_enrolment`."""
        async with self._refusals("enroll", person, keys=(key,)):
            return await self.factors.begin_enrolment(person, token)

    async def finish_enrolment(self, person: PersonId, token: str, sealed: str, code: str, key: str) -> None:
        """The first right code makes it theirs."""
        async with self._refusals("enroll", person, keys=(key,)):
            await self.factors.finish_enrolment(person, token, sealed, code, key)

    # --- what the verbs share ---------------------------------------------------------------------------

    async def _may_grant(
        self, request: Request, roster: Roster | None = None, vote: e.ApprovalGiven | None = None
    ) -> None:
        """The guards of asking, once more, that no vote has become void, and that granting is open at all.

        `vote` is the one about to be given: before the last one there is no quorum to look at.
        """
        roster = roster or await self._roster_of(request, request.requester)
        voted = machine.apply(request, vote, self.store.now()) if vote else request
        try:
            rules.still_stands(request, self.policy, roster)
            if not rules.missing_votes(voted):
                rules.has_quorum(voted, roster)
        except Refused as refusal:
            await self.store.record(request, e.RequestLapsed(because=refusal.sentence))
            raise
        self._is_open()

    async def _is_in_time(self, request: Request) -> None:
        """The keeper lets requests lapse; when it is late, a late yes or code must not count either.

        Raises:
            Stale: its time is over; it has lapsed now.
        """
        if self.store.now() >= request.lapses_at:
            lapsed = await self.store.record(request, e.RequestLapsed(because="Nobody decided in time."))
            raise Stale(f"{request.id} {machine.SAYS[lapsed.state]}")

    def _is_open(self) -> None:
        because = self._closed()
        if because is not None:
            raise Refused(
                f"No new access is granted right now: {because} What is active still ends on time.",
                code="closed",
            )

    async def _roster_of(self, request: Request, person: PersonId) -> Roster:
        return await self.people.roster(person, request.requester, *(a.by for a in request.approvals))

    async def _whoever_answers(self, request: Request, person: PersonId) -> Roster:
        """For ending access: fresh people if they come at once, else the remembered ones."""
        with suppress(Refused, TimeoutError):
            async with asyncio.timeout(PATIENCE.total_seconds()):
                return await self._roster_of(request, person)
        return self.people.known()

    def _principal(self, terms: Terms, person: PersonId) -> str:
        return self._providers[terms.backend].principals.get(person, "")

    def _ending(self, terms: Terms, person: PersonId) -> Ending:
        order = Order(
            mark=mark_of(self._installation, RequestId("BG-000000")),
            principal=self._principal(terms, person),
            scope=terms.scope,
            expires_at=self.store.now() + max(terms.durations),
        )
        try:
            return self._providers[terms.backend].backend.ending(order)
        except BackendRefused as error:
            raise Refused(str(error), code="cannot_be_granted", field="access") from None

    def _carry_on(self, request: Request) -> Request:
        if request.state in {State.GRANTING, State.REVOKING}:
            self._start(request)
        return request

    @asynccontextmanager
    async def _refusals(
        self, verb: str, person: PersonId, about: RequestId | None = None, keys: tuple[str, ...] = ()
    ) -> AsyncIterator[None]:
        """Records what comes to nothing before it is told. A form to mend is not an attempt at anything.

        Raises:
            Duplicate: in place of `Stale`, when this very interaction is what counted.
        """
        steps = [also.first_time(key) for key in keys]
        try:
            yield
        except Refused as refusal:
            if refusal.code in MISSED:
                missed = e.ProofRefused(actor=person, method=Mfa.TOTP, code=refusal.code, about=about)
                await self.factors.missed(missed, *steps)
            elif refusal.code not in _FORM_MISTAKES:
                refused = e.AttemptRefused(actor=person, verb=verb, code=refusal.code, about=about)
                await self.store.note(refused, also=steps)
            raise
        except Raced:
            raise  # nothing was decided: the verb looks again
        except Stale:
            late = e.AttemptRefused(actor=person, verb=verb, code=TOO_LATE, about=about)
            await self.store.note(late, also=steps)
            raise
        except UnknownRequest:
            # The id is what somebody typed, so it does not stand in the line.
            unknown = e.AttemptRefused(actor=person, verb=verb, code="unknown_request")
            await self.store.note(unknown, also=steps)
            raise


_FORM_MISTAKES: Final = frozenset(
    {"criteria", "duration", "reason", "incident", "empty", "too_long", "no_code"}
)


def new_request_id() -> RequestId:
    """Random, because a restored database must never hand out a mark that is already at a provider."""
    return RequestId("BG-" + "".join(secrets.choice(_CROCKFORD) for _ in range(6)))


def mark_of(installation: str, id: RequestId) -> Mark:
    """`bg-<installation>-<id>`: derived, so that it can be found again without our database."""
    return Mark(f"bg-{installation}-{id.removeprefix('BG-').lower()}")


def _said(text: str) -> Words:
    return Words.of(unicodedata.normalize("NFC", text.strip()), secrets.token_bytes(16))
