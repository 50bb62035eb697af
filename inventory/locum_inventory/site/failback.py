"""The site file's `failback` key: whether and when a service returns to its preferred host automatically."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from locum_inventory.site.commands import Seconds
from locum_inventory.site.field_types import Value

_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


def _window(value: str) -> str:
    found = _WINDOW.fullmatch(value)
    if found is None or value[:5] == value[6:]:
        raise ValueError(f"is '{value}': give a time window on the host's clock, such as 02:00-05:00")
    return value


class Failback(Value):
    """When the preferred host becomes the holder again automatically."""

    mode: Literal["manual", "auto"] = Field(
        default="manual", description="'manual', or 'auto' to move back automatically"
    )
    after: Seconds = Field(
        default=1800.0,
        ge=10,
        le=7 * 86400,
        description="how long the preferred host must have been a healthy standby, in seconds or such as 30m",
    )
    window: Annotated[str, AfterValidator(_window)] | None = Field(
        default=None, description="at what time of the day, such as 02:00-05:00"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_word(cls, data: Any) -> Any:
        if not isinstance(data, str):
            return data
        if data not in {"manual", "auto"}:
            raise ValueError(
                f"is '{data}': use manual or auto, or {{mode: auto, after: 30m, window: 02:00-05:00}}"
            )
        return {"mode": data}

    def allows(self, now: time) -> bool:
        """Return whether a time of day is within the window; a window that ends before it begins spans midnight."""
        if self.window is None:
            return True
        begin, end = (time.fromisoformat(text) for text in self.window.split("-"))
        return begin <= now < end if begin < end else now >= begin or now < end
