"""From the last Approve to usable access, while Slack takes 150 ms for every answer.

Two people approve each request. The provider needs 100 ms; whatever is above what it needs when it is called
directly is ours. A single call to Slack in series would alone be more than the target allows.
"""

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.core.model import Mark, Order
from tests.bench import provider
from tests.bench.acks import decisions
from tests.bench.figures import Figure, p50
from tests.bench.floor import Commits, timed
from tests.bench.scene import INSTALLATION, Scene

GRANTS: Final = 50
WARM_UP: Final = 3
SLACK_TAKES: Final = 0.150
PROVIDER_TAKES_MS: Final = 100
"""The same stands in breakglass.toml."""


async def grants(scene: Scene, commits: Commits) -> list[Figure]:
    """Approvals, until they are acknowledged; access, until it is usable."""
    settings = provider.Settings(takes_ms=PROVIDER_TAKES_MS, principals=("alice",), roles=("reader",))
    slow = provider.create(settings, name="slow", installation=INSTALLATION, env={})
    first: list[float] = []
    last: list[float] = []
    acks: list[float] = []
    committed: list[float] = []
    usable: list[float] = []
    alone: list[float] = []
    scene.sandbox.faults.latency = SLACK_TAKES
    for turn in range(WARM_UP + GRANTS):
        if turn == WARM_UP:
            for samples in (first, last, acks, committed, usable, alone):
                samples.clear()
        id = await scene.files("alice")
        alone.append(await timed(slow.grant(_order())))
        first.append(await timed(scene.approves("bob", id)))
        acks.append(await timed(scene.presses_bare("bob")))
        alone.append(await timed(slow.grant(_order())))
        committed.append(await timed(commits.one()))
        pressed = time.time()
        last.append(await timed(scene.approves("carol", id)))
        since, _ = await scene.granted(id)
        usable.append(since - pressed)
    scene.sandbox.faults.latency = 0
    return [
        *decisions(first, last, acks, committed),
        Figure(
            "last yes to usable access, Slack answers in 150 ms, p50",
            p50(usable),
            p50(alone),
            "the provider alone",
            most_extra=0.1,
        ),
    ]


def _order() -> Order:
    return Order(
        mark=Mark(f"bg-{INSTALLATION}-{secrets.token_hex(3)}"),
        principal="alice",
        scope={"role": "reader"},
        expires_at=datetime.now(UTC) + timedelta(minutes=15),
    )
