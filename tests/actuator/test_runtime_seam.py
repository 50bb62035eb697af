"""Engine, observation, steps and journal take time, waiting, threads and chance from system/runtime.py alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import locum_actuator
from locum_actuator.system import runtime

ROOT = Path(locum_actuator.__file__).parent
FILES = sorted(
    path
    for package in ("engine", "observation", "steps", "journal")
    for path in (ROOT / package).glob("*.py")
)
FORBIDDEN = {"time", "threading", "queue", "random", "concurrent.futures", "locum_inventory.since_boot"}
FORBIDDEN_OF_ASYNCIO = {
    "run",
    "new_event_loop",
    "to_thread",
    "SelectorEventLoop",
}  # their loop or pool is not the runtime's


def _imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_goes_past_the_runtime(path: Path) -> None:
    assert not _imported(path) & FORBIDDEN
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & {f"asyncio.{name}" for name in FORBIDDEN_OF_ASYNCIO}


def test_another_runtime_is_asked_instead() -> None:
    class Still(runtime.Runtime):
        def monotonic(self) -> float:
            return 7.0

    with runtime.use(Still()):
        assert runtime.monotonic() == 7.0
    assert runtime.monotonic() != 7.0
