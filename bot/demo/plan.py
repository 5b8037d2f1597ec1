"""What one performance is like: the example configuration with shorter times, and how things are connected.

Rule: everything that differs from an installation stands here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bot.config import Transport

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLE: Final = ROOT / "config" / "breakglass.toml"
MANIFEST: Final = ROOT / "manifest.yml"

StoreKind = Literal["sqlite", "postgres"]
"""Where the bot keeps its history."""


class StageError(Exception):
    """The stage could not be set; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The choices for one performance.

    Args:
        config: instead of the example that ships.
        transport: how Slack reaches the bot: over its WebSocket, or by signed requests.
        store: where the history is kept, unless `database` says.
        database: the address of a database to keep it in.
        inherits: whether the bot sees the variables of a real installation (keys, say) that are set here.
        durations: how long read access may last, as the configuration writes it; the first is offered first.
        change_durations: the same for access that changes data.
    """

    config: Path | None = None
    transport: Transport = "socket"
    store: StoreKind = "sqlite"
    database: str | None = None
    inherits: bool = False
    durations: Sequence[str] = ("1m", "5m", "15m")
    change_durations: Sequence[str] = ("1m", "5m", "15m")

    def changes(self, port: int) -> dict[str, str]:
        """What the configuration says, and what it says here instead."""
        return {
            'durations = ["15m", "30m", "1h"]': f"durations = {_listed(self.durations)}",
            'durations = ["15m", "30m"]': f"durations = {_listed(self.change_durations)}",
            'checkpoint_every = "60s"': 'checkpoint_every = "2s"',
            'reconcile_every = "60s"': 'reconcile_every = "5s"',
            'listen = "127.0.0.1:8080"': f'listen = "127.0.0.1:{port}"',
            'transport = "socket"': f'transport = "{self.transport}"',
        }

    def write(self, file: Path, port: int) -> None:
        """The configuration of this performance, for a bot whose health page listens at `port`.

        Raises:
            StageError: it cannot be read, or no longer says what is changed here.
        """
        source = self.config or EXAMPLE
        try:
            text = source.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise StageError(f"The configuration {source} cannot be read ({error}). Name another.") from None
        for said, instead in self.changes(port).items():
            if said not in text:
                raise StageError(f"The configuration does not say {said}, which is changed for the demo.")
            text = text.replace(said, instead)
        file.write_text(text)


TOUR: Final = Plan(durations=("8s", "15m", "30m", "1h"), change_durations=("15m", "30m"))
"""The tour's times: nobody waits a quarter of an hour for access to end."""


def _listed(durations: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{one}"' for one in durations) + "]"
