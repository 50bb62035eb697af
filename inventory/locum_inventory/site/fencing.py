"""The fence devices of a site file, which switch a host off from outside."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from locum_inventory.site.field_types import AbsolutePath, Value

_SECRET = re.compile(r"passw|passphrase|secret|token|community|credential", re.IGNORECASE)
_OURS = frozenset({"action", "option", "nodename"})  # options that locum itself sends to an agent


def _words(value: Any) -> Any:
    """Split a command line into words as a shell would; it runs without a shell."""
    if not isinstance(value, str):
        return value
    if not value.strip() or "\n" in value:
        raise ValueError("is empty or has several lines: give one command line, or a list of words")
    try:
        return tuple(shlex.split(value))
    except ValueError:
        raise ValueError("has a quote that is not closed: give a command line, or a list of words") from None


def _option_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", value):
        raise ValueError(f"is '{value}', which cannot be an option of an agent: see the agent's metadata")
    return value


OptionName = Annotated[str, Field(max_length=64)]
CommandWords = Annotated[tuple[str, ...], BeforeValidator(_words)]


class FenceDevice(Value):
    """One way to switch a host off: a program with the interface of ClusterLabs' fence agents.

    It receives `key=value` lines on standard input (FenceAgentAPI.md), never arguments, so that no secret appears
    in the process table.
    """

    agent: str | None = Field(
        default=None,
        pattern=r"^fence_[a-zA-Z0-9_]+$",
        description="the name of a fence agent, such as fence_ipmilan",
    )
    command: CommandWords | None = Field(
        default=None,
        min_length=1,
        description="the command line of a program with the interface of a fence agent",
    )
    options: Mapping[OptionName, str] = Field(
        default_factory=dict, description="the agent's options, such as {ip: 198.51.100.1, username: locum}"
    )
    secret_files: Mapping[OptionName, AbsolutePath] = Field(
        default_factory=dict,
        description="options whose values are in files, such as {password: /etc/locum/ipmi-a.password}",
    )
    action: Literal["off", "reboot"] = Field(
        default="off", description="'off', or 'reboot' to switch it on again once it is confirmed off"
    )
    timeout: float = Field(
        default=30.0,
        ge=1,
        le=600,
        description="how many seconds this device may take until the host is confirmed off",
    )

    @field_validator("options", "secret_files")
    @classmethod
    def _sound_options(cls, value: Mapping[str, Any], info: Any) -> Mapping[str, Any]:
        for key, text in value.items():
            _option_name(key)
            if key in _OURS:
                raise ValueError(f"sets '{key}', which locum sets itself: leave it out")
            if (
                info.field_name == "options"
                and _SECRET.search(key)
                and not key.endswith(("_script", "_file"))
            ):
                raise ValueError(
                    f"contains '{key}': put the secret in a separate file and name it in secret_files"
                    f" ({{{key}: /etc/locum/...}})"
                )
            if "\n" in str(text) or "\0" in str(text):
                raise ValueError(f"has more than one line in '{key}': give one line")
        return value

    @model_validator(mode="after")
    def _one_program(self) -> FenceDevice:
        if (self.agent is None) == (self.command is None):
            raise ValueError("must name one program: give either agent, such as fence_ipmilan, or command")
        twice = sorted(set(self.options) & set(self.secret_files))
        if twice:
            raise ValueError(f"gives '{twice[0]}' twice, in options and in secret_files: keep one of them")
        return self

    @property
    def name(self) -> str:
        """The program's name, for messages."""
        return self.agent or (self.command or ("?",))[0].rsplit("/", 1)[-1]
