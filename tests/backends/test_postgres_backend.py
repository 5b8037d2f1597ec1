"""The postgres adapter under the contract, in both modes, as the least broker at a real server."""

from collections.abc import AsyncIterator

import pytest

from tests.backends.contract import Contract, CutsSessions, SaysByHand
from tests.backends.postgres_rig import PostgresRig, postgres_rig
from tests.providers.fixtures import Cluster


class TestLogin(Contract, CutsSessions, SaysByHand):
    @pytest.fixture
    async def rig(self, cluster: Cluster) -> AsyncIterator[PostgresRig]:
        async with postgres_rig(cluster, "login") as rig:
            yield rig


class TestEphemeral(Contract, CutsSessions, SaysByHand):
    @pytest.fixture
    async def rig(self, cluster: Cluster) -> AsyncIterator[PostgresRig]:
        async with postgres_rig(cluster, "ephemeral") as rig:
            yield rig
