"""Writes the alert rules: `python -m alert_rules.build` expands locum.rules.template.yml into locum.rules.yml.

Every tier has the same rules with windows of its own, which are multiples of the tier's interval. The template has
the rules once, between two comment lines, with these words in place of the values:

* `<tier>`: the interval at which the checks of the tier are scraped, such as `250ms`.
* `<evaluation interval>`: how often the group is evaluated.
* `<1.9 intervals>`: that multiple of the tier's interval, as a duration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from locum_inventory.site.model import INTERVAL_SECONDS

DIRECTORY = Path(__file__).parent
TEMPLATE = DIRECTORY / "locum.rules.template.yml"
RULES = DIRECTORY / "locum.rules.yml"
EVALUATION_INTERVALS: Mapping[str, str] = {
    "100ms": "50ms",
    "250ms": "100ms",
    "1s": "250ms",
    "5s": "1s",
    "15s": "1s",
}
_HEADER = f"""\
# Generated from {TEMPLATE.name} by `python -m alert_rules.build`. Edit the template, not this file.
#
"""
_BEGIN_OR_END = re.compile(r"^ *# (?:begin|end) tier.*\n", re.MULTILINE)
_MULTIPLE = re.compile(r"<([0-9.]+) intervals>")


def rendered() -> str:
    """Return the rules as the text of their file."""
    before, group, after = _BEGIN_OR_END.split(TEMPLATE.read_text(encoding="utf-8"))
    groups = [_for_tier(group, tier) for tier in EVALUATION_INTERVALS]
    return _HEADER + before + "\n".join(groups) + after


def _for_tier(group: str, tier: str) -> str:
    """Return the rules of one tier."""
    text = group.replace("<tier>", tier).replace("<evaluation interval>", EVALUATION_INTERVALS[tier])
    return _MULTIPLE.sub(lambda match: _duration(float(match[1]) * INTERVAL_SECONDS[tier]), text)


def _duration(seconds: float) -> str:
    """Return a duration as Prometheus reads it, which is in whole units."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def main() -> None:
    """Write the rules."""
    RULES.write_text(rendered(), encoding="utf-8")


if __name__ == "__main__":
    main()
