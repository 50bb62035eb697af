"""The first page as browsers poll it: rendered once for all, and sent only if it has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from locum_actuator.chain.silences import Silences, ask_alertmanagers
from locum_actuator.engine.engine import Engine
from locum_actuator.engine.explain import Explainer, Explanation
from locum_actuator.page.background_cache import BackgroundCache
from locum_actuator.page.check_results import Votes, ask_prometheus
from locum_actuator.page.explanations import EVERY_SECONDS, Explanations
from locum_actuator.page.render import PARTS, render
from locum_actuator.page.view import PageView
from locum_inventory.site.model import ChainParts

VOTES_SECONDS = 2.0
SILENCES_SECONDS = 5.0
SCENE_SECONDS = 0.5
LIVELY_SECONDS = 1.0  # between two requests of a browser while something happens
CALM_SECONDS = 2.0  # … otherwise
OLD_SECONDS = 3.0  # a newly opened page shows nothing older than this


@dataclass(frozen=True, slots=True)
class PageSnapshot:
    """One state of a page: its parts as HTML, and the same as the body that is polled, with its ETag."""

    scene: Mapping[str, Any]
    parts: Mapping[str, str]
    body: bytes
    etag: str

    @classmethod
    def of(
        cls,
        scene: Mapping[str, Any],
        parts: Mapping[str, str],
        facts: Mapping[str, str],
        pace_seconds: float = LIVELY_SECONDS,
    ) -> PageSnapshot:
        """Return a state in the form in which it is sent.

        `facts` are the sentences that are announced when they change; `pace_seconds`: until the next request.
        """
        body = json.dumps({"parts": parts, "facts": facts, "pace_seconds": pace_seconds}).encode()
        return cls(scene, parts, body, hashlib.sha256(body).hexdigest()[:32])


NO_FRAME = PageSnapshot.of({}, {}, {})


class PagePolling:
    """The first page, live."""

    def __init__(
        self, engine: Engine, explainer: Explainer, scenes: PageView, where: Callable[[], ChainParts]
    ) -> None:
        self._scenes = scenes

        def is_over() -> bool:
            return engine.stopped

        def votes() -> Votes:
            return ask_prometheus(where())

        def silences() -> Silences:
            return ask_alertmanagers(where(), engine.site)

        outlook = Explanations(engine, explainer)
        self._outlook: BackgroundCache[Mapping[str, Explanation]] = BackgroundCache(
            "outlook", EVERY_SECONDS, outlook.look_round, {}, is_over
        )
        self._votes = BackgroundCache("checks", VOTES_SECONDS, votes, Votes(), is_over)
        self._silences = BackgroundCache("silences", SILENCES_SECONDS, silences, Silences(), is_over)
        self._frames = BackgroundCache("frame", SCENE_SECONDS, self._frame, NO_FRAME, is_over)

    def frame(self) -> PageSnapshot:
        """Return the current page; it is rendered in the background while browsers request it."""
        return self._frames.fresh(OLD_SECONDS)

    def _frame(self) -> PageSnapshot:
        scene = self._scenes.scene(self._votes.get(), self._silences.get(), self._outlook.get())
        parts = {part: render(f"{part}.html", **scene) for part in PARTS}
        return PageSnapshot.of(
            scene, parts, facts_of(scene), LIVELY_SECONDS if scene["lively"] else CALM_SECONDS
        )


def facts_of(scene: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts whose changes a screen reader should announce."""
    facts = {"ready": f"locum is not ready: {scene['unready']}" if scene["unready"] else "locum is ready"}
    for one in scene["services"]:
        held = f"held by {one['holder']}" if one["holder"] else "without a known holder"
        facts[f"service {one['service']}"] = f"{one['service']} is {held}: {one['state']}"
    return facts
