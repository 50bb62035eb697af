"""`python -m grafana.draw`: pictures of the dashboards, from what Prometheus says."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from grafana import draw
from grafana.palette import SHADES, WELL, WRONG
from grafana.shown import text_of
from tests.grafana.prometheus_of_words import Finds, serving, well
from tests.grafana.test_ask import LABELS, something

CHECKS = ["--section", "Its checks"]


def drawn(finds: Finds, tmp_path: Path, *words: str) -> Image.Image:
    output = tmp_path / "picture.png"
    with serving(well(finds)) as url:
        when = ["--from", "2026-11-27T02:30:00Z", "--to", "2026-11-27T02:31:00"]
        assert draw.main(["--prometheus", url, *when, "--output", str(output), *words]) == 0
    picture = Image.open(io.BytesIO(output.read_bytes()))
    picture.load()
    return picture.convert("RGB")


def dots(picture: Image.Image, name: str) -> int:
    """Count the dots of a colour, or of one so near that it looks the same."""
    color = SHADES["light"][name]
    wanted = [int(color[at : at + 2], 16) for at in (1, 3, 5)]
    counted = picture.getcolors(picture.width * picture.height) or []
    return sum(
        count
        for count, found in counted
        if isinstance(found, tuple) and max(abs(a - b) for a, b in zip(found, wanted, strict=True)) < 6
    )


@pytest.mark.parametrize("name", draw.DRAWABLE)
def test_every_panel_of_every_dashboard_can_be_drawn(name: str, tmp_path: Path) -> None:
    picture = drawn(something, tmp_path, "--dashboard", name)
    assert picture.width == 1320
    assert picture.height > 500
    assert (tmp_path / "picture.png").stat().st_size < 200_000


def test_panels_with_nothing_to_show_can_be_drawn(tmp_path: Path) -> None:
    """Lines and tables; the next test has timelines with nothing."""
    assert drawn(lambda _: [], tmp_path, "--section", "What the actuator did").width == 1320


def test_what_fails_is_drawn_as_wrong(tmp_path: Path) -> None:
    """The checks' own panels, without the votes: a line there has the same colour."""

    def finds(value: float) -> Finds:
        return lambda expr: [(LABELS, value)] if expr.startswith("2 + (") else []

    well_, wrong = (drawn(finds(value), tmp_path, *CHECKS) for value in (1, 0))
    assert (dots(well_, WRONG), dots(wrong, WELL)) == (0, 0)
    assert dots(well_, WELL) > 10_000
    assert dots(wrong, WRONG) > 10_000


def test_a_section_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(well(something)) as url:
        words = ["--prometheus", url, "--section", "Nowhere", "--output", str(tmp_path / "picture.png")]
        assert draw.main(words) == 2
    assert capsys.readouterr().err == (
        "grafana.draw: service has no section 'Nowhere': choose from Now, Its checks, "
        "Its address and its hosts, In numbers, Its data, What the actuator did\n"
    )


def test_a_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "nowhere" / "picture.png"
    with serving(well(something)) as url:
        assert draw.main(["--prometheus", url, *CHECKS, "--output", str(output)]) == 1
    assert capsys.readouterr().err == f"grafana.draw: {output}: No such file or directory\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "yesterday"], "'yesterday' is not a time such as 2026-11-27T02:30:00Z"),
        (["--from", "2", "--to", "1"], "--from must be a second to 30 days before --to"),
        (["--dashboard", "runbook"], "invalid choice: 'runbook'"),
    ],
)
def test_a_wrong_call_says_why(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        draw.main([*words, "--output", "picture.png"])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "s", "0 s"),
        (0.000139, "s", "139 µs"),
        (1.36, "s", "1.36 s"),
        (93600.0, "s", "1.08 d"),
        (0.93478, "percentunit", "93.5 %"),
        (2048.0, "bytes", "2 KiB"),
        (3.96, "cps", "3.96 c/s"),
        (1234.0, "short", "1234"),
        (float("nan"), "s", "-"),
    ],
)
def test_numbers_are_short(value: float, unit: str, text: str) -> None:
    assert text_of(value, unit) == text
