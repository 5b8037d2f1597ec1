"""How long a person waits until Slack knows that their command or click was heard.

Ours and the bare app's turn by turn. An approval is acknowledged once it is committed, so its floor is a bare
acknowledgement and a one-row commit on the same kind of database.
"""

from collections.abc import Sequence
from typing import Final

from tests.bench import bare
from tests.bench.figures import Figure, p, p50
from tests.bench.floor import timed
from tests.bench.scene import Scene

COMMANDS: Final = 300
WARM_UP: Final = 10


async def commands(scene: Scene) -> list[Figure]:
    """`/breakglass`: until it is acknowledged, and until the form is asked for."""
    ours: list[float] = []
    floor: list[float] = []
    forms: list[float] = []
    bare_forms: list[float] = []

    async def asked() -> None:
        ours.append(await timed(scene.command("/breakglass")))

    async def asked_bare() -> None:
        floor.append(await timed(scene.command(bare.COMMAND)))

    for turn in range(WARM_UP + COMMANDS):
        if turn == WARM_UP:
            for samples in (ours, floor, forms, bare_forms):
                samples.clear()
        if turn % 2:
            await asked_bare()
        forms.append(await scene.opened.after(asked()))
        if not turn % 2:
            await asked_bare()
        if turn % 3 == 0:
            bare_forms.append(await scene.opened.after(scene.command(bare.MODAL)))
    acked, modal = "bare Bolt app, ack only", "bare Bolt app, small modal"
    return [
        Figure("/breakglass acknowledged, p50", p50(ours), p50(floor), acked, most_ratio=1.3),
        Figure("/breakglass acknowledged, p99", p(99, ours), p(99, floor), acked, most_ratio=2),
        Figure("/breakglass to form asked for, p50", p50(forms), p50(bare_forms), modal),
    ]


def decisions(
    first: Sequence[float], last: Sequence[float], bare_acks: Sequence[float], commits: Sequence[float]
) -> list[Figure]:
    """The acknowledgement of approvals: those that leave one to come, and those that start the grant."""
    floor, what = p50(bare_acks) + p50(commits), "bare ack + one-row commit"
    return [
        Figure("a yes that is not the last, acknowledged, p50", p50(first), floor, what, most_ratio=1),
        Figure("the last yes, acknowledged, p50", p50(last), floor, what, most_ratio=1),
    ]
