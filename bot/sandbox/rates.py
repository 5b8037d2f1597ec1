"""Rate limits, on the sandbox's clock (docs.slack.dev/apis/web-api/rate-limits).

A tier is so many calls of one method a minute, by one app. Posting is one message a second in each channel,
with a few more allowed in a burst; Slack does not publish how many, so `burst` can be set.
"""

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field

TIERS = {1: 1, 2: 20, 3: 50, 4: 100}
MINUTE = 60.0


@dataclass
class Rates:
    """Counts calls; `enforced = False` lets a demo run free."""

    enforced: bool = True
    burst: int = 5
    _calls: dict[tuple[str, str], deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _ready: dict[tuple[str, str], float] = field(default_factory=dict)

    def wait(self, caller: str, method: str, tier: int, now: float) -> int | None:
        """Seconds to wait (Retry-After), or None and the call is counted."""
        calls = self._calls[caller, method]
        while calls and calls[0] <= now - MINUTE:
            calls.popleft()
        if self.enforced and len(calls) >= TIERS[tier]:
            return max(1, math.ceil(calls[0] + MINUTE - now))
        calls.append(now)
        return None

    def wait_to_post(self, caller: str, channel: str, now: float) -> int | None:
        """The same for a post: each one takes a second of the channel's time, `burst` of them on credit."""
        ready = max(now, self._ready.get((caller, channel), now))
        if self.enforced and ready - now > self.burst - 1:
            return max(1, math.ceil(ready - now - (self.burst - 1)))
        self._ready[caller, channel] = ready + 1
        return None
