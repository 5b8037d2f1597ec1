"""The ssh adapter under the contract, with a key of the person's own and with one made for the grant."""

from collections.abc import AsyncIterator

import pytest

from tests.backends.contract import Contract, CutsSessions, SaysByHand
from tests.backends.ssh_rig import SshRig, ssh_rig

pytestmark = [pytest.mark.usefixtures("sshd_here"), pytest.mark.heavy]


class TestOwnKey(Contract, CutsSessions, SaysByHand):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[SshRig]:
        async with ssh_rig(registered=True) as rig:
            yield rig


class TestKeyForTheGrant(Contract, CutsSessions, SaysByHand):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[SshRig]:
        async with ssh_rig(registered=False) as rig:
            yield rig
