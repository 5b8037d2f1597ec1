"""What every adapter's settings share: how a secret is found, and how a mistake is told.

Secrets are never in the file. A setting such as `url_env = "PROD_DB_URL"` names the environment variable, and
a mistake is told by the setting's key, never by its value: someone may have put the secret there.
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.core.errors import BreakglassError
from bot.core.model import Secret


class Misconfigured(BreakglassError, ValueError):
    """A backend's settings cannot work; `mistakes` has one sentence each, led by the key."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes

    @classmethod
    def of(cls, where: str, invalid: ValidationError) -> "Misconfigured":
        """The same mistakes without the values pydantic would quote."""
        return cls(
            *(
                f"{'.'.join((where, *map(str, mistake['loc'])))}: {mistake['msg']}."
                for mistake in invalid.errors(include_url=False, include_input=False, include_context=False)
            )
        )


class Frozen(BaseModel):
    """Settings of one backend: unknown keys are mistakes, and nothing changes after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def from_environment(env: Mapping[str, str], variable: str, *, key: str, name: str) -> Secret:
    """The secret in `variable`, which the setting `key` of backend `name` points to.

    Raises:
        Misconfigured: the variable is not set, or empty.
    """
    if not env.get(variable):
        raise Misconfigured(
            f"{name}.{key}: the environment variable {variable} is not set. "
            "Set it to the secret itself; the file holds only its name."
        )
    return Secret(env[variable])
