"""Keys and enrolment. Rule: a key is never overwritten, and a secret is printed once, to whoever asked."""

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import TypedDict

from bot.audit.checkpoint import Signer
from bot.config import Config
from bot.core.errors import BreakglassError
from bot.core.model import OPERATOR, PersonId
from bot.mfa import Vault
from bot.office import office, origin_of


class Keys(TypedDict):
    """New keys. The signing key itself stays in its file."""

    signing_key_file: str
    verifier_key: str
    secret_key: str


async def enroll(config: Config, env: Mapping[str, str], *, person: str, directly: bool) -> dict[str, str]:
    """A token for `person`, or, `directly`, their enrolment itself."""
    async with office(config, env, complete=False) as place:
        if directly:
            enrolment = await place.factors.enrol_directly(PersonId(person), OPERATOR)
            return {"person": person, "uri": enrolment.uri.reveal()}
        token = await place.factors.issue_enrolment(PersonId(person), OPERATOR)
        return {"person": person, "token": token.reveal()}


def keygen(config: Config, file: Path) -> Keys:
    """A signing key in a new file, and a key for secrets at rest.

    Raises:
        BreakglassError: the file exists, and a key is never overwritten; or it cannot be made there.
    """
    try:
        signer = Signer.generate(origin_of(config), file)
    except FileExistsError:
        raise BreakglassError(
            f"{file} is there already, and a key is never overwritten. Name another file with --signing-key."
        ) from None
    except FileNotFoundError:
        raise BreakglassError(
            f"{file} cannot be made: there is no folder {file.parent}. Make it, for the user who runs the "
            f"server alone: mkdir -p -m 700 {quote(str(file.parent))}"
        ) from None
    except OSError as error:
        raise BreakglassError(
            f"{file} cannot be made ({error.strerror}). Name another file with --signing-key, or mend that."
        ) from None
    return {
        "signing_key_file": str(file),
        "verifier_key": str(signer.verifier),
        "secret_key": Vault.new_key(),
    }
