"""Run a service's mirror once: copy its directories one after the other from one host to another."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from locum_actuator.domain.mirror_run import (
    MirrorError,
    MirrorResult,
    Outcome,
    Progress,
    RunOptions,
    TreeCount,
)
from locum_actuator.mirror.copy_state import Copies
from locum_actuator.mirror.gate_commands import MirrorArguments
from locum_actuator.mirror.transfer import Ended, OnProgress, Transfer
from locum_inventory.site.mirror import age_seconds

PASSES = 3  # over one directory, if files vanish at the source while it is read


@dataclass(slots=True)
class MirrorRun:
    """An active run. Other threads may read its progress and cancel it."""

    nothing: MirrorResult  # the result as long as nothing has been done
    wish: RunOptions
    progress: Progress | None = None
    _transfer: Transfer | None = None
    _why_ended: str | None = field(default=None)

    def cancel(self, why: str) -> None:
        """End it as soon as possible."""
        self._why_ended = self._why_ended or why
        if self._transfer is not None:
            self._transfer.cancel(why)

    def copy(self, copies: Copies, since: int) -> MirrorResult:
        """Copy every directory. `since` is the last run after which both hosts had the same data; 0: none."""
        end_by = time.monotonic() + age_seconds(copies.mirror.timeout)
        count = TreeCount()
        for number, _ in copies.trees:
            ended = self._passes(copies, number, since, end_by)
            if ended.word != "ok":
                # If an earlier directory was copied already, the directories no longer match.
                refused = ended.word in {"refused", "old_epoch"} and number == 1
                outcome: Outcome = "refused" if refused else "failed"
                return replace(self.nothing, outcome=outcome, text=ended.text, count=count)
            count += ended.count
        text = f"{count.files} files, {count.copied} copied, {count.deleted} deleted, {count.bytes_sent} bytes sent"
        return replace(self.nothing, outcome="done", text=text, count=count)

    def _passes(self, copies: Copies, number: int, since: int, end_by: float) -> Ended:
        """Copy one directory; repeat at once while files vanish at the source, a few times at most.

        A file that was renamed during a pass is missing from the copy until a later pass finds its new name.
        """
        for _ in range(PASSES - 1):
            ended = self._with_verdict(copies, number, self._one(copies, number, since, end_by))
            if not ended.vanished:
                return ended
        ended = self._with_verdict(copies, number, self._one(copies, number, since, end_by))
        if ended.vanished:
            hint = "exclude files that come and go all the time"
            ended = replace(ended, text=f"{ended.text} (in each of {PASSES} passes: {hint})")
        return ended

    def _one(self, copies: Copies, number: int, since: int, end_by: float) -> Ended:
        service, source, destination = self.nothing.service, self.nothing.source, self.nothing.destination
        words = MirrorArguments(
            copies.epoch,
            number,
            self.nothing.run,
            since,
            self.wish.allowed_deletions,
            self.wish.discard_changes,
            self.wish.on_progress is not None,
        )
        through = (
            copies.mirror.trees[number - 1].mounted_source is not None and source == copies.service.preferred
        )
        try:
            where, how = (destination, "mirror-send-mounted") if through else (source, "mirror-send")
            send = copies.lines.command(where, how, service, words)
            receive = copies.lines.command(destination, "mirror-receive", service, words)
        except MirrorError as fault:
            return Ended("refused", str(fault))
        self._transfer = Transfer(send, receive, self._reporter(number, len(copies.trees)))
        if self._why_ended is not None:
            return Ended("refused", self._why_ended)
        return self._transfer.run(max(1.0, end_by - time.monotonic()))

    def _reporter(self, number: int, trees: int) -> OnProgress:
        def report(bytes_done: int, percent: int, seconds_left: float) -> None:
            self.progress = Progress(number, trees, bytes_done, percent, seconds_left)
            if self.wish.on_progress is not None:
                self.wish.on_progress(self.progress)

        return report

    def _with_verdict(self, copies: Copies, number: int, ended: Ended) -> Ended:
        """Return the end of a transfer with its verdict; if no gate gave one, determine it.

        Without a verdict, the destination's gate stops what may still write there and then reports the state of the
        directory: the copy may have been complete before the connection was lost.
        """
        if ended.word:
            return ended
        try:
            copies.halt(self.nothing.destination)
        except MirrorError:
            return Ended("failed", ended.text)
        state = copies.state(self.nothing.destination, number)
        if state is None or state["writing"] == "yes":
            return Ended("failed", ended.text)
        if state["run"] != str(self.nothing.run):
            return Ended("refused", ended.text)
        return Ended("ok" if state["state"] == "whole" else "failed", ended.text)
