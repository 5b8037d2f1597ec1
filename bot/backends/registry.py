"""Which kinds of backends there are, and how one is built from its settings.

A kind is a module with a `Settings` model and a `create` function (see `Kind`). Ours are in a table; anybody
else's are found by the entry point group `breakglass.backends`, name -> module. A stranger cannot replace one
of ours: the table is asked first.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, cast

from pydantic import BaseModel, ValidationError

from bot import to_install
from bot.backends import Backend
from bot.backends.settings import Misconfigured

GROUP = "breakglass.backends"

BUILT_IN = {
    "memory": "bot.backends.memory",
    "postgres": "bot.backends.postgres",
    "aws-iam": "bot.backends.aws_iam",
    "ssh": "bot.backends.ssh",
}
EXTRAS = {"postgres": "postgres", "aws-iam": "aws", "ssh": "ssh"}
"""The extra of this package that brings a kind's client library."""


class Kind(Protocol):
    """What an adapter's module offers."""

    @property
    def Settings(self) -> type[BaseModel]:  # noqa: N802 - it is a class in the module
        """The settings as they stand in the file: extra keys forbidden, a description on every field."""
        ...

    @property
    def create(self) -> "Create":
        """Builds the backend without touching the network."""
        ...


class Create(Protocol):
    """Builds one backend.

    Args:
        settings: the kind's own `Settings`.
        name: what this backend is called in the configuration, for texts.
        installation: whose marks it makes and sees.
        env: where secrets are, by the names the settings give.

    Raises:
        Misconfigured: it cannot work like this; no value is quoted.
    """

    def __call__(
        self,
        settings: Any,  # noqa: ANN401 - each module's own Settings
        *,
        name: str,
        installation: str,
        env: Mapping[str, str],
    ) -> Backend:
        """The backend, not yet connected to anything."""
        ...


def kinds() -> tuple[str, ...]:
    """Every kind that is installed here, ours first."""
    return (*BUILT_IN, *sorted(_strangers()))


def load(kind: str) -> Kind:
    """The module of a kind.

    Raises:
        Misconfigured: there is no such kind, or its client library is not installed; the text says what is.
    """
    try:
        if kind in BUILT_IN:
            return cast("Kind", import_module(BUILT_IN[kind]))
        if (found := _strangers().get(kind)) is not None:
            return cast("Kind", found.load())
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "bot":
            raise
        extra = to_install(EXTRAS[kind]) if kind in EXTRAS else "Install the package that offers it."
        raise Misconfigured(
            f"The backend kind {kind} needs {missing.name}, which is not installed. {extra}"
        ) from None
    raise Misconfigured(f"There is no backend kind {kind!r}. Known here: {', '.join(kinds())}.")


def check(kind: str, raw: Mapping[str, object]) -> None:
    """Holds settings against the kind without building anything; for whoever collects mistakes by key.

    Raises:
        Misconfigured: there is no such kind here.
        ValidationError: pydantic's own, with the place of each mistake.
    """
    load(kind).Settings.model_validate(dict(raw))


def create(
    kind: str, raw: Mapping[str, object], *, name: str, installation: str, env: Mapping[str, str]
) -> Backend:
    """A backend of this kind from the settings as they stand in the file.

    Raises:
        Misconfigured: one sentence per mistake, each led by its key.
    """
    module = load(kind)
    try:
        settings = module.Settings.model_validate(dict(raw))
    except ValidationError as invalid:
        raise Misconfigured.of(name, invalid) from None
    return module.create(settings, name=name, installation=installation, env=env)


def _strangers() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in BUILT_IN}
