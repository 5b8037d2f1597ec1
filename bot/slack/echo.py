"""Does anything of Slack's arrive? Our own posts come back as events: the one proof that the way is open.

A connection can look established, answer every ping, and deliver nothing (bolt-python issue 1529); an address
can lead to a proxy that forwards elsewhere. Nights without any event are ordinary, so silence alone says
nothing. But whoever posted in a channel it listens to, and has heard nothing since, is deaf.
"""

import time
from collections.abc import Callable
from typing import Final

PATIENCE: Final = 90.0
"""Seconds after a post within which something must arrive. An event normally takes less than two; one whose
first delivery failed is tried again after a minute (docs.slack.dev, apis/events-api)."""


class Echo:
    """Knows when we last posted and when Slack was last heard.

    Args:
        clock: seconds that only go forward; not the desk's, which somebody may set.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.ever = False
        """Whether anything ever arrived."""
        self.unheard = 0
        """How many posts of ours nothing followed."""
        self._since = clock()
        self._waiting_since: float | None = None

    def heard(self) -> None:
        """Something of Slack's arrived."""
        self.ever = True
        self.forget()

    def forget(self) -> None:
        """Nothing that was posted until now is waited for any longer."""
        self.unheard = 0
        self._since = self.clock()
        self._waiting_since = None

    def posted(self, began: float) -> None:
        """Slack took a post of ours that began at that moment. Its event may have overtaken the answer."""
        if self._since < began:
            self.unheard += 1
            self._waiting_since = began if self._waiting_since is None else self._waiting_since

    def is_deaf(self) -> bool:
        """Something should have arrived by now."""
        return self._waiting_since is not None and self.clock() - self._waiting_since > PATIENCE
