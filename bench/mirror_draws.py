"""What a round of mirror runs consists of, and how it is drawn: trees, changes and faults."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

MODES = ("in_place", "staged")
NAMES = (
    "index.html",
    "käse",
    "with space",
    "-n",
    "*",
    "new\nline",
    "deep/er/file",
    "deep/other",
    "x" * 120,
    "link",
)
FAULTS = (
    "none", "kill source", "kill destination", "kill its gate", "kill its rsync", "cut", "disk full",
    "source changes", "not mounted",
)  # fmt: skip


@dataclass(frozen=True)
class Change:
    """What happens to one name at the source."""

    name: str
    kind: str  # write, delete, symlink or twin (a hard link)
    size: int
    salt: int


@dataclass(frozen=True)
class Trial:
    """Changes at the source, then a run with a fault so many seconds after its begin, or after its first write."""

    changes: tuple[Change, ...]
    fault: str
    after_seconds: float
    from_first_write: bool = True


@dataclass(frozen=True)
class Round:
    """What is drawn for one round."""

    mode: str
    begin: tuple[Change, ...]
    trials: tuple[Trial, ...]
    copied_first: bool = True  # whole, before anything goes wrong


_changes = st.lists(
    st.builds(
        Change,
        st.sampled_from(NAMES),
        st.sampled_from(("write", "write", "write", "delete", "symlink", "twin")),
        st.sampled_from((0, 1, 1000, 60_000, 200_000)),
        st.integers(0, 3),
    ),
    max_size=8,
).map(tuple)
rounds = st.builds(
    Round,
    st.sampled_from(("in_place", "in_place", "staged")),
    _changes,
    st.lists(
        st.builds(
            Trial,
            _changes,
            st.sampled_from(FAULTS),
            st.floats(0.0, 0.4),
            st.sampled_from((True, True, False)),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    st.sampled_from((True, True, True, False)),
)
