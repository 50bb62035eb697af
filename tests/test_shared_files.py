"""What the programs read or point at besides their own code travels in the wheel."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("inventory", "exporter", "actuator")


def named_files() -> set[str]:
    """Return every path that the code asks `shared` for, up to where it is put together at run time."""
    texts = (file.read_text(encoding="utf-8") for name in PACKAGES for file in (ROOT / name).rglob("*.py"))
    return {found for text in texts for found in re.findall(r"""shared\(f?["']([^"'{]+)""", text)}


def test_f_the_wheel_has_every_file_that_the_code_names() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    named = named_files()
    assert {"docs", "docs/fencing.md"} <= named
    for path in named:
        covering = [
            source for source in included if f"{path}/".startswith(f"{source}/") or source.startswith(path)
        ]
        assert covering, f"{path} is not in the wheel"
        assert (ROOT / path).exists()
    assert all(into == f"locum_inventory/share/{source}" for source, into in included.items())
