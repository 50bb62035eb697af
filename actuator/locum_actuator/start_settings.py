"""Read what the actuator is started with: its tokens, where it listens, and where the chain is."""

from __future__ import annotations

import stat
from pathlib import Path

from pydantic import ValidationError

from locum_actuator.api.bearer_auth import token_command
from locum_inventory.errors import LocumError
from locum_inventory.listen import Listen
from locum_inventory.site.model import ChainParts


class StartError(LocumError):
    """The actuator cannot start; the text is one line with the reason and what to do."""


def read_token(path: Path) -> str:
    """Return the secret in a file; raise `StartError` if other users may read it or if it is too short."""
    try:
        mode = path.stat().st_mode
        token = path.read_text().strip()
    except OSError as fault:
        how = f"; create one: {token_command(path)}" if isinstance(fault, FileNotFoundError) else ""
        raise StartError(f"{path}: {fault.strerror}{how}") from fault
    except UnicodeDecodeError as fault:
        raise StartError(f"{path}: is not text; create another one: {token_command(path)}") from fault
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise StartError(f"{path}: other users may read or change it; chmod 600 {path}")
    if len(token) < 16:
        raise StartError(f"{path}: contains {len(token)} characters; a token has at least 16")
    return token


def parse_listen(text: str, option: str = "--listen") -> Listen:
    """Return the address to listen on, which must be loopback."""
    try:
        listen = Listen.parse(text)
    except ValueError as fault:
        raise StartError(f"{option}: {fault}") from fault
    if not listen.is_loopback:
        raise StartError(f"{option} {text}: the actuator listens on loopback only")
    return listen


def chain_parts(**given: str | tuple[str, ...] | None) -> ChainParts | None:
    """Return the parts of the chain that were given as options; None if none was."""
    try:
        return (
            ChainParts.model_validate({k: v for k, v in given.items() if v}) if any(given.values()) else None
        )
    except ValidationError as fault:
        (first, *_) = fault.errors()
        raise StartError(f"--prometheus, --alertmanager, --chain-…: {first['msg']}") from fault
