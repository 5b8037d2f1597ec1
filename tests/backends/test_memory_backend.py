"""The tutorial adapter under the contract, on its provider's own clock."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from bot.backends import Backend, registry
from bot.backends.memory import Memory, MemoryProvider, create
from bot.core.errors import BackendRefused, BackendUnavailable
from bot.core.model import Lease, Order
from tests.backends.contract import Contract, CutsSessions, Rig, SaysByHand, order_for


class FaultyProvider(MemoryProvider):
    """A provider with a network in front of it."""

    down = refusing = swallowing = False

    async def put(self, name: str, principal: str, role: str, until: datetime) -> None:
        if self.refusing:
            raise PermissionError("not allowed to grant")
        self._ask()
        await super().put(name, principal, role, until)
        self._answer()

    async def drop(self, name: str) -> None:
        self._ask()
        await super().drop(name)
        self._answer()

    async def list(self) -> dict[str, tuple[str, str, datetime]]:
        self._ask()
        return await super().list()

    def _ask(self) -> None:
        if self.down:
            raise ConnectionResetError

    def _answer(self) -> None:
        if self.swallowing:
            raise TimeoutError


class MemoryRig:
    secrets: Sequence[str] = ()
    no_sessions = no_preexisting = ""
    principal = "alice"
    installation = "acme"

    def __init__(self) -> None:
        self.scope = {"role": "prod_ro"}
        self.now = datetime.now(UTC)
        self.provider = FaultyProvider({"alice"}, lambda: self.now)
        self.backend: Backend = self.again()

    def again(self, patience: float | None = None) -> Backend:  # noqa: ARG002 - it never waits
        built = registry.create(
            "memory", {"principals": ["alice"], "roles": ["prod_ro"]}, name="m", installation="acme", env={}
        )
        assert isinstance(built, Memory)
        return Memory(self.provider, built.roles, built.marks)

    async def works(self, _order: Order, _lease: Lease | None) -> bool:
        return self.provider.may("alice", "prod_ro")

    async def open_session(self, _lease: Lease) -> Callable[[], Awaitable[bool]]:
        self.provider.sessions.append(("alice", "prod_ro"))

        async def alive() -> bool:
            return ("alice", "prod_ro") in self.provider.sessions

        return alive

    async def give_before(self) -> None:
        self.provider.standing.add(("alice", "prod_ro"))

    async def standing_works(self) -> bool:
        return self.provider.may("alice", "prod_ro")

    async def plant(self, name: str) -> None:
        self.provider.entries[name] = ("mallory", "prod_ro", self.now)

    async def names(self) -> set[str]:
        return set(self.provider.entries)

    async def refuse(self) -> None:
        self.provider.refusing = True

    def cut(self) -> None:
        self.provider.down = True

    def pause(self) -> None:
        self.provider.down = True

    def swallow(self) -> None:
        self.provider.swallowing = True

    def heal(self) -> None:
        self.provider.down = self.provider.swallowing = False


class TestMemory(Contract, CutsSessions, SaysByHand):
    @pytest.fixture
    def rig(self) -> Rig:
        return MemoryRig()

    async def test_the_provider_ends_it_by_itself(self) -> None:
        rig = MemoryRig()
        order = order_for(rig)
        lease = await rig.backend.grant(order)
        rig.now = order.expires_at - timedelta(microseconds=1)
        assert await rig.works(order, lease)
        rig.now = order.expires_at
        assert not await rig.works(order, lease)

    async def test_a_person_without_a_principal_reads_why(self) -> None:
        rig = MemoryRig()
        rig.principal = ""
        with pytest.raises(BackendRefused, match="no principal"):
            rig.backend.ending(order_for(rig))

    async def test_a_drop_that_did_not_take_effect_is_noticed(self) -> None:
        class Lying(FaultyProvider):
            async def drop(self, name: str) -> None:
                """Says yes and does nothing."""

        rig = MemoryRig()
        rig.provider = Lying({"alice"}, lambda: rig.now)
        backend = rig.again()
        await backend.grant(order_for(rig))
        with pytest.raises(BackendUnavailable):
            await backend.revoke(order_for(rig))

    async def test_a_grant_that_did_not_take_effect_is_noticed(self) -> None:
        class Lying(FaultyProvider):
            async def put(self, name: str, principal: str, role: str, until: datetime) -> None:
                """Says yes and does nothing."""

        rig = MemoryRig()
        rig.provider = Lying({"alice"}, lambda: rig.now)
        with pytest.raises(BackendUnavailable):
            await rig.again().grant(order_for(rig))

    def test_it_is_built_with_its_own_provider(self) -> None:
        settings = registry.load("memory").Settings.model_validate({"principals": ["a"], "roles": ["r"]})
        backend = create(settings, name="m", installation="acme", env={})  # type: ignore[arg-type]  # the very model
        assert backend.provider.principals == {"a"}
