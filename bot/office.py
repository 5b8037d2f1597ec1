"""The database and the providers of one installation: what the server and every command share.

Rule: nothing here knows Slack, so that looking, ending and verifying work when Slack does not.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.access import Access, Provider
from bot.backends import Closes, Inside, registry
from bot.backends.outside import Outside
from bot.backends.settings import Misconfigured
from bot.config import Config, ConfigError
from bot.core.errors import BreakglassError
from bot.factors import Factors
from bot.mfa import Vault
from bot.store import Clock, Store, is_file, open_engine, require_current, require_here, shown


def utc_now() -> datetime:
    """The clock of everything that runs for real."""
    return datetime.now(UTC)


def require_there(url: str) -> None:
    """Silent unless the database is a file that is not there. Opening it would leave an empty one behind.

    Raises:
        ConfigError: with the command that makes it.
    """
    if is_file(url) and not Path(shown(url)).exists():
        raise ConfigError(
            [
                (
                    f"BREAKGLASS_DATABASE_URL: There is no database at {shown(url)}. Mend the address, or "
                    "make the database there: breakglass migrate"
                )
            ]
        )


def providers_of(config: Config, env: Mapping[str, str], *, complete: bool = True) -> dict[str, Provider]:
    """Every configured backend, built and not yet connected. Unless `complete`, those in reach from here.

    Raises:
        Misconfigured: with the keys to mend.
    """
    built = {}
    for name, backend in config.backends.items():
        try:
            made = registry.create(
                backend.kind, backend.settings, name=name, installation=config.installation, env=env
            )
        except Misconfigured:
            if complete:
                raise
            continue
        if isinstance(made, Inside) and not complete:
            made = Outside()
        built[name] = Provider(made, backend.principals)
    return built


@dataclass(frozen=True, slots=True)
class Office:
    """The database and the acts at providers."""

    store: Store
    providers: Mapping[str, Provider]
    access: Access
    vault: Vault
    factors: Factors


@asynccontextmanager
async def office(
    config: Config, env: Mapping[str, str], clock: Clock = utc_now, *, complete: bool = True
) -> AsyncIterator[Office]:
    """Opens the database, which must have this version's schema, and the providers.

    The server's is `complete`. Who ends access or enrols somebody beside it needs less: what cannot be
    reached from here is said for each access, and holds up no other.

    Raises:
        ConfigError: the database is not there.
        SchemaOutdated: run `breakglass migrate`.
        Moved: the history was copied elsewhere and grows there.
        BreakglassError: the database is another installation's, or a grant in force has no backend.
    """
    url = config.environment.database_url.reveal()
    require_there(url)
    async with AsyncExitStack() as stack:
        engine = open_engine(url)
        stack.push_async_callback(engine.dispose)
        await require_current(engine)
        await require_here(engine)
        store = Store(engine, clock, config.policy.hash)
        await store.begin_history(config.installation, origin_of(config))
        providers = providers_of(config, env, complete=complete)
        for provider in providers.values():
            if isinstance(provider.backend, Closes):
                stack.push_async_callback(provider.backend.close)
        orphaned = await store.backends_in_use() - providers.keys()
        if orphaned and complete:
            raise BreakglassError(
                f"Access is held at {', '.join(sorted(orphaned))}, which the configuration no longer has. "
                "Put the backend back until that access has ended; nobody else can end it."
            )
        vault = Vault(config.environment.secret_keys)
        access = Access(store, providers, vault, config.keeper.grant_deadline)
        factors = Factors(store, vault, f"Breakglass {config.installation}")
        yield Office(store, providers, access, vault, factors)


def origin_of(config: Config) -> str:
    """The name of this history in checkpoints."""
    return f"breakglass/{config.installation}"
