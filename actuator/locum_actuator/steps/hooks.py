"""Run the administrator's hooks before and after the steps of a plan."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from locum_actuator.metrics import Metrics
from locum_actuator.steps.base import StepContext, StepError, environment
from locum_actuator.system import runtime
from locum_actuator.system.site_commands import CommandError, run

log = logging.getLogger(__name__)


class HookAbortError(StepError):
    """Raised if a hook before a step forbids the step; the step did not begin."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of one plan. `note` writes a hook's result into the journal: (text, step, host, seconds)."""

    context: StepContext
    metrics: Metrics
    note: Callable[[str, str, str, float], None]

    @property
    def moves(self) -> bool:
        """Return whether the plan changes the holder, so that the takeover hooks run as well."""
        return self.context.new_holder is not None and self.context.new_holder != self.context.old_holder

    def before_plan(self) -> None:
        """Run the hook before a change of holder; raises `HookAbortError`."""
        if self.moves and self.context.new_holder is not None:
            self.before("takeover", self.context.new_holder)

    def after_plan(self) -> None:
        """Run the hook after a change of holder."""
        if self.moves and self.context.new_holder is not None:
            self.after("takeover", self.context.new_holder)

    def before(self, step: str, host: str) -> None:
        """Run the hook before a step; raises `HookAbortError` if it failed and may stop the step."""
        fault = self._run("before", step, host)
        if fault is not None and self.context.service.hooks[f"before_{step}"].on_failure == "abort":
            raise HookAbortError(f"hook before_{step}: {fault}")

    def after(self, step: str, host: str) -> None:
        """Run the hook after a step that has worked."""
        self._run("after", step, host)

    def _run(self, when: str, step: str, host: str) -> str | None:
        """Run a hook if there is one; return why it failed, None if it did not."""
        name = f"{when}_{step}"
        hook = self.context.service.hooks.get(name)
        if hook is None:
            return None
        begun, failed = runtime.monotonic(), None
        try:
            printed = run(hook.command, environment(self.context, step, host), hook.timeout)
            text = f"{name} worked{f': {printed}' if printed else ''}"
        except CommandError as fault:
            failed = str(fault)
            text = f"{name} failed: {fault}"
            self.metrics.hook_failures.labels(self.context.name, name).inc()
        seconds = runtime.monotonic() - begun
        log.log(
            logging.INFO if failed is None else logging.WARNING,
            "hook %s",
            text,
            extra={"event": "hook", "hook": name, "step": step, "host": host, "seconds": round(seconds, 3)},
        )
        self.note(text, step, host, seconds)
        return failed
