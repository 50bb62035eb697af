"""Commands that run on the actuator's host: hooks around the steps of a plan, and `address_commands`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from locum_inventory.site.fencing import CommandWords
from locum_inventory.site.field_types import Value

HookStep = Literal["takeover", "respawn", "release", "fence", "confirm", "start", "claim", "prove"]
HOOK_STEPS: tuple[str, ...] = get_args(HookStep)

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")


def _seconds(value: Any) -> Any:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) * _UNIT_SECONDS[found[2]] if found else value


def _hook_name(value: str) -> str:
    when, _, step = value.partition("_")
    if when not in {"before", "after"} or step not in HOOK_STEPS:
        raise ValueError(
            f"is '{value}': give before_ or after_ and one of {', '.join(HOOK_STEPS[:-1])} or {HOOK_STEPS[-1]}"
        )
    return value


Seconds = Annotated[float, BeforeValidator(_seconds)]
HookName = Annotated[str, AfterValidator(_hook_name)]


class Hook(Value):
    """A command before or after a step."""

    command: CommandWords = Field(
        min_length=1, description="the command line to run on the actuator's host, without a shell"
    )
    timeout: Seconds = Field(
        default=10.0, gt=0, le=300, description="how many seconds it may run before it is killed"
    )
    on_failure: Literal["ignore", "abort"] = Field(
        default="ignore", description="'ignore', or 'abort' to fail the step before it begins"
    )


class AddressCommands(Value):
    """Commands that move something other than an address, such as a DNS record or a cloud provider's address.

    They run on the actuator's host.
    """

    claim: CommandWords = Field(
        min_length=1,
        description="the command line that makes $LOCUM_HOST the holder, whichever host held it before",
    )
    check: CommandWords = Field(
        min_length=1, description="the command line that prints the name of the host that holds it"
    )
    release: CommandWords | None = Field(
        default=None,
        min_length=1,
        description="the command line that takes it from $LOCUM_HOST, before the claim",
    )
    timeout: Seconds = Field(
        default=5.0, gt=0, le=60, description="how many seconds each of them may run before it is killed"
    )
