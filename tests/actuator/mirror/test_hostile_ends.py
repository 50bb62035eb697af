"""A host of a mirror that is no longer to be trusted says what it likes to the actuator, which keeps its bounds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from locum_actuator.domain.mirror_run import MirrorError
from locum_actuator.mirror.copy_state import Copies
from locum_actuator.mirror.gate_commands import GateCommands, MirrorArguments
from locum_actuator.mirror.rsync_output import progress, statistics
from locum_actuator.mirror.transfer import Transfer
from locum_inventory.site.mirror import Mirror
from tests.actuator.fakes import site

LONG = "9" * 5000  # more digits than Python reads
END = "echo 'end failed enough' >&2"


def shell(text: str) -> Sequence[str]:
    return ["sh", "-c", text]


def test_e7_a_line_without_an_end_is_kept_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0

    def measured(line: str) -> None:
        nonlocal longest
        longest = max(longest, len(line))

    monkeypatch.setattr("locum_actuator.mirror.transfer.progress", measured)
    flood = f"head -c 300000 /dev/zero >&2; echo >&2; {END}"
    ended = Transfer(shell("exec cat >/dev/null"), shell(flood), lambda *_: None).run(60)
    assert (ended.word, ended.text[:6]) == ("failed", "enough")
    assert 0 < longest <= 10_000


HOSTILE = {
    "bytes": f"  {LONG}  42%   10.51MB/s    0:00:12",
    "hours": f"  1  42%   10.51MB/s    {LONG}:00:12",
    "commas": "  ,,,  42%   10.51MB/s    0:00:12",
}


@pytest.mark.parametrize("line", HOSTILE.values(), ids=HOSTILE)
def test_e7_no_figure_of_rsyncs_ends_the_thread_that_reads(line: str) -> None:
    assert progress(line) is not None
    said: list[object] = []
    script = f"printf '%s\\r' '{line}' >&2; printf '  7  42%%   10.51MB/s    0:00:12\\r' >&2; {END}"
    Transfer(shell("exec cat >/dev/null"), shell(script), lambda *what: said.append(what)).run(60)
    assert said[-1] == (7, 42, 12.0)


@pytest.mark.parametrize("figure", [LONG, "9" * 19, ",,"], ids=["5000 digits", "19 digits", "commas"])
def test_e7_no_figure_of_rsyncs_is_too_large_for_the_journal(figure: str) -> None:
    count = statistics(f"Number of files: {figure}\nTotal bytes received: {figure}\n")
    assert (count.files, count.bytes_sent) == (0, 0)


class HostileLines(GateCommands):
    """Gates that answer one line."""

    def ask(
        self, host: str, verb: str, service: str, words: MirrorArguments, *, deadline_seconds: float
    ) -> list[tuple[str, str]]:
        return [{"mirror-changes": ("changed", LONG), "mirror-look": ("kept", "²")}[verb]]


@pytest.mark.parametrize("what", ["changes", "kept"])
def test_e7_a_count_that_is_no_number_is_a_fault_and_not_nothing(what: str) -> None:
    plain = site()
    service = plain.services["www"].model_copy(
        update={"mirror": Mirror.model_validate({"source": "/srv/www"})}
    )
    copies = Copies(HostileLines(plain.model_copy(update={"services": {"www": service}}), "b"), "www", 3)
    with pytest.raises(MirrorError, match=r"^a: the gate's answer holds '.+' instead of a number$"):
        copies.changes("a", 1) if what == "changes" else copies.kept("a")
