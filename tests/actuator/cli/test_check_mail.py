"""What `locum check --live` says of the secrets that Alertmanager shows to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from locum_actuator.cli.live_check.files import files
from locum_inventory.shared_files import EXAMPLE, shared
from locum_inventory.site.load import load_site
from locum_inventory.site.model import Deadman, Mail

NEWLINE = "ends with a newline, which Alertmanager 0.25 takes as part of the password"
ROWS = {
    "both sound": (
        "secret",
        "https://hc.example.org/1\n",
        0o600,
        ("present (mode 0600)", "present (mode 0600)"),
    ),
    "a newline": ("secret\n", "https://hc.example.org/1", 0o600, (NEWLINE, "present (mode 0600)")),
    "no URL": (
        "secret",
        "hc.example.org",
        0o600,
        ("present (mode 0600)", "cannot be read, or contains no URL"),
    ),
    "for everybody": ("s", "https://hc.example.org/1", 0o644, ("other users may read or change it",) * 2),
    "missing": (None, None, 0o600, ("is missing",) * 2),
}


@pytest.mark.parametrize(("password", "url", "mode", "said"), ROWS.values(), ids=ROWS)
def test_findings(
    password: str | None, url: str | None, mode: int, said: tuple[str, str], tmp_path: Path
) -> None:
    paths = tmp_path / "mail.password", tmp_path / "deadman.url"
    for path, text in zip(paths, (password, url), strict=True):
        if text is not None:
            path.write_text(text)
            path.chmod(mode)
    mail = Mail(to=("ops@example.org",), sender="l@example.org", username="locum", password_file=paths[0])
    site = load_site(shared(EXAMPLE)).model_copy(update={"mail": mail, "deadman": Deadman(url_file=paths[1])})
    found = {finding.what: finding for finding in files(site)}
    for kind, path, words in zip(("mail password", "dead-man's URL"), paths, said, strict=True):
        finding = found[f"{kind} {path}"]
        assert finding.text.startswith(words)
        assert finding.is_trouble == (not words.startswith("present"))
