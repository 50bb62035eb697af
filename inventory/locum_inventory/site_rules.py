"""What the keys of a site file must say together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from locum_inventory.model import Site
from locum_inventory.yaml_tree import Path


def breaches(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield the path of each key that does not fit the others, and what would."""
    yield from ()


def advice(site: Site) -> Iterator[str]:
    """Yield what is worth saying about a sound site."""
    yield from ()
