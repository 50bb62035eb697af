"""Bad site files: one fault a file, whose exact line stands in the file's first line."""

from __future__ import annotations

from pathlib import Path

import pytest

from locum_inventory.site.load import SiteError, load_site

BAD_SITES = sorted((Path(__file__).parent / "bad_sites").glob("*.yml"))


def test_there_are_many() -> None:
    assert len(BAD_SITES) >= 100


@pytest.mark.parametrize("file", BAD_SITES, ids=[file.stem for file in BAD_SITES])
def test_says_what_is_wrong_where_and_what_would_be_right(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = file.read_text(encoding="utf-8")
    expected = text.splitlines()[0].removeprefix("# ")
    (tmp_path / "locum.yml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SiteError) as caught:
        load_site(Path("locum.yml"))

    assert caught.value.lines == (expected,)
