"""AWS IAM: one inline policy per grant on a user or role, named by the mark, ended by IAM itself.

The rule: no statement leaves here without `DateLessThan aws:CurrentTime`. IAM compares that with its own
clock at every request, so the access ends on time even if nobody is left to end it. Statements come from the
settings alone; an order can only name them.

    adapter   the promises of a backend
    client    boto3 in threads
    policy    statements with an end
"""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from bot.backends.aws_iam.adapter import AwsIam, Bounds
from bot.backends.aws_iam.client import Client, client_maker
from bot.backends.aws_iam.policy import BEFORE, NOW, Json, ends_itself
from bot.backends.marks import Marks
from bot.backends.settings import Frozen, Misconfigured, from_environment


class Settings(Frozen):
    """One AWS account, reached with one set of credentials."""

    policies: Mapping[str, tuple[Json, ...]] = Field(
        min_length=1,
        description="What may be granted, and nothing else: name -> statements as in an IAM policy. "
        "The end is added to each statement's conditions.",
    )
    attach: Literal["user", "role"] = Field(
        default="user", description="Whether principals are IAM users or IAM roles."
    )
    path_prefix: str = Field(
        default="/",
        pattern=r"^/([!-~]+/)?$",
        description="Only users (or roles) under this path are granted anything, and looked at.",
    )
    only: tuple[str, ...] = Field(
        default=(), description="Only these users (or roles). Empty: all under path_prefix."
    )
    access_key_id_env: str = Field(
        default="",
        description="Name of the environment variable with our access key id. Left out: boto3's own ways.",
    )
    secret_access_key_env: str = Field(
        default="", description="Name of the environment variable with our secret access key."
    )
    region: str = Field(default="us-east-1", description="The region that requests are signed for.")
    endpoint_url: str = Field(
        default="", description="An endpoint other than AWS's public one, such as a VPC endpoint's."
    )
    deadline_s: float = Field(
        default=10.0, gt=0, le=60, description="Seconds after which a grant or revoke is given up."
    )
    sweep_deadline_s: float = Field(
        default=60.0, gt=0, le=600, description="Seconds that looking at every user may take."
    )

    @field_validator("policies")
    @classmethod
    def _no_end_of_its_own(cls, policies: Mapping[str, tuple[Json, ...]]) -> Mapping[str, tuple[Json, ...]]:
        """Two ends under one key would be alternatives to IAM, and the later one would win."""
        for name, statements in policies.items():
            if not statements:
                raise ValueError(f"{name} has no statements")
            if any(map(ends_itself, statements)):
                raise ValueError(f"{name} has a {BEFORE} {NOW} of its own; the end is ours to set")
        return policies

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if bool(self.access_key_id_env) != bool(self.secret_access_key_env):
            raise ValueError("give both access_key_id_env and secret_access_key_env, or neither")
        return self


def create(settings: Settings, *, name: str, installation: str, env: Mapping[str, str]) -> AwsIam:
    """The backend, not yet connected.

    Raises:
        Misconfigured: a variable that the settings name is not set, or the mark would be too long for IAM.
    """
    if len(installation) > 100:
        raise Misconfigured("installation: at most 100 characters fit into the name of a policy.")
    words = ("access_key_id", "secret_access_key") if settings.access_key_id_env else ()
    keys = {
        f"aws_{word}": from_environment(env, getattr(settings, f"{word}_env"), key=f"{word}_env", name=name)
        for word in words
    }
    make = client_maker(
        keys, region=settings.region, endpoint=settings.endpoint_url, deadline=settings.deadline_s
    )
    return AwsIam(
        Client(name, settings.attach, make),
        Marks(installation),
        settings.policies,
        Bounds(settings.attach, settings.path_prefix, settings.only),
        settings.deadline_s,
        settings.sweep_deadline_s,
    )
