"""The colours: they stand out in the light and the dark theme, and stay apart for the colour-blind."""

from __future__ import annotations

import math
from itertools import combinations, product

import pytest

from grafana.palette import LINES, OTHER, REST, SHADES, WELL, WRONG

PANELS = {"light": "#FFFFFF", "dark": "#181B1F"}  # the background of a panel in each theme
CONTRAST = 3.0  # of graphics: WCAG 2.2, success criterion 1.4.11
APART = 25.0  # in CIELAB; from about 10 on two colours side by side are plainly different

# Sources: Machado, Oliveira and Fernandes 2009, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", severity 1.0, on linear RGB.
SEEN_BY = {
    "everybody else": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopes": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopes": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopes": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
Linear = tuple[float, float, float]


def _linear(color: str) -> Linear:
    red, green, blue = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return _straight(red), _straight(green), _straight(blue)


def _straight(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _luminance(color: Linear) -> float:
    red, green, blue = color
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(_linear(one)), _luminance(_linear(other))))
    return (lighter + 0.05) / (darker + 0.05)


def distance(one: str, other: str, viewer: str) -> float:
    a, b = (_lab(_seen(color, viewer)) for color in (one, other))
    return math.dist(a, b)


def _seen(color: str, viewer: str) -> Linear:
    parts = _linear(color)
    red, green, blue = (sum(a * b for a, b in zip(row, parts, strict=True)) for row in SEEN_BY[viewer])
    return min(1.0, max(0.0, red)), min(1.0, max(0.0, green)), min(1.0, max(0.0, blue))


def _lab(color: Linear) -> Linear:
    red, green, blue = color
    x = _root((0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505)
    y = _root(_luminance(color))
    z = _root((0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _root(part: float) -> float:
    return float(part ** (1 / 3)) if part > 0.008856 else 7.787 * part + 16 / 116


def _shade(theme: str, name: str) -> str:
    return name if name.startswith("#") else SHADES[theme][name]


@pytest.mark.parametrize("theme", PANELS)
@pytest.mark.parametrize("name", sorted({WELL, WRONG, OTHER, REST, *(name for name, _ in LINES)}))
def test_stands_out_from_the_panel(theme: str, name: str) -> None:
    assert contrast(_shade(theme, name), PANELS[theme]) >= CONTRAST


@pytest.mark.parametrize(("theme", "viewer"), list(product(PANELS, SEEN_BY)))
def test_states_stay_apart(theme: str, viewer: str) -> None:
    for one, other in combinations((WELL, WRONG, REST), 2):
        assert distance(_shade(theme, one), _shade(theme, other), viewer) >= APART, (one, other)


def test_red_and_green_would_be_seen_to_be_close() -> None:
    """Grafana's own red and green, of the light theme: what these dashboards do not use."""
    red, green = "#E02F44", "#56A64B"
    assert distance(red, green, "everybody else") > 3 * APART
    assert distance(red, green, "deuteranopes") < distance(red, green, "everybody else") / 2


def test_lines_differ_without_their_colours() -> None:
    assert len({dashes for _, dashes in LINES}) == len(LINES)
